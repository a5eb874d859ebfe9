"""How the possession model is judged: the possession's points beside base rates, and two minutes' points per side
beside the league's pace and the sides' own efficiency.

The direct answer to `points_next_2min` is the network's own head; `remainder` simulates the rest of a game.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.tables import Tables
from models.answers import BASELINE, Answers
from models.calibration import fit_residual_spread
from models.evaluation import class_losses
from models.metrics import Array, crps_losses
from models.possession.config import CLASSES
from models.possession.rows import ASKED_AT, NEXT_S
from models.projection.config import LEVELS

METRIC: Final = "log loss of the points of a possession, CRPS of the points in two minutes at a moment"
CLASS_TARGET: Final = "next_possession_points"
NEXT_TARGET: Final = "points_next_2min"
BASE_RATE: Final = "base_rate"
EFFICIENCY: Final = "efficiency"
#: Shares of 0, 1, 2 and 3 points before any possession is known, and points in two minutes: the NBA of 2015-20.
SHARES: Final = (0.503, 0.033, 0.333, 0.131)
PACE_POINTS: Final = 4.55
#: Points per 100 possessions and possessions per 48 minutes of a side of which nothing is known.
RATING, PACE, GAME_S = 110.0, 99.0, 2880.0
#: Past possessions that an offence's own shares must outweigh.
LEANING: Final = 300.0
_KEPT: Final = (
    "game_id", "team", "opp", "game_date", "season", "season_type", "asked_at", "elapsed_s", "period", "clock_s",
    "margin", "bonus", "has_ball", "began", "at_home",
)  # fmt: skip


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with the baselines of both targets.

    Points of a possession, lists of 4 shares: `baseline_base_rate` of all past possessions, `baseline_offence` of the
    same side's (leaning towards all), `baseline_began` of the ones that began alike. Points in two minutes:
    `baseline_pace` (past mean for the seconds left) and `baseline_efficiency` (both sides' ratings and pace as of
    tip-off), with its residual spread on past moments in `quantiles_efficiency`.
    """
    asked = past.filter(pl.col("asked_at") == ASKED_AT)
    moments = past.filter(pl.col("asked_at") != ASKED_AT)
    overall = _shares(asked) if asked.height else np.asarray(SHARES)
    known = rows.with_columns(
        pl.Series(f"{BASELINE}{BASE_RATE}", np.tile(overall, (rows.height, 1))).arr.to_list(),
        _pace(moments).alias(f"{BASELINE}pace"), _efficiency().alias(f"{BASELINE}{EFFICIENCY}"),
    )  # fmt: skip
    known = _by(known, asked, "team", "offence", overall)
    known = _by(known, asked, "began", "began", overall)
    points = known[f"{BASELINE}{EFFICIENCY}"].to_numpy()
    if moments.is_empty():
        return known
    told = moments.select(_efficiency(), "points_next_2min").to_numpy()
    spread = fit_residual_spread(told[:, 0], told[:, 1], np.asarray(LEVELS)).quantiles(points)
    return known.with_columns(pl.Series(f"quantiles_{EFFICIENCY}", spread).arr.to_list())


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """`next_possession_points` at the starts of possessions, `points_next_2min` at the moments."""
    starts = rows.select(pl.col("asked_at") == ASKED_AT).to_series().to_numpy()
    points = _asked(rows.filter(pl.Series(starts)), "points", (BASE_RATE, "offence", "began"))
    ahead = _asked(rows.filter(pl.Series(~starts)), "points_next_2min", (EFFICIENCY, "pace"))
    return [
        Answers(CLASS_TARGET, "classes", points, BASE_RATE, classes=output["points"][starts]),
        Answers(
            NEXT_TARGET, "points", ahead, EFFICIENCY, mean=output["next_mean"][~starts],
            quantiles=output["next_quantiles"][~starts],
        ),
    ]  # fmt: skip


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """Log loss (n,) of the points where a possession starts, CRPS in points of the next two minutes elsewhere."""
    starts = rows.select(pl.col("asked_at") == ASKED_AT).to_series().to_numpy()
    points = rows["points"].fill_null(0).cast(pl.Float64).to_numpy()
    ahead = rows["points_next_2min"].cast(pl.Float64).to_numpy()
    return np.where(
        starts, class_losses(output["points"], points), crps_losses(output["next_quantiles"], LEVELS, ahead)
    )


def _asked(rows: pl.DataFrame, label: str, baselines: tuple[str, ...]) -> pl.DataFrame:
    """Keys, slices, label and the baselines of one target."""
    names = [f"{BASELINE}{name}" for name in baselines] + [f"quantiles_{name}" for name in baselines]
    return rows.select(
        *(pl.col(name) for name in _KEPT), pl.col("as_of").alias("event_time"),
        pl.col(label).cast(pl.Float64).alias("label"), *(name for name in names if name in rows.columns),
    )  # fmt: skip


def _shares(rows: pl.DataFrame) -> Array:
    counts = np.bincount(rows["points"].cast(pl.Int64).to_numpy(), minlength=CLASSES)
    return np.asarray((counts + 1) / (counts.sum() + CLASSES))


def _by(rows: pl.DataFrame, asked: pl.DataFrame, key: str, name: str, overall: Array) -> pl.DataFrame:
    """Add `baseline_{name}`: shares among past possessions with the same `key`, leaning towards `overall`."""
    hits = [(pl.col("points") == k).sum().alias(f"hits{k}") for k in range(CLASSES)]
    counts = asked.group_by(key).agg(pl.len().alias("tries"), *hits)
    shares = [
        (pl.col(f"hits{k}").fill_null(0) + LEANING * overall[k]) / (pl.col("tries").fill_null(0) + LEANING)
        for k in range(CLASSES)
    ]
    joined = rows.join(counts, on=key, how="left", maintain_order="left")
    drop = ["tries", *(f"hits{k}" for k in range(CLASSES))]
    return joined.with_columns(pl.concat_list(shares).alias(f"{BASELINE}{name}")).drop(drop)


def _pace(moments: pl.DataFrame) -> pl.Expr:
    """The mean of past moments with two minutes left to play in, for the seconds that are left."""
    whole = moments.filter(pl.col("window_s") >= NEXT_S)["points_next_2min"]
    mean = float(whole.cast(pl.Float64).sum() / len(whole)) if len(whole) else PACE_POINTS
    return mean * pl.col("window_s").cast(pl.Float64) / NEXT_S


def _efficiency() -> pl.Expr:
    """Possessions of both sides' pace in the seconds left, at the mean of what one scores and the other allows."""
    rating = (pl.col("team_off_rating15").fill_null(RATING) + pl.col("opp_def_rating15").fill_null(RATING)) / 200
    return (pl.col("pace8").fill_null(PACE) * pl.col("window_s") / GAME_S * rating).cast(pl.Float64)
