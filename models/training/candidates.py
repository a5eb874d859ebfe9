"""Who might have played each past game: the rows that teach P(plays).

Box scores name only those who appeared, so membership of a roster is read from a player's own games: he belongs to
the team of his last game until half the time to his first game for another has passed, and between seasons to the
team he plays for next. Somebody who never appears again stays with his team for the rest of that season only, since
after the summer most of them have left the league.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

import polars as pl

from features.tables import Tables
from features.views import Views, player_rows
from features.views.entities import candidate_entities

#: How far back the games asked about reach: rest habits change, but a season's start must be among them twice.
ASKED_DAYS: Final = 730
#: Longest absence followed: a summer and most of a season around it.
ABSENT_DAYS: Final = 365


def candidate_rows(tables: Tables, views: Views, through: date) -> pl.DataFrame:
    """`player_rows` of everybody who might have played in the games up to `through`, with `played` (Boolean)."""
    day = pl.col("game_date")
    recent = day.is_between(through - timedelta(days=ASKED_DAYS + ABSENT_DAYS), through)
    known = Tables(tables.games.filter(recent), tables.box.filter(recent))
    stayed = _members(candidate_entities(known, absent_days=ABSENT_DAYS), known.box)
    everybody = pl.concat([stayed, _arrivals(known.box).select(stayed.columns)])
    asked = everybody.filter(day > through - timedelta(days=ASKED_DAYS)).sort(
        "as_of", "game_id", "team", "player_id"
    )
    rows = player_rows(asked, views)
    return rows.filter(pl.col("games_career").is_not_null())


def _members(rows: pl.DataFrame, box: pl.DataFrame) -> pl.DataFrame:
    """Candidates who, by their games before and after, were still with the team."""
    games = box.select("player_id", "event_time", seen_team="team", seen_season="season").sort("event_time")
    around = _beside(_beside(rows.sort("as_of"), games, "backward", "last"), games, "forward", "next")
    gap = pl.col("next_time") - pl.col("last_time")
    same_season = pl.col("last_season") == pl.col("season")
    stays = (
        pl.when(pl.col("next_team").is_null()).then(same_season)
        .when(pl.col("next_team") == pl.col("team")).then(True)
        .otherwise(same_season & (pl.col("as_of") - pl.col("last_time") <= gap / 2))
    )  # fmt: skip
    return around.filter(pl.col("played") | stays).select(rows.columns)


def _beside(
    rows: pl.DataFrame, games: pl.DataFrame, strategy: Literal["backward", "forward"], name: str
) -> pl.DataFrame:
    """Add the player's game before or after each row: `{name}_time`, `{name}_team`, `{name}_season`."""
    named = games.rename(
        {"event_time": f"{name}_time", "seen_team": f"{name}_team", "seen_season": f"{name}_season"}
    )
    return rows.join_asof(
        named, left_on="as_of", right_on=f"{name}_time", by="player_id", strategy=strategy,
        allow_exact_matches=False, check_sortedness=False,
    )  # fmt: skip


def _arrivals(box: pl.DataFrame) -> pl.DataFrame:
    """Games of a player's next team before his first for it: all of that season's, or from half the way on."""
    first = (
        box.select("player_id", "team", "season", first="event_time")
        .sort("player_id", "first")
        .with_columns(
            pl.col(name).shift(1).over("player_id").alias(f"last_{name}") for name in ("team", "season", "first")
        )
        .filter(pl.col("team") != pl.col("last_team"))
    )
    middle = pl.col("last_first") + (pl.col("first") - pl.col("last_first")) / 2
    since = pl.when(pl.col("season") == pl.col("last_season")).then(middle).otherwise(pl.col("last_first"))
    shared = ["game_id", "team", "opp", "is_home", "game_date", "season", "season_type", "event_time"]
    games = box.select(shared).unique().rename({"event_time": "as_of"})
    return (
        first.with_columns(since.alias("since"))
        .join(games, on=["team", "season"])
        .filter((pl.col("as_of") > pl.col("since")) & (pl.col("as_of") < pl.col("first")))
        .with_columns(starter=pl.lit(None, dtype=pl.Boolean), played=pl.lit(False))
        .unique(subset=["game_id", "player_id"], maintain_order=True)
    )
