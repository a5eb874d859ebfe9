"""How live lines are judged: baselines, one `Answers` per target, and the loss that promotion compares.

Lines are asked of rotation players only, at the ends of the first three quarters; points of everybody who has a
season mean, with `rotation` beside them, and at random moments too (`asked_at` event).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from features.play.moments import MOMENTS
from features.tables import Tables
from models.answers import BASELINE, Answers
from models.baselines import player_baselines
from models.live_line.over import over_line
from models.metrics import Array, crps_losses

METRIC: Final = "CRPS of final DraftKings points"
#: The site that lines are asked on.
MAIN: Final = "fantasy_points_draftkings"
#: Reported targets -> how `player_baselines` calls them.
POINTS: Final[dict[str, str]] = {
    **{f"fantasy_points_{site}": site for site in ("draftkings", "fanduel", "yahoo")},
    "points": "points", "rebounds": "rebounds", "assists": "assists",
}  # fmt: skip
#: A rotation player has at least this season mean (DraftKings points) and this many earlier games.
ROTATION_MEAN: Final = 20.0
ROTATION_GAMES: Final = 5
PRIMARY: Final = "pace"
_KINDS: Final = ("season_mean", "ewma")
#: Line of each yes-no target: the season mean, and the pre-game projection where the rows carry one.
_LINES: Final = ("over_season_mean", "over_projection")
NEWTON_STEPS: Final = 12
#: Keeps a step finite where the past is perfectly told apart.
LEAST_CURVATURE: Final = 1e-3
PROJECTION: Final = "projection_draftkings"
_KEPT: Final = ("game_id", "player_id", "team", "game_date", "season", "season_type", "asked_at", "elapsed_s")
_SLICES: Final = (
    "is_home", "starter", "opp", "earlier_games", "rotation", "period", "margin", "fouls_so_far", "on_court",
    "minutes_so_far", "finished",
)  # fmt: skip


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with `earlier_games`, `rotation`, `line_{target}` and `baseline_{target}_{name}`.

    Points: pace (so far + season mean x share of the game left), season_mean, ewma. Lines: pace (its distance to
    the line as log-odds, fitted on `past` per moment) and base_rate (share over in `past`); null without `past`.
    """
    known, before = _described(rows, tables), _described(past, tables)
    return known.with_columns(
        column for target in _LINES for column in _line_baselines(target, known, _asked(target, before))
    )


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """Final points on every site, points, rebounds and assists; over the season mean and over the projection."""
    names, found = list(config["targets"]), []
    for target in POINTS:
        counts = rows.select(pl.col(f"{BASELINE}{target}_{PRIMARY}").is_not_null()).to_series()
        kept, mask, index = rows.filter(counts), counts.to_numpy(), names.index(target)
        found.append(
            Answers(
                target, "points", _select(kept, target, pl.col(target).cast(pl.Float64)), PRIMARY,
                mean=output["mean"][mask, index], quantiles=output["quantiles"][mask, index],
            )
        )  # fmt: skip
    for target in _LINES:
        line = rows[f"line_{target}"]
        mask = rows.select(_is_asked(target)).to_series().to_numpy()
        probability = over_line(
            {name: values[mask] for name, values in output.items()}, config, MAIN, line.to_numpy()[mask]
        )
        kept = rows.filter(pl.Series(mask)).with_columns(line=pl.col(f"line_{target}"))
        found.append(
            Answers(
                target, "probability", _select(kept, target, _passed("line"), "line"), PRIMARY,
                probability=probability,
            )
        )  # fmt: skip
    return found


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """CRPS of final DraftKings points per row (n,)."""
    quantiles = output["quantiles"][:, list(config["targets"]).index(MAIN)]
    return crps_losses(quantiles, config["levels"], rows[MAIN].cast(pl.Float64).to_numpy())


