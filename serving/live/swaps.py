"""Best late swaps, searched on a thread of their own: the newest question per lineup, and none that is stale."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from features.errors import FantasyError
from models.errors import Cancelled
from serving.live.defects import DEFECTS
from serving.live.inbox import Inbox
from serving.live.live_lineups import Followed
from serving.live.seen import Seen
from serving.live.standing import SlateNow, best_swap

log = logging.getLogger(__name__)
#: A lineup is searched at most so often.
EVERY_S: Final = 3.0
WAIT_S: Final = 0.5
STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The best swap under a question (`SlateNow.question`), None where none gains."""

    question: str
    swap: dict[str, Any] | None


class Swaps:
    """Searches for lineups; `found(lineup_id)` is called on its thread when a search ended."""

    def __init__(
        self, seen: Seen, found: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seen = seen
        self._found = found
        self._inbox: Inbox[str, tuple[Followed, SlateNow]] = Inbox(EVERY_S, clock)
        self._asked: dict[str, str] = {}
        self._answers: dict[str, Answered] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="swaps", daemon=True)
        self.searched = self.cancelled = 0

    def start(self) -> None:
        """Begin searching."""
        self._thread.start()

    def stop(self) -> None:
        """Give up the search under way and stop."""
        self._stop.set()
        self._inbox.close()
        self._thread.join(timeout=STOP_S)

    def ask(self, followed: Followed, now: SlateNow) -> dict[str, Any] | None:
        """The best swap as things stand now, None where none gains or it is still being searched."""
        question = now.question
        known = self._answers.get(followed.lineup_id)
        if known is not None and known.question == question:
            return known.swap
        if self._asked.get(followed.lineup_id) != question:
            self._asked[followed.lineup_id] = question
            self._inbox.put(followed.lineup_id, (followed, now))
        return None

    def forget(self, lineup_id: str) -> None:
        """Nobody follows the lineup any more."""
        self._asked.pop(lineup_id, None)
        self._answers.pop(lineup_id, None)

    def search(self, followed: Followed, now: SlateNow) -> None:
        """Search one lineup now, unless things stand otherwise meanwhile."""
        question, lineup_id = now.question, followed.lineup_id

        def stale() -> bool:
            return self._stop.is_set() or self._asked.get(lineup_id) != question

        try:
            swap = None if stale() else best_swap(followed, now, self._seen, stale)
        except Cancelled:
            self.cancelled += 1
            return
        except FantasyError as error:
            log.warning("lineup=%s cannot be searched: %s", lineup_id, error)
            swap = None
        if stale():
            self.cancelled += 1
            return
        self.searched += 1
        self._answers[lineup_id] = Answered(question, swap)
        self._found(lineup_id)

    def _work(self) -> None:
        while not self._stop.is_set():
            taken = self._inbox.take(WAIT_S)
            if taken is None:
                continue
            began = time.monotonic()
            try:
                self.search(*taken[1])
            except DEFECTS:
                log.exception("lineup=%s not searched", taken[0])
            # Games are answered by another thread of this process: with many lineups they get every other turn.
            self._stop.wait(time.monotonic() - began)
