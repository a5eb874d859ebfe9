"""The way through: one thread reads all partitions it owns, folds them, and commits each in one transaction.

Any number of consumers may run: each partition is folded by the one that holds its lease, and the others stand by
and take over when it ends. One thread waits on all connections at once, so there are no hand-overs between threads.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from features.stream.connections import Link, Servers
from features.stream.metrics import COUNTS
from features.stream.ownership import LEASE_MS
from features.stream.partition import Partition, Setting, partitions_of, warm_up
from features.stream.retention import Keep
from features.stream.sending import HORIZON_ENTRIES

#: None: what comes while a commit is under way is the next one, so commits grow by themselves when there is more to do.
TICK_MS: Final = 0.0
TELL_EVERY_MS: Final = 100.0
KEEP_HOURS: Final = 12.0
KEEP_UNFINISHED_HOURS: Final = 168.0
#: How long the loop may take to see that it shall stop.
LONGEST_WAIT_S: Final = 0.05
#: Shorter than a lease: the critical lane waits while the bus is tried.
BUS_CONNECT_S: Final = 0.25
BUS_ANSWER_S: Final = 0.5


class Consumer:
    """Folds a league's events into state. `only` are the partitions it may own, all by default.

    `tick_ms` is the least time between two bulk commits of a partition, `tell_every_ms` between two bulk deltas of a
    game, `lease_ms` how long a partition stands still when its owner dies, `keep_hours` how long a game that ended is
    kept after its last event, `keep_unfinished_hours` one that never did.
    """

    def __init__(
        self,
        bus_url: str,
        state_url: str,
        league: str,
        partitions: int,
        name: str | None = None,
        *,
        only: Sequence[int] | None = None,
        lease_ms: int = LEASE_MS,
        tick_ms: float = TICK_MS,
        tell_every_ms: float = TELL_EVERY_MS,
        horizon: int = HORIZON_ENTRIES,
        keep_hours: float = KEEP_HOURS,
        keep_unfinished_hours: float = KEEP_UNFINISHED_HOURS,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        bus = Servers(bus_url, connect_timeout_s=BUS_CONNECT_S, answer_timeout_s=BUS_ANSWER_S)
        self._servers = (bus, Servers(state_url))
        setting = Setting(
            *self._servers,
            league,
            self.name,
            lease_ms,
            tick_ms / 1000,
            tell_every_ms / 1000,
            horizon,
            Keep(3600 * keep_hours, 3600 * keep_unfinished_hours),
            clock_ns,
        )
        self._partitions = partitions_of(setting, range(partitions) if only is None else only)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then what is under way is finished and the leases are given back."""
        warm_up()
        with selectors.DefaultSelector() as selector:
            try:
                while not stop.is_set():
                    self._turn(selector)
            finally:
                for partition in self._partitions:
                    partition.stop()
                for servers in self._servers:
                    servers.close()

    @property
    def owned(self) -> tuple[int, ...]:
        """Partitions it owns now."""
        return tuple(partition.keys.partition for partition in self._partitions if partition.owned)

    def metrics(self) -> dict[int, dict[str, Any]]:
        """Counts per owned partition, as they are at this moment."""
        return {
            partition.keys.partition: {name: partition.metrics.counts[name] for name in COUNTS}
            for partition in self._partitions
            if partition.owned
        }

    def _turn(self, selector: selectors.DefaultSelector) -> None:
        """One round: what is due, what came, what is to be committed."""
        now = time.monotonic()
        for partition in self._partitions:
            partition.tend(now)
        waits = self._watch(selector)
        now = time.monotonic()
        wake = min(partition.wakes(now) for partition in self._partitions)
        for key, _ in selector.select(min(max(wake - now, 0.0), LONGEST_WAIT_S)):
            partition, link = waits[key.fd]
            partition.readable(link)
        now = time.monotonic()
        for partition in self._partitions:
            partition.fold(now)

    def _watch(self, selector: selectors.DefaultSelector) -> dict[int, tuple[Partition, Link]]:
        """Register exactly the connections that are open; an event's file number finds its partition."""
        wanted = {link.fileno(): (partition, link) for partition in self._partitions for link in partition.links()}
        registered = selector.get_map()
        for fd in [fd for fd in registered if fd not in wanted or registered[fd].data is not wanted[fd][1]]:
            selector.unregister(fd)
        for fd, (_, link) in wanted.items():
            if fd not in registered:
                selector.register(fd, selectors.EVENT_READ, link)
        return wanted
