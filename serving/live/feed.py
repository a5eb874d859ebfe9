"""Reading delta streams from the state Redis: what a partition holds now, then what changes.

One plain connection per partition, also with Redis Cluster: all keys of a partition are on one node.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

import msgspec
import redis
import redis.asyncio

from features.errors import StoreUnavailable
from features.stream.connections import Servers
from features.stream.deltas import FIELD, Change, decode_entry, split_field
from features.stream.keys import Keys
from serving.live.book import Loaded
from serving.live.counts import STATES_KEY, WorkerState, decode_states
from serving.live.topics import offset_number, offset_text

log = logging.getLogger(__name__)
TRANSIENT: Final = (redis.RedisError, OSError, asyncio.TimeoutError)
#: Entries loaded at start, for those who resume at a worker that has just started.
HISTORY: Final = 5_000
#: Entries read at once; fewer than the streams surely keep, so that only a full read can have missed any.
BATCH: Final = 1_000
BLOCK_MS: Final = 2_000
ANSWER_S: Final = 10.0

Raw = tuple[int, bytes]


class Broken(Exception):
    """What was read does not continue what is known: load the partition again."""


class PartitionFeed:
    """The deltas of one partition of a league, from where `load` left off."""

    def __init__(self, servers: Servers, league: str, partition: int) -> None:
        self._servers = servers
        self._redis: redis.asyncio.Redis | None = None
        self.keys = Keys(league, partition)
        self.partition = partition
        self.epoch = ""
        self._position = "0-0"

    async def load(self) -> Loaded:
        """What the partition holds, at one moment."""
        client = await self._client()
        async with client.pipeline(transaction=True) as pipe:
            pipe.get(self.keys.epoch)
            pipe.hgetall(self.keys.topics)
            pipe.xrevrange(self.keys.deltas, count=HISTORY)
            name, topics, newest_first = await pipe.execute()
        self.epoch = self._epoch(name)
        wholes = {
            split_field(field): cast("dict[str, Any]", msgspec.json.decode(whole))
            for field, whole in topics.items()
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
        client = await self._client()
        async with client.pipeline(transaction=False) as pipe:
            # The epoch is read after the entries: when it is still the same, they are of it.
            pipe.xread({self.keys.deltas: self._position}, count=BATCH, block=BLOCK_MS)
            pipe.get(self.keys.epoch)
            streams, name = await pipe.execute()
        self._must_continue(name)
        if not streams:
            return []
        entries = cast("list[Any]", streams[0][1])
        if len(entries) == BATCH:
            await self._must_reach_back(client)
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
        client = await self._client()
        async with client.pipeline(transaction=True) as pipe:
            pipe.get(self.keys.epoch)
            pipe.xrevrange(self.keys.deltas, count=1)
            name, newest = await pipe.execute()
        self._must_continue(name)
        number = _raw(newest[0])[0] if newest else 0
        if number < offset_number(self._position):
            raise Broken(
                f"{self.keys.deltas} ends at {offset_text(number)}, before {self._position}: it lost entries"
            )
        await self._must_reach_back(client)

    async def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._redis is not None:
            client, self._redis = self._redis, None
            await client.aclose()

    def _must_continue(self, name: bytes | None) -> None:
        if self._epoch(name) != self.epoch:
            raise Broken(f"{self.keys.deltas} is of epoch {self._epoch(name)!r}, not {self.epoch!r}")

    async def _must_reach_back(self, client: redis.asyncio.Redis) -> None:
        oldest = cast("list[Any]", await client.xrange(self.keys.deltas, count=1))
        if oldest and self._position != "0-0" and _raw(oldest[0])[0] > offset_number(self._position):
            raise Broken(f"{self.keys.deltas} was trimmed beyond {self._position} before it was read")

    def _epoch(self, name: bytes | None) -> str:
        return "" if name is None else f"{self.partition}:{name.decode()}"

    async def _client(self) -> redis.asyncio.Redis:
        if self._redis is None:
            # Finding a cluster's node may ask the cluster: not on the loop.
            await asyncio.to_thread(self._servers.refresh)
            url = await asyncio.to_thread(self._servers.url_of, self.keys.deltas)
            self._redis = connect(url)
        return self._redis


def connect(url: str) -> redis.asyncio.Redis:
    """A client of one server that gives up after `ANSWER_S`, and tries nothing again by itself."""
    return redis.asyncio.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=ANSWER_S,
        socket_connect_timeout=2.0,
        retry=None,
        single_connection_client=False,
    )


async def worker_states(redis_url: str) -> list[WorkerState]:
    """What the hub's workers post of themselves. Raises `StoreUnavailable`."""
    servers = Servers(redis_url)
    try:
        async with connect(await asyncio.to_thread(servers.url_of, STATES_KEY)) as client:
            return decode_states(await cast("Any", client.hgetall(STATES_KEY)))
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
    return offset_number(identity.decode()), fields.get(FIELD, b"")
