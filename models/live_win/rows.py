"""Rows for the in-game winner model: a game's pre-game row and its state at a moment, as inputs.

The answer is nearly linear in what is here: a lead counts in deviations of what is still to come, and strength counts
by the square root of the time left, as for a Brownian margin.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from scipy.special import log_ndtr

from features.errors import SchemaError
from features.play.moments import REGULATION_S
from features.views import GAME_ANNOUNCED_FEATURES as ANNOUNCED
from models.metrics import Array

#: Expected final margin with lead l, strength x = `expected_margin` and share s of regulation left:
#: l·(1 - GIVEN_BACK·s) + (DRIFT[0] + DRIFT[1]·x)·s, a Brownian margin whose leads are given back in part; and its
#: variance in points², UNIT[0] + UNIT[1]·s + UNIT[2]·s² (the first is what overtime adds). Maximum likelihood of
#: the final margins on 2016-17 to 2018-19 (3,933 games).
DRIFT: Final = (0.85, 0.91)
GIVEN_BACK: Final = 0.48
UNIT: Final = (3.6, 230.0, -63.0)
#: Pre-game features (the announced ones say who is listed); each is an input times the square root of the share of
#: the game left.
STRENGTH: Final = (
    "expected_margin", "elo_logit", "net_rating15_difference", "net_rating40_difference",
    "margin_ewm20_difference", "efficiency_margin", "venue_margin", "margin_season_difference",
    "win_share_prior_difference", "rest_days_difference", "home_back_to_back", "away_back_to_back", *ANNOUNCED,
)  # fmt: skip
SITUATION: Final = (
    "anchor_logit", "margin_anchor", "margin_unit", "share_left", "root_left", "lead", "standing", "lead_share",
    "standing_late",    "ball_standing", "luck_standing", "run_standing", "pace", "playoffs", "season_progress",
)  # fmt: skip
#: Input columns, in order.
FEATURES: Final = (*SITUATION, *(f"{name}_left" for name in STRENGTH))
#: Inputs that are null until the inactives are published.
ANNOUNCED_FEATURES: Final = tuple(f"{name}_left" for name in ANNOUNCED)
#: A lead counts for more in the last minute than its share of the spread: this is the minute, in seconds.
LAST_S: Final = 60.0


def live_rows(games: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """One row per state whose game is in `games` (`game_rows`), in the order of `states`.

    Columns: those of GAME_ENTITY with `as_of` moved to tip-off plus the time played (the earliest the moment can have
    been), asked_at, seq, period, elapsed_s, margin, FEATURES (Float32, null where unknown).
    Raises `SchemaError` when a column is missing.
    """
    pre_game = [name for name in STRENGTH if name != "elo_logit"]
    wanted = (*_ENTITY, "elo_home_win", "playoffs", "season_progress", *pre_game)
    if lacking := sorted(set(wanted) - set(games.columns)):
        raise SchemaError(f"game rows lack columns {lacking}; assemble them with features.views.game_rows")
    known = games.select(list(dict.fromkeys(wanted)))
    now = states.select(_STATE)
    rows = now.join(known, on="game_id", how="inner", maintain_order="left").with_columns(
        (pl.col("as_of") + pl.duration(milliseconds=pl.col("elapsed_s") * 1000)).alias("as_of")
    )
    rows = _anchored(rows)
    root = pl.col("root_left")
    chance = pl.col("elo_home_win").clip(1e-4, 1 - 1e-4)
    rows = rows.with_columns((chance / (1 - chance)).log().alias("elo_logit"))
    rows = rows.with_columns(
        pl.col("margin").alias("lead"),
        (pl.col("margin") / pl.col("margin_unit") * (-pl.col("left_s") / LAST_S).exp()).alias("standing_late"),
        (pl.col("margin") * pl.col("share_left") / pl.col("margin_unit")).alias("lead_share"),
        *((pl.col(name) / pl.col("margin_unit")).alias(standing) for name, standing in _STANDINGS.items()),
        ((pl.col("home_luck") - pl.col("away_luck")) / pl.col("margin_unit")).alias("luck_standing"),
        *((pl.col(name) * root).alias(f"{name}_left") for name in STRENGTH),
    )
    return rows.select(
        *_ENTITY, "asked_at", "seq", "period", "elapsed_s", "margin",
        *(pl.col(name).cast(pl.Float32) for name in FEATURES),
    )  # fmt: skip


_ENTITY: Final = ("game_id", "home_team", "away_team", "game_date", "season", "season_type", "as_of")
_STATE: Final = (
    "game_id", "asked_at", "seq", "period", "elapsed_s", "margin", "left_s", "ball", "run_4min", "pace", "home_luck",
    "away_luck",
)  # fmt: skip
_STANDINGS: Final = {"margin": "standing", "ball": "ball_standing", "run_4min": "run_standing"}


def _anchored(rows: pl.DataFrame) -> pl.DataFrame:
    """Add share_left, root_left and the Brownian answer; an unknown strength counts as an even one."""
    share = (rows["left_s"].to_numpy() / REGULATION_S).clip(0.0, 1.0)
    lead = rows["margin"].to_numpy().astype(np.float64)
    strength = rows["expected_margin"].cast(pl.Float64).fill_null(0.0).to_numpy()
    unit = np.sqrt(UNIT[0] + UNIT[1] * share + UNIT[2] * share**2)
    anchor = lead * (1 - GIVEN_BACK * share) + (DRIFT[0] + DRIFT[1] * strength) * share
    return rows.with_columns(
        pl.Series("share_left", share), pl.Series("root_left", np.sqrt(share)), pl.Series("margin_unit", unit),
        pl.Series("margin_anchor", anchor), pl.Series("anchor_logit", _log_odds(anchor / unit)),
    )  # fmt: skip


def _log_odds(standing: Array) -> Array:
    """Log-odds (n,) that a normal number with this mean in deviations is positive, held within ±12."""
    return np.asarray(np.clip(log_ndtr(standing) - log_ndtr(-standing), -12.0, 12.0), dtype=np.float64)
