"""Telling subscribers: critical updates at once, others at once too unless their topic was just told of.

Two lanes. A critical update is written the moment it is read. Any other is as well when its topic was quiet for a
tick (50 ms); within a tick after a write it waits and merges with what follows, as do updates read together. So a
quiet hub adds no delay, and a busy one writes each topic at most 20 times a second. The frame is made once for all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from serving.live.counts import WorkerState
from serving.live.limits import Limits
from serving.live.topics import Entry, Topic

if TYPE_CHECKING:
    from serving.live.connection import Connection


class Fanout:
    """Writes topics' new entries to their subscribers.

    `behind`: clients that are written nothing now, because their sockets' buffers are full, and for each the offset it
    has in every topic that was told of since (None: it needs a snapshot).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, state: WorkerState) -> None:
        self._loop = loop
        self._tick_s = limits.tick_ms / 1000
        self._state = state
        self._lane: dict[Topic, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._together: dict[Connection, list[bytes]] | None = None
        self.behind: dict[Connection, dict[Topic, str | None]] = {}

    def announce(self, topics: Iterable[Topic]) -> None:
        """Tell of topics that have new entries, each in its lane."""
        now_s = self._loop.time()
        due: list[Topic] = []
        for topic in topics:
            if not topic.subscribers:
                topic.sent, topic.unsent = topic.offset, 0
            elif now_s - topic.sent_at_s >= self._tick_s or _critical(topic):
                due.append(topic)
            else:
                self._lane[topic] = None
        self._flush_together(due)
        if self._lane and self._timer is None:
            self._timer = self._loop.call_later(self._tick_s, self._flush_lane)

    def flush(self, topic: Topic) -> None:
        """Write what subscribers of `topic` have not been sent."""
        if not topic.unsent:
            return
        waiting = _newest(topic.ring, topic.unsent)
        since, topic.sent, topic.unsent = topic.sent, topic.offset, 0
        topic.sent_at_s = self._loop.time()
        if not topic.subscribers:
            return
        frames = list(topic.frames(waiting, since, merge=True))
        self._state.conflated += (len(waiting) - len(frames)) * len(topic.subscribers)
        self._write(topic, frames, since)

    def reset(self, topics: Iterable[Topic]) -> None:
        """Tell all of `topics` anew: what subscribers have does not lead to what is."""
        for topic in topics:
            topic.sent, topic.unsent = topic.offset, 0
            topic.sent_at_s = self._loop.time()
            if not topic.subscribers:
                continue
            frame = topic.snapshot()
            for client, out in topic.subscribers.items():
                if (lacks := self.behind.get(client)) is None:
                    out(frame)
                    self._state.snapshots += 1
                else:
                    lacks[topic] = None

    def flush_all(self) -> None:
        """Write everything that waits."""
        waiting = list(self._lane)
        self._lane.clear()
        self._flush_together(waiting)

    def _flush_lane(self) -> None:
        self._timer = None
        self.flush_all()

    def _flush_together(self, topics: list[Topic]) -> None:
        """Write several topics with one system call per client, which is what a write costs (benchmarks/bench_hub.py).

        The frames are handed over as a list, not joined: what a stuck client's buffer holds is then shared by all.
        """
        if len(topics) == 1:
            self.flush(topics[0])
            return
        self._together = {}
        for topic in topics:
            self.flush(topic)
        together, self._together = self._together, None
        for client, frames in together.items():
            if len(frames) == 1:
                client.out(frames[0])
            else:
                client.transport.underlying_transport.writelines(frames)

    def _write(self, topic: Topic, frames: list[bytes], since: str) -> None:
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        written = len(topic.subscribers)
        if self._together is None and not self.behind:
            for out in topic.subscribers.values():
                out(data)
        else:
            written -= self._write_unless_behind(topic, data, since)
        self._state.frames += written * len(frames)
        self._state.frame_bytes += written * len(data)

    def _write_unless_behind(self, topic: Topic, data: bytes, since: str) -> int:
        """Returns how many subscribers are behind: of them only is kept that they have `since`."""
        together, behind = self._together, self.behind
        left_out = 0
        for client, out in topic.subscribers.items():
            if (lacks := behind.get(client)) is not None:
                lacks.setdefault(topic, since)
                left_out += 1
            elif together is None:
                out(data)
            elif (frames_of := together.get(client)) is None:
                together[client] = [data]
            else:
                frames_of.append(data)
        return left_out


def _critical(topic: Topic) -> bool:
    return any(entry.critical for entry in _newest(topic.ring, topic.unsent))


def _newest(ring: deque[Entry], count: int) -> list[Entry]:
    newest = list(islice(reversed(ring), count))
    newest.reverse()
    return newest
