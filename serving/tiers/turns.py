"""Questions over sockets, taken in turns: what came while the loop was busy is answered newest first for two
milliseconds, then sockets are read again.

Admission costs next to nothing here: no task, no exception, no parsing. What cannot be reached before its deadline is
refused with a frame that is ready but for its id; answering the newest first keeps answers in time however many are
asked. Reading is work, too, so whoever is refused is not read for as long as he was told to stay away: what he sends
meanwhile lies in the kernel, and is refused in one go when he is read again.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from serving import telemetry
from serving.live import protocol
from serving.live.asking import Asker, answer_frame, refusal_frame
from serving.live.protocol import Ask
from serving.tiers.answerer import KINDS, Answerer
from serving.tiers.costs import DEADLINE_MS, Clock

#: A turn ends after this, whatever waits, and sockets are written and read.
TURN_S: Final = 0.002
#: Of a turn, what belongs to questions that have more time, where some wait.
PATIENT_S: Final = 0.0008
#: From an answer to its last byte in the socket: all of a turn's are written after it.
WRITTEN_S: Final = 0.0015
#: A turn that follows the last one so soon took in what came while that one ran.
AT_ONCE_S: Final = 0.001
#: Questions of each sort that may wait; beyond, the oldest are refused.
MOST_WAITING: Final = 1024
#: How long a refused client is not read: not at all at first, longer while more than MANY of what is fresh is refused,
#: shorter while less than FEW is. Some are refused because the machine stalled: that is no reason to stay away.
LEAST_AWAY_S: Final = 0.1
MOST_AWAY_S: Final = 2.0
MANY: Final = 0.25
FEW: Final = 0.125
#: How often that is looked at, and what it is multiplied or divided by.
LOOK_S: Final = 0.1
STEP: Final = 1.5
#: Kinds whose answer has 100 ms and more, the tier's own deadline for them; all others are the edge's.
PATIENT: Final = {
    "what_if": DEADLINE_MS["regional"] / 1000,
    "simulation": DEADLINE_MS["cloud"] / 1000, "portfolio": DEADLINE_MS["cloud"] / 1000,
}  # fmt: skip
EDGE_S: Final = DEADLINE_MS["edge"] / 1000


@dataclass(slots=True, eq=False)
class _Waiting:
    asker: Asker
    asked: Ask
    kind: str
    arrived: float
    deadline_at: float


class Turns:
    """The questions of one event loop's sockets, answered by `tiers`. `clock` is the one `tiers` has."""

    def __init__(self, tiers: Answerer, clock: Clock = time.monotonic) -> None:
        self._tiers = tiers
        self._clock = clock
        self._urgent: list[_Waiting] = []
        self._patient: list[_Waiting] = []
        self._scheduled = False
        self._read, self._ended = clock(), clock()
        self._arrived: float | None = None
        self._late: dict[Asker, list[bytes]] = {}
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()
        self._away = Away(clock)

    def put(self, asker: Asker, asked: Ask) -> None:
        """Take a question that was just read."""
        now = self._clock()
        if self._arrived is None:
            # The kernel does not say since when it lay unread: at most since sockets were read last, if the loop has
            # not been idle in between.
            self._arrived = self._read if now - self._ended < AT_ONCE_S else now
            self._read = now
        kind = asked.question.get("kind")
        kind = kind if isinstance(kind, str) and kind in KINDS else "other"
        allowed_s = PATIENT.get(kind, EDGE_S)
        if asked.deadline_ms is not None and asked.deadline_ms > 0:
            allowed_s = asked.deadline_ms / 1000
        away_since = self._away.since.get(asker)
        arrived = self._arrived if away_since is None else away_since
        waiting = _Waiting(asker, asked, kind, arrived, arrived + allowed_s)
        if waiting.deadline_at <= now:
            # Of those that lay in the kernel there are many: one write tells all of a socket's.
            self._late.setdefault(asker, []).append(self._refusal(waiting))
            asker.answered(b"")
        else:
            (self._patient if kind in PATIENT else self._urgent).append(waiting)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def stop(self) -> None:
        """Refuse what waits, and give up what is under way."""
        for waiting in self._urgent + self._patient:
            self._refuse(waiting)
        self._urgent, self._patient = [], []
        self._tell_late()
        for task in self._tasks:
            task.cancel()
        self._away.stop()

    def _turn(self) -> None:
        self._scheduled, self._arrived = False, None
        self._tell_late()
        began = self._clock()
        answered = self._work(self._urgent, began + TURN_S - (PATIENT_S if self._patient else 0.0))
        answered += self._work(self._patient, max(began + TURN_S, self._clock() + 1e-9))
        now = self._clock()
        refused = self._shed(self._urgent, now) + self._shed(self._patient, now)
        self._away.note(answered, refused)
        self._ended = self._clock()
        if self._urgent or self._patient:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _work(self, queue: list[_Waiting], until: float) -> int:
        """Answer the newest until it is that late; how many."""
        count = 0
        while queue and (now := self._clock()) < until:
            waiting = queue.pop()
            if waiting.asker.closed:
                waiting.asker.answered(b"")
            elif waiting.deadline_at <= now + WRITTEN_S:
                queue.append(waiting)  # those below are older still, but may have longer deadlines
                break
            else:
                self._answer(waiting)
                count += 1
        return count

    def _shed(self, queue: list[_Waiting], now: float) -> int:
        """Refuse what will not be reached any more: newer ones come first. Their askers are not read for a while."""
        due = now + TURN_S + WRITTEN_S
        if not queue or (len(queue) <= MOST_WAITING and all(each.deadline_at > due for each in queue)):
            return 0
        kept = [each for each in queue if each.deadline_at > due][-MOST_WAITING:]
        staying = set(map(id, kept))
        refused = [each for each in queue if id(each) not in staying]
        for each in refused:
            self._refuse(each)
            self._away.send(each.asker)
        queue[:] = kept
        return len(refused)

    def _answer(self, waiting: _Waiting) -> None:
        asker, asked = waiting.asker, waiting.asked
        try:
            said = self._tiers.begin(
                asked.question, asked.deadline_ms, asker.claims.league, arrived=waiting.arrived
            )
        except Exception as error:  # one question must not end the worker
            asker.answered(refusal_frame(asked, error))
            return
        if isinstance(said, dict):
            asker.answered(answer_frame(asked, said))
            return
        task = asyncio.get_running_loop().create_task(said)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, waiting))

    def _done(self, task: asyncio.Task[dict[str, Any]], waiting: _Waiting) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._refuse(waiting)
        elif (error := task.exception()) is None:
            waiting.asker.answered(answer_frame(waiting.asked, task.result()))
        elif isinstance(error, Exception):
            waiting.asker.answered(refusal_frame(waiting.asked, error))
        else:
            raise error

    def _tell_late(self) -> None:
        for asker, frames in self._late.items():
            asker.tell(b"".join(frames))
        self._late.clear()

    def _refuse(self, waiting: _Waiting) -> None:
        waiting.asker.answered(self._refusal(waiting))

    def _refusal(self, waiting: _Waiting) -> bytes:
        _refused(waiting.kind).inc()
        request = waiting.asked.id
        head = b'{"op":"error",' if request is None else b'{"op":"error","id":%b,' % protocol.encode(request)
        return protocol.text_frame(head + self._away.told)