def _described(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Rows with season means and EWMA as points, the lines, and who is a rotation player."""
    names = [f"{kind}_{name}" for kind in _KINDS for name in POINTS.values()]
    past = player_baselines(tables.box).select("game_id", "player_id", "earlier_games", *names)
    known = rows.drop("earlier_games", strict=False).join(
        past, on=["game_id", "player_id"], how="left", maintain_order="left"
    )
    share = pl.col("share_left").cast(pl.Float64)
    columns = []
    for target, name in POINTS.items():
        pace = pl.col(f"{target}_so_far").cast(pl.Float64) + pl.col(f"season_mean_{name}") * share
        columns.append(pace.alias(f"{BASELINE}{target}_{PRIMARY}"))
        columns += [pl.col(f"{kind}_{name}").alias(f"{BASELINE}{target}_{kind}") for kind in _KINDS]
    mean = pl.col(f"season_mean_{POINTS[MAIN]}")
    projected = pl.col(PROJECTION if PROJECTION in rows.columns else "dk_expected").cast(pl.Float64)
    rotation = ((mean >= ROTATION_MEAN) & (pl.col("earlier_games") >= ROTATION_GAMES)).fill_null(False)
    lines = zip(_LINES, (mean, projected), strict=True)
    return known.with_columns(
        *columns, rotation.alias("rotation"), *(line.alias(f"line_{target}") for target, line in lines)
    ).drop(names)


def _is_asked(target: str) -> pl.Expr:
    named = pl.col("asked_at").is_in(list(MOMENTS))
    return pl.col("rotation") & named & pl.col(f"line_{target}").is_not_null() & pl.col(MAIN).is_not_null()


def _asked(target: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(_is_asked(target))


def _passed(line: str) -> pl.Expr:
    return (pl.col(MAIN).cast(pl.Float64) > pl.col(line)).cast(pl.Float64)


def _line_baselines(target: str, rows: pl.DataFrame, past: pl.DataFrame) -> list[pl.Series]:
    """Columns `baseline_{target}_pace` and `baseline_{target}_base_rate` for `rows`, learned from `past`."""
    pace = np.full(rows.height, np.nan)
    base = np.full(rows.height, np.nan)
    ahead, asked_at = _ahead(target, rows), rows["asked_at"].to_numpy()
    for moment in MOMENTS:
        before = past.filter(pl.col("asked_at") == moment)
        label = before.select(_passed(f"line_{target}")).to_series().to_numpy()
        if len(np.unique(label)) < 2:
            continue
        here = asked_at == moment
        slope, intercept = _log_odds(_ahead(target, before), label)
        pace[here] = expit(slope * ahead[here] + intercept)
        base[here] = label.mean()
    named = {PRIMARY: pace, "base_rate": base}
    return [pl.Series(f"{BASELINE}{target}_{name}", values).fill_nan(None) for name, values in named.items()]


def _ahead(target: str, rows: pl.DataFrame) -> Array:
    """Points by which the pace exceeds the line (n,)."""
    gap = pl.col(f"{BASELINE}{MAIN}_{PRIMARY}") - pl.col(f"line_{target}")
    return rows.select(gap.cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()


def _log_odds(ahead: Array, label: Array) -> tuple[float, float]:
    """Slope and intercept of maximal likelihood, by Newton's method."""
    x = np.column_stack([ahead, np.ones(len(ahead))])
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        claimed = expit(x @ weights)
        curvature = (x * (claimed * (1 - claimed))[:, None]).T @ x + LEAST_CURVATURE * np.eye(2)
        weights = weights + np.linalg.solve(curvature, x.T @ (label - claimed))
    return float(weights[0]), float(weights[1])


def _select(rows: pl.DataFrame, target: str, label: pl.Expr, *more: str) -> pl.DataFrame:
    """Keys, slices, label and the baselines of one target."""
    prefix = f"{BASELINE}{target}_"
    own = [name for name in rows.columns if name.startswith(prefix)]
    return rows.select(
        *(pl.col(name) for name in (*_KEPT, *_SLICES, *more) if name in rows.columns),
        pl.col("as_of").alias("event_time"), label.alias("label"),
        *(pl.col(name).alias(f"{BASELINE}{name.removeprefix(prefix)}") for name in own),
    )  # fmt: skip
