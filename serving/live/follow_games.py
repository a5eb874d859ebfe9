"""Asks the champions about every game that plays touched, the newest state only, and publishes what changed."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl
import torch

from features.errors import FantasyError, StoreUnavailable
from features.play.tally import Untold
from features.stream.directory import Directory
from features.stream.events import Rows
from features.stream.plays import plays_of
from features.stream.reader import LiveState
from features.workspace import League
from serving.live.curves import Curves
from serving.live.defects import DEFECTS, Complaints
from serving.live.inbox import Inbox
from serving.live.live_lines import LiveLines, game_topic, player_topics
from serving.live.publisher import Publisher
from serving.live.seen import Seen
from serving.live.tallies import Tallies
from serving.live_games import AskedGame, ToldGame

log = logging.getLogger(__name__)
#: A game is answered at most so often: nobody sees more, and a replay at full speed asks for no more.
EVERY_S: Final = 0.1
RETRY_S: Final = 0.5
#: A curve of a game first heard of when it is under way has an answer for each so many seconds of what was played, at
#: most so many.
MARK_S: Final = 120.0
MOST_MARKS: Final = 40
WAIT_S: Final = 0.5
STOP_S: Final = 10.0
#: Latencies kept for `Counts`.
MEASURED: Final = 1000


@dataclass(slots=True)
class Counts:
    """What was done so far; `latency_ms` from a play's creation to its answer, `work_ms` of one answer."""

    answered: int = 0
    unchanged: int = 0
    failed: int = 0
    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))
    work_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MEASURED))


class FollowGames:
    """One thread that answers touched games. `touch` may be called by any thread."""

    def __init__(
        self,
        league: League,
        state: LiveState,
        directory: Directory,
        lines: LiveLines,
        publisher: Publisher,
        seen: Seen,
        curves: Curves,
        *,
        turn: Callable[[], bytes | None],
        torch_threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._league = league
        self._state = state
        self._directory = directory
        self._lines = lines
        self._publisher = publisher
        self._seen = seen
        self._curves = curves
        self._turn = turn
        self._torch_threads = torch_threads
        self._tallies = Tallies()
        self._begun: set[str] = set()
        self._inbox: Inbox[str, int] = Inbox(EVERY_S, clock)
        self._stop = threading.Event()
        self._complaints = Complaints()
        self._thread = threading.Thread(target=self._work, name="games", daemon=True)
        self.counts = Counts()

    @property
    def superseded(self) -> int:
        """States that were never asked about, because a newer one came first."""
        return self._inbox.superseded

    def start(self) -> None:
        """Begin answering."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answer under way and stop."""
        self._stop.set()
        self._inbox.close()
        self._thread.join(timeout=STOP_S)

    def touch(self, game_id: str, at_ns: int) -> None:
        """The game has a newer state, whose cause was created at `at_ns` (UNIX ns; 0: not known)."""
        self._inbox.put(game_id, at_ns)

    def answer(self, game_id: str, at_ns: int) -> int:
        """Answer one game now; returns how many topics changed. Raises what `LiveLines.answer` raises, and
        `StoreUnavailable`."""
        started = time.perf_counter()
        partition = self._seen.partition(f"game:{game_id}")
        turn = self._turn()
        if partition is None or self._settled(game_id) or turn is None:
            return 0
        info = self._seen.info(game_id)
        rows = self._state.rows(game_id)
        if not len(rows):
            return 0
        asked = self._asked(game_id, rows, None if info is None else info.tip)
        self._begin_curve(partition, asked, rows, turn)
        answer = self._lines.answer(asked)
        topics: dict[str, dict[str, Any]] = {f"game:{game_id}": game_topic(answer)}
        topics |= {f"player:{player_id}": told for player_id, told in player_topics(answer).items()}
        now_ns = time.time_ns()
        if at_ns:
            latency_ms = (now_ns - at_ns) / 1e6
            topics[f"game:{game_id}"]["latency_ms"] = round(latency_ms, 1)
            self.counts.latency_ms.append(latency_ms)
        changed = self._publisher.publish(topics, partition=partition, at_ns=at_ns or now_ns)
        self._curves.add(partition, game_id, answer, turn)
        self.counts.answered += 1
        self.counts.unchanged += changed == 0
        self.counts.work_ms.append(1000 * (time.perf_counter() - started))
        return changed

    def _begin_curve(self, partition: int, asked: AskedGame, rows: Rows, turn: bytes) -> None:
        """Of a game under way that nobody asked about so far: what the models would have said."""
        if asked.game_id in self._begun:
            return
        if not self._curves.of(partition, asked.game_id):
            plays = self._plays(rows)
            # One play for each so many seconds; the newest is answered anyway.
            passed = (plays["elapsed_s"].fill_null(strategy="forward").fill_null(0.0) // MARK_S).rle_id()
            firsts = plays.filter(passed.is_first_distinct())["seq"].to_list()
            for seq in firsts[:MOST_MARKS]:
                then = replace(asked, plays=plays, told=None, seq=seq)
                self._curves.add(partition, asked.game_id, self._lines.answer(then), turn)
        self._begun.add(asked.game_id)

    def _settled(self, game_id: str) -> bool:
        """Whether the game is over and was answered so."""
        state, told = self._seen.of(f"game:{game_id}", "state"), self._seen.of(f"game:{game_id}", "model")
        return state.get("status") == "final" and told.get("at_seq", -1) >= state.get("seq", 0)

    def _asked(self, game_id: str, rows: Rows, tip: datetime | None) -> AskedGame:
        try:
            tally = self._tallies.tell(game_id, rows, self._directory)
        except Untold:
            return AskedGame(self._league, game_id, plays=self._plays(rows), tip=tip)
        return AskedGame(self._league, game_id, tip=tip, told=ToldGame(tally, lambda: self._plays(rows)))

    def _plays(self, rows: Rows) -> pl.DataFrame:
        """The game's plays, one for each number: where two sources tell of one game the newest row stands."""
        return plays_of(rows, self._directory).unique("seq", keep="last", maintain_order=True)

    def _work(self) -> None:
        torch.set_num_threads(self._torch_threads)
        while not self._stop.is_set():
            taken = self._inbox.take(WAIT_S)
            if taken is None:
                continue
            game_id, at_ns = taken
            try:
                self.answer(game_id, at_ns)
                self._complaints.over(game_id)
            except StoreUnavailable as error:
                if self._complaints.fresh(game_id, repr(error)):
                    log.warning("game=%s not answered yet: %s", game_id, error)
                self._stop.wait(RETRY_S)
                self._inbox.put_back(game_id, at_ns)
            except (FantasyError, *DEFECTS) as error:
                # One game whose plays cannot be read must not keep the others waiting; its `at_seq` tells its age.
                self.counts.failed += 1
                if self._complaints.fresh(game_id, repr(error)):
                    known = isinstance(error, FantasyError)
                    log.warning("game=%s cannot be answered: %r", game_id, error, exc_info=not known)
