"""Which of a league's recompute processes speaks: one holds the lease, the others stand by and know all it knows.

The lease is the consumers' (`features.stream.ownership`): who stands by sees that a killed holder's connection is
closed and takes over at once; a holder that hangs loses it after `LEASE_MS`. Before each word the holder looks whether
its lease still runs; values are absolute, so a word said in the very moment of losing it is put right by the next one.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from features.stream.connections import TRANSIENT, Link, Servers
from features.stream.keys import Keys
from features.stream.ownership import Lease, OwnershipLost
from features.workspace import League
from serving.live.defects import Complaints

log = logging.getLogger(__name__)
#: Longer than the consumers': a search or a model may keep this process's threads from running for a while.
LEASE_MS: Final = 3000
RENEW_S: Final = 0.5
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

    def __init__(self, servers: Servers, league: League, taken: Callable[[], None]) -> None:
        self._servers = servers
        self._taken = taken
        self._lease = Lease(_Place(league, 0), f"{socket.gethostname()}:{os.getpid()}", LEASE_MS)
        self._held = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="seat", daemon=True)

    def held(self) -> bool:
        """Whether this process speaks now. For any thread."""
        return self._held and time.monotonic() < self._lease.until

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
                self._held = False
                if link is not None:
                    link.close()
            self._stop.wait(RETRY_S)

    def _hold(self, link: Link, complaints: Complaints) -> None:
        """Take the lease and renew it until `stop`. Raises `OwnershipLost`, or what the connection raises."""
        while (wait_s := self._lease.acquire(link)) is not None:
            complaints.over("lease")
            if self._stop.wait(wait_s):
                return
        self._held = True
        complaints.over("lease")
        log.info("this process speaks: %s", self._lease.name)
        self._taken()
        while not self._stop.wait(RENEW_S):
            asked = time.monotonic()
            commands = self._lease.fenced([])
            self._lease.settled(link.call(*commands), asked)
        self._held = False
        self._lease.release(link)
