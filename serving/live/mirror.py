"""The newest of every live topic in this process, for answers at the edge: it follows the delta streams on a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from features.stream.connections import TRANSIENT, Servers
from features.stream.deltas import FIELD, Change, decode_entry, split_field
from features.stream.keys import Keys
from features.workspace import League

log = logging.getLogger(__name__)
#: One blocking read; below the connections' own limit on answers.
BLOCK_MS: Final = 1000
COUNT: Final = 512
RETRY_S: Final = 1.0
STOP_S: Final = 5.0


@dataclass(slots=True)
class _Topic:
    """Fields per writer, and their union, which readers see: it is replaced, never changed."""

    writers: dict[str, dict[str, Any]] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    at_ns: int = 0


class Mirror:
    """Follows the topics of one league. Reading is free of locks and may be done by any thread."""

    def __init__(self, redis_url: str, league: League, partitions: int) -> None:
        self._servers = Servers(redis_url)
        self._league = league
        self._partitions = partitions
        self._topics: dict[str, _Topic] = {}
        self._offsets: dict[int, str] = {}
        self._epochs: dict[int, Any] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(each,), name=f"mirror-{league}-{each}", daemon=True)
            for each in range(partitions)
        ]

    def start(self) -> None:
        """Begin to follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop following; what was read stays."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(STOP_S)
        self._servers.close()

    def whole(self, topic: str) -> Mapping[str, Any] | None:
        """All fields of a topic, those of every writer together; None when nothing is known of it."""
        found = self._topics.get(topic)
        return None if found is None else found.whole

    def at_ns(self, topic: str) -> int | None:
        """When the newest thing known of a topic was created (UNIX ns)."""
        found = self._topics.get(topic)
        return None if found is None or found.at_ns == 0 else found.at_ns

    def load(self, partition: int) -> None:
        """Read the whole of a partition's topics; the stream's last id is read first, so nothing is missed."""
        keys = Keys(self._league, partition)
        client = self._servers.client_of(keys.topics)
        self._epochs[partition] = client.get(keys.epoch)
        last: Any = client.xrevrange(keys.deltas, count=1)
        offset = last[0][0].decode() if last else "0-0"
        at_ns = int(offset.partition("-")[0]) * 1_000_000
        stored: Any = client.hgetall(keys.topics)
        for name, whole in stored.items():
            topic, writer = split_field(name)
            known = self._topics.setdefault(topic, _Topic())
            known.writers[writer] = msgspec.json.decode(whole)
            known.whole, known.at_ns = _union(known.writers), max(known.at_ns, at_ns)
        self._offsets[partition] = offset

    def read(self, partition: int, block_ms: int | None = None) -> int:
        """Take in what came since, waiting at most `block_ms`; returns the number of entries."""
        keys = Keys(self._league, partition)
        client = self._servers.client_of(keys.topics)
        found: Any = client.xread({keys.deltas: self._offsets[partition]}, count=COUNT, block=block_ms)
        entries = found[0][1] if found else []
        for offset, fields in entries:
            self._offsets[partition] = offset.decode()
            try:
                changes = decode_entry(fields[FIELD])
            except (KeyError, msgspec.MsgspecError) as error:
                log.error("entry %s of %s cannot be read, passed over: %s", offset, keys.deltas, error)
                continue
            for change in changes:
                self._apply(change)
        return len(entries)

    def _apply(self, change: Change) -> None:
        known = self._topics.setdefault(change.topic, _Topic())
        merged = {**known.writers.get(change.writer, {}), **change.data}
        known.writers[change.writer] = {name: value for name, value in merged.items() if value is not None}
        known.whole, known.at_ns = _union(known.writers), max(known.at_ns, change.at_ns)

    def _follow(self, partition: int) -> None:
        keys, loaded, down = Keys(self._league, partition), False, False
        while not self._stop.is_set():
            try:
                if not loaded:
                    self.load(partition)
                    loaded = True
                if self.read(partition, BLOCK_MS) == 0:
                    # A stream that began anew has offsets of its own.
                    now = self._servers.client_of(keys.epoch).get(keys.epoch)
                    loaded = now == self._epochs.get(partition)
                down = False
            except TRANSIENT as error:
                if not down:
                    log.warning("live topics of %s cannot be read, trying again: %s", keys.deltas, error)
                down = True
                self._servers.refresh()
                loaded = False
                self._stop.wait(RETRY_S)


def _union(writers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for fields in writers.values():
        whole.update(fields)
    return whole
