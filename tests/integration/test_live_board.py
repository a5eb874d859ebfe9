"""Which games the live page is told of, from a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from features.errors import StoreUnavailable
from features.stream.deltas import DeltaWriter, Update
from features.stream.directory import Directory, GameInfo, partition_of
from features.stream.events import key_of
from features.stream.keys import Keys
from features.stream.news import News, encode_json
from serving.live.board import KEPT_S, Board
from tests.fixtures.hub import free_port

LEAGUE = "simulated"
PARTITIONS = 2
TIP = datetime(2023, 12, 14, 0, tzinfo=UTC)


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def url(redis_url: str) -> str:
    """An empty database of its own."""
    own = redis_url.rpartition("/")[0] + "/11"
    redis.from_url(own).flushdb()
    return own


@pytest.fixture
def clock() -> Clock:
    """The board's clock."""
    return Clock()


@pytest.fixture
def board(url: str, clock: Clock) -> Iterator[Board]:
    """The board of that database."""
    board = Board(url, PARTITIONS, clock=clock)
    yield board
    board.close()


def game(url: str, number: int, tip: datetime = TIP, roster: tuple[int, ...] = (1, 2)) -> str:
    """Make a game known."""
    info = GameInfo(f"S{number}", 2023, "BOS", "NYK", tip, roster)
    Directory(redis.from_url(url), LEAGUE).register_game(info)
    return info.game_id


def tell(url: str, game: str, topic: str, /, **data: object) -> None:
    """Say something of a topic in the partition of a game, as a consumer does."""
    partition = partition_of(key_of(game), PARTITIONS)
    DeltaWriter(LEAGUE, partition, "state").publish(
        redis.from_url(url), [Update(topic, data)], at_ns=time.time_ns()
    )


def test_nothing_is_listed_before_anything_is_known(board: Board) -> None:
    assert board.view(LEAGUE).games == () and board.view("nba").games == ()


def test_games_are_planned_then_live_then_final(board: Board, url: str, clock: Clock) -> None:
    later = game(url, 1, TIP + timedelta(hours=2))
    first = game(url, 2)
    assert [(each.game_id, each.status) for each in board.view(LEAGUE).games] == [
        (first, "planned"),
        (later, "planned"),
    ]
    tell(url, first, f"game:{first}", status="live", home_score=2)
    clock.now += KEPT_S
    assert [each.status for each in board.view(LEAGUE).games] == ["live", "planned"]
    tell(url, first, f"game:{first}", status="final", home_score=99)
    clock.now += KEPT_S
    assert [each.status for each in board.view(LEAGUE).games] == ["final", "planned"]
    assert board.view(LEAGUE).games[0].players == (1, 2)


def test_only_the_newest_day_that_has_begun_is_listed(board: Board, url: str) -> None:
    old, new = game(url, 1, TIP - timedelta(days=1)), game(url, 2)
    game(url, 3, TIP + timedelta(days=1))
    for each in (old, new):
        tell(url, each, f"game:{each}", status="live")
    assert [each.game_id for each in board.view(LEAGUE).games] == [new]


def test_players_of_an_unknown_roster_are_those_who_did_something(board: Board, url: str) -> None:
    ids = [game(url, number, roster=()) for number in (1, 2)]
    for player, each in ((7, ids[0]), (8, ids[0]), (9, ids[1])):
        tell(url, each, f"player:{player}", game_id=each)
    assert [each.players for each in board.view(LEAGUE).games] == [(7, 8), (9,)]


def test_what_was_read_is_kept_for_a_moment(board: Board, url: str, clock: Clock) -> None:
    assert board.view(LEAGUE).games == ()
    game(url, 1)
    clock.now += KEPT_S / 2
    assert board.view(LEAGUE).games == ()
    clock.now += KEPT_S / 2
    assert len(board.view(LEAGUE).games) == 1


def test_news_come_newest_first(board: Board, url: str) -> None:
    client = redis.from_url(url)
    for number, at in enumerate(("2023-12-13T20:00:00Z", "2023-12-13T21:00:00Z")):
        told = News(id=str(number), at=at, subject=f"player:{number}", kind="injury", field="status", new="Out")
        client.hset(Keys(LEAGUE, number).news, f"player:{number}|injury", encode_json(told))
    assert [each.id for each in board.view(LEAGUE).news] == ["1", "0"]


def test_a_redis_that_is_away_is_said() -> None:
    board = Board(f"redis://127.0.0.1:{free_port()}/0", PARTITIONS)
    with pytest.raises(StoreUnavailable, match="FANTASY_REDIS_URL"):
        board.view(LEAGUE)
    board.close()
