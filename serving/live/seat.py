"""Which of a league's recompute processes speaks: one holds the lease, the others stand by and know all it knows.

The lease is the consumers' (`features.stream.ownership`): who stands by sees that a killed holder's connection is
closed and takes over at once; a holder that hangs loses it after `LEASE_MS`. Who took the lease writes its turn to
every partition before it speaks, and each word is said under that turn (`serving.live.turn`): what a holder wanted to
say when it was stopped is not said when it wakes up.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from features.stream.connections import TRANSIENT, Link, Servers
from features.stream.keys import Keys
from features.stream.ownership import Lease, OwnershipLost
from features.workspace import League
from serving.live.defects import Complaints

log = logging.getLogger(__name__)
#: Longer than the consumers': a search or a model may keep this process's threads from running for a while.
LEASE_MS: Final = 3000
#: How often a lease is renewed while it lasts.
RENEWALS: Final = 6
RETRY_S: Final = 0.5
STOP_S: Final = 5.0


class _Place(Keys):
    """The lease's key, beside the topics of partition 0."""

    @property
    def owner(self) -> str:
        """string with expiry: the recompute process that speaks for the league."""
        return self._of("recompute")


class Seat:
    """A thread that takes the lease when it is free and keeps it; `taken` is called on it each time it was taken."""

    def __init__(
        self,
        servers: Servers,
        league: League,
        partitions: int,
        taken: Callable[[], None],
        *,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._servers = servers
        self._partitions = [Keys(league, partition) for partition in range(partitions)]
        self._taken = taken
        self._lease = Lease(_Place(league, 0), f"{socket.gethostname()}:{os.getpid()}", lease_ms)
        self._turn: bytes | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="seat", daemon=True)

    def held(self) -> bool:
        """Whether this process speaks now. For any thread."""
        return self.turn() is not None

    def turn(self) -> bytes | None:
        """What this process speaks under; None while another one does. For any thread."""
        turn = self._turn
        return turn if time.monotonic() < self._lease.until else None

    def start(self) -> None:
        """Begin to stand by."""
        self._thread.start()

    def stop(self) -> None:
        """Give the lease back; what is said must be said before."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)

    def _keep(self) -> None:
        complaints = Complaints()
        while not self._stop.is_set():
            link: Link | None = None
            try:
                link = self._servers.link(self._lease.keys.owner)
                self._hold(link, complaints)
            except (OwnershipLost, *TRANSIENT) as error:
                if complaints.fresh("lease", repr(error)):
                    log.warning("the lease of recompute is not held: %s", error)
                self._servers.refresh()
            finally:
                self._turn = None
                if link is not None:
                    link.close()
            self._stop.wait(RETRY_S)

    def _hold(self, link: Link, complaints: Complaints) -> None:
        """Take the lease and renew it until `stop`. Raises `OwnershipLost`, or what the connection raises."""
        while (wait_s := self._lease.acquire(link)) is not None:
            complaints.over("lease")
            if self._stop.wait(wait_s):
                return
        self._begin_turn(link)
        complaints.over("lease")
        log.info("this process speaks: %s", self._lease.name)
        self._taken()
        while not self._stop.wait(self._lease.lease_ms / 1000 / RENEWALS):
            self._renew(link)
        self._turn = None
        self._lease.release(link)

    def _begin_turn(self, link: Link) -> None:
        """Let nobody else speak: write this turn to every partition. Raises `OwnershipLost`.

        The lease is looked at after the partition's key is watched: who takes it later writes his turn after this one,
        or makes this transaction fail.
        """
        turn = self._lease.token.encode()
        pipe: Any
        for keys in self._partitions:
            with self._servers.client_of(keys.speaker).pipeline(transaction=True) as pipe:
                pipe.watch(keys.speaker)
                self._renew(link)
                pipe.multi()
                pipe.set(keys.speaker, turn)
                pipe.execute()
        self._turn = turn

    def _renew(self, link: Link) -> None:
        asked = time.monotonic()
        self._lease.settled(link.call(*self._lease.fenced([])), asked)
