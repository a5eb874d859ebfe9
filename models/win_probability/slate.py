"""The games of a slate as rows for the winner model, with who is listed for each side where the file tells."""

from __future__ import annotations

from typing import Final

import polars as pl

from features.slate import Slate
from features.views import Views, game_rows, player_rows
from features.views.entities import slate_entities

#: Of players without an injury mark who have missed more of this season's games than this, one in ten plays
#: (FanDuel and DraftKings files 2015-24): they are no more on the list of who plays than those marked out.
LONGEST_ABSENCE_GAMES: Final = 10


def slate_game_rows(slate: Slate, views: Views) -> pl.DataFrame:
    """Game rows of a slate with matched players, as of its lock and in its order.

    Only a file with injury marks tells who is out; without any, everybody on the payroll would look fit to play,
    so the announced features stay null and the model answers as it does before the news.
    Raises `InvalidInput` when the slate has no lock.
    """
    players, games = slate_entities(slate)
    if not any(player.injury_status.strip() for player in slate.players):
        return game_rows(games, views)
    so_far = pl.col("team_games_season").fill_null(0)
    missed = (
        pl.when(pl.col("new_season") == 1).then(so_far).otherwise(pl.min_horizontal("team_games_missed", so_far))
    )
    rows = player_rows(players, views)
    present = rows.select((missed <= LONGEST_ABSENCE_GAMES).fill_null(True)).to_series()
    return game_rows(games, views, player_rows(players.filter(present), views))
