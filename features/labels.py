"""Every target, defined once: what happened in a game that is over."""

from __future__ import annotations

from typing import Final

import polars as pl

from features.scoring import SITES, fantasy_points
from features.tables import Tables

#: Targets of a player-game: points under each site's rules, and minutes played.
PLAYER_TARGETS: Final[tuple[str, ...]] = (*(f"fantasy_points_{site}" for site in SITES), "minutes")
#: Targets of a game: did the home team win, and by how many points.
GAME_TARGETS: Final[tuple[str, ...]] = ("home_win", "home_margin")
TARGETS: Final[tuple[str, ...]] = PLAYER_TARGETS + GAME_TARGETS


def player_labels(tables: Tables) -> pl.DataFrame:
    """One row per player and game of the box table: `game_id`, `player_id` and `PLAYER_TARGETS` (Float32)."""
    points = [fantasy_points(site).cast(pl.Float32) for site in SITES]
    return tables.box.select("game_id", "player_id", *points, pl.col("min").cast(pl.Float32).alias("minutes"))


def game_labels(tables: Tables) -> pl.DataFrame:
    """One row per finished game: `game_id`, `home_win` (Boolean) and `home_margin` (Int16, points)."""
    margin = (pl.col("home_score") - pl.col("away_score")).cast(pl.Int16)
    finished = tables.games.filter(margin.is_not_null() & (margin != 0))
    return finished.select("game_id", (margin > 0).alias("home_win"), margin.alias("home_margin"))
