"""Tiers in virtual time: the real router and lanes, with servers that take what the world says they take."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from features.errors import FantasyError
from serving.tiers.costs import Tier
from serving.tiers.lanes import Lane, Ticket, take_batch
from serving.tiers.router import Router, Wanted

GAME = Wanted("game", 1, ("edge",))
WHAT_IF = Wanted("what_if", 50, ("regional",), ("edge",))
JOB = Wanted("portfolio", 1, ("cloud",))
DEADLINE_S = {"edge": 0.010, "regional": 0.100, "cloud": 0.500}
MIX = ((GAME, 0.80), (WHAT_IF, 0.18), (JOB, 0.02))


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Tally:
    """What became of the questions of one tier."""

    asked: int = 0
    in_time: int = 0
    late: int = 0
    degraded: int = 0
    refused: int = 0
    dropped: int = 0
    retry_after: list[float] = field(default_factory=list, repr=False)

    def clear(self) -> None:
        """Begin to count anew."""
        self.asked = self.in_time = self.late = self.degraded = self.refused = self.dropped = 0
        self.retry_after = []

    @property
    def served(self) -> int:
        return self.in_time + self.late


@dataclass
class Waiting:
    """A question in a queue."""

    ticket: Ticket
    group: str = "one model"
    abandoned: bool = False


@dataclass
class World:
    """`took(tier, rows)` is the true time of a batch in seconds; without `admission` everything queues, first come
    first served."""

    took: Callable[[Tier, int], float]
    admission: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.lanes: dict[Tier, Lane] = {
            "edge": Lane("edge", self.clock, most=10**9),
            "regional": Lane("regional", self.clock, most=2048, batch_rows=2048),
            "cloud": Lane("cloud", self.clock, most=64, servers=4),
        }
        self.router = Router(self.lanes, self.clock)
        self.tally: dict[Tier, Tally] = {tier: Tally() for tier in self.lanes}
        self.queues: dict[Tier, deque[Waiting]] = {tier: deque() for tier in self.lanes}
        self.busy: dict[Tier, int] = dict.fromkeys(self.lanes, 0)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def run(self, rate: float, seconds: float) -> None:
        """Questions of MIX at `rate` per second, Poisson, then until all is done."""
        rng = np.random.default_rng(self.seed)
        at = self.clock.now + np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
        kinds = rng.choice(len(MIX), size=at.size, p=[share for _, share in MIX])
        for moment, kind in zip(at, kinds, strict=True):
            self._later(float(moment), lambda wanted=MIX[kind][0]: self.ask(wanted))
        while self._events:
            moment, _, event = heapq.heappop(self._events)
            self.clock.now = max(self.clock.now, moment)
            event()

    def ask(self, wanted: Wanted) -> None:
        asked_of = wanted.adequate[0]
        tally, deadline_at = self.tally[asked_of], self.clock.now + DEADLINE_S[asked_of]
        tally.asked += 1
        tier, degraded = asked_of, False
        if self.admission:
            try:
                choice = self.router.choose(wanted, deadline_at)
            except FantasyError as error:
                tally.refused += 1
                tally.retry_after.append(getattr(error, "retry_after_s", 0.0))
                return
            tier, degraded = choice.tier, choice.degraded
        tally.degraded += degraded
        if tier == "edge":
            self.clock.now += self.took("edge", 1)
            self._count_answer(asked_of, deadline_at)
            return
        self.queues[tier].append(Waiting(self.lanes[tier].admit(wanted.kind, wanted.rows, deadline_at)))
        self._serve(tier)

    def _serve(self, tier: Tier) -> None:
        lane, queue = self.lanes[tier], self.queues[tier]
        while queue and self.busy[tier] < lane.servers:
            if self.admission:
                batch, dropped = take_batch(lane, queue)
                self.tally[tier].dropped += len(dropped)
            else:
                batch = [queue.popleft()]
            if batch:
                self._begin(tier, [waiting.ticket for waiting in batch])

    def _begin(self, tier: Tier, batch: list[Ticket]) -> None:
        lane, rows = self.lanes[tier], sum(ticket.rows for ticket in batch)
        number = lane.begin(batch)
        self.busy[tier] += 1

        def done() -> None:
            lane.end(number, batch[0].kind, rows)
            self.busy[tier] -= 1
            for ticket in batch:
                self._count_answer(tier, ticket.deadline_at)
            self._serve(tier)

        self._later(self.clock.now + self.took(tier, rows), done)

    def _count_answer(self, tier: Tier, deadline_at: float) -> None:
        if self.clock.now <= deadline_at:
            self.tally[tier].in_time += 1
        else:
            self.tally[tier].late += 1

    def _later(self, moment: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, event))
