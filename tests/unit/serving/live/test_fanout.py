"""Lanes: what is written at once, what waits, and what those get who are behind."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from features.stream.deltas import Change
from serving.live.book import Book, Loaded
from serving.live.counts import WorkerState
from serving.live.fanout import Fanout
from serving.live.limits import Limits


class Client:
    """What a fanout sees of a connection: it keeps what it is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.writes = 0
        self.transport = self
        self.underlying_transport = self

    def out(self, data: bytes) -> None:
        self.writes += 1
        self.written.append(data)

    def writelines(self, frames: list[bytes]) -> None:
        self.writes += 1
        self.written.extend(frames)

    def deltas(self) -> list[dict[str, Any]]:
        """Every message written, of frames that may stand one after the other."""
        found, decoder = [], json.JSONDecoder()
        for data in self.written:
            at = data.find(b'{"op"')
            while at >= 0:
                text = data[at:].decode(errors="replace")
                message, end = decoder.raw_decode(text)
                found.append(message)
                at = data.find(b'{"op"', at + len(text[:end].encode()))
        return found


class Hub:
    """A book and its fanout, with a tick of `tick_ms`."""

    def __init__(self, tick_ms: float) -> None:
        self.book = Book("nba")
        wholes = {(f"game:{n}", "state"): {"n": 0} for n in range(5)}
        self.book.load(0, Loaded("0:a", 0, 0, wholes, []))
        self.state = WorkerState("w", 1, 1, time.time())
        self.fanout = Fanout(asyncio.get_running_loop(), Limits(tick_ms=tick_ms), self.state)
        self.number = 0

    def tell(self, *topics: str, critical: bool = False, **data: Any) -> None:
        """An entry that tells of `topics`."""
        self.number += 1
        changes = [Change(topic, "state", data, int(critical), self.number) for topic in topics]
        touched, new = self.book.apply(0, "0:a", self.number, changes, size=10)
        self.fanout.reset(new)
        self.fanout.announce(touched)

    def subscribe(self, *topics: str) -> Client:
        client: Any = Client()
        for topic in topics:
            self.book.topic(topic).subscribers[client] = client.out
        return client


async def test_a_quiet_topic_is_told_at_once_and_a_busy_one_once_a_tick() -> None:
    hub = Hub(tick_ms=20)
    client = hub.subscribe("game:1")
    hub.tell("game:1", n=1)
    assert [m["data"] for m in client.deltas()] == [{"n": 1}]
    hub.tell("game:1", n=2)
    hub.tell("game:1", n=3, other=1)
    assert len(client.deltas()) == 1
    await asyncio.sleep(0.1)
    first, second = client.deltas()
    assert second["data"] == {"n": 3, "other": 1}
    assert second["prev"] == first["offset"]
    assert second["offset"] == hub.book.topic("game:1").offset
    assert hub.state.conflated == 1


async def test_a_critical_update_takes_with_it_what_waits_and_is_not_merged() -> None:
    hub = Hub(tick_ms=10_000)
    client = hub.subscribe("game:1")
    hub.tell("game:1", n=1)
    hub.tell("game:1", n=2)
    hub.tell("game:1", n=3)
    hub.tell("game:1", critical=True, n=4)
    hub.tell("game:1", critical=True, n=5)
    deltas = client.deltas()
    assert [m["data"]["n"] for m in deltas] == [1, 3, 4, 5]
    assert [m["prev"] for m in deltas[1:]] == [m["offset"] for m in deltas[:-1]]


async def test_one_entry_of_many_topics_is_one_write_per_client() -> None:
    hub = Hub(tick_ms=10_000)
    all_of_them, one = hub.subscribe(*(f"game:{n}" for n in range(5))), hub.subscribe("game:3")
    hub.tell(*(f"game:{n}" for n in range(5)), n=1)
    assert (all_of_them.writes, one.writes) == (1, 1)
    assert [m["topic"] for m in all_of_them.deltas()] == [f"game:{n}" for n in range(5)]
    assert hub.state.frames == 6


async def test_whoever_is_behind_is_not_written_to_but_noted() -> None:
    hub = Hub(tick_ms=0)
    client, other = hub.subscribe("game:1"), hub.subscribe("game:1")
    topic = hub.book.topic("game:1")
    hub.tell("game:1", n=1)
    at = topic.offset
    hub.fanout.behind[client] = {}
    hub.tell("game:1", n=2)
    hub.tell("game:1", n=3)
    assert (len(client.deltas()), len(other.deltas())) == (1, 3)
    assert hub.fanout.behind == {client: {topic: at}}
    hub.fanout.reset([topic])
    assert hub.fanout.behind == {client: {topic: None}}
    assert other.deltas()[-1]["op"] == "snapshot"


async def test_who_subscribes_while_something_waits_is_told_it_once() -> None:
    hub = Hub(tick_ms=20)
    first = hub.subscribe("game:1")
    hub.tell("game:1", n=1)
    hub.tell("game:1", n=2)
    topic = hub.book.topic("game:1")
    hub.fanout.flush(topic)
    late = hub.subscribe("game:1")
    await asyncio.sleep(0.1)
    assert late.deltas() == []
    hub.tell("game:1", n=3)
    assert late.deltas() == first.deltas()[-1:]
