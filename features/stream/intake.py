"""From stream entries to rows that count: decode, drop what is old, ask for what is missing, put aside the broken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from features.errors import FutureVersion, MalformedBatch
from features.stream.events import EVENT, HEADER, HEADER_BYTES, MAGIC, VERSION, Batch, BatchFlag, Rows, decode
from features.stream.marks import Mark
from features.stream.member import MOST_DELIVERIES, Item
from features.stream.news import News, decode_json
from features.stream.sending import ENTRY_FIELD, OPAQUE

#: A request to send again is repeated after this long.
ASK_AGAIN_S: Final = 0.1
#: A batch is at most 5,000 rows; more of a broken entry is not kept.
KEPT_BYTES: Final = 1 << 19


@dataclass(frozen=True, slots=True)
class Dead:
    """What was put aside: why, how many rows it stands for, and its bytes."""

    reason: str
    rows: int
    data: bytes


@dataclass(slots=True)
class Taken:
    """What entries of one lane came to. `asks` are lanes that must send again, from a sequence number on."""

    rows: Rows
    news: list[News]
    dead: list[Dead]
    marks: dict[Mark, int]
    asks: dict[Mark, int]


@dataclass(slots=True)
class Intake:
    """Watermarks of a partition's sources, and what is done with entries in their light."""

    marks: dict[Mark, int] = field(default_factory=dict)
    floors: dict[Mark, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _broken: Counter[tuple[Mark, int]] = field(default_factory=Counter)
    _asked: dict[Mark, tuple[float, int]] = field(default_factory=dict)

    def take(self, items: Iterable[Item]) -> Taken:
        """Rows that count now, in order; `marks` move on as if they were committed."""
        parts: list[Rows] = []
        taken = Taken(np.empty(0, EVENT), [], [], {}, {})
        for item in items:
            if item.fields is None:
                self.counts["trimmed"] += 1
                continue
            batch = self._decode(item.fields.get(ENTRY_FIELD), item.poison, taken)
            if batch is not None:
                self._sort_in(batch, parts, taken)
        if parts:
            taken.rows = parts[0] if len(parts) == 1 else _joined(parts)
        return taken

    def _decode(self, payload: bytes | None, poison: bool, taken: Taken) -> Batch | None:
        if payload is None:
            taken.dead.append(Dead("malformed: no field b", 0, b""))
            return None
        try:
            batch = decode(payload)
        except FutureVersion as error:
            taken.dead.append(Dead(f"future: {error}", 0, payload[:KEPT_BYTES]))
            return None
        except MalformedBatch as error:
            taken.dead.append(Dead(f"malformed: {error.reason}: {error}", 0, payload[:KEPT_BYTES]))
            self._give_up(payload, taken)
            return None
        if poison:
            reason = f"poison: handed out {MOST_DELIVERIES} times and never finished"
            self._set_aside(_mark(batch), batch.first, _count(batch), Dead(reason, _count(batch), payload), taken)
            return None
        return batch

    def _sort_in(self, batch: Batch, parts: list[Rows], taken: Taken) -> None:
        """Take what of a batch is new; ask for what is missing before it."""
        mark, count = _mark(batch), _count(batch)
        expected, end = self.marks.get(mark, 0), batch.first + count
        if batch.first > expected and self.floors.get(mark, 0) > expected:
            floor = min(self.floors[mark], batch.first)
            taken.dead.append(Dead(f"lost: rows {expected} to {floor - 1} of {mark.field}", floor - expected, b""))
            self.counts["lost"] += floor - expected
            expected = self._move(mark, floor, taken)
        if batch.first > expected:
            self._ask(mark, expected, taken)
            return
        if end <= expected:
            self.counts["duplicates"] += count
            return
        old = expected - batch.first
        self.counts["duplicates"] += old
        self._move(mark, end, taken)
        if batch.news is None:
            parts.append(batch.rows[old:])
            return
        try:
            taken.news.append(decode_json(batch.news))
        except MalformedBatch as error:
            taken.dead.append(Dead(f"malformed: {error.reason}: {error}", 1, batch.news[:KEPT_BYTES]))

    def _ask(self, mark: Mark, expected: int, taken: Taken) -> None:
        asked_at, asked_for = self._asked.get(mark, (0.0, -1))
        now = time.monotonic()
        if asked_for != expected:
            self.counts["gaps"] += 1
        if asked_for != expected or now - asked_at > ASK_AGAIN_S:
            self._asked[mark] = (now, expected)
            taken.asks[mark] = expected

    def _move(self, mark: Mark, to: int, taken: Taken) -> int:
        self.marks[mark] = taken.marks[mark] = to
        return to

    def _give_up(self, payload: bytes, taken: Taken) -> None:
        """A batch that comes broken every time is passed over; before that, its source sends it again."""
        if len(payload) < HEADER_BYTES:
            return
        head = np.frombuffer(payload, HEADER, 1)[0]
        if int(head["magic"]) != MAGIC or int(head["version"]) != VERSION:
            return
        mark = Mark(int(head["source"]), int(head["epoch"]), bool(int(head["flags"]) & BatchFlag.critical))
        first, count = int(head["first"]), int(head["count"])
        self._broken[mark, first] += 1
        if self._broken[mark, first] >= MOST_DELIVERIES:
            reason = f"given up: came broken {MOST_DELIVERIES} times"
            self._set_aside(mark, first, count, Dead(reason, count, b""), taken)
        elif first == self.marks.get(mark, 0):
            self._ask(mark, first, taken)

    def _set_aside(self, mark: Mark, first: int, count: int, dead: Dead, taken: Taken) -> None:
        """Put a batch aside for good, unless it is applied already or rows before it are missing."""
        if first <= self.marks.get(mark, 0) < first + count:
            taken.dead.append(dead)
            self._move(mark, first + count, taken)


def _mark(batch: Batch) -> Mark:
    return Mark(batch.source, batch.epoch, bool(batch.flags & BatchFlag.critical))


def _count(batch: Batch) -> int:
    return len(batch.rows) if batch.news is None else 1


def _joined(parts: Sequence[Rows]) -> Rows:
    joined: Any = np.concatenate([part.view(OPAQUE) for part in parts])
    return joined.view(EVENT)  # type: ignore[no-any-return]
