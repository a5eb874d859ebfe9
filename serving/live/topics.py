"""What a worker remembers of every topic: its whole, its last updates, and who wants to know.

A `Topic`'s updates are kept one by one (`Entry`) in the order they were read, so that a client which stands anywhere
among them can be told exactly what it misses. Critical entries are told one by one; the others between them merge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from serving.live import protocol
from serving.live.protocol import Position

if TYPE_CHECKING:
    from serving.live.connection import Connection

#: Entries kept per topic, and bytes of stream entries kept per worker and league.
RING: Final = 1024
KEPT_BYTES: Final = 16 << 20
NOWHERE: Final = "0-0"
_LOW_BITS: Final = 24


def offset_number(text: str) -> int:
    """An entry id `ms-n` as a number that sorts alike. Raises `ValueError` when it is none."""
    milliseconds, _, count = text.partition("-")
    return (int(milliseconds) << _LOW_BITS) | int(count)


def offset_text(number: int) -> str:
    """The inverse of `offset_number`."""
    return f"{number >> _LOW_BITS}-{number & ((1 << _LOW_BITS) - 1)}"


class Entry:
    """One update of a topic: read from `partition` at `number`; takes a client from `prev` to `offset`."""

    __slots__ = ("at_ns", "critical", "data", "frame", "number", "offset", "partition", "prev")

    def __init__(
        self, partition: int, number: int, data: dict[str, Any], *, critical: bool, at_ns: int, prev: str
    ) -> None:
        self.partition = partition
        self.number = number
        self.data = data
        self.critical = critical
        self.at_ns = at_ns
        self.prev = prev
        self.offset = ""
        self.frame: bytes | None = None


@dataclass(slots=True)
class Part:
    """What one writer said of a topic in one partition, and the number of its last update."""

    number: int
    data: dict[str, Any]


class Topic:
    """One topic.

    `positions`: number of the last update per partition that tells of it. `floors`: everything after that number is
    in `ring`. `unsent`: how many entries at the ring's end the subscribers have not been sent yet; `sent` is the
    offset they all have, unless they are behind. `subscribers`: what writes to each of them, so that
    a fan-out looks at nothing else of a client.
    """

    __slots__ = (
        "_snapshot", "epoch", "epochs", "floors", "name", "offset", "parts", "positions", "ring", "sent", "sent_at_s",
        "subscribers", "unsent",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = ""
        self.offset = NOWHERE
        self.epochs: dict[int, str] = {}
        self.positions: dict[int, int] = {}
        self.floors: dict[int, int] = {}
        self.parts: dict[tuple[int, str], Part] = {}
        self.ring: deque[Entry] = deque()
        self.subscribers: dict[Connection, Callable[[bytes], None]] = {}
        self.sent = NOWHERE
        self.sent_at_s = 0.0
        self.unsent = 0
        self._snapshot: bytes | None = None

    @property
    def known(self) -> bool:
        """False of a topic that was asked for but never told of."""
        return bool(self.positions)

    @property
    def over(self) -> bool:
        """True when nothing is left of it: every field was removed, and no update is remembered."""
        return not self.ring and not any(part.data for part in self.parts.values())

    def whole(self) -> dict[str, Any]:
        """All fields; of a field several writers have, the newest writer's."""
        merged: dict[str, Any] = {}
        for part in sorted(self.parts.values(), key=lambda part: part.number):
            merged.update(part.data)
        return merged

    def snapshot(self) -> bytes:
        """The frame that tells all of it, at `offset`."""
        if self._snapshot is None:
            self._snapshot = protocol.snapshot_frame(self.name, self.epoch, self.offset, self.whole())
        return self._snapshot

    def place(self, partition: int, epoch: str, number: int, *, floor: int) -> None:
        """Say that a partition tells of this topic, from `floor` on completely in `ring`."""
        self.epochs[partition] = epoch
        self.positions[partition] = number
        self.floors[partition] = floor
        self._named()

    def leave(self, partition: int) -> None:
        """Forget what a partition told."""
        self.epochs.pop(partition, None)
        self.positions.pop(partition, None)
        self.floors.pop(partition, None)
        self.parts = {key: part for key, part in self.parts.items() if key[0] != partition}
        self.ring = deque(entry for entry in self.ring if entry.partition != partition)
        self.unsent = 0
        self._named()

    def remember(self, partition: int, writer: str, number: int, data: dict[str, Any]) -> None:
        """Change the whole by a writer's update; None removes a field."""
        part = self.parts.setdefault((partition, writer), Part(number, {}))
        part.number = number
        for name, value in data.items():
            if value is None:
                part.data.pop(name, None)
            else:
                part.data[name] = value
        self._snapshot = None

    def append(self, entry: Entry) -> None:
        """Add the newest update."""
        self.positions[entry.partition] = entry.number
        self.offset = entry.offset = self._text(self.positions)
        self.ring.append(entry)
        self.unsent += 1
        self._snapshot = None

    def forget_oldest(self) -> None:
        """Let go of the oldest entry."""
        entry = self.ring.popleft()
        self.floors[entry.partition] = entry.number
        self.unsent = min(self.unsent, len(self.ring))

    def missing(self, since: Position) -> list[Entry] | None:
        """The entries a client at `since` has not had, oldest first; None when that cannot be told any more."""
        vector = self.vector(since)
        if vector is None:
            return None
        missed: list[Entry] = []
        alone = len(vector) == 1
        for entry in reversed(self.ring):
            if entry.number > vector[entry.partition]:
                missed.append(entry)
            elif alone:
                break
        missed.reverse()
        return missed

    def vector(self, since: Position) -> dict[int, int] | None:
        """`since` per partition; None when it is of another epoch, or not of what is still remembered."""
        if since.epoch != self.epoch:
            return None
        texts = since.offset.split("+")
        if len(texts) != len(self.positions):
            return None
        vector = {}
        for (partition, newest), text in zip(sorted(self.positions.items()), texts, strict=True):
            try:
                number = offset_number(text)
            except ValueError:
                return None
            if number != newest and not self.floors[partition] <= number <= newest:
                return None
            vector[partition] = number
        return vector

    def frames(self, entries: Iterable[Entry], since: str, *, merge: bool) -> Iterator[bytes]:
        """Frames that take a client from the offset `since` to `offset`, over `entries`; nothing when it is there.

        With `merge`, neighbours that are not critical become one frame.
        """
        todo = list(entries)
        if not todo:
            if since != self.offset:
                yield self._delta([], since, self.offset, 0)
            return
        vector = self._start(since)
        first = 0
        for index, entry in enumerate(todo):
            vector[entry.partition] = max(entry.number, vector[entry.partition])
            last = index == len(todo) - 1
            if merge and not entry.critical and not last and not todo[index + 1].critical:
                continue
            offset = self.offset if last else self._text(vector)
            yield self._frame(todo[first : index + 1], since, offset)
            since, first = offset, index + 1

    def _frame(self, run: list[Entry], since: str, offset: str) -> bytes:
        newest = run[-1]
        if len(run) > 1 or newest.prev != since or newest.offset != offset:
            return self._delta(run, since, offset, newest.at_ns)
        if newest.frame is None:
            newest.frame = self._delta(run, since, offset, newest.at_ns)
        return newest.frame

    def _delta(self, run: list[Entry], since: str, offset: str, at_ns: int) -> bytes:
        data: dict[str, Any] = {}
        for entry in run:
            data.update(entry.data)
        return protocol.delta_frame(self.name, self.epoch, offset, since, at_ns, data)

    def _start(self, since: str) -> dict[int, int]:
        numbers = [offset_number(text) for text in since.split("+")]
        return dict(zip(sorted(self.positions), numbers, strict=True))

    def _named(self) -> None:
        self.epoch = "+".join(self.epochs[partition] for partition in sorted(self.epochs))
        self.offset = self._text(self.positions) if self.positions else NOWHERE
        self._snapshot = None

    @staticmethod
    def _text(positions: dict[int, int]) -> str:
        return "+".join(offset_text(positions[partition]) for partition in sorted(positions))
