"""Of several recompute processes one speaks: one that was stopped in mid-word and wakes up says nothing any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
import redis

from features.stream.connections import Servers
from features.stream.deltas import Change
from features.stream.events import key_of
from features.stream.keys import Keys
from serving.live.publisher import Publisher
from serving.live.seat import Seat
from serving.live.seen import Seen
from serving.live.turn import say
from tests.fixtures.stream import LEAGUE, PARTITIONS, Process, Server, until

LEASE_MS = 1000
#: A process that takes the lease and says a number after the other as fast as it can.
TALKER = """
import itertools, sys, threading
from features.stream.connections import Servers
from serving.live.publisher import Publisher
from serving.live.seat import Seat
url, league, partitions, lease_ms = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
seat = Seat(Servers(url), league, partitions, lambda: None, lease_ms=lease_ms)
seat.start()
publisher = Publisher(Servers(url), league, partitions, "model", seat.turn)
for number in itertools.count():
    publisher.publish({"game:1": {"by": "talker", "number": number}}, partition=number % partitions)
"""


@pytest.fixture
def state(stream_servers: tuple[Server, Server]) -> Server:
    return stream_servers[1]


@pytest.fixture
def servers(state: Server) -> Iterator[Servers]:
    servers = Servers(state.url)
    yield servers
    servers.close()


def seated(servers: Servers) -> Seat:
    """A process of its own, as far as Redis can tell."""
    return Seat(servers, LEAGUE, PARTITIONS, lambda: None, lease_ms=LEASE_MS)  # type: ignore[arg-type]


def wait_for(state: Server, words: int) -> None:
    """Until so many more were said."""
    wanted = state.client.xlen(Keys(LEAGUE, 0).deltas) + words
    until(lambda: state.client.xlen(Keys(LEAGUE, 0).deltas) >= wanted)


def test_a_stopped_holder_that_wakes_up_says_nothing(state: Server, servers: Servers) -> None:
    """Three times a process is stopped amid its words, and another one speaks until it goes on."""
    talker = Process(("-c", TALKER, state.url, LEAGUE, str(PARTITIONS), str(LEASE_MS)))
    try:
        for round_ in range(3):
            wait_for(state, 20)
            talker.process.send_signal(signal.SIGSTOP)
            seat = seated(servers)
            ours = Publisher(servers, LEAGUE, PARTITIONS, "model", seat.turn)
            seat.start()
            until(seat.held)
            for partition in range(PARTITIONS):
                assert ours.publish({"game:1": {"by": "us", "round": round_}}, partition=partition) == 1
            at = [state.client.xlen(Keys(LEAGUE, partition).deltas) for partition in range(PARTITIONS)]
            talker.process.send_signal(signal.SIGCONT)
            time.sleep(LEASE_MS / 1000)  # it has said what it was about to say, had it been let
            assert seat.held()
            assert at == [state.client.xlen(Keys(LEAGUE, partition).deltas) for partition in range(PARTITIONS)]
            seat.stop()
    finally:
        talker.process.send_signal(signal.SIGCONT)
        talker.kill()


def test_a_word_is_not_said_when_the_turn_ends_in_the_middle_of_it(state: Server, servers: Servers) -> None:
    keys, client = Keys(LEAGUE, 1), servers.client()
    client.set(keys.speaker, b"ours")

    def interrupted(pipe: redis.client.Pipeline) -> None:
        state.client.set(keys.speaker, b"theirs")
        pipe.set("word", b"said")

    assert not say(client, keys, b"ours", interrupted)
    assert not say(client, keys, b"ours", lambda pipe: pipe.set("word", b"said"))
    assert client.get("word") is None
    assert say(client, keys, b"theirs", lambda pipe: pipe.set("word", b"said"))
    assert client.get("word") == b"said"


def test_a_new_turn_knows_what_was_said_in_between(servers: Servers) -> None:
    turns, client, keys = {"first": b"1", "second": b"2"}, servers.client(), Keys(LEAGUE, 0)
    first = Publisher(servers, LEAGUE, PARTITIONS, "model", lambda: turns["first"])
    second = Publisher(servers, LEAGUE, PARTITIONS, "model", lambda: turns["second"])

    def publish(publisher: Publisher, value: int) -> int:
        return publisher.publish({"game:1": {"value": value}}, partition=0)

    client.set(keys.speaker, b"1")
    assert (publish(first, 1), publish(first, 1), publish(second, 2)) == (1, 0, 0)
    client.set(keys.speaker, b"2")
    assert (publish(second, 2), publish(first, 3)) == (1, 0)
    turns["first"] = b"3"
    client.set(keys.speaker, b"3")
    assert publish(first, 1) == 1  # not what it said last in its first turn, but news all the same
    told = f"model:{next(n for n in range(99) if key_of(f'model:{n}') % PARTITIONS == 0)}"
    assert first.publish({told: {"value": 1}}) == 1
    second.drop([told])
    assert client.hlen(keys.topics) == 2
    first.drop([told])
    assert client.hlen(keys.topics) == 1


def test_a_game_that_was_removed_is_forgotten(servers: Servers) -> None:
    client, keys, seen = servers.client(), Keys(LEAGUE, 0), Seen(servers, LEAGUE)
    client.set(keys.speaker, b"1")
    publisher = Publisher(servers, LEAGUE, PARTITIONS, "model", lambda: b"1")
    assert publisher.publish({"game:1": {"value": 1}}, partition=0) == 1
    publisher.forget(0, "game:1")
    assert publisher.publish({"game:1": {"value": 1}}, partition=0) == 1
    for writer in ("state", "model"):
        seen.take(0, Change("game:1", writer, {"value": 1}))
    assert seen.games() == ["1"] and seen.partition("game:1") == 0
    for writer in ("state", "model"):
        seen.take(0, Change("game:1", writer, {"value": None}))
    assert seen.games() == [] and seen.partition("game:1") is None and not seen._fields
