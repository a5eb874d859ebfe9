"""Reading delta streams from the state Redis: what a partition holds now, then what changes.

One plain connection per partition, also with Redis Cluster: all keys of a partition are on one node.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

import msgspec
import redis

from features.errors import StoreUnavailable
from features.stream.connections import Command, Servers, must
from features.stream.deltas import FIELD, Change, decode_entry, split_field
from features.stream.keys import Keys
from serving.live.book import Loaded
from serving.live.counts import STATES_KEY, WorkerState, decode_states
from serving.live.topics import offset_number, offset_text
from serving.live.wire import Wire

log = logging.getLogger(__name__)
TRANSIENT: Final = (redis.RedisError, OSError, asyncio.TimeoutError)
#: Entries loaded at start, for those who resume at a worker that has just started.
HISTORY: Final = 5_000
#: Entries read at once; fewer than the streams surely keep, so that only a full read can have missed any.
BATCH: Final = 1_000
BLOCK_MS: Final = 2_000

Raw = tuple[int, bytes]


class Broken(Exception):
    """What was read does not continue what is known: load the partition again."""


class PartitionFeed:
    """The deltas of one partition of a league, from where `load` left off."""

    def __init__(self, servers: Servers, league: str, partition: int) -> None:
        self._servers = servers
        self._wire: Wire | None = None
        self.keys = Keys(league, partition)
        self.partition = partition
        self.epoch = ""
        self._position = "0-0"

    async def load(self) -> Loaded:
        """What the partition holds, at one moment."""
        name, topics, newest_first = await self._at_once(
            ("GET", self.keys.epoch),
            ("HGETALL", self.keys.topics),
            ("XREVRANGE", self.keys.deltas, "+", "-", "COUNT", HISTORY),
        )
        self.epoch = self._epoch(name)
        wholes = {
            split_field(field): cast("dict[str, Any]", msgspec.json.decode(whole))
            for field, whole in zip(topics[::2], topics[1::2], strict=True)
        }
        raw = [_raw(entry) for entry in reversed(newest_first)]
        self._position = offset_text(raw[-1][0]) if raw else "0-0"
        floor = raw[0][0] if len(raw) >= HISTORY else 0
        history: list[tuple[int, list[Change]]] = []
        for number, payload in raw:
            try:
                history.append((number, decode_entry(payload)))
            except msgspec.DecodeError as error:
                log.error("entry %s of %s left out: %s", offset_text(number), self.keys.deltas, error)
                history.clear()
                floor = number
        return Loaded(
            self.epoch, offset_number(self._position), floor, wholes, history, sum(len(p) for _, p in raw)
        )

    async def read(self) -> list[tuple[int, list[Change], int]]:
        """Wait for new entries: (number, updates, bytes) each; empty after a while without any.

        Raises `Broken` when the stream is another one, or entries were trimmed before they were read.
        """
        wire = await self._connected()
        # The epoch is read after the entries: when it is still the same, they are of it.
        streams, name = await wire.call(
            ("XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS", self.keys.deltas, self._position),
            ("GET", self.keys.epoch),
        )
        self._must_continue(name)
        if not streams:
            return []
        entries = cast("list[Any]", streams[0][1])
        if len(entries) == BATCH:
            await self._must_reach_back(wire)
        read = []
        for number, payload in map(_raw, entries):
            try:
                read.append((number, decode_entry(payload), len(payload)))
            except msgspec.DecodeError as error:
                raise Broken(f"entry {offset_text(number)} of {self.keys.deltas}: {error}") from error
        self._position = offset_text(read[-1][0])
        return read

    async def check(self) -> None:
        """After the connection was lost: raises `Broken` unless the stream still continues what was read."""
        name, newest = await self._at_once(
            ("GET", self.keys.epoch), ("XREVRANGE", self.keys.deltas, "+", "-", "COUNT", 1)
        )
        self._must_continue(name)
        number = _raw(newest[0])[0] if newest else 0
        if number < offset_number(self._position):
            raise Broken(
                f"{self.keys.deltas} ends at {offset_text(number)}, before {self._position}: it lost entries"
            )
        await self._must_reach_back(await self._connected())

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.close()

    def _must_continue(self, name: bytes | None) -> None:
        if self._epoch(name) != self.epoch:
            raise Broken(f"{self.keys.deltas} is of epoch {self._epoch(name)!r}, not {self.epoch!r}")

    async def _must_reach_back(self, wire: Wire) -> None:
        (oldest,) = await wire.call(("XRANGE", self.keys.deltas, "-", "+", "COUNT", 1))
        if oldest and self._position != "0-0" and _raw(oldest[0])[0] > offset_number(self._position):
            raise Broken(f"{self.keys.deltas} was trimmed beyond {self._position} before it was read")

    def _epoch(self, name: bytes | None) -> str:
        return "" if name is None else f"{self.partition}:{name.decode()}"

    async def _at_once(self, *commands: Command) -> list[Any]:
        """Replies of `commands`, all of one moment."""
        *_, replies = await (await self._connected()).call(("MULTI",), *commands, ("EXEC",))
        return [must(reply) for reply in replies]

    async def _connected(self) -> Wire:
        if self._wire is None:
            await asyncio.to_thread(self._servers.refresh)
            self._wire = await Wire.open(self._servers, self.keys.deltas)
        return self._wire


async def worker_states(redis_url: str) -> list[WorkerState]:
    """What the hub's workers post of themselves. Raises `StoreUnavailable`."""
    servers = Servers(redis_url)
    try:
        client = await asyncio.to_thread(servers.client_of, STATES_KEY)
        return decode_states(cast("dict[bytes, bytes]", await asyncio.to_thread(client.hgetall, STATES_KEY)))
    except TRANSIENT as error:
        raise unavailable(redis_url, error) from error
    finally:
        servers.close()


def unavailable(url: str, error: Exception) -> StoreUnavailable:
    """What to tell whoever asked while the state Redis is away."""
    where = url.rpartition("@")[2]
    return StoreUnavailable(
        f"state Redis at {where} does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
    )


def _raw(entry: Any) -> Raw:
    identity, fields = entry
    return offset_number(identity.decode()), dict(zip(fields[::2], fields[1::2], strict=True)).get(FIELD, b"")
