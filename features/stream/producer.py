"""The way in: `send` copies rows into a batch and returns; a thread sends them and keeps them until they are applied.

A producer is one life (`epoch`) of one source. Its rows are numbered per lane and partition, so what is sent twice
counts once. It keeps at most `buffer_bytes` of rows that are not applied; then `send` waits (or raises `Backpressure`
with `block=False`). Rows of one lane and partition are applied in the order they were sent in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import numpy as np

from features.errors import Backpressure, InvalidInput, NotApplied, StoreUnavailable
from features.stream.connections import TRANSIENT, Servers
from features.stream.directory import partition_of
from features.stream.events import EVENT, ROW_BYTES, Rows, key_of
from features.stream.keys import Keys
from features.stream.marks import Mark
from features.stream.news import News, encode_json
from features.stream.sending import BACKOFF_MAX_S, BACKOFF_S, OPAQUE, Lane, Sender

T = TypeVar("T")

#: The critical lane's share, so that it never waits for room behind bulk.
CRITICAL_SHARE: Final = 8


class Producer:
    """Sends events of `source` to a league. Thread-safe; use as a context manager (leaving it waits until applied).

    Without `epoch` this is a new life of the source, and every row sent counts. With an `epoch` it goes on where
    that life's watermark stands (`resume_from`): for sources that can send the same rows in the same order again.
    Such a source may pass `from_start=True` and send everything from its first row; what is applied is skipped.
    """

    def __init__(
        self,
        bus_url: str,
        state_url: str,
        league: str,
        partitions: int,
        *,
        source: str,
        epoch: int | None = None,
        linger_ms: float = 2.0,
        max_rows: int = 5000,
        buffer_bytes: int = 64 << 20,
        block: bool = True,
        from_start: bool = False,
        connect_timeout_s: float = 10.0,
    ) -> None:
        if from_start and epoch is None:
            raise InvalidInput("epoch: from_start needs the epoch that is sent again; give both or neither")
        self.partitions, self.block = partitions, block
        self._bus, self._state = Servers(bus_url), Servers(state_url)
        self._keys = [Keys(league, partition) for partition in range(partitions)]
        key = key_of(source)
        self.epoch = self._reach(lambda: self._new_epoch(key), connect_timeout_s) if epoch is None else epoch
        self._changed = threading.Condition()
        self._bulk = self._lanes(Mark(key, self.epoch, False), max_rows)
        self._critical = self._lanes(Mark(key, self.epoch, True), 1)
        self._reach(self._read_watermarks, connect_timeout_s)
        self._skip = {id(lane): lane.next if from_start else 0 for lane in (*self._bulk, *self._critical)}
        self._resumed = {
            (lane.mark.critical, p): lane.next for kind in self._kinds() for p, lane in enumerate(kind)
        }
        critical_bytes = max(buffer_bytes // CRITICAL_SHARE, 16 * ROW_BYTES)
        self._senders = [
            self._sender("bulk", self._bus, self._bulk, linger_ms / 1000, buffer_bytes),
            self._sender("critical", self._state, self._critical, 0.0, critical_bytes),
        ]
        self.rows = self.blocked = 0
        self.blocked_s = 0.0
        for sender in self._senders:
            sender.start()

    def send(self, row: Any) -> None:
        """Add one EVENT row (np.void, or an array of one)."""
        self.send_many(np.atleast_1d(np.asarray(row, EVENT)))

    def send_many(self, rows: Rows) -> None:
        """Add EVENT rows; they are copied."""
        self._add(self._senders[0], self._bulk, rows)

    def send_critical(self, row: Any) -> None:
        """Send one EVENT row at once, in an entry of its own, on the critical lane."""
        self._add(self._senders[1], self._critical, np.atleast_1d(np.asarray(row, EVENT)))

    def send_news(self, news: News) -> None:
        """Send one piece of news at once on the critical lane; its partition is that of its subject's key."""
        payload = encode_json(news)
        lane = self._critical[partition_of(key_of(news.subject), self.partitions)]
        with self._changed:
            if self._skipped(lane, 1):
                return
            self._room(self._senders[1], len(payload))
            lane.sealed.append(payload)
            lane.taken_bytes += len(payload)
            self.rows += 1
        self._senders[1].wake(full=True)

    def resume_from(self, partition: int, *, critical: bool = False) -> int:
        """How many rows of this epoch were applied when this producer began."""
        return self._resumed[critical, partition]

    def flush(self, timeout_s: float = 30.0) -> None:
        """Return when everything sent is applied; raises `NotApplied` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._changed:
                self._check()
                behind = [lane for kind in self._kinds() for lane in kind if not lane.idle]
                if not behind:
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NotApplied(
                        f"{sum(lane.buffered_bytes for lane in behind)} bytes of events are not applied after "
                        f"{timeout_s:.1f} s; {self._why()}"
                    )
                self._changed.wait(min(left, 0.05))

    def close(self, timeout_s: float = 30.0) -> None:
        """`flush`, then end; with `timeout_s=0` end at once, giving up what is not applied."""
        try:
            if timeout_s > 0:
                self.flush(timeout_s)
        finally:
            for sender in self._senders:
                sender.stop(5.0)
            self._bus.close()
            self._state.close()

    def stats(self) -> dict[str, Any]:
        """Counts of rows and batches, bytes buffered, and `alarm`: what is wrong now, None when nothing is."""
        lanes = [lane for kind in self._kinds() for lane in kind]
        return {
            "rows": self.rows,
            "applied": sum(
                lane.applied - self._resumed[lane.mark.critical, lane.keys.partition] for lane in lanes
            ),
            "resent_batches": sum(lane.resent for lane in lanes),
            "buffered_bytes": sum(lane.buffered_bytes for lane in lanes),
            "buffer_bytes": sum(sender.bound_bytes for sender in self._senders),
            "blocked": self.blocked,
            "blocked_s": round(self.blocked_s, 3),
            "errors": sum(sender.errors for sender in self._senders),
            "last_error": next((sender.last_error for sender in self._senders if sender.last_error), None),
            "alarm": self._alarm(),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(timeout_s=30.0 if error is None else 0.0)

    def _add(self, sender: Sender, lanes: list[Lane], rows: Rows) -> None:
        if rows.dtype != EVENT or rows.ndim != 1:
            raise InvalidInput(f"rows: dtype {rows.dtype} with {rows.ndim} axes; see features.stream.events.EVENT")
        rows = np.ascontiguousarray(rows)
        if self.block:
            self._split(sender, lanes, rows)
            return
        with self._changed:  # all of them or none
            self._room(sender, len(rows) * ROW_BYTES)
            self._split(sender, lanes, rows)

    def _split(self, sender: Sender, lanes: list[Lane], rows: Rows) -> None:
        if self.partitions == 1:
            self._add_to(sender, lanes[0], rows)
        elif len(rows) == 1:
            self._add_to(sender, lanes[partition_of(int(rows["game"][0]), self.partitions)], rows)
        else:
            belongs = rows["game"] % self.partitions
            for partition, lane in enumerate(lanes):
                mine = rows.view(OPAQUE)[belongs == partition].view(EVENT)
                if len(mine):
                    self._add_to(sender, lane, mine)

    def _add_to(self, sender: Sender, lane: Lane, rows: Rows) -> None:
        """Take `rows`, waiting for room."""
        piece = max(1, sender.bound_bytes // (2 * ROW_BYTES))
        with self._changed:
            rows = rows[self._skipped(lane, len(rows)) :]
            for start in range(0, len(rows), piece):
                part = rows[start : start + piece]
                if self.block:
                    self._room(sender, len(part) * ROW_BYTES)
                fresh, before = not lane.filled, len(lane.sealed)
                lane.fill(part, time.monotonic())
                if lane.max_rows == 1:
                    lane.seal()
                self.rows += len(part)
                if fresh or len(lane.sealed) > before:
                    sender.wake(full=len(lane.sealed) > before)

    def _skipped(self, lane: Lane, n: int) -> int:
        """How many of the next `n` rows are applied already and are not sent again."""
        skip = min(self._skip[id(lane)], n)
        self._skip[id(lane)] -= skip
        return skip

    def _room(self, sender: Sender, n_bytes: int) -> None:
        """Wait until the sender's buffer has room; the lock is held, and given up while waiting."""
        self._check()
        began: float | None = None
        while (used := sum(lane.buffered_bytes for lane in sender.lanes)) and used + n_bytes > sender.bound_bytes:
            if not self.block:
                raise Backpressure(
                    f"{used} bytes of events are not applied and {n_bytes} more exceed buffer_bytes="
                    f"{sender.bound_bytes}; {self._why()}"
                )
            if began is None:
                began = time.monotonic()
                self.blocked += 1
            self._changed.wait(0.1)
            self._check()
        if began is not None:
            self.blocked_s += time.monotonic() - began

    def _check(self) -> None:
        for sender in self._senders:
            if not sender.is_alive():
                raise StoreUnavailable(
                    f"the producer's thread {sender.name!r} has ended ({sender.crash or 'closed'}); make a new Producer"
                )

    def _alarm(self) -> str | None:
        used = max(
            sum(lane.buffered_bytes for lane in sender.lanes) / sender.bound_bytes for sender in self._senders
        )
        full = f"buffer {used:.0%} full" if used > 0.5 else None
        stalled = next((lane.alarm for kind in self._kinds() for lane in kind if lane.alarm), None)
        return "; ".join(each for each in (full, stalled) if each) or None

    def _why(self) -> str:
        lasts = [sender.last_error for sender in self._senders if sender.last_error]
        return (
            f"last error: {lasts[0]}" if lasts else "see that a consumer runs: python -m features.stream consumer"
        )

    def _kinds(self) -> tuple[list[Lane], list[Lane]]:
        return self._bulk, self._critical

    def _lanes(self, mark: Mark, max_rows: int) -> list[Lane]:
        return [Lane(keys, keys.critical if mark.critical else keys.events, mark, max_rows) for keys in self._keys]

    def _sender(self, name: str, streams: Servers, lanes: list[Lane], linger_s: float, bound: int) -> Sender:
        return Sender(
            f"producer-{name}", streams, self._state, lanes,
            linger_s=linger_s, bound_bytes=bound, changed=self._changed,
        )  # fmt: skip

    def _new_epoch(self, source: int) -> int:
        """A life of the source that nobody has: the time in seconds, or the next one that is free."""
        epoch, keys = int(time.time()), self._keys[0]
        client = self._state.client_of(keys.watermark)
        while not client.hsetnx(keys.watermark, Mark(source, epoch, False).field, "0"):
            epoch += 1
        return epoch

    def _read_watermarks(self) -> None:
        for lane in (*self._bulk, *self._critical):
            client = self._state.client_of(lane.keys.watermark)
            value = cast("bytes | None", client.hget(lane.keys.watermark, lane.mark.field))
            lane.next = lane.applied = int(value or 0)

    def _reach(self, ask: Callable[[], T], timeout_s: float) -> T:
        """The answer of the state server, asked for again until `timeout_s` is over."""
        deadline, pause = time.monotonic() + timeout_s, BACKOFF_S
        while True:
            try:
                return ask()
            except TRANSIENT as error:
                if time.monotonic() + pause > deadline:
                    raise StoreUnavailable(
                        f"the state Redis does not answer ({type(error).__name__}: {error}); start it, "
                        "or set FANTASY_REDIS_URL"
                    ) from error
                self._state.refresh()
                time.sleep(pause)
                pause = min(2 * pause, BACKOFF_MAX_S)
