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

#: Fields that are told beside a change but are none themselves.
BESIDE: Final = frozenset({"latency_ms"})


class Publisher:
    """What `writer` says of a league's topics. Raises `StoreUnavailable` when the state Redis does not answer.

    Nothing is said while `speaks` is false: another process does. What it said is read before the next word.
    """

    def __init__(
        self,
        servers: Servers,
        league: str,
        partitions: int,
        writer: str,
        speaks: Callable[[], bool] = lambda: True,
    ) -> None:
        self._servers = servers
        self._league = league
        self._partitions = partitions
        self._writer = writer
        self._speaks = speaks
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
            if not self._speaks():
                self._writers.clear()
                return 0
            return sum(self._say(at, mine, created) for at, mine in by_partition.items())

    def drop(self, topics: Iterable[str]) -> None:
        """Forget topics that go by their own key and are over. Raises `StoreUnavailable`."""
        with self._lock:
            for topic in topics if self._speaks() else ():
                partition = partition_of(key_of(topic), self._partitions)
                try:
                    client = self._servers.client_of(Keys(self._league, partition).topics)
                    client.hdel(Keys(self._league, partition).topics, topic_field(topic, self._writer))
                except TRANSIENT as error:
                    raise self._away(partition, error) from error
                if partition in self._writers:
                    self._writers[partition].forget(topic)

    def _say(self, partition: int, wholes: Mapping[str, Mapping[str, Any]], at_ns: int) -> int:
        try:
            client = self._servers.client_of(Keys(self._league, partition).deltas)
            writer = self._ready(client, partition)
            updates = [update for topic, whole in wholes.items() if (update := _changed(writer, topic, whole))]
            if updates:
                writer.publish(client, updates, at_ns=at_ns)
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
