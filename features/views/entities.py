"""Entity rows: who is asked about, in which game, and as of when.

A played game is asked about at its tip-off, a slate at its lock. Names are looked up in the player directory.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput
from features.slate import Slate
from features.tables import EASTERN, Tables

PLAYER_ENTITY: Final[dict[str, pl.DataType]] = {
    "game_id": pl.String(), "player_id": pl.Int32(), "team": pl.String(), "opp": pl.String(),
    "is_home": pl.Boolean(), "game_date": pl.Date(), "season": pl.Int16(), "season_type": pl.String(),
    "as_of": pl.Datetime("us", "UTC"), "starter": pl.Boolean(),
}  # fmt: skip
GAME_ENTITY: Final[dict[str, pl.DataType]] = {
    "game_id": pl.String(), "home_team": pl.String(), "away_team": pl.String(), "game_date": pl.Date(),
    "season": pl.Int16(), "season_type": pl.String(), "as_of": pl.Datetime("us", "UTC"),
    "close_home_spread": pl.Float32(),
}  # fmt: skip
#: A season is named by the year it starts in: July to June.
SEASON_STARTS_MONTH: Final = 7
#: Injury marks of the sites that say a player will not play.
OUT_STATUSES: Final = frozenset({"O", "OUT", "IR", "INJ", "SUSP", "NA"})


def played_entities(tables: Tables) -> pl.DataFrame:
    """One row per player-game of the box table, as of tip-off; `starter` as announced (published before tip)."""
    box = tables.box.rename({"event_time": "as_of"})
    return box.select(pl.col(name).cast(dtype) for name, dtype in PLAYER_ENTITY.items())


def candidate_entities(tables: Tables, *, absent_days: int = 21) -> pl.DataFrame:
    """One row per team-game and player who might play, with `played` (Boolean): the rows that teach P(plays).

    A candidate is whoever played that game, and whoever's newest earlier game was for the same team at most
    `absent_days` before. `starter` is null, since an absence is not announced as a line-up.
    """
    box = tables.box.rename({"event_time": "as_of"})
    played = box.select("game_id", "player_id", played=pl.lit(True))
    games = box.select(name for name in PLAYER_ENTITY if name not in {"player_id", "starter"}).unique()
    stints = (
        box.select("player_id", "team", since="as_of")
        .sort("player_id", "since")
        .with_columns(
            pl.min_horizontal(
                pl.col("since").shift(-1).over("player_id"), pl.col("since") + timedelta(days=absent_days)
            ).alias("until")
        )
    )
    expected = games.join(stints, on="team").filter(
        (pl.col("as_of") > pl.col("since")) & (pl.col("as_of") <= pl.col("until"))
    )
    columns = [name for name in PLAYER_ENTITY if name != "starter"]
    actual = box.select(columns)
    rows = pl.concat([expected.select(columns), actual]).unique(subset=["game_id", "player_id"], keep="last")
    return (
        rows.join(played, on=["game_id", "player_id"], how="left")
        .with_columns(pl.col("played").fill_null(False), starter=pl.lit(None, dtype=pl.Boolean))
        .select(*(pl.col(name).cast(dtype) for name, dtype in PLAYER_ENTITY.items()), "played")
        .sort("as_of", "game_id", "team", "player_id")
    )


def game_entities(tables: Tables) -> pl.DataFrame:
    """One row per game of the games table, as of tip-off."""
    games = tables.games.rename({"event_time": "as_of"})
    return games.select(pl.col(name).cast(dtype) for name, dtype in GAME_ENTITY.items())


def slate_entities(slate: Slate, *, season_type: str = "regular") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Player rows (matched players who are not ruled out) and game rows of a slate, as of its lock.

    `game_id` is `AWAY@HOME`; `starter` is null (not announced in salary files).
    Raises `InvalidInput` when the slate has no lock time.
    """
    if slate.lock is None:
        raise InvalidInput(f"slate {slate.slate_id} has no lock time; give the date of its games")
    day = slate.lock.astimezone(ZoneInfo(EASTERN)).date()
    season = day.year if day.month >= SEASON_STARTS_MONTH else day.year - 1
    shared = {"season": season, "season_type": season_type, "as_of": slate.lock}
    players = [
        {
            "game_id": f"{player.opponent}@{player.team}"
            if player.is_home
            else f"{player.team}@{player.opponent}",
            "player_id": player.player_id,
            "team": player.team,
            "opp": player.opponent,
            "is_home": player.is_home,
            "game_date": day,
            "starter": None,
            **shared,
        }
        for player in slate.players
        if player.player_id is not None and player.injury_status.upper() not in OUT_STATUSES
    ]
    games = [
        {
            "game_id": f"{game.away_team}@{game.home_team}",
            "home_team": game.home_team,
            "away_team": game.away_team,
            "game_date": day if game.tip is None else game.tip.astimezone(ZoneInfo(EASTERN)).date(),
            "close_home_spread": None,
            **shared,
        }
        for game in slate.games
    ]
    player_rows = pl.DataFrame(players, schema=PLAYER_ENTITY)
    return player_rows.unique("player_id", keep="first", maintain_order=True), pl.DataFrame(
        games, schema=GAME_ENTITY
    )


def player_directory(tables: Tables) -> pl.DataFrame:
    """Newest name, team and game date of every player: `player_id`, `player_name`, `team`, `last_played`."""
    newest = tables.box.sort("event_time", "known_time").unique("player_id", keep="last", maintain_order=True)
    return newest.select("player_id", "player_name", "team", last_played="game_date").sort("player_id")
