"""How the winner model is judged: winner, margin and total beside plain baselines and the closing line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from features.tables import Tables
from models.answers import BASELINE, Answers
from models.baselines import EWMA_HALF_LIFE, SPREAD_SD, game_baselines
from models.metrics import Array, squared_errors

METRIC: Final = "Brier score"
ASKED_AT: Final = "pregame"
#: Baselines of P(home win), by column of `game_baselines`.
_WINNER: Final = ("elo", "home", "market")
#: Points before any game is known: the NBA of 2015-16 to 2019-20.
MARGIN_PRIOR: Final = 2.5
TOTAL_PRIOR: Final = 215.0
#: Not `recent_total`, which is a feature of the rows.
_RECENT: Final = "recent_total_of_both"
_KEPT: Final = ("game_id", "game_date", "season", "season_type")
#: Columns worth slicing by, where they are there; `home_margin` is the final one.
_SLICES: Final = (
    "home_team", "away_team", "close_home_spread", "home_back_to_back", "away_back_to_back", "rest_days_difference",
    "season_progress", "playoffs", "home_margin",
)  # fmt: skip


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with `baseline_{target}_{name}` columns.

    home_win: elo, home (share of home wins so far), market (closing spread). home_margin: elo (its probability as a
    margin), home (mean margin of `past`), market. total_points: recent (mean of both teams' EWMA of game totals),
    league (mean total of `past`), market.
    """
    known = rows.join(game_baselines(tables.games), on="game_id", how="left", maintain_order="left")
    known = known.join(_totals(tables.games), on="game_id", how="left", maintain_order="left")
    margin, total = (
        pl.lit(past[name].cast(pl.Float64).mean() if past.height else prior, pl.Float64)
        for name, prior in (("home_margin", MARGIN_PRIOR), ("total_points", TOTAL_PRIOR))
    )
    elo = pl.Series(SPREAD_SD * ndtri(known["elo_probability"].clip(0.001, 0.999).to_numpy()))
    return known.with_columns(
        *(pl.col(f"{name}_probability").alias(f"{BASELINE}home_win_{name}") for name in _WINNER),
        elo.alias(f"{BASELINE}home_margin_elo"),
        margin.alias(f"{BASELINE}home_margin_home"),
        (-pl.col("market_spread")).alias(f"{BASELINE}home_margin_market"),
        pl.col(_RECENT).fill_null(total).alias(f"{BASELINE}total_points_recent"),
        total.alias(f"{BASELINE}total_points_league"),
        pl.col("market_total").alias(f"{BASELINE}total_points_market"),
    ).drop(*(f"{name}_probability" for name in _WINNER), _RECENT, "market_total", "market_spread")


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """`home_win`, and `home_margin` and `total_points` where the network has them."""
    probability = np.asarray(output["home_win_probability"], dtype=np.float64)
    found = [Answers("home_win", "probability", _asked(rows, "home_win"), "elo", probability=probability)]
    primary = {"home_margin": "elo", "total_points": "recent"}
    for index, target in enumerate(config.get("points", ())):
        mean, quantiles = output["points_mean"][:, index], output["points_quantiles"][:, index]
        found.append(
            Answers(target, "points", _asked(rows, target), primary[target], mean=mean, quantiles=quantiles)
        )
    return found


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """Squared error of P(home win) per row (n,)."""
    return squared_errors(output["home_win_probability"], rows["home_win"].cast(pl.Float64).to_numpy())


def _asked(rows: pl.DataFrame, target: str) -> pl.DataFrame:
    """Keys, slices, label and the baselines of one target."""
    prefix = f"{BASELINE}{target}_"
    own = [name for name in rows.columns if name.startswith(prefix)]
    return rows.select(
        *(pl.col(name) for name in (*_KEPT, *_SLICES) if name in rows.columns),
        pl.lit(ASKED_AT).alias("asked_at"), pl.col("as_of").alias("event_time"),
        pl.col(target).cast(pl.Float64).alias("label"),
        *(pl.col(name).alias(f"{BASELINE}{name.removeprefix(prefix)}") for name in own),
    )  # fmt: skip


def _totals(games: pl.DataFrame) -> pl.DataFrame:
    """Per game: _RECENT from both teams' earlier games, and the closing `market_total`, `market_spread`."""
    sides = [
        games.select(
            "game_id", "event_time", pl.col(f"{side}_team").alias("team"),
            (pl.col("home_score") + pl.col("away_score")).cast(pl.Float64).alias("total"),
        )
        for side in ("home", "away")
    ]  # fmt: skip
    recent = pl.col("total").ewm_mean(half_life=EWMA_HALF_LIFE * 2, ignore_nulls=True).shift(1).over("team")
    means = (
        pl.concat(sides).sort("event_time", "game_id", "team").with_columns(recent.alias(_RECENT))
        .group_by("game_id").agg(pl.col(_RECENT).mean())
    )  # fmt: skip
    lines = games.select(
        "game_id",
        pl.col("close_total").cast(pl.Float64).alias("market_total"),
        pl.col("close_home_spread").cast(pl.Float64).alias("market_spread"),
    )
    return lines.join(means, on="game_id", how="left")
