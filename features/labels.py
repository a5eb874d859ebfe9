"""Every target, defined once: what happened in a game that is over."""

from __future__ import annotations

from typing import Final

import polars as pl

from features.scoring import SITES, fantasy_points
from features.tables import Tables

#: Box columns by the name their target has.
BOX_LINE: Final[dict[str, str]] = {
    "minutes": "min", "points": "pts", "rebounds": "reb", "assists": "ast", "steals": "stl", "blocks": "blk",
    "turnovers": "tov", "threes": "fg3m",
}  # fmt: skip
#: Targets of a player-game: points under each site's rules, and the box line they follow from.
PLAYER_TARGETS: Final[tuple[str, ...]] = (*(f"fantasy_points_{site}" for site in SITES), *BOX_LINE)
#: Targets of a game: did the home team win, by how many points, and how many both scored.
GAME_TARGETS: Final[tuple[str, ...]] = ("home_win", "home_margin", "total_points")
TARGETS: Final[tuple[str, ...]] = PLAYER_TARGETS + GAME_TARGETS


def player_labels(tables: Tables) -> pl.DataFrame:
    """One row per player and game of the box table: `game_id`, `player_id` and `PLAYER_TARGETS` (Float32)."""
    points = [fantasy_points(site).cast(pl.Float32) for site in SITES]
    line = [pl.col(column).cast(pl.Float32).alias(name) for name, column in BOX_LINE.items()]
    return tables.box.select("game_id", "player_id", *points, *line)


def game_labels(tables: Tables) -> pl.DataFrame:
    """One row per finished game: `game_id`, `home_win` (Boolean), `home_margin` and `total_points` (Int16, points,
    overtime included)."""
    home, away = pl.col("home_score").cast(pl.Int16), pl.col("away_score").cast(pl.Int16)
    margin = home - away
    finished = tables.games.filter(margin.is_not_null() & (margin != 0))
    return finished.select(
        "game_id", (margin > 0).alias("home_win"), margin.alias("home_margin"), (home + away).alias("total_points")
    )
