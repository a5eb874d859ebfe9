"""One stream as a member of its consumer group reads it: reads ahead, acknowledges, and takes over what others left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from features.stream.connections import Link, Servers, must
from features.stream.keys import GROUP

READ_ENTRIES: Final = 64
#: Short, so that a member that lost its lease has no read waiting when another one begins.
BLOCK_MS: Final = 100
#: A read that long without any answer is a connection that broke without a word.
OVERDUE_S: Final = 1.0
#: A batch that was handed out this often without being committed is taken for the cause, and put aside.
MOST_DELIVERIES: Final = 5
CLAIM_ENTRIES: Final = 16
#: Entries that somebody else was handed this long ago are taken over: he has no lease, or we would have none.
STUCK_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Item:
    """One entry as read: its id, and its fields (None when it was trimmed before it was read)."""

    id: bytes
    fields: dict[bytes, bytes] | None
    poison: bool = False


@dataclass(slots=True)
class Member:
    """Reads `stream` as `name` over a connection of its own; one read at a time is under way.

    `length` is the stream's, and `stuck` whether entries wait for somebody who was handed them `STUCK_MS` ago: both as
    of the newest `measure`.
    """

    servers: Servers
    stream: str
    name: str
    link: Link = field(init=False)
    length: int = 0
    stuck: bool = False
    inbox: list[Item] = field(default_factory=list)
    _acks: list[bytes] = field(default_factory=list)
    _expected: list[bytes] = field(default_factory=list)
    _measure: bool = False
    _asked: float = 0.0

    def __post_init__(self) -> None:
        self.link = self.servers.link(self.stream)
        try:
            self.make_group()
        except BaseException:
            self.link.close()
            raise

    def make_group(self) -> None:
        """The group, from the stream's beginning; nothing when there is one."""
        reply = self.link.call((b"XGROUP", b"CREATE", self.stream, GROUP, b"0", b"MKSTREAM"))[0]
        if isinstance(reply, Exception) and not str(reply).startswith("BUSYGROUP"):
            raise reply

    def read_on(self, now: float) -> None:
        """Ask for entries nobody has, unless a read is under way or its entries wait; raises when one is overdue."""
        if self._expected:
            if now > self._asked + OVERDUE_S:
                raise redis.TimeoutError(f"{self.stream}: no answer for {OVERDUE_S} s")
            return
        if not self.inbox:
            self._asked = now
            self._read()

    def emptied(self) -> list[Item]:
        """What was read and not handled yet, now the caller's to handle."""
        items, self.inbox = self.inbox, []
        return items

    def _read(self) -> None:
        """The acknowledgements that are due go along."""
        commands: list[tuple[Any, ...]] = []
        if self._acks:
            # Everything up to the last of them was handled in order, so nothing before it is needed any more.
            commands += [(b"XACK", self.stream, GROUP, *self._acks), trim(self.stream, self._acks[-1])]
            self._acks = []
        if self._measure:
            pending = (b"XPENDING", self.stream, GROUP, b"IDLE", STUCK_MS, b"-", b"+", 1)
            commands += [(b"XLEN", self.stream), pending]
            self._measure = False
        commands.append(
            (b"XREADGROUP", b"GROUP", GROUP, self.name, b"COUNT", READ_ENTRIES, b"BLOCK", BLOCK_MS,
             b"STREAMS", self.stream, b">")
        )  # fmt: skip
        self._expected = [command[0] for command in commands]
        self.link.send(commands)

    def readable(self) -> None:
        """Handle what came; entries go to `inbox`. Raises for a broken link, or a group that cannot be had."""
        if not self._expected:
            raise redis.ConnectionError(f"{self.stream}: the server closed the connection")
        while self._expected:
            kind, reply = self._expected.pop(0), self.link.read()
            if kind == b"XREADGROUP":
                if isinstance(reply, redis.ResponseError) and str(reply).startswith(("NOGROUP", "UNBLOCKED")):
                    self.make_group()  # the server lost everything
                elif must(reply):
                    self.inbox += [Item(entry_id, _fields(fields)) for entry_id, fields in reply[0][1]]
            elif kind == b"XLEN":
                self.length = int(must(reply))
            elif isinstance(reply, Exception) and not isinstance(reply, redis.ResponseError):
                raise reply
            elif kind == b"XPENDING":
                self.stuck = bool(reply) and not isinstance(reply, redis.ResponseError)
            if not self.link.buffered():
                return

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        """These are done; said with the next read."""
        self._acks += ids

    def measure(self) -> None:
        """Ask for `length` and `stuck` with the next read, so that nobody waits for the answer."""
        self._measure = True

    def left_over(self, link: Link, idle_ms: int) -> Iterator[list[Item]]:
        """What members did not finish, made this member's own, in order.

        One at a time when it was handed out before without being finished, so that a batch that kills its consumer
        is found. What was trimmed meanwhile is acknowledged: the numbering shows the gap.
        """
        group = (self.stream, GROUP)
        pending = must(link.call((b"XPENDING", *group, b"IDLE", idle_ms, b"-", b"+", 10_000))[0])
        start = 0
        while start < len(pending):
            # The count was raised by the delivery that was not finished.
            size = 1 if any(row[3] > 1 for row in pending[start : start + CLAIM_ENTRIES]) else CLAIM_ENTRIES
            part = {row[0]: row[3] for row in pending[start : start + size]}
            start += size
            first = next(iter(part))
            reply = must(link.call((b"XAUTOCLAIM", *group, self.name, 0, first, b"COUNT", len(part)))[0])
            found = {entry[0]: entry[1] for entry in reply[1] if entry is not None and entry[1] is not None}
            gone = [entry_id for entry_id in part if entry_id not in found]
            if gone:
                must(link.call((b"XACK", *group, *gone))[0])
            items = [
                Item(entry_id, _fields(found[entry_id]), part[entry_id] >= MOST_DELIVERIES)
                for entry_id in part
                if entry_id in found
            ]
            if items:
                yield items

    def forget_others(self, link: Link) -> None:
        """Remove members that have nothing left; each start of a consumer makes one."""
        for row in must(link.call((b"XINFO", b"CONSUMERS", self.stream, GROUP))[0]):
            member = dict(zip(row[::2], row[1::2], strict=True))
            if member[b"name"] != self.name.encode() and not member[b"pending"]:
                must(link.call((b"XGROUP", b"DELCONSUMER", self.stream, GROUP, member[b"name"]))[0])

    def finish(self) -> None:
        """Say at once what is done, and measure; the read under way is left to time out."""
        link = self.servers.link(self.stream)
        try:
            if self._acks:
                link.call((b"XACK", self.stream, GROUP, *self._acks), trim(self.stream, self._acks[-1]))
                self._acks = []
            self.length = int(link.ask(b"XLEN", self.stream))
        finally:
            link.close()

    def close(self) -> None:
        """Close the connection."""
        self.link.close()


def trim(stream: str, done: bytes) -> tuple[Any, ...]:
    """The command that drops everything up to and with the entry `done`."""
    milliseconds, _, number = done.partition(b"-")
    return (b"XTRIM", stream, b"MINID", milliseconds + b"-" + str(int(number) + 1).encode())


def _fields(flat: Sequence[bytes] | None) -> dict[bytes, bytes] | None:
    return None if flat is None else dict(zip(flat[::2], flat[1::2], strict=True))
