"""Keeps every followed lineup told: a few times a second those that something touched, the others not at all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from features.contests import load_contest
from features.errors import FantasyError, StoreUnavailable
from features.stream.deltas import Change
from features.workspace import League
from serving.live.defects import DEFECTS, Complaints
from serving.live.live_lineups import KEPT_S, Followed, LineupStore
from serving.live.live_slates import LiveSlates
from serving.live.publisher import Publisher
from serving.live.seen import Seen
from serving.live.standing import SlateNow, lineup_topic, slate_now
from serving.live.swaps import Swaps

log = logging.getLogger(__name__)
TICK_S: Final = 0.25
#: Seconds between looks for new lineups.
LOOK_S: Final = 0.5
STOP_S: Final = 5.0


class FollowLineups:
    """One thread that publishes lineups; `wake` is called when a slate is wanted that was not.

    `touch` and `touch_lineup` may be called by any thread.
    """

    def __init__(
        self,
        league: League,
        store: LineupStore,
        slates: LiveSlates,
        publisher: Publisher,
        seen: Seen,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        speaks: Callable[[], bool] = lambda: True,
    ) -> None:
        self._league = league
        self._store = store
        self._slates = slates
        self._publisher = publisher
        self._seen = seen
        self._clock = clock
        self._wake = wake
        self._speaks = speaks
        self.swaps = Swaps(seen, self.touch_lineup)
        self._followed: dict[str, tuple[Followed, float]] = {}
        self._of_slate: dict[str, set[str]] = {}
        self._since_ms = 0
        self._looked = -LOOK_S
        self._lock = threading.Lock()
        self._touched_players: dict[str, int] = {}
        self._touched_lineups: set[str] = set()
        self._questions: dict[str, str] = {}
        self._anew = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lineups", daemon=True)
        self.published = 0

    def __len__(self) -> int:
        return len(self._followed)

    def start(self) -> None:
        """Begin publishing and searching."""
        self.swaps.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop both."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)
        self.swaps.stop()

    def touch(self, change: Change) -> None:
        """A player or a game is not as it was."""
        with self._lock:
            self._touched_players[change.topic] = max(change.at_ns, self._touched_players.get(change.topic, 0))

    def touch_lineup(self, lineup_id: str) -> None:
        """Something is known of one lineup."""
        with self._lock:
            self._touched_lineups.add(lineup_id)

    def tell_again(self) -> None:
        """Work out every lineup with the next tick."""
        self._anew = True

    def tick(self) -> int:
        """Publish every lineup that something touched; how many topics changed. Raises `StoreUnavailable`.

        While another process speaks nothing is worked out; what was touched waits.
        """
        self._look()
        if not self._speaks():
            return 0
        if self._anew:
            self._anew, self._questions = False, {}
        with self._lock:
            touched, self._touched_players = self._touched_players, {}
            lineups, self._touched_lineups = self._touched_lineups, set()
        try:
            changed = self._publish(touched, lineups)
        except StoreUnavailable:
            with self._lock:
                self._touched_players = {**touched, **self._touched_players}
                self._touched_lineups |= lineups
            raise
        self.published += changed
        return changed

    def _publish(self, touched: dict[str, int], lineups: set[str]) -> int:
        topics: dict[str, dict[str, Any]] = {}
        at_ns = 0
        questions: dict[str, str] = {}
        for slate_id, ids in self._of_slate.items():
            now = self._slate_now(slate_id)
            if now is None:
                continue
            questions[slate_id] = question = now.question
            everybody = self._questions.get(slate_id) != question
            players: dict[tuple[str, str], dict[str, Any]] = {}
            for lineup_id in ids:
                followed = self._followed[lineup_id][0]
                if not all(site_id in now.listed for site_id in followed.players):
                    continue  # the slate was stored anew without one of them
                causes = [touched[topic] for topic in _topics_of(followed, now) if topic in touched]
                if everybody or causes or lineup_id in lineups:
                    at_ns = max([at_ns, *causes])
                    swap = self.swaps.ask(followed, now)
                    topics[followed.topic] = lineup_topic(followed, now, self._seen, swap, players)
        changed = self._publisher.publish(topics, at_ns=at_ns or None) if topics else 0
        self._questions = questions
        return changed

    def _slate_now(self, slate_id: str) -> SlateNow | None:
        projected = self._slates.current(slate_id)
        if projected is None:
            return None
        slate = projected.stored.slate
        return slate_now(projected, load_contest(slate.site, slate.sport, slate.mode), self._seen, self._clock())

    def _look(self) -> None:
        """Take over new lineups, and let go of those that are too old."""
        started = time.monotonic()
        if started - self._looked < LOOK_S:
            return
        added, self._since_ms = self._store.added_since(self._since_ms)
        self._looked = started
        for followed in added:
            if followed.league == self._league and followed.lineup_id not in self._followed:
                self._followed[followed.lineup_id] = (followed, started)
                self._of_slate.setdefault(followed.slate_id, set()).add(followed.lineup_id)
                self.touch_lineup(followed.lineup_id)
                if self._slates.want(followed.slate_id):
                    self._wake()
        over = [each for each, since in self._followed.values() if started - since > KEPT_S]
        if over:
            self._publisher.drop(followed.topic for followed in over)
        for followed in over:
            del self._followed[followed.lineup_id]
            self._of_slate[followed.slate_id].discard(followed.lineup_id)
            self.swaps.forget(followed.lineup_id)

    def _work(self) -> None:
        complaints = Complaints()
        while not self._stop.wait(TICK_S):
            try:
                self.tick()
                complaints.over("tick")
            except (FantasyError, *DEFECTS) as error:
                if complaints.fresh("tick", repr(error)):
                    log.warning("lineups not told yet: %s", error, exc_info=not isinstance(error, FantasyError))


def _topics_of(followed: Followed, now: SlateNow) -> list[str]:
    """Topics that the lineup's numbers are made of."""
    players = [f"player:{now.listed[site_id].player_id}" for site_id in followed.players]
    return [*players, *(f"game:{game_id}" for game_id in now.live.values())]
