"""What is long over leaves Redis, the owner's memory and the screens; what comes late of it is put aside."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from features.stream.consumer import Consumer
from features.stream.directory import GameInfo
from features.stream.events import Flag, key_of
from features.stream.keys import Keys
from features.stream.news import News
from features.stream.producer import Producer
from features.stream.reader import LiveState
from features.stream.retention import DAY_S
from features.stream.runs import Runs
from tests.fixtures.stream import (
    LEAGUE,
    PARTITIONS,
    Server,
    changes,
    consuming,
    letters,
    some_games,
    some_rows,
    until,
)


def producer(stream_servers: tuple[Server, Server], source: str = "test") -> Producer:
    return Producer(stream_servers[0].url, stream_servers[1].url, LEAGUE, PARTITIONS, source=source)


def test_a_game_that_is_long_over_is_removed_and_told(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    over, plain = [game for game in some_games() if game.key % PARTITIONS == 0][:2]
    for game in (over, plain):
        live.directory().register_game(game)
    rows = some_rows(200, [over, plain], keep=Flag.keep)
    rows["flags"][np.flatnonzero(rows["game"] == over.key)[-1]] |= int(Flag.final)
    ahead_ns = [0]
    keys = Keys(LEAGUE, 0)
    options: dict[str, Any] = {"keep_hours": 1.0, "clock_ns": lambda: time.time_ns() + ahead_ns[0]}
    with consuming(bus.url, state.url, **options) as consumer, producer(stream_servers) as sender:
        sender.send_many(rows)
        sender.flush(20)
        until(lambda: not consumer_waits(state, over, plain))
        state.client.hset(keys.topics, f"game:{over.game_id}|other", b'{"home_win":0.5}')
        ahead_ns[0] = 3_500 * 10**9
        time.sleep(1.5)
        assert over.game_id in live.games()  # not yet
        ahead_ns[0] = 3_700 * 10**9
        consumer_looks_soon(consumer)
        until(lambda: over.game_id not in live.games())
        until(lambda: live.directory().game(over.key) is None)
        assert live.game(plain.game_id) is not None and len(live.rows(over.game_id)) == 0
        left = {name.decode() for name in state.client.hkeys(keys.topics)}
        assert not {name for name in left if name.startswith(f"game:{over.game_id}|")}
        assert left.isdisjoint(f"player:{player}|state" for player in over.roster)
        wholes: dict[tuple[str, str], dict[str, Any]] = {("game:" + over.game_id, "other"): {"home_win": 0.5}}
        for change in changes(state, 0):
            wholes.setdefault((change.topic, change.writer), {}).update(change.data)
        gone = {pair: whole for pair, whole in wholes.items() if pair[0] == f"game:{over.game_id}"}
        assert len(gone) == 2 and all(value is None for whole in gone.values() for value in whole.values())
        assert any(value is not None for value in wholes["game:" + plain.game_id, "state"].values())

        live.directory().register_game(over)  # its source comes back, late
        sender.send_many(rows[rows["game"] == over.key][:3])
        sender.send_many(rows[rows["game"] == plain.key][:2])
        sender.flush(20)
        assert [(reason, n) for reason, n, _ in letters(state)] == [("rejected: removed_game=3", 3)]
        assert over.game_id not in live.games()
        assert live.metrics()[0]["owner"]
    with consuming(bus.url, state.url, **options), producer(stream_servers, source="again") as sender:
        sender.send_many(rows[rows["game"] == over.key][:1])  # the next owner knows, too
        sender.flush(20)
        assert over.game_id not in live.games() and len(letters(state)) == 2
    assert live.metrics()[0]["removed"] == 1
    runs = Runs(state.url, LEAGUE, PARTITIONS)
    assert runs.live([over]) == [over]
    runs.start_over("test", [over])
    assert runs.live([over]) == []
    runs.close()


def consumer_waits(state: Server, *games: GameInfo) -> bool:
    """Whether something of `games` is still to be told."""
    told = state.client.hkeys(Keys(LEAGUE, 0).topics)
    return not all(f"game:{game.game_id}|state".encode() in told for game in games)


def consumer_looks_soon(consumer: Consumer) -> None:
    """Do not wait for the next look at what is old."""
    for partition in consumer._partitions:
        partition._looked = 0.0


def test_old_news_is_removed_and_told(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    ahead_ns = [0]
    news = News(id="1", at="2020-01-01T00:00:00Z", subject="player:7", kind="injury", field="status", new="out")
    kept = News(id="2", at="2020-01-01T00:00:00Z", subject="player:8", kind="injury", field="status", new="out")
    with (
        consuming(bus.url, state.url, clock_ns=lambda: time.time_ns() + ahead_ns[0]) as consumer,
        producer(stream_servers) as sender,
    ):
        sender.send_news(news)
        sender.flush(20)
        ahead_ns[0] = 4 * DAY_S * 10**9
        sender.send_news(kept)
        sender.flush(20)
        ahead_ns[0] = int(7.5 * DAY_S) * 10**9
        consumer_looks_soon(consumer)
        until(lambda: [each.id for each in live.news()] == ["2"])
        keys = Keys(LEAGUE, key_of("player:7") % PARTITIONS)
        until(lambda: not state.client.hexists(keys.topics, "player:7|news"))
        last = [change for change in changes(state, keys.partition) if change.topic == "player:7"][-1]
        assert last.data == {"news": None} and last.critical
        sender.send_news(
            News(id="3", at="2019-01-01T00:00:00Z", subject="player:7", kind="injury", field="status")
        )
        sender.flush(20)  # what was forgotten is not "newer"
        assert {each.id for each in live.news()} == {"2", "3"}