class Away:
    """Clients that were told to come back later, and are not read until then. `since` has those that are read again
    for the first time: from when on they were not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gone: dict[Asker, float] = {}
        self._back: dict[Asker, asyncio.TimerHandle] = {}
        self.since: dict[Asker, float] = {}
        self._away_s = 0.0
        self._answered = self._refused = 0
        self._looked = clock()
        self.told = _told(self._away_s)

    def note(self, answered: int, refused: int) -> None:
        """A turn answered and refused so many; sometimes this changes how long clients are to stay away."""
        self._answered, self._refused = self._answered + answered, self._refused + refused
        if (now := self._clock()) - self._looked < LOOK_S:
            return
        share = self._refused / max(self._answered + self._refused, 1)
        if share > MANY:
            self._away_s = min(max(self._away_s * STEP, LEAST_AWAY_S), MOST_AWAY_S)
        elif share < FEW:
            self._away_s = self._away_s / STEP if self._away_s > LEAST_AWAY_S else 0.0
        self.told = _told(self._away_s)
        self._answered = self._refused = 0
        self._looked = now

    def send(self, asker: Asker) -> None:
        """Do not read this one for a while."""
        if not self._away_s or asker in self._back or asker.closed:
            return
        self._gone[asker] = self._clock()
        asker.listen(False)
        # Not all at once: those that come back together would be too many again.
        away_s = self._away_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._back[asker] = asyncio.get_running_loop().call_later(away_s, self._come_back, asker)

    def stop(self) -> None:
        """Read everybody again."""
        for asker, timer in list(self._back.items()):
            timer.cancel()
            self._come_back(asker)

    def _come_back(self, asker: Asker) -> None:
        del self._back[asker]
        since = self._gone.pop(asker)
        if asker.closed:
            return
        asker.listen(True)
        self.since[asker] = since
        # By then what lay in the kernel was read.
        asyncio.get_running_loop().call_later(AT_ONCE_S, self.since.pop, asker, None)


def _told(away_s: float) -> bytes:
    """The end of a refusal's frame."""
    away_s = max(away_s, LEAST_AWAY_S)
    return (
        f'"retry_after_s":{away_s:.2f},"code":"Overloaded","status":503,"message":"more is asked than can be answered '
        f'before its deadline: ask again in {away_s:.2f} s"}}'
    ).encode()


@cache
def _refused(kind: str) -> Any:
    return telemetry.TIER_REFUSED.labels(kind, "Overloaded")
