"""How the in-game winner model is judged: beside a logistic on strength, lead and clock, a Brownian margin, Elo, and
whoever leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.play.moments import EVENT
from features.tables import Tables
from models.answers import BASELINE, Answers
from models.baselines import elo_probabilities
from models.brownian import fit_brownian
from models.errors import TrainingError
from models.metrics import Array, squared_errors

METRIC: Final = "Brier score"
WIN_BASELINES: Final = ("logistic", "brownian", "elo", "leader")
#: Baselines of the final margin, on the rows under `baseline_margin_NAME`.
MARGIN_BASELINES: Final = ("brownian", "lead")
#: Past rows of a moment below which a baseline is not fitted and stays null.
LEAST_PAST: Final = 100
_KEPT: Final = (
    "game_id", "game_date", "season", "season_type", "asked_at", "elapsed_s", "period", "margin", "home_team",
    "away_team",
)  # fmt: skip


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with P(home wins) of WIN_BASELINES and expected final margins of MARGIN_BASELINES, null where unknown.

    `logistic` is fitted per moment on past rows of that moment (strength: Elo before the game; drawn moments share
    one with the lead in deviations of what is left), `brownian` on all past rows. `leader` is the share of past
    leaders at that moment who won, null at a tie.
    """
    strength = elo_probabilities(tables.games)
    known, before = (_with_strength(frame, strength) for frame in (rows, past))
    logistic, leader = np.full(rows.height, np.nan), np.full(rows.height, np.nan)
    for moment in known["asked_at"].unique().sort():
        asked = (known["asked_at"] == moment).to_numpy()
        learned = before.filter(pl.col("asked_at") == moment)
        if learned.height >= LEAST_PAST and learned["home_win"].n_unique() == 2:
            logistic[asked] = _logistic(learned, known.filter(pl.Series(asked)), moment == EVENT)
            leader[asked] = _leader(learned, known.filter(pl.Series(asked)))
    chance, expected = _brownian(before, known)
    return rows.with_columns(
        _column("logistic", logistic), _column("brownian", chance),
        known["elo_probability"].alias(f"{BASELINE}elo"), _column("leader", leader),
        _column("margin_brownian", expected), pl.col("margin").cast(pl.Float64).alias(f"{BASELINE}margin_lead"),
    )  # fmt: skip


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """`home_win` and `home_margin` at every row; drawn moments carry asked_at "event"."""
    kept = rows.select(*_KEPT, pl.col("as_of").alias("event_time"))
    won = kept.with_columns(rows["home_win"].cast(pl.Float64).alias("label")).with_columns(
        rows[f"{BASELINE}{name}"] for name in WIN_BASELINES
    )
    margin = kept.with_columns(rows["home_margin"].cast(pl.Float64).alias("label")).with_columns(
        rows[f"{BASELINE}margin_{name}"].alias(f"{BASELINE}{name}") for name in MARGIN_BASELINES
    )
    return [
        Answers("home_win", "probability", won, "logistic", probability=output["home_win_probability"]),
        Answers(
            "home_margin", "points", margin, "brownian", mean=output["margin_mean"],
            quantiles=output["margin_quantiles"],
        ),
    ]  # fmt: skip


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """Squared error of P(home wins) per row (n,)."""
    return squared_errors(output["home_win_probability"], rows["home_win"].cast(pl.Float64).to_numpy())


def _column(name: str, values: Array) -> pl.Series:
    return pl.Series(f"{BASELINE}{name}", values).fill_nan(None)


def _with_strength(rows: pl.DataFrame, strength: pl.DataFrame) -> pl.DataFrame:
    """Rows with `elo_probability` and its log-odds `strength` (0 where unknown)."""
    joined = rows.join(strength, on="game_id", how="left", maintain_order="left")
    chance = pl.col("elo_probability").clip(1e-4, 1 - 1e-4)
    return joined.with_columns((chance / (1 - chance)).log().fill_null(0.0).alias("strength"))


def _design(rows: pl.DataFrame, drawn: bool) -> Array:
    """Strength and lead; at drawn moments as a Brownian margin weighs them by the time left."""
    columns: list[pl.Expr] = [pl.col("strength"), pl.col("margin")]
    if drawn:
        root = pl.col("root_left").cast(pl.Float64)
        columns = [pl.col("strength") * root, pl.col("standing"), pl.col("lead_share"), root]
    return rows.select(column.cast(pl.Float64) for column in columns).to_numpy()


def _logistic(past: pl.DataFrame, asked: pl.DataFrame, drawn: bool) -> Array:
    from sklearn.linear_model import LogisticRegression  # only judging needs it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e3, max_iter=500))
    model.fit(_design(past, drawn), past["home_win"].to_numpy())
    return np.asarray(model.predict_proba(_design(asked, drawn))[:, 1], dtype=np.float64)


def _leader(past: pl.DataFrame, asked: pl.DataFrame) -> Array:
    """P(home wins) from who leads: the share of past leaders who won, NaN at a tie."""
    leading = past.filter(pl.col("margin") != 0)
    won = ((leading["margin"] > 0) == leading["home_win"]).sum()
    share = float(won / leading.height) if leading.height else 0.5
    lead = asked["margin"].to_numpy()
    return np.where(lead > 0, share, np.where(lead < 0, 1 - share, np.nan)).astype(np.float64)


def _brownian(past: pl.DataFrame, asked: pl.DataFrame) -> tuple[Array, Array]:
    """P(home wins) (n,) and expected final margin (n,), NaN when too few past rows carry a result."""
    columns = [
        past[name].cast(pl.Float64).to_numpy() for name in ("margin", "strength", "share_left", "home_margin")
    ]
    try:
        model = fit_brownian(*columns)
    except TrainingError:
        nothing = np.full(asked.height, np.nan)
        return nothing, nothing
    lead, strength, share = (
        asked[name].cast(pl.Float64).to_numpy() for name in ("margin", "strength", "share_left")
    )
    return model.probability(lead, strength, share), lead + model.drift(strength) * share
