"""One partition as its owner runs it: standing by, taking over, and folding what comes into committed state.

Everything that was applied in memory and not surely committed is forgotten on any failure: the partition is taken
anew, its state loaded, and what was read is read again. So memory never runs ahead of what is stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import redis
from numpy.typing import NDArray

from features.errors import StoreUnavailable
from features.stream.commit import Transaction
from features.stream.connections import TRANSIENT, Link, Servers, must
from features.stream.deltas import epoch
from features.stream.events import EVENT, Rows
from features.stream.keys import Keys
from features.stream.member import STUCK_MS, Item, Member
from features.stream.memory import NOTHING, Memory
from features.stream.metrics import Metrics
from features.stream.ownership import Lease, OwnershipLost
from features.stream.retention import Keep
from features.stream.state import PartitionState

logger = logging.getLogger(__name__)

FAILURES: Final = (*TRANSIENT, StoreUnavailable, OwnershipLost)
RETRY_S: Final = 0.05
RETRY_MAX_S: Final = 1.0
EVERY_S: Final = 1.0
#: Bulk entries that are committed along with critical ones: so few take less time than a transaction of their own.
ALONG_ENTRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """What all partitions of a consumer have in common. Times in seconds unless named otherwise."""

    bus: Servers
    state: Servers
    league: str
    name: str
    lease_ms: int
    tick_s: float
    tell_every_s: float
    horizon: int
    keep: Keep
    clock_ns: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Flight:
    """A transaction that was sent: what becomes true with its reply."""

    asked: float
    transaction: Transaction
    bulk_ns: NDArray[np.int64]
    critical_ns: NDArray[np.int64]
    bus_ids: Sequence[bytes]
    removed: Sequence[int] = ()


@dataclass(slots=True)
class Partition:
    """State machine of one partition; the consumer's loop calls `tend`, `readable` and `fold`."""

    setting: Setting
    keys: Keys
    metrics: Metrics = field(init=False)
    owned: bool = False
    own: Link | None = None
    bus: Member | None = None
    critical: Member | None = None
    flight: Flight | None = None
    _lease: Lease = field(init=False)
    _memory: Memory | None = None
    _next_try: float = 0.0
    _bus_try: float = 0.0
    _pause: float = RETRY_S
    _renewed: float = 0.0
    _folded: float = 0.0
    _every: float = 0.0
    _looked: float = 0.0
    _said: str = ""

    def __post_init__(self) -> None:
        self._lease = Lease(self.keys, self.setting.name, self.setting.lease_ms)
        self.metrics = Metrics(self.setting.name, self.setting.horizon)

    def links(self) -> list[Link]:
        """Open connections; each has something to read for a reason, or because it broke."""
        if not self.owned or self.own is None:
            return []
        return [self.own, *(member.link for member in (self.critical, self.bus) if member is not None)]

    def tend(self, now: float) -> None:
        """What is due by time: take the lease, keep it, read on, look after what is stuck."""
        try:
            if not self.owned:
                if now >= self._next_try:
                    self._try_to_own(now)
                return
            if now > self._lease.until:
                raise OwnershipLost(f"{self.keys.owner}: the lease ran out before it was renewed")
            if self.critical is not None:
                self.critical.read_on(now)
            if self.bus is not None:
                with self._bus_may_fail():
                    self.bus.read_on(now)
            elif now >= self._bus_try and self.flight is None:
                with self._bus_may_fail():
                    self._open_bus()
            if now - self._every > EVERY_S and self.flight is None:
                self._every = now
                self._look_after()
        except Exception as error:  # whatever it is, what is committed stays true
            self._failed(error)

    def readable(self, link: Link) -> None:
        """A connection of `links` has something."""
        try:
            if link is self.own:
                self._settle()
            elif self.critical is not None and link is self.critical.link:
                self.critical.readable()
            elif self.bus is not None and link is self.bus.link:
                with self._bus_may_fail():
                    self.bus.readable()
        except Exception as error:
            self._failed(error)

    def fold(self, now: float) -> None:
        """Commit what was read, unless a commit is under way; critical entries wait for a few bulk ones at most."""
        if not self.owned or self.flight is not None or self.critical is None:
            return
        try:
            due = self.bus is not None and bool(self.bus.inbox) and now >= self._folded + self.setting.tick_s
            if self.critical.inbox:
                items = self.critical.emptied()
                self.critical.read_on(now)
                few = due and len(cast("Member", self.bus).inbox) <= ALONG_ENTRIES
                self._begin(now, items, self._bulk(now) if few else [])
            elif due:
                self._begin(now, [], self._bulk(now))
            elif now >= self._wakes():
                self._begin(now, [], [])
        except Exception as error:
            self._failed(error)

    def _bulk(self, now: float) -> list[Item]:
        """What was read of the bus; the next read begins."""
        bus = cast("Member", self.bus)
        items = bus.emptied()
        with self._bus_may_fail():
            bus.read_on(now)
        return items

    def wakes(self, now: float) -> float:
        """When `tend` or `fold` has something to do next if nothing is read (monotonic)."""
        if not self.owned:
            return self._next_try
        if self.flight is not None:
            return self._lease.until
        if self.bus is not None and self.bus.inbox:
            return self._folded + self.setting.tick_s
        retry = self._bus_try if self.bus is None else now + EVERY_S
        return min(self._wakes(), retry)

    def stop(self) -> None:
        """Finish the commit under way and give the lease back."""
        try:
            if self.owned and self.flight is not None:
                self._settle()
            if self.owned and self.own is not None:
                if self.bus is not None:
                    with self._bus_may_fail():
                        self.bus.finish()
                self._begin(time.monotonic(), [], [], last=True)
                self._settle()
                self._lease.release(self.own)
        except FAILURES as error:
            logger.warning("partition %d: ended without giving its lease back: %s", self.keys.partition, error)
        self._drop()

    def _wakes(self) -> float:
        due = cast("Memory", self._memory).board.next_due()
        renew = self._renewed + min(self.setting.lease_ms / 4000, EVERY_S)  # metrics go along
        return renew if due is None else min(renew, due)

    def _try_to_own(self, now: float) -> None:
        if self.own is None:
            self.own = self.setting.state.link(self.keys.owner)
        wait_s = self._lease.acquire(self.own)
        if wait_s is not None:
            self._next_try = now + wait_s
            return
        began = time.perf_counter()
        setting = self.setting
        self._memory, stored = Memory.load(
            self.own, setting.state, self.keys, setting.tell_every_s, setting.keep, setting.clock_ns() // 10**9
        )
        self.metrics.load(stored)
        epoch(self.setting.state.client_of(self.keys.epoch), self.setting.league, self.keys.partition)
        self.owned = True
        self.critical = Member(self.setting.state, self.keys.critical, self.setting.name)
        self._take_left_over(self.critical, 0)
        self._renewed = time.monotonic()
        with self._bus_may_fail():
            self._open_bus()
        self._pause, self._said = RETRY_S, ""
        self.metrics.counts["takeovers"] += 1
        logger.info(
            "partition %d: owned by %s, %d games loaded in %.0f ms",
            self.keys.partition, self.setting.name, len(self._memory.state.games), 1000 * (time.perf_counter() - began),
        )  # fmt: skip

    def _open_bus(self) -> None:
        self.bus = Member(self.setting.bus, self.keys.events, self.setting.name)
        self._take_left_over(self.bus, 0)
        if self.metrics.alarm is not None:
            logger.info("partition %d: the bus is back", self.keys.partition)
        self.metrics.alarm = None

    def _take_left_over(self, member: Member, idle_ms: int) -> None:
        """Commit at once what other members were handed and did not finish."""
        if self.own is None:
            return
        with_link = self.setting.state if member is self.critical else self.setting.bus
        link = with_link.link(member.stream)
        try:
            for items in member.left_over(link, idle_ms):
                lanes = ([*items], []) if member is self.critical else ([], [*items])
                self._begin(time.monotonic(), *lanes)
                self._settle()
            member.forget_others(link)
        finally:
            link.close()

    def _begin(self, now: float, critical: list[Item], bulk: list[Item], *, last: bool = False) -> None:
        """Apply entries and send the transaction that makes it so."""
        now_ns = self.setting.clock_ns()
        transaction, counts, memory = Transaction(self.keys), self.metrics.counts, cast("Memory", self._memory)
        critical_ns = memory.take(critical, transaction, counts, now, now_ns, critical=True)
        bulk_ns = memory.take(bulk, transaction, counts, now, now_ns, critical=False)
        memory.write(transaction, now, tell=bool(bulk) or not critical)
        transaction.done(self.keys.critical, [item.id for item in critical])
        counts["commits"] += bool(transaction.commands)
        if last or now - self.metrics.told >= EVERY_S:
            self.metrics.lag = 0 if self.bus is None else self.bus.length
            memory.retention.write(transaction)
            transaction.hset(self.keys.metrics, mapping=self.metrics.snapshot(now, now_ns))
        self._folded, asked = now, time.monotonic()
        self.flight = Flight(asked, transaction, bulk_ns, critical_ns, [item.id for item in bulk])
        cast("Link", self.own).send(self._lease.fenced(transaction.commands))

    def _settle(self) -> None:
        """Read the reply of the transaction under way; from here on it is true."""
        flight, link = self.flight, self.own
        if flight is None or link is None:
            raise redis.ConnectionError("the state server closed the connection")
        replies = [link.read() for _ in range(len(flight.transaction.commands) + 5)]
        results = self._lease.settled(replies, flight.asked)
        self.flight, self._renewed = None, time.monotonic()
        now_ns = self.setting.clock_ns()
        if len(flight.bulk_ns):
            self.metrics.bulk.record(flight.bulk_ns, now_ns)
        if len(flight.critical_ns):
            self.metrics.critical.record(flight.critical_ns, now_ns)
        for at, mark in flight.transaction.floors.items():
            if results[at] is not None:
                cast("Memory", self._memory).intake.floors[mark] = int(results[at])
        if self.bus is not None and flight.bus_ids:
            self.bus.acknowledge(flight.bus_ids)
        if flight.removed:
            cast("Memory", self._memory).unregister(flight.removed)

    def _look_after(self) -> None:
        """Once a second: the lag, entries that were handed to somebody who is gone, and games that are long over."""
        for member in (self.critical, self.bus):
            if member is not None and member.stuck:
                member.stuck = False
                with self._bus_may_fail() if member is self.bus else nullcontext():
                    self._take_left_over(member, STUCK_MS)
            if member is not None:
                member.measure()
        retention = cast("Memory", self._memory).retention
        if self._every > self._looked + retention.look_s:
            self._looked = self._every
            self._remove_old()

    def _remove_old(self) -> None:
        """Begin the transaction that removes what was kept long enough."""
        memory, link, now_s = (
            cast("Memory", self._memory),
            cast("Link", self.own),
            self.setting.clock_ns() // 10**9,
        )
        old = memory.old(now_s)
        if not old:
            return
        flat = must(link.call((b"HGETALL", self.keys.topics))[0])
        transaction = Transaction(self.keys)
        transaction.commands += memory.remove(old, dict(zip(flat[::2], flat[1::2], strict=True)), now_s)
        self.metrics.counts["removed"] += len(old.games)
        self.flight = Flight(time.monotonic(), transaction, NOTHING, NOTHING, (), old.games)
        link.send(self._lease.fenced(transaction.commands))

    @contextmanager
    def _bus_may_fail(self) -> Iterator[None]:
        """When the bus is away the critical lane goes on; a transaction that was cut is another matter."""
        flight = self.flight
        try:
            yield
        except TRANSIENT as error:
            if self.flight is not flight:
                raise
            self._bus_failed(error)

    def _bus_failed(self, error: BaseException) -> None:
        """The bus is away; the critical lane goes on."""
        if self.bus is not None:
            self.bus.close()
            self.bus = None
        if self.metrics.alarm is None:
            logger.warning(
                "partition %d: the bus is away (%s: %s)", self.keys.partition, type(error).__name__, error
            )
        self.metrics.alarm = f"bus: {type(error).__name__}: {error}"
        self._bus_try = time.monotonic() + RETRY_S
        self.setting.bus.refresh()

    def _failed(self, error: BaseException) -> None:
        """Forget what is not surely committed, and try to own the partition again."""
        said = f"{type(error).__name__}: {error}"
        if said != self._said:
            trace = error if not isinstance(error, FAILURES) else None
            logger.warning("partition %d: %s; taking it anew", self.keys.partition, said, exc_info=trace)
            self._said = said
        self._drop()
        self.setting.state.refresh()
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, RETRY_MAX_S)

    def _drop(self) -> None:
        for each in (self.own, self.bus, self.critical):
            if each is not None:
                each.close()
        self.own = self.bus = self.critical = self.flight = self._memory = None
        self.owned = False


def warm_up() -> None:
    """Compile the fold, which takes seconds the first time on a machine."""
    from features.stream.directory import LocalDirectory

    rows: Rows = np.zeros(1, EVENT)
    PartitionState(LocalDirectory()).apply(rows, now_ns=time.time_ns())


def partitions_of(setting: Setting, numbers: Sequence[int]) -> list[Partition]:
    """State machines of partitions `numbers`."""
    return [Partition(setting, Keys(setting.league, number)) for number in numbers]
