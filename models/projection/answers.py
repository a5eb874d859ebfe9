"""How projections are judged: baselines, one `Answers` per target, and the loss that promotion compares.

Rows count when the player has at least EARLIER_GAMES earlier games this season: before that a season mean does not
exist. Whether he passes his season mean is asked of rotation players only.
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
from models.metrics import Array, crps_losses
from models.projection.config import LEVELS
from models.projection.distribution import probability_over
from models.report import EARLIER_GAMES, with_player_baselines

METRIC: Final = "CRPS of DraftKings points"
ASKED_AT: Final = "pregame"
SITE: Final = "draftkings"
#: Stats of the box line that are reported as targets of their own.
STATS_ASKED: Final = ("points", "rebounds", "assists", "minutes")
#: A rotation player has at least this season mean (DraftKings points) and this many earlier games.
ROTATION_MEAN: Final = 20.0
ROTATION_GAMES: Final = 5
PRIMARY: Final = "ewma"
_POINTS: Final = "fantasy_points_"
#: Columns of the rows worth slicing by, where they are there.
_SLICES: Final = (
    "is_home", "starter", "opp", "earlier_games", "team_rest_days", "team_back_to_back", "new_team", "closeness",
    "days_since_last", "dk_expected",
)  # fmt: skip
_KEPT: Final = ("game_id", "player_id", "team", "game_date", "season", "season_type")


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with `earlier_games`, `baseline_season_mean_{name}` and `baseline_ewma_{name}` per site and stat.

    The spread of the EWMA on `past` rows is beside it: `quantiles_ewma_{name}`, a list of K values at LEVELS.
    `baseline_base_rate_over` is the share of past rotation rows above their season mean.
    """
    known, before = (_with_baselines(frame, tables) for frame in (rows, past))
    before = before.filter(pl.col("earlier_games") >= EARLIER_GAMES)
    spreads: list[pl.Expr | pl.Series] = []
    for name, target in _targets().items():
        past_known = before.filter(pl.col(f"{BASELINE}ewma_{name}").is_not_null() & pl.col(target).is_not_null())
        column = f"quantiles_{PRIMARY}_{name}"
        if past_known.is_empty():
            spreads.append(pl.lit(None, pl.List(pl.Float64)).alias(column))
            continue
        points, labels = past_known[f"{BASELINE}ewma_{name}"], past_known[target]
        spread = fit_residual_spread(points.to_numpy(), labels.to_numpy(), np.asarray(LEVELS))
        around = spread.quantiles(known[f"{BASELINE}ewma_{name}"].fill_null(float("nan")).to_numpy())
        spreads.append(pl.Series(column, around, dtype=pl.Array(pl.Float64, len(LEVELS))).arr.to_list())
    over = before.filter(_rotation()).select((_label() > _line()).mean()).item()
    return known.with_columns(*spreads, pl.lit(over, pl.Float64).alias(f"{BASELINE}base_rate_over"))


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """Points on every site, the stats the network has, and whether a rotation player passes his season mean."""
    counts = rows.select((pl.col("earlier_games") >= EARLIER_GAMES).fill_null(False)).to_series().to_numpy()
    kept = rows.filter(pl.Series(counts))
    found = []
    for index, site in enumerate(config["sites"]):
        mean, quantiles = output["mean"][counts, index], output["quantiles"][counts, index]
        found.append(_points(kept, site, mean, quantiles))
        if site == SITE:
            found.append(_over_season_mean(kept, quantiles, config["levels"]))
    for index, stat in enumerate(config.get("stats", ())):
        if stat in STATS_ASKED:
            mean, quantiles = output["stat_mean"][counts, index], output["stat_quantiles"][counts, index]
            found.append(_points(kept, stat, mean, quantiles))
    return found


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """CRPS of DraftKings points per row (n,)."""
    quantiles = output["quantiles"][:, list(config["sites"]).index(SITE)]
    return crps_losses(quantiles, config["levels"], rows.select(_label()).to_series().to_numpy())


def _with_baselines(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    known = rows if "earlier_games" in rows.columns else with_player_baselines(rows, tables)
    names = [f"{kind}_{name}" for name in _targets() for kind in ("season_mean", "ewma")]
    return known.rename({name: f"{BASELINE}{name}" for name in names if name in known.columns})


def _targets() -> dict[str, str]:
    """Baseline name -> label column: the sites by their name, stats as they are."""
    sites = {site: f"{_POINTS}{site}" for site in ("draftkings", "fanduel", "yahoo")}
    return sites | {stat: stat for stat in STATS_ASKED}


def _points(rows: pl.DataFrame, name: str, mean: Array, quantiles: Array) -> Answers:
    """Points of a site or a stat beside season mean and EWMA; rows without a label are left out."""
    target = _targets()[name]
    known = rows[target].is_not_null().to_numpy()
    described = rows.select(
        *_described(rows), pl.col(target).cast(pl.Float64).alias("label"),
        *(pl.col(f"{BASELINE}{kind}_{name}").alias(f"{BASELINE}{kind}") for kind in ("season_mean", "ewma")),
        pl.col(f"quantiles_{PRIMARY}_{name}").alias(f"quantiles_{PRIMARY}"),
    )  # fmt: skip
    kept = described.filter(pl.Series(known))
    return Answers(target, "points", kept, PRIMARY, mean=mean[known], quantiles=quantiles[known])


def _over_season_mean(rows: pl.DataFrame, quantiles: Array, levels: Any) -> Answers:
    mask = rows.select(_rotation() & _label().is_not_null()).to_series().fill_null(False)
    kept, grid = rows.filter(mask), quantiles[mask.to_numpy()]
    line = kept.select(_line()).to_series().to_numpy()
    spread = kept[f"quantiles_{PRIMARY}_{SITE}"]
    if spread.null_count():
        ewma: Any = pl.lit(None, pl.Float64)
    else:
        around = np.array(spread.to_list(), dtype=np.float64).reshape(-1, len(LEVELS))
        ewma = pl.Series(probability_over(around, LEVELS, line))
    described = kept.select(
        *_described(kept), _line().alias("line"), (_label() > _line()).cast(pl.Float64).alias("label"),
        ewma.alias(f"{BASELINE}ewma"), pl.col(f"{BASELINE}base_rate_over").alias(f"{BASELINE}base_rate"),
    )  # fmt: skip
    return Answers(
        "over_season_mean", "probability", described, PRIMARY, probability=probability_over(grid, levels, line)
    )


def _described(rows: pl.DataFrame) -> list[pl.Expr]:
    present = [pl.col(name) for name in (*_KEPT, *_SLICES) if name in rows.columns]
    return [*present, pl.lit(ASKED_AT).alias("asked_at"), pl.col("as_of").alias("event_time")]


def _label() -> pl.Expr:
    return pl.col(f"{_POINTS}{SITE}").cast(pl.Float64)


def _line() -> pl.Expr:
    return pl.col(f"{BASELINE}season_mean_{SITE}")


def _rotation() -> pl.Expr:
    return (_line() >= ROTATION_MEAN) & (pl.col("earlier_games") >= ROTATION_GAMES)
