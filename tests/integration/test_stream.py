"""Producer and consumer over two real Redis servers: what is sent counts once, whatever is in its way."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from features.errors import Backpressure, InvalidInput, NotApplied, StoreUnavailable
from features.stream.connections import Servers
from features.stream.directory import Directory, GameInfo
from features.stream.events import Flag, Rows, blank, encode, encode_news, key_of
from features.stream.keys import GROUP, Keys
from features.stream.marks import Mark
from features.stream.news import News
from features.stream.producer import Producer
from features.stream.reader import LiveState
from features.stream.state import PartitionState
from tests.fixtures.relay import relayed
from tests.fixtures.stream import (
    LEAGUE,
    PARTITIONS,
    Server,
    changes,
    consumer_process,
    consuming,
    ground_truth,
    letters,
    some_games,
    some_rows,
    until,
)

GAMES = some_games()
LEASE_MS = 300


@pytest.fixture
def live(stream_servers: tuple[Server, Server]) -> Iterator[LiveState]:
    """What is committed; the games are registered."""
    directory = Directory(stream_servers[1].client, LEAGUE)
    for game in GAMES:
        directory.register_game(game)
    state = LiveState(stream_servers[1].url, LEAGUE, PARTITIONS)
    yield state
    state.close()


def producer(stream_servers: tuple[Server, Server], *, source: str = "test", **options: Any) -> Producer:
    return Producer(stream_servers[0].url, stream_servers[1].url, LEAGUE, PARTITIONS, source=source, **options)


def in_pieces(sender: Producer, rows: Rows, size: int = 97) -> None:
    for at in range(0, len(rows), size):
        sender.send_many(rows[at : at + size])


def raw(bus: Server, partition: int, *payloads: bytes) -> None:
    for payload in payloads:
        bus.client.xadd(Keys(LEAGUE, partition).events, {"b": payload})


def of_partition(partition: int) -> list[GameInfo]:
    return [game for game in GAMES if game.key % PARTITIONS == partition]


def test_every_row_counts_once_and_is_told(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows, urgent = some_rows(3000, GAMES, keep=Flag.keep), some_rows(7, GAMES, seed=1, keep=Flag.keep)
    with consuming(bus.url, state.url), producer(stream_servers) as sender:
        in_pieces(sender, rows)
        sender.send(rows[0])
        for row in urgent:
            sender.send_critical(row)
        sender.flush(20)
        assert live.checksum() == ground_truth(GAMES, rows, rows[:1], urgent)
        until(lambda: sum(game.events for game in live.games().values()) == 3008)
        stats = sender.stats()
    assert stats["applied"] == stats["rows"] == 3008
    assert stats["buffered_bytes"] == stats["resent_batches"] == 0 and stats["alarm"] is None
    for game in GAMES:
        mine = rows[rows["game"] == game.key]
        stored = live.rows(game.game_id)
        assert len(stored) == sum(int((part["game"] == game.key).sum()) for part in (rows, rows[:1], urgent))
        bulk = stored[np.isin(stored["seq"], mine["seq"])]
        assert np.array_equal(np.unique(bulk["seq"]), np.unique(mine["seq"]))
    told = [change for partition in range(PARTITIONS) for change in changes(state, partition)]
    assert {change.topic for change in told} >= {f"game:{game.game_id}" for game in GAMES}
    assert any(change.critical for change in told) and not all(change.critical for change in told)
    assert live.game("nobody") is None


def test_deltas_add_up_to_the_whole(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    with consuming(bus.url, state.url, tell_every_ms=5), producer(stream_servers) as sender:
        for seed in range(5):
            sender.send_many(some_rows(50, GAMES[:2], seed=seed))
            sender.flush(20)
    # Stopping tells nothing new: what was still waiting is told by whoever owns the partition next.
    with consuming(bus.url, state.url):
        until(lambda: all(len(m) > 0 for m in live.metrics().values()))
    for partition in range(PARTITIONS):
        added: dict[str, dict[str, Any]] = {}
        for change in changes(state, partition):
            added.setdefault(f"{change.topic}|{change.writer}", {}).update(change.data)
        stored = state.client.hgetall(Keys(LEAGUE, partition).topics)
        assert {name.decode() for name in stored} == set(added)
        for name, whole in stored.items():
            import msgspec

            assert msgspec.json.decode(whole) == {k: v for k, v in added[name.decode()].items() if v is not None}
    for game in GAMES[:2]:
        now = live.game(game.game_id)
        whole = state.client.hget(Keys(LEAGUE, game.key % PARTITIONS).topics, f"game:{game.game_id}|state")
        assert now is not None and f'"events":{now.events}'.encode() in whole


def test_news_newest_wins(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers

    def news(at: str, new: str, id_: str, subject: str = "player:7") -> News:
        return News(id=id_, at=at, subject=subject, kind="injury", field="status", new=new)

    with consuming(bus.url, state.url), producer(stream_servers) as sender:
        sender.send_news(news("2024-12-01T10:00:00Z", "out", "2"))
        sender.send_news(news("2024-12-01T09:00:00Z", "questionable", "1"))
        sender.send_news(news("2024-12-01T08:00:00Z", "out", "3", "name:Somebody"))
    assert [(each.subject, each.new) for each in live.news()] == [("player:7", "out"), ("name:Somebody", "out")]
    told = [change for partition in range(PARTITIONS) for change in changes(state, partition)]
    assert [(change.topic, change.writer, change.critical) for change in told] == [("player:7", "news", 1)]


def test_bad_batches_are_put_aside_with_their_reason(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    partition = 0
    games = of_partition(partition)
    good = some_rows(20, games)
    batch = encode(good, source=9, epoch=1, first=0)
    broken = bytearray(encode(good, source=8, epoch=1, first=0))
    broken[70] ^= 1
    future = bytearray(encode(good, source=7, epoch=1, first=0))
    future[4:6] = (99).to_bytes(2, "little")
    raw(bus, partition, b"", b"no batch at all" * 9, batch[:100], bytes(broken), bytes(future), batch)
    bus.client.xadd(Keys(LEAGUE, partition).events, {"other": "field"})
    state.client.xadd(
        Keys(LEAGUE, partition).critical, {"b": encode_news(b'{"id":1}', source=6, epoch=1, first=0)}
    )
    with consuming(bus.url, state.url):
        until(lambda: live.checksum() == ground_truth(games, good))
        until(lambda: len(letters(state)) == 7)
        until(lambda: bus.client.xpending(Keys(LEAGUE, partition).events, GROUP)["pending"] == 0)
    reasons = sorted(reason.split(": ")[0] + ":" + reason.split(": ")[1][:9] for reason, _, _ in letters(state))
    assert [reason.partition(":")[0] for reason in reasons] == ["future"] + 6 * ["malformed"]
    assert {"malformed:truncated", "malformed:magic", "malformed:checksum", "malformed:content"} <= set(reasons)
    assert bytes(broken) in [data for _, _, data in letters(state)]
    # What came broken is asked for again; the news, whole but wrong, is not.
    asked = state.client.hgetall(Keys(LEAGUE, partition).resend)
    assert set(asked) == {Mark(source, 1, False).field.encode() for source in (8, 9)}


def test_impossible_rows_are_rejected_one_by_one(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(200, GAMES)
    wrong = rows[:6].copy()
    wrong["game"][0] = key_of("a game nobody registered")
    wrong["player"][1], wrong["kind"][1] = 999_999, 1
    wrong["points"][1] = wrong["shot_value"][1] = 2
    wrong["created_ns"][2] += 3600 * 10**9
    wrong["period"][3] = 200
    wrong["kind"][4] = 77
    wrong["created_ns"][5] -= 3600 * 10**9  # an hour late is no mistake
    with consuming(bus.url, state.url), producer(stream_servers) as sender:
        in_pieces(sender, rows)
        sender.send_many(wrong)
        sender.flush(20)
        assert live.checksum() == ground_truth(GAMES, rows, wrong[5:])
    said = ", ".join(reason for reason, _, _ in letters(state))
    for reason in ("unknown_game=1", "unknown_player=1", "future=1", "period=1", "kind=1"):
        assert reason in said
    assert sum(count for _, count, _ in letters(state)) == 5
    kept = np.concatenate([np.frombuffer(data, rows.dtype) for _, _, data in letters(state)])
    assert set(kept["game"].tolist()) <= set(wrong["game"].tolist()) and len(kept) == 5


def test_a_game_registered_after_its_first_row_is_taken(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    late = some_games(8)[7]
    rows = some_rows(10, [late])
    with consuming(bus.url, state.url), producer(stream_servers) as sender:
        sender.send_many(some_rows(10, GAMES))
        sender.flush(20)
        Directory(state.client, LEAGUE).register_game(late)
        sender.send_many(rows)
        sender.flush(20)
    now = live.game(late.game_id)
    assert now is not None and now.events == 10


def test_duplicates_overlaps_and_gaps(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    games = of_partition(1)
    rows = some_rows(100, games)

    def batch(first: int, end: int) -> bytes:
        return encode(rows[first:end], source=5, epoch=3, first=first)

    mark, keys = Mark(5, 3, False), Keys(LEAGUE, 1)
    with consuming(bus.url, state.url) as consumer:
        raw(bus, 1, batch(0, 30), batch(0, 30), batch(20, 40), batch(70, 100), batch(60, 70))
        until(lambda: state.client.hget(keys.resend, mark.field) == b"40")
        assert state.client.hget(keys.watermark, mark.field) == b"40"
        assert live.checksum() == ground_truth(games, rows[:40])
        raw(bus, 1, batch(35, 60), batch(60, 100), batch(0, 100))
        until(lambda: state.client.hget(keys.watermark, mark.field) == b"100")
        until(lambda: bus.client.xpending(keys.events, GROUP)["pending"] == 0)
        assert live.checksum() == ground_truth(games, rows)
        counts = consumer.metrics()[1]
    assert counts["duplicates"] == 30 + 10 + 5 + 100 and counts["gaps"] == 1 and counts["events"] == 100


def test_backpressure_waits_and_loses_nothing(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(2000, GAMES)
    with producer(stream_servers, buffer_bytes=64 * 500, block=False, source="refused") as refused:
        refused.send_many(rows[:400])
        with pytest.raises(Backpressure, match="buffer_bytes=32000"):
            refused.send_many(rows[400:600])
        assert "buffer 80% full" in refused.stats()["alarm"]
        with pytest.raises(NotApplied, match="consumer"):
            refused.flush(0.1)
        with consuming(bus.url, state.url), producer(stream_servers, buffer_bytes=64 * 500) as waiting:
            refused.flush(20)
            waiting.send_many(rows[400:])
            waiting.flush(20)
            assert waiting.stats()["blocked"] > 0
    assert live.checksum() == ground_truth(GAMES, rows)


def test_the_bus_may_lose_everything(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(6000, GAMES)
    with producer(stream_servers) as sender:
        in_pieces(sender, rows[:1000])
        until(lambda: bus.client.xlen(Keys(LEAGUE, 0).events) and bus.client.xlen(Keys(LEAGUE, 1).events))
        bus.client.flushall()
        with consuming(bus.url, state.url):
            in_pieces(sender, rows[1000:3000])
            sender.flush(20)
            bus.client.flushall()
            in_pieces(sender, rows[3000:4000])
            bus.kill()
            in_pieces(sender, rows[4000:5000])
            time.sleep(0.1)
            bus.start()
            in_pieces(sender, rows[5000:])
            sender.flush(20)
        assert sender.stats()["resent_batches"] > 0
    assert live.checksum() == ground_truth(GAMES, rows)


def test_what_was_trimmed_unread_is_sent_again(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(500, GAMES)
    with producer(stream_servers) as sender:
        in_pieces(sender, rows)
        until(lambda: not any(lane.waiting or lane.filled or lane.sealed for lane in sender._bulk))
        for partition in range(PARTITIONS):
            bus.client.xtrim(Keys(LEAGUE, partition).events, maxlen=0, approximate=False)
        with consuming(bus.url, state.url):
            sender.flush(20)
    assert live.checksum() == ground_truth(GAMES, rows)


@pytest.mark.parametrize("which", [0, 1], ids=["bus", "state"])
def test_a_full_server_holds_up_but_loses_nothing(
    stream_servers: tuple[Server, Server], live: LiveState, which: int
) -> None:
    bus, state = stream_servers
    rows = some_rows(4000, GAMES)
    with consuming(bus.url, state.url, lease_ms=LEASE_MS), producer(stream_servers) as sender:
        in_pieces(sender, rows[:1000])
        sender.flush(20)
        stream_servers[which].client.config_set("maxmemory", "100kb")
        in_pieces(sender, rows[1000:3000])
        with pytest.raises(NotApplied):
            sender.flush(0.3)
        if which == 0:
            until(
                lambda: "OOM" in str(sender.stats()["last_error"]) or "memory" in str(sender.stats()["last_error"])
            )
        stream_servers[which].client.config_set("maxmemory", "0")
        in_pieces(sender, rows[3000:])
        sender.flush(20)
    assert live.checksum() == ground_truth(GAMES, rows)


@pytest.mark.parametrize("which", [0, 1], ids=["bus", "state"])
def test_a_server_that_became_a_replica_refuses_and_nothing_is_lost(
    stream_servers: tuple[Server, Server], live: LiveState, which: int
) -> None:
    bus, state = stream_servers
    rows = some_rows(3000, GAMES)
    with consuming(bus.url, state.url, lease_ms=LEASE_MS), producer(stream_servers) as sender:
        in_pieces(sender, rows[:1000])
        sender.flush(20)
        stream_servers[which].client.replicaof(
            "127.0.0.1", "1"
        )  # nobody there: it keeps its data and takes no writes
        in_pieces(sender, rows[1000:2000])
        sender.send_critical(rows[0])
        with pytest.raises(NotApplied):
            sender.flush(0.3)
        stream_servers[which].client.replicaof("NO", "ONE")
        in_pieces(sender, rows[2000:])
        sender.flush(20)
    assert live.checksum() == ground_truth(GAMES, rows, rows[:1])


def test_a_cut_network_is_waited_for(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(4000, GAMES)
    with (
        relayed(bus.url, state.url) as (to_bus, to_state),
        consuming(to_bus.url, to_state.url, lease_ms=LEASE_MS),
        Producer(to_bus.url, to_state.url, LEAGUE, PARTITIONS, source="test") as sender,
    ):
        for at, cut in enumerate(((to_bus,), (to_state,), (to_bus, to_state))):
            in_pieces(sender, rows[1000 * at : 1000 * at + 500])
            for relay in cut:
                relay.close()
            in_pieces(sender, rows[1000 * at + 500 : 1000 * at + 1000])
            sender.send_critical(rows[at])
            time.sleep(0.1)
            for relay in cut:
                relay.open()
        in_pieces(sender, rows[3000:])
        sender.flush(30)
        assert sender.stats()["errors"] > 0
    assert live.checksum() == ground_truth(GAMES, rows, rows[:3])


def test_critical_events_pass_while_the_bus_is_away(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    rows = some_rows(100, GAMES)
    with consuming(bus.url, state.url) as consumer, producer(stream_servers) as sender:
        sender.send_many(rows)
        sender.flush(20)
        bus.kill()
        sender.send_critical(rows[0])
        until(lambda: live.checksum() == ground_truth(GAMES, rows, rows[:1]))
        until(lambda: any("bus" in str(each["alarm"]) for each in live.metrics().values()))
        assert sorted(consumer.owned) == [0, 1]
        bus.start()
        sender.send_many(rows)
        sender.flush(20)
    assert live.checksum() == ground_truth(GAMES, rows, rows[:1], rows)


def test_a_standby_takes_over_from_a_killed_owner(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows, lease_ms = some_rows(3000, GAMES), 600_000  # nobody waits for its end: the closed connection is seen
    owner = consumer_process(bus, state, "--lease-ms", str(lease_ms), "--name", "first")
    try:
        until(lambda: len(live.metrics()) == PARTITIONS, 120)
        with (
            producer(stream_servers) as sender,
            consuming(bus.url, state.url, lease_ms=lease_ms, name="second") as standby,
        ):
            in_pieces(sender, rows[:1500])
            sender.flush(20)
            assert standby.owned == ()
            in_pieces(sender, rows[1500:2000])
            owner.kill()
            in_pieces(sender, rows[2000:])
            sender.flush(20)
            assert sorted(standby.owned) == [0, 1]
            names = [each["name"] for each in bus.client.xinfo_consumers(Keys(LEAGUE, 0).events, GROUP)]
            assert names == [b"second"]
    finally:
        owner.kill()
    assert live.checksum() == ground_truth(GAMES, rows)


def test_an_owner_that_slept_through_its_lease_writes_nothing(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    rows = some_rows(3000, GAMES)
    sleeper = consumer_process(bus, state, "--lease-ms", str(LEASE_MS), "--name", "sleeper")
    try:
        until(lambda: len(live.metrics()) == PARTITIONS, 120)
        with producer(stream_servers) as sender, consuming(bus.url, state.url, lease_ms=LEASE_MS) as standby:
            in_pieces(sender, rows[:1000])
            sender.flush(20)
            sleeper.process.send_signal(signal.SIGSTOP)
            in_pieces(sender, rows[1000:2000])
            until(lambda: sorted(standby.owned) == [0, 1])
            sleeper.process.send_signal(signal.SIGCONT)
            in_pieces(sender, rows[2000:])
            sender.flush(20)
            assert sorted(standby.owned) == [0, 1]
        assert live.checksum() == ground_truth(GAMES, rows)
        assert sleeper.process.poll() is None and sleeper.stop() == 0
    finally:
        sleeper.kill()


def test_a_batch_that_breaks_its_consumer_is_put_aside(
    stream_servers: tuple[Server, Server], live: LiveState, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, state = stream_servers
    games = of_partition(0)
    rows = some_rows(300, games)
    apply = PartitionState.apply
    poison = rows[100:200].copy()
    poison["wall_et_min"] = 77

    def breaks(self: PartitionState, given: Rows, *, now_ns: int) -> Any:
        if (given["wall_et_min"] == 77).any():
            raise RuntimeError("this batch is poison")
        return apply(self, given, now_ns=now_ns)

    raw(bus, 0, encode(rows[:100], source=4, epoch=1, first=0))
    raw(bus, 0, encode(poison, source=4, epoch=1, first=100), encode(rows[200:], source=4, epoch=1, first=200))
    monkeypatch.setattr(PartitionState, "apply", breaks)
    with consuming(bus.url, state.url, lease_ms=LEASE_MS):
        mark = Mark(4, 1, False)
        until(lambda: state.client.hget(Keys(LEAGUE, 0).watermark, mark.field) == b"300")
    monkeypatch.undo()
    assert live.checksum() == ground_truth(games, rows[:100], rows[200:])
    ((reason, count, data),) = letters(state)
    assert reason.startswith("poison") and count == 100 and poison.tobytes() in data


def test_a_restarted_source_goes_on_where_it_was(stream_servers: tuple[Server, Server], live: LiveState) -> None:
    bus, state = stream_servers
    rows = some_rows(1000, GAMES)
    with consuming(bus.url, state.url):
        with producer(stream_servers, epoch=1) as first:
            first.send_many(rows[:600])
        with producer(stream_servers, epoch=1) as second:
            done = [second.resume_from(partition) for partition in range(PARTITIONS)]
            assert sum(done) == 600
            second.send_many(rows[600:800])
        with producer(stream_servers, epoch=1, from_start=True) as third:
            in_pieces(third, rows)
        assert live.checksum() == ground_truth(GAMES, rows)
        with producer(stream_servers) as fresh, producer(stream_servers) as other:
            assert fresh.epoch != other.epoch
            fresh.send_many(rows)
        assert live.checksum() == ground_truth(GAMES, rows, rows)


def test_an_owner_that_ends_leaves_nothing_to_wait_for(
    stream_servers: tuple[Server, Server], live: LiveState
) -> None:
    bus, state = stream_servers
    with consuming(bus.url, state.url), producer(stream_servers) as sender:
        sender.send_many(some_rows(100, GAMES))
    for partition in range(PARTITIONS):
        assert not state.client.exists(Keys(LEAGUE, partition).owner)
        metrics = live.metrics()[partition]
        assert metrics["commits"] > 0 and metrics["alarm"] is None and metrics["lag_entries"] == 0
    assert sum(each["events"] for each in live.metrics().values()) == 100


def test_wrong_use_is_named(stream_servers: tuple[Server, Server]) -> None:
    with producer(stream_servers) as sender, pytest.raises(InvalidInput, match="dtype float64"):
        sender.send_many(np.zeros(3))
    with pytest.raises(StoreUnavailable, match="ended"):
        sender.send_many(blank(1))
    with pytest.raises(InvalidInput, match="from_start"):
        producer(stream_servers, from_start=True)
    with pytest.raises(StoreUnavailable, match="FANTASY_REDIS_URL"):
        Producer("redis://127.0.0.1:1", "redis://127.0.0.1:1", LEAGUE, 1, source="x", connect_timeout_s=0.1)


def test_a_link_may_be_opened_again_any_number_of_times(stream_servers: tuple[Server, Server]) -> None:
    """redis-py's pools stop after 100 connections made, closed ones counted: a consumer opens one a second."""
    servers = Servers(stream_servers[1].url)
    for _ in range(150):
        link = servers.link("any")
        assert link.ask(b"PING") == b"PONG"
        link.close()
    servers.close()
    assert len(stream_servers[1].client.client_list()) < 10
