"""All topics of a league, as a worker reads them from the delta streams of its partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from features.stream.deltas import Change
from serving.live.topics import KEPT_BYTES, RING, Entry, Topic


@dataclass(frozen=True, slots=True)
class Loaded:
    """A partition at one moment: `wholes` by (topic, writer), and the newest entries of its stream up to `number`.

    Everything after `floor` is in `history`: pairs of an entry's number and its updates, oldest first. `size` is the
    bytes of those entries.
    """

    epoch: str
    number: int
    floor: int
    wholes: dict[tuple[str, str], dict[str, Any]]
    history: Sequence[tuple[int, Sequence[Change]]]
    size: int = 0


class Book:
    """Topics by name. `kept_bytes` bounds what is remembered for those who resume."""

    def __init__(self, league: str, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.league = league
        self.topics: dict[str, Topic] = {}
        self._kept_bytes = kept_bytes
        self._order: deque[tuple[Topic, Entry, int]] = deque()
        self._bytes = 0

    def topic(self, name: str) -> Topic:
        """The topic `name`, made when nobody has told of it yet."""
        found = self.topics.get(name)
        if found is None:
            found = self.topics[name] = Topic(name)
        return found

    def release(self, topic: Topic) -> None:
        """Forget a topic nobody asks for and nobody tells of, or of which nothing is left (its game was removed)."""
        if not topic.subscribers and (topic.over or not topic.known):
            self.topics.pop(topic.name, None)

    def load(self, partition: int, loaded: Loaded) -> list[Topic]:
        """Replace what is known of `partition`; returns the topics whose subscribers need a snapshot."""
        stale = [topic for topic in self.topics.values() if partition in topic.positions]
        for topic in stale:
            topic.leave(partition)
        for (name, writer), data in loaded.wholes.items():
            topic = self.topic(name)
            if partition not in topic.positions:
                topic.place(partition, loaded.epoch, loaded.floor, floor=loaded.floor)
            topic.remember(partition, writer, 0, data)
        told: dict[str, Topic] = {name: self.topics[name] for name, _ in loaded.wholes}
        each = loaded.size // max(sum(len(changes) for _, changes in loaded.history), 1)
        for number, changes in loaded.history:
            # The wholes are newer than these: only their numbers are taken over.
            self._keep(partition, number, (c for c in changes if c.topic in told), each)
            for change in changes:
                if (part := self.topic(change.topic).parts.get((partition, change.writer))) is not None:
                    part.number = number
                elif change.topic not in told:
                    self.release(self.topic(change.topic))
        touched = {topic.name: topic for topic in [*stale, *told.values()]}
        for topic in touched.values():
            topic.unsent = 0
            topic.sent = topic.offset
            if not topic.known:  # where every field was removed, whoever comes back may still be told so
                self.release(topic)
        return list(touched.values())

    def apply(
        self, partition: int, epoch: str, number: int, changes: Iterable[Change], *, size: int
    ) -> tuple[list[Topic], list[Topic]]:
        """Take in one entry of `size` bytes; returns (topics with a new entry, topics that need a snapshot)."""
        new: dict[str, Topic] = {}
        listed = list(changes)
        for change in listed:
            topic = self.topic(change.topic)
            if partition not in topic.positions:
                topic.place(partition, epoch, number, floor=number)
                new[topic.name] = topic
            topic.remember(partition, change.writer, number, change.data)
        known = [change for change in listed if change.topic not in new]
        touched = self._keep(partition, number, known, size // max(len(listed), 1))
        for topic in new.values():
            topic.unsent = 0
            topic.sent = topic.offset
        return touched, list(new.values())

    def _keep(self, partition: int, number: int, changes: Iterable[Change], size: int) -> list[Topic]:
        """One ring entry per topic of a stream entry: several writers may tell of a topic at once."""
        entries: dict[str, Entry] = {}
        touched = []
        for change in changes:
            before = entries.get(change.topic)
            if before is not None:
                before.data = {**before.data, **change.data}
                before.critical = before.critical or bool(change.critical)
                continue
            topic = self.topic(change.topic)
            entry = Entry(
                partition,
                number,
                change.data,
                critical=bool(change.critical),
                at_ns=change.at_ns,
                prev=topic.offset,
            )
            entries[change.topic] = entry
            topic.append(entry)
            touched.append(topic)
            self._order.append((topic, entry, size))
            self._bytes += size
            if len(topic.ring) > RING:
                topic.forget_oldest()
        while self._bytes > self._kept_bytes and self._order:
            topic, entry, weight = self._order.popleft()
            self._bytes -= weight
            if topic.ring and topic.ring[0] is entry:
                topic.forget_oldest()
                self.release(topic)
        return touched
