"""A producer's lanes and the thread that sends them: in order, again when the bus lost them, until they are applied.

An entry is kept until the watermark on the state server has passed it. What was lost is noticed in three ways: the
consumer reports a gap (`Keys.resend`), a write fails, or nothing was applied for a while and the stream no longer
holds the oldest entry. In each case everything from the watermark on is sent again; the consumer drops what it has.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from features.stream.connections import TRANSIENT, Link, Servers, must
from features.stream.events import EVENT, HEADER_BYTES, ROW_BYTES, BatchFlag, Rows, encode, encode_news
from features.stream.keys import GROUP, Keys
from features.stream.marks import Mark
from features.stream.schedule import short_slices

logger = logging.getLogger(__name__)

#: Entries of a stream that are surely kept; what is applied is trimmed by the consumer much earlier.
HORIZON_ENTRIES: Final = 20_000
ENTRY_FIELD: Final = b"b"
POLL_S: Final = 0.02
IDLE_S: Final = 0.25
#: Nothing applied for this long: look whether the stream still holds what was sent. Doubles up to the second.
STALL_S: Final = 0.5
STALL_MAX_S: Final = 4.0
BACKOFF_S: Final = 0.02
BACKOFF_MAX_S: Final = 1.0
#: What is sent at once before replies are read.
_CHUNK_ENTRIES: Final = 16
#: Applied entries are kept this long, in what room the buffer has left: a power cut may undo the last second of state.
KEEP_S: Final = 2.0

#: Copying rows as opaque bytes is 70 times faster than field by field, as numpy does for a structured type.
OPAQUE: Final = np.dtype((np.void, ROW_BYTES))

_HOLDS: Final = "return #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])"


@dataclass(slots=True)
class Entry:
    """One batch as it travels; `id` is its place in the stream, None while it was never sent."""

    first: int
    count: int
    payload: bytes
    id: bytes | None = None

    @property
    def end(self) -> int:
        """The sequence number after the last row."""
        return self.first + self.count

    @property
    def size(self) -> int:
        """Bytes of the buffer that it takes."""
        return len(self.payload) - HEADER_BYTES


@dataclass(slots=True)
class Lane:
    """One numbered lane of one partition. Callers fill `open` and `sealed` under the producer's lock; all else is
    the sender's. `next` is the next sequence number, `applied` the watermark.

    `taken_bytes` only grows, `freed_bytes` is the sender's alone: their difference is what is buffered.
    """

    keys: Keys
    stream: str
    mark: Mark
    max_rows: int
    next: int = 0
    applied: int = 0
    open: Rows = field(default_factory=lambda: np.empty(0, EVENT))
    filled: int = 0
    opened_at: float = 0.0
    sealed: deque[Rows | bytes] = field(default_factory=deque)
    waiting: deque[Entry] = field(default_factory=deque)
    sent: deque[Entry] = field(default_factory=deque)
    done: deque[tuple[float, Entry]] = field(default_factory=deque)
    taken_bytes: int = 0
    freed_bytes: int = 0
    done_bytes: int = 0
    resent: int = 0
    moved_at: float = 0.0
    stall_s: float = STALL_S
    alarm: str | None = None

    @property
    def buffered_bytes(self) -> int:
        """What was taken and is not applied yet."""
        return self.taken_bytes - self.freed_bytes

    @property
    def idle(self) -> bool:
        """True when all that was taken is applied."""
        return not (self.filled or self.sealed or self.waiting) and self.applied >= self.next

    def fill(self, rows: Rows, now: float) -> None:
        """Copy `rows` into open batches."""
        raw, start = rows.view(OPAQUE), 0
        while start < len(rows):
            if self.filled == len(self.open):
                self.seal()
                self.open = np.empty(self.max_rows, EVENT)
            if not self.filled:
                self.opened_at = now
            n = min(len(self.open) - self.filled, len(rows) - start)
            self.open.view(OPAQUE)[self.filled : self.filled + n] = raw[start : start + n]
            self.filled += n
            start += n
        self.taken_bytes += len(rows) * ROW_BYTES

    def seal(self) -> None:
        """Close the open batch."""
        if self.filled:
            self.sealed.append(self.open[: self.filled])
            self.open = self.open[self.filled :]
            self.filled = 0

    def number(self, sealed: Sequence[Rows | bytes]) -> None:
        """Give sealed batches their sequence numbers; bytes are one piece of news as JSON."""
        source, epoch = self.mark.source, self.mark.epoch
        for each in sealed:
            if isinstance(each, bytes):
                entry = Entry(self.next, 1, encode_news(each, source=source, epoch=epoch, first=self.next))
            else:
                flags = BatchFlag.critical if self.mark.critical else 0
                payload = encode(each, source=source, epoch=epoch, first=self.next, flags=flags)
                entry = Entry(self.next, len(each), payload)
            self.waiting.append(entry)
            self.next = entry.end

    def rewind(self, to: int) -> int:
        """Send everything from sequence number `to` on again; returns the oldest number that can still be sent."""
        while self.done and self.done[-1][1].end > to:
            entry = self.done.pop()[1]
            self.sent.appendleft(entry)
            self.done_bytes -= entry.size
            self.freed_bytes -= entry.size
        self.applied = min(self.applied, to)
        while self.sent and self.sent[-1].end > to:
            self.waiting.appendleft(self.sent.pop())
            self.resent += 1
        return self.waiting[0].first if self.waiting else self.next

    def release(self, applied: int, now: float, room_bytes: int) -> int:
        """Let go of what is applied, but for the newest `room_bytes`; returns how many bytes became free."""
        if applied > self.applied:
            self.applied, self.moved_at, self.stall_s, self.alarm = applied, now, STALL_S, None
        freed = 0
        for queue in (self.sent, self.waiting):
            while queue and queue[0].end <= applied:
                entry = queue.popleft()
                freed += entry.size
                self.done.append((now, entry))
        self.freed_bytes += freed
        self.done_bytes += freed
        while self.done and (self.done[0][0] < now - KEEP_S or self.done_bytes > room_bytes):
            self.done_bytes -= self.done.popleft()[1].size
        return freed


class Sender(threading.Thread):
    """Sends the lanes of one kind (bulk or critical) of a producer, and follows their watermarks.

    `changed` guards the lanes' open batches and is notified whenever the buffer gets room.
    """

    def __init__(
        self,
        name: str,
        streams: Servers,
        state: Servers,
        lanes: Sequence[Lane],
        *,
        linger_s: float,
        bound_bytes: int,
        changed: threading.Condition,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.lanes = lanes
        self._streams, self._state = streams, state
        self._linger_s, self._room = linger_s, bound_bytes // (2 * len(lanes))
        self.bound_bytes = bound_bytes
        self.changed = changed
        self._wake, self._full, self._stopping = threading.Event(), threading.Event(), threading.Event()
        self._links: dict[tuple[str, str], Link] = {}
        self._asked: list[tuple[Lane, Link]] = []  # whose watermarks were asked for
        self._backoff_s = BACKOFF_S
        self.errors = 0
        self.last_error: str | None = None
        self.crash: Exception | None = None

    def wake(self, *, full: bool) -> None:
        """Rows are waiting; `full` when a batch need not linger."""
        if full:
            self._full.set()
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """End the thread; what is not applied is given up."""
        self._stopping.set()
        self.wake(full=True)
        self.join(timeout_s)

    def run(self) -> None:
        """Until stopped: take what lingered long enough, send it, and ask for the watermarks."""
        short_slices()
        try:
            self._run()
        except Exception as error:
            logger.exception("producer's sender %s ended", self.name)
            self.crash = error
        finally:
            self._drop_links()
            with self.changed:
                self.changed.notify_all()

    def _run(self) -> None:
        followed = 0.0
        while not self._stopping.is_set():
            busy = any(lane.buffered_bytes or lane.done for lane in self.lanes)
            self._wake.wait(POLL_S if busy else IDLE_S)
            self._wake.clear()
            self._linger()
            try:
                self._ship()
                now = time.monotonic()
                if now - followed >= POLL_S:
                    followed = now
                    self._follow(now)
                self._backoff_s = BACKOFF_S
            except TRANSIENT as error:
                self._failed(error)

    def _linger(self) -> None:
        """Wait until the oldest open batch is `linger_s` old, or one is full; then number everything there is."""
        opened = min((lane.opened_at for lane in self.lanes if lane.filled), default=None)
        if opened is not None and (left := opened + self._linger_s - time.monotonic()) > 0:
            self._full.wait(left)
        self._full.clear()
        for lane in self.lanes:
            if lane.filled or lane.sealed:
                with self.changed:
                    lane.seal()
                    sealed = list(lane.sealed)
                    lane.sealed.clear()
                    lane.number(sealed)

    def _ship(self) -> None:
        """Send what is numbered: a chunk of every lane, then the replies, so that no lane waits for another's."""
        while under_way := [self._send_chunk(lane) for lane in self.lanes if lane.waiting]:
            for lane, link, count in under_way:
                replies = [link.read() for _ in range(count)]
                if not lane.sent:
                    lane.moved_at = time.monotonic()
                for reply in replies:
                    # those after a refused one go again: the consumer drops what came early
                    lane.waiting[0].id = must(reply)
                    lane.sent.append(lane.waiting.popleft())

    def _send_chunk(self, lane: Lane) -> tuple[Lane, Link, int]:
        chunk = [lane.waiting[i] for i in range(min(_CHUNK_ENTRIES, len(lane.waiting)))]
        head = (b"XADD", lane.stream, b"MAXLEN", b"~", HORIZON_ENTRIES, b"*", ENTRY_FIELD)
        link = self._link(self._streams, lane.stream, "send")
        link.send([(*head, entry.payload) for entry in chunk])
        return lane, link, len(chunk)

    def _follow(self, now: float) -> None:
        """Read the watermarks and what the consumers miss; look into streams that do not move.

        While there is more to send, answers are left for the next time.
        """
        if not self._asked:
            self._ask_on()
            if self._wake.is_set():
                return
        freed = 0
        while self._asked:
            lane, link = self._asked.pop(0)
            applied, missing = link.read(), link.read()
            freed += self._followed(lane, link, int(must(applied) or 0), must(missing), now)
        if freed:
            with self.changed:
                self.changed.notify_all()
        if self._wake.is_set():
            self._ask_on()

    def _ask_on(self) -> None:
        for lane in self.lanes:
            if lane.sent or lane.waiting or lane.done:
                link = self._link(self._state, lane.keys.watermark, "follow")
                link.send([(b"HGET", name, lane.mark.field) for name in (lane.keys.watermark, lane.keys.resend)])
                self._asked.append((lane, link))

    def _followed(self, lane: Lane, link: Link, applied: int, missing: bytes | None, now: float) -> int:
        """A lane's watermark and what is missing; returns how many bytes became free."""
        if applied < lane.applied:
            self._rewind(lane, applied, "the state server lost what was applied")
        freed = lane.release(applied, now, self._room)
        if missing is not None:
            must(link.call((b"HDEL", lane.keys.resend, lane.mark.field))[0])
            if lane.sent:
                self._rewind(lane, max(int(missing), applied), "a gap was reported")
        if lane.sent and now - lane.moved_at > lane.stall_s:
            self._stalled(lane, now)
        return freed

    def _stalled(self, lane: Lane, now: float) -> None:
        """Nothing moved: send again if the stream does not hold the oldest entry for the consumers any more."""
        lane.moved_at, lane.stall_s = now, min(2 * lane.stall_s, STALL_MAX_S)
        oldest = lane.sent[0].id
        lane.alarm = f"nothing applied for {lane.stall_s:.1f} s; is a consumer running?"
        if self._held(lane, oldest):
            return
        link = self._link(self._state, lane.keys.watermark, "follow")
        applied = int(link.ask(b"HGET", lane.keys.watermark, lane.mark.field) or 0)
        if applied <= lane.applied:
            self._rewind(lane, applied, "the stream lost it")
            self._wake.set()

    def _held(self, lane: Lane, entry_id: bytes | None) -> bool:
        """True when the entry is in the stream and still to be done, or being done, by the consumers."""
        link = self._link(self._streams, lane.stream, "send")
        if entry_id is None or not link.ask(b"EVAL", _HOLDS, 1, lane.stream, entry_id):
            return False
        groups = {group[1]: group for group in link.ask(b"XINFO", b"GROUPS", lane.stream)}
        group = groups.get(GROUP.encode())
        if group is None:
            return True  # made by the first consumer, from the stream's beginning
        delivered = dict(zip(group[::2], group[1::2], strict=True))[b"last-delivered-id"]
        if _order(entry_id) > _order(delivered):
            return True
        return bool(link.ask(b"XPENDING", lane.stream, GROUP, entry_id, entry_id, 1))

    def _rewind(self, lane: Lane, to: int, why: str) -> None:
        before = lane.resent
        oldest = lane.rewind(to)
        logger.warning("%s: %s; sending again from %d on (%d batches)", lane.stream, why, to, lane.resent - before)
        if oldest > to:
            lane.alarm = f"rows {to} to {oldest - 1} are applied no more and kept no more"
            link = self._link(self._state, lane.keys.resend, "follow")
            link.ask(b"HSET", lane.keys.resend, lane.mark.floor_field, oldest)
        self._wake.set()

    def _failed(self, error: BaseException) -> None:
        self.errors += 1
        if self.last_error is None or self.errors % 100 == 0:
            logger.warning("producer cannot send (%s: %s); trying again", type(error).__name__, error)
        self.last_error = f"{type(error).__name__}: {error}"
        self._drop_links()
        for servers in (self._streams, self._state):
            servers.refresh()
        self._stopping.wait(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
        self._wake.set()

    def _drop_links(self) -> None:
        for link in self._links.values():
            link.close()
        self._links.clear()
        self._asked.clear()

    def _link(self, servers: Servers, key: str, use: str) -> Link:
        link = self._links.get((key, use))
        if link is None:
            link = self._links[key, use] = servers.link(key)
        return link


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number or 0)
