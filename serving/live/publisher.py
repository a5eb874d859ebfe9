"""Says what changed on the topics of one writer, from any thread, each partition through its own `DeltaWriter`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import redis

from features.errors import StoreUnavailable
from features.stream.connections import TRANSIENT, Servers
from features.stream.deltas import DeltaWriter, Update, topic_field
from features.stream.directory import partition_of
from features.stream.events import key_of
from features.stream.keys import Keys
from serving.live.turn import say

#: Fields that are told beside a change but are none themselves.
BESIDE: Final = frozenset({"latency_ms"})


class Publisher:
    """What `writer` says of a league's topics. Raises `StoreUnavailable` when the state Redis does not answer.

    Nothing is said without a `turn` (`serving.live.seat`): another process speaks. What it said is read before the
    first word of the next turn.
    """

    def __init__(
        self,
        servers: Servers,
        league: str,
        partitions: int,
        writer: str,
        turn: Callable[[], bytes | None],
    ) -> None:
        self._servers = servers
        self._league = league
        self._partitions = partitions
        self._writer = writer
        self._turn = turn
        self._said_in: bytes | None = None
        self._lock = threading.Lock()
        self._writers: dict[int, DeltaWriter] = {}

    def publish(
        self, wholes: Mapping[str, Mapping[str, Any]], *, partition: int | None = None, at_ns: int | None = None
    ) -> int:
        """Publish what is new in `wholes` (topic -> all its fields); returns how many topics changed.

        `partition` is the game's for topics of a game; others go by the topic's own key. `at_ns` is when the cause was
        created (UNIX ns), now where absent.
        """
        created = time.time_ns() if at_ns is None else at_ns
        by_partition: dict[int, dict[str, Mapping[str, Any]]] = {}
        for topic, whole in wholes.items():
            at = partition_of(key_of(topic), self._partitions) if partition is None else partition
            by_partition.setdefault(at, {})[topic] = whole
        with self._lock:
            turn = self._begun()
            return (
                0 if turn is None else sum(self._say(turn, at, each, created) for at, each in by_partition.items())
            )

    def drop(self, topics: Iterable[str]) -> None:
        """Forget topics that go by their own key and are over. Raises `StoreUnavailable`."""
        with self._lock:
            turn = self._begun()
            if turn is not None:
                for topic in topics:
                    self._drop(turn, topic)

    def forget(self, partition: int, topic: str) -> None:
        """A topic was taken back by somebody else, as those of a game that is removed."""
        with self._lock:
            self._forget(partition, topic)

    def _drop(self, turn: bytes, topic: str) -> None:
        keys = Keys(self._league, partition_of(key_of(topic), self._partitions))
        field = topic_field(topic, self._writer)
        try:
            say(self._servers.client_of(keys.topics), keys, turn, lambda pipe: pipe.hdel(keys.topics, field))
        except TRANSIENT as error:
            raise self._away(keys.partition, error) from error
        self._forget(keys.partition, topic)

    def _forget(self, partition: int, topic: str) -> None:
        if partition in self._writers:
            self._writers[partition].forget(topic)

    def _begun(self) -> bytes | None:
        """This process's turn, None while it has none; of a new one, what others said meanwhile is not known yet."""
        turn = self._turn()
        if turn is None or turn != self._said_in:
            self._writers.clear()
        self._said_in = turn
        return turn

    def _say(self, turn: bytes, partition: int, wholes: Mapping[str, Mapping[str, Any]], at_ns: int) -> int:
        try:
            client = self._servers.client_of(Keys(self._league, partition).deltas)
            writer = self._ready(client, partition)
            updates = [update for topic, whole in wholes.items() if (update := _changed(writer, topic, whole))]
            if updates and not say(
                client, writer.keys, turn, lambda pipe: writer.queue(pipe, updates, at_ns=at_ns)
            ):
                self._said_in = None
                return 0
        except TRANSIENT as error:
            raise self._away(partition, error) from error
        return len(updates)

    def _away(self, partition: int, error: Exception) -> StoreUnavailable:
        """Whether the last word was written is unknown: read what stands before the next one."""
        self._writers.pop(partition, None)
        self._servers.refresh()
        return StoreUnavailable(
            f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
        )

    def _ready(self, client: redis.Redis, partition: int) -> DeltaWriter:
        """The partition's writer, knowing what stands from an earlier process."""
        writer = self._writers.get(partition)
        if writer is None:
            writer = DeltaWriter(self._league, partition, self._writer)
            stored: Any = client.hgetall(writer.keys.topics)
            writer.load(stored)
            self._writers[partition] = writer
        return writer


def _changed(writer: DeltaWriter, topic: str, whole: Mapping[str, Any]) -> Update | None:
    update = writer.changed(topic, whole)
    return update if update is not None and set(update.data) - BESIDE else None
