"""Leak controls: nothing of a game, nor of anything known later, reaches the rows that ask about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from features.as_of import as_of_join
from features.tables import FINAL_AFTER_TIP, Tables, conform, tip_time
from features.views import GAME_FEATURES, PLAYER_FEATURES, VIEW_KEYS, compute_views, game_rows, player_rows
from features.views.entities import game_entities, played_entities
from tests.fixtures.league import small_league

HUGE = 1_000_000
#: Every figure of a line but `starter`, which is announced before the game.
COUNTS = ["min", "pts", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "oreb", "dreb", "reb", "ast", "stl", "blk",
          "tov", "pf", "plus_minus"]  # fmt: skip
SCORES = ["home_score", "away_score"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return small_league()


def inflated(tables: Tables, game_id: str) -> Tables:
    """The same league with 10^6 added to every figure of one game's box score and final score."""
    here = pl.col("game_id") == game_id

    def huge(name: str, kind: type[pl.DataType]) -> pl.Expr:
        value = pl.col(name).cast(kind)
        return pl.when(here).then(value + HUGE).otherwise(value).alias(name)

    box = tables.box.with_columns(huge(c, pl.Float64 if c == "min" else pl.Int64) for c in COUNTS)
    # The home side is moved further: with both moved alike the margin would not move at all.
    games = tables.games.with_columns(huge(c, pl.Int64) for c in SCORES)
    games = games.with_columns(pl.when(here).then(pl.col("home_score") + HUGE).otherwise(pl.col("home_score")))
    return Tables(games, box)


def assembled(tables: Tables) -> tuple[pl.DataFrame, pl.DataFrame]:
    views = compute_views(tables)
    players = player_rows(played_entities(tables), views)
    return players, game_rows(game_entities(tables), views, players)


@pytest.mark.parametrize("position", [0, 7, 20, 41, -2, -1])
def test_a_million_points_move_neither_their_own_game_nor_an_earlier_one(tables: Tables, position: int) -> None:
    game = tables.games.sort("event_time", "game_id").row(position, named=True)
    before = assembled(tables)
    after = assembled(inflated(tables, game["game_id"]))
    for clean, moved, features in zip(before, after, (PLAYER_FEATURES, GAME_FEATURES), strict=True):
        unknown = pl.col("as_of") < game["known_time"]
        assert clean.filter(unknown).select(features).equals(moved.filter(unknown).select(features))
        assert clean.filter(pl.col("game_id") == game["game_id"]).height > 0


@pytest.mark.parametrize("position", [0, 7, 20])
def test_the_control_itself_can_fail(tables: Tables, position: int) -> None:
    """Later rows do move, and rows asked about after the end of their own game would too."""
    game = tables.games.sort("event_time", "game_id").row(position, named=True)
    moved_tables = inflated(tables, game["game_id"])
    for clean, moved in zip(assembled(tables), assembled(moved_tables), strict=True):
        later = pl.col("as_of") >= game["known_time"]
        assert not clean.filter(later).equals(moved.filter(later))
    own = played_entities(tables).filter(pl.col("game_id") == game["game_id"])
    leaking = own.with_columns(as_of=pl.lit(game["known_time"]).cast(pl.Datetime("us", "UTC")))
    clean = player_rows(leaking, compute_views(tables))
    assert not clean.equals(player_rows(leaking, compute_views(moved_tables)))


def test_every_player_feature_but_the_announced_start_can_be_moved_by_the_past(tables: Tables) -> None:
    """A feature that no earlier box score moves would make the control above empty for it."""
    first = tables.games.sort("event_time", "game_id")["game_id"].head(8).to_list()
    moved_tables = tables
    for game_id in first:
        moved_tables = inflated(moved_tables, game_id)
    clean, moved = assembled(tables)[0], assembled(moved_tables)[0]
    still = {name for name in PLAYER_FEATURES if clean[name].equals(moved[name])}
    calendar = {
        "is_home_game", "playoffs", "announced_starter", "starter_change", "games_season", "games_career",
        "starter_last", "starter_ewm3", "starter_ewm15", "starter_season", "days_since_last", "team_games_missed",
        "presence10", "games_in_week_player", "new_team", "new_season", "min_share_ewm5", "regulars_listed",
        "vacated_starts",
        *(f"{side}_{name}" for side in ("team", "opp") for name in ("games_season", "rest_days", "back_to_back",
          "third_in_four", "games_in_week", "away_streak", "home_streak")),
    }  # fmt: skip
    assert still <= calendar


def known_by_then(tables: Tables) -> list[str]:
    """Views of which some joined row is newer than the question."""
    views = compute_views(tables)
    players = played_entities(tables).select("player_id", "team", "as_of")
    broken = []
    for name, view in views.items():
        joined = as_of_join(players, view, by=VIEW_KEYS[name], prefix="v_", keep_times=True)
        late = (pl.col("v_known_time") > pl.col("as_of")) | (pl.col("v_event_time") >= pl.col("as_of"))
        if joined["v_known_time"].drop_nulls().is_empty() or not joined.filter(late).is_empty():
            broken.append(name)
    return broken


def test_every_joined_row_was_known(tables: Tables) -> None:
    assert known_by_then(tables) == []


def late(tables: Tables, pick: Callable[[pl.DataFrame], pl.Expr], delay: timedelta) -> Tables:
    box = tables.box
    known = pl.when(pick(box)).then(pl.col("known_time") + delay).otherwise(pl.col("known_time"))
    return Tables(tables.games, box.with_columns(known.alias("known_time")))


def test_a_correction_is_not_used_before_it_was_published(tables: Tables) -> None:
    """With a game known 10 days late, rows in between are as if it, and all built on it, did not exist."""
    game = tables.games.sort("event_time", "game_id").row(20, named=True)
    delay = timedelta(days=10)
    corrected = late(tables, lambda _: pl.col("game_id") == game["game_id"], delay)
    poisoned = late(inflated(tables, game["game_id"]), lambda _: pl.col("game_id") == game["game_id"], delay)
    for clean, moved, features in zip(
        assembled(corrected), assembled(poisoned), (PLAYER_FEATURES, GAME_FEATURES), strict=True
    ):
        before = pl.col("as_of") < game["known_time"] + delay
        assert clean.filter(before).select(features).equals(moved.filter(before).select(features))
        assert not clean.filter(~before).select(features).equals(moved.filter(~before).select(features))


@pytest.mark.real_data
def test_recorded_seasons_are_fast_and_never_look_ahead(fantasy_data: Path) -> None:
    games = pl.read_parquet(fantasy_data / "nba" / "games.parquet").with_columns(event_time=tip_time())
    games = conform("games", games.with_columns(known_time=pl.col("event_time") + FINAL_AFTER_TIP))
    games = games.filter(pl.col("season") >= 2023)
    seasons = [pl.read_parquet(fantasy_data / "nba" / "box" / f"season={year}.parquet") for year in (2023, 2024)]
    box = pl.concat([frame.with_columns(pl.col(pl.Categorical).cast(pl.String)) for frame in seasons])
    tables = Tables(
        games, conform("box", box.join(games.select("game_id", "event_time", "known_time"), on="game_id"))
    )
    assert tables.box.height > 55_000
    assert known_by_then(tables) == []
    rows, _ = assembled(tables)
    assert rows.height == tables.box.height
    shared = rows.select(pl.col(name).is_not_null().mean() for name in PLAYER_FEATURES).row(0, named=True)
    # Least known is the season before: nobody has one in the first of the two seasons.
    assert min(shared.values()) > 0.4, min(shared, key=lambda name: shared[name])
