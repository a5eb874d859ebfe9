"""How busy a tier is: what is admitted and not done, and therefore when a newcomer would be."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from serving.tiers.costs import Clock, Learned, Tier, cost_of

#: Deviations added to an estimate before it is compared with the time left.
MARGIN: Final = 4.0


@dataclass(slots=True, eq=False)
class Ticket:
    """One question admitted to a tier. Whoever holds it calls `begin` and `end`, or `drop`, of its lane once."""

    kind: str
    rows: int
    deadline_at: float
    admitted_at: float


class Estimate(NamedTuple):
    """Seconds until an answer would be there: `expected_s` on average, `safe_s` with the margin, `idle_s` if nothing
    else were going on. `full`: no place is left."""

    expected_s: float
    safe_s: float
    idle_s: float
    full: bool

    def later(self, seconds: float) -> Estimate:
        """The same with so much to do before."""
        return Estimate(self.expected_s + seconds, self.safe_s + seconds, self.idle_s + seconds, self.full)


@dataclass(slots=True)
class _Kind:
    learned: Learned
    waiting: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class _Running:
    began_at: float
    expected_s: float


class Lane:
    """The work of one tier. `servers` work side by side; with `batch_rows` a server takes all that waits, up to so
    many rows, as one batch. `most` questions may wait. Safe for several threads; the clock gives seconds."""

    def __init__(
        self, tier: Tier, clock: Clock, *, most: int, servers: int = 1, batch_rows: int | None = None
    ) -> None:
        self.tier, self.most, self.servers, self.batch_rows = tier, most, servers, batch_rows
        self.clock = clock
        self._lock = threading.RLock()
        self._kinds: dict[str, _Kind] = {}
        self._running: dict[int, _Running] = {}
        self._waiting = self._batches = 0

    @property
    def waiting(self) -> int:
        """Questions admitted and not begun."""
        return self._waiting

    def estimate(self, kind: str, rows: int) -> Estimate:
        """When one more question of `rows` rows would be answered."""
        with self._lock:
            cost, spread = self._of(kind).learned.now()
            idle = cost.of(rows)
            if not self._waiting and not self._running:
                return Estimate(idle, idle + MARGIN * idle * spread, idle, self.most <= 0)
            expected, doubt = self._ahead(kind, rows)
            doubt = max(doubt, idle * spread)
            return Estimate(expected, expected + MARGIN * doubt, idle, self._waiting >= self.most)

    def ran(self, kind: str, rows: int, seconds: float) -> None:
        """Learn from work that was done at once, without a place in the queue."""
        self._of(kind).learned.note(rows, seconds)

    def admit(self, kind: str, rows: int, deadline_at: float) -> Ticket:
        """Take a place in the queue."""
        with self._lock:
            found = self._of(kind)
            found.waiting, found.rows, self._waiting = found.waiting + 1, found.rows + rows, self._waiting + 1
            return Ticket(kind, rows, deadline_at, self.clock())

    def drop(self, ticket: Ticket) -> None:
        """Give the place back: the work will not be done."""
        with self._lock:
            self._leave(ticket)

    def done_by(self, kind: str, rows: int, deadline_at: float) -> bool:
        """Whether a batch that begins now would be done by then, by what such work takes on average."""
        return self.clock() + self._of(kind).learned.now()[0].of(rows) <= deadline_at

    def in_time(self, ticket: Ticket) -> bool:
        """Whether this alone, begun now, would be done before its deadline."""
        return self.done_by(ticket.kind, ticket.rows, ticket.deadline_at)

    def begin(self, tickets: Sequence[Ticket]) -> int:
        """Work on these of one kind starts, as one batch; returns the batch's number for `end`."""
        with self._lock:
            for ticket in tickets:
                self._leave(ticket)
            cost, rows = self._of(tickets[0].kind).learned.now()[0], sum(ticket.rows for ticket in tickets)
            self._batches += 1
            self._running[self._batches] = _Running(self.clock(), cost.of(rows))
            return self._batches

    def end(self, batch: int, kind: str, rows: int) -> float:
        """Work on a batch is over: learn from it. Returns the seconds it took."""
        with self._lock:
            took = self.clock() - self._running.pop(batch).began_at
            self._of(kind).learned.note(rows, took)
            return took

    def _leave(self, ticket: Ticket) -> None:
        found = self._of(ticket.kind)
        found.waiting, found.rows, self._waiting = found.waiting - 1, found.rows - ticket.rows, self._waiting - 1

    def _ahead(self, kind: str, rows: int) -> tuple[float, float]:
        """Seconds until the newcomer would be done, and the doubt in them."""
        expected = doubt = 0.0
        for name, found in self._kinds.items():
            count, total = found.waiting + (name == kind), found.rows + (rows if name == kind else 0)
            if count == 0:
                continue
            # Those that wait may have to go first, lest their own deadlines pass.
            batches = count if self.batch_rows is None else min(count, 1 + math.ceil(total / self.batch_rows))
            cost, spread = found.learned.now()
            expected += cost.of(total, batches)
            doubt += cost.of(total, batches) * spread
        least = self._of(kind).learned.now()[0].of(rows)
        return least + (expected - least) / self.servers + self._busy(), doubt / self.servers

    def _busy(self) -> float:
        """Seconds until a server is free."""
        if len(self._running) < self.servers:
            return 0.0
        now = self.clock()
        left = []
        for each in self._running.values():
            gone = now - each.began_at
            # What takes longer than expected is expected to take as long again.
            left.append(each.expected_s - gone if gone < each.expected_s else gone)
        return min(left)

    def _of(self, kind: str) -> _Kind:
        found = self._kinds.get(kind)
        if found is None:
            found = self._kinds[kind] = _Kind(Learned(cost_of(self.tier, kind), self.clock))
        return found


class Queued(Protocol):
    """What waits in a queue before a lane's server. Of one `group` are those that can be run together."""

    @property
    def ticket(self) -> Ticket:
        """Its place in the lane."""
        ...

    @property
    def group(self) -> Hashable:
        """The same for what can be run together; of the same kind."""
        ...

    @property
    def abandoned(self) -> bool:
        """Nobody waits for it any more."""
        ...


Q = TypeVar("Q", bound=Queued)


def take_batch(lane: Lane, queue: deque[Q]) -> tuple[list[Q], list[Q]]:
    """(batch, dropped): takes from `queue` the longest waiting and all that can be run with it, up to the lane's rows.

    A batch grows only while its first deadline still holds: all of it is done at the same moment. What cannot meet its
    deadline any more is dropped before it costs anything.
    """
    batch: list[Q] = []
    dropped: list[Q] = []
    left: list[Q] = []
    rows, soonest = 0, math.inf
    while queue:
        item = queue.popleft()
        ticket = item.ticket
        if item.abandoned or not lane.in_time(ticket):
            lane.drop(ticket)
            dropped.append(item)
            continue
        if batch and item.group != batch[0].group:
            left.append(item)
            continue
        total, first = rows + ticket.rows, min(soonest, ticket.deadline_at)
        most = 0 if lane.batch_rows is None else lane.batch_rows
        if batch and (total > most or not lane.done_by(ticket.kind, total, first)):
            left.append(item)
            break
        batch.append(item)
        rows, soonest = total, first
    queue.extendleft(reversed(left))
    return batch, dropped
