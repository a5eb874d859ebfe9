"""Who may write a partition: a lease with a fencing token, watched by every transaction of its holder.

A transaction that was begun under a lease cannot take effect once the lease has expired or is another's: the key is
WATCHed on the connection that commits, from before the state was loaded until each EXEC. The token names that
connection, so that who stands by sees a killed owner at once; a lease runs out only for one that hangs.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from features.stream.connections import Command, Link, must
from features.stream.keys import Keys

LEASE_MS: Final = 800
#: How often who stands by asks.
ASK_S: Final = 0.03


class OwnershipLost(Exception):
    """The lease of a partition ended: what was not committed must be forgotten."""


@dataclass(slots=True)
class Lease:
    """One consumer's claim on one partition, held over `link`."""

    keys: Keys
    name: str
    lease_ms: int = LEASE_MS
    token: str = field(init=False, default="")
    until: float = field(init=False, default=0.0)

    def acquire(self, link: Link) -> float | None:
        """Take the lease and watch it: None when it is ours, else after how many seconds to ask again."""
        own_id, asked = link.call((b"CLIENT", b"ID"))[0], time.monotonic()
        token = f"{self.name}/{uuid.uuid4().hex[:12]}/{must(own_id)}"
        lease = (b"PX", self.lease_ms)
        if must(link.call((b"SET", self.keys.owner, token, b"NX", *lease))[0]) is None:
            watched, holder = link.call(*self._watch())
            if must(watched) is None or (must(holder) is not None and not self._gone(link, holder)):
                link.call((b"UNWATCH",))
                return ASK_S
            if link.call((b"MULTI",), (b"SET", self.keys.owner, token, *lease), (b"EXEC",))[2] is None:
                return ASK_S
        watched, holder = link.call(*self._watch())
        if must(watched) is None or must(holder) != token.encode():
            raise OwnershipLost(f"{self.keys.owner}: lost between taking and watching it")
        self.token, self.until = token, asked + self.lease_ms / 1000
        return None

    def _gone(self, link: Link, holder: bytes) -> bool:
        """True when the holder's lease need not run out first: it is our own of before, or its connection is closed.

        A holder whose connection is closed cannot commit under this lease any more, so nothing is taken from it.
        """
        if holder == self.token.encode():
            return True
        connection = holder.rpartition(b"/")[2]
        found = link.call((b"CLIENT", b"LIST", b"ID", connection))[0]
        return isinstance(found, bytes) and not found.strip()  # an error: this server does not tell

    def fenced(self, commands: list[Command]) -> list[Command]:
        """`commands` as one transaction that renews the lease, and the watch for the next one."""
        renew = (b"PEXPIRE", self.keys.owner, self.lease_ms)
        return [(b"MULTI",), *commands, renew, (b"EXEC",), *self._watch()]

    def settled(self, replies: list[Any], asked: float) -> list[Any]:
        """Results of the commands of a `fenced` transaction sent at monotonic time `asked`.

        Raises `OwnershipLost`, or what the server refused (then nothing took effect).
        """
        refused = next((reply for reply in replies[:-3] if isinstance(reply, Exception)), None)
        if refused is not None:
            raise refused
        results, _, holder = replies[-3:]
        if must(results) is None or must(holder) != self.token.encode():
            raise OwnershipLost(f"{self.keys.owner}: the lease of {self.name} ended")
        for result in results:
            must(result)
        self.until = asked + self.lease_ms / 1000
        return list(results[:-1])

    def release(self, link: Link) -> None:
        """Give the lease back, if it is still ours, so that another need not wait for its end."""
        if self.token:
            link.call((b"MULTI",), (b"DEL", self.keys.owner), (b"EXEC",))
            self.token = ""

    def _watch(self) -> list[Command]:
        return [(b"WATCH", self.keys.owner), (b"GET", self.keys.owner)]
