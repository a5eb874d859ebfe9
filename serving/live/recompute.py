"""The process that asks the models again: `python -m serving.live recompute --league L`.

It follows the delta streams and writes to them as `model` (games, players, slates, lineups) and `registry` (`model`).
What is slow (a late swap, a slate) runs on threads of its own; games are answered one after the other, and a state that
was overtaken by a newer one is never asked about. Of several of these processes one speaks (`serving.live.seat`); the
others follow everything and take over.
"""

from __future__ import annotations

import logging
import signal
import statistics
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from msgspec import convert

from features.errors import FantasyError
from features.stores.database import Database
from features.stores.online import OnlineStore
from features.stream.connections import Servers
from features.stream.deltas import Change
from features.stream.directory import Directory
from features.stream.news import News
from features.stream.reader import LiveState
from features.workspace import League
from models.registry import Registry
from serving.champion import FAMILIES, Champions
from serving.live.curves import Curves
from serving.live.defects import DEFECTS, Complaints
from serving.live.follow_games import FollowGames
from serving.live.follow_lineups import FollowLineups
from serving.live.live_lines import LiveLines
from serving.live.live_lineups import LineupStore
from serving.live.live_slates import LiveSlates
from serving.live.model_topic import ModelTopic
from serving.live.publisher import Publisher
from serving.live.seat import Seat
from serving.live.seen import Seen, Tail
from serving.live_games import LiveGames
from serving.predictor import SlatePredictor
from serving.settings import ServingSettings
from serving.snapshot import Snapshots

log = logging.getLogger(__name__)
#: Seconds between looks at slates without any news (new data, a new champion, a slate just uploaded).
SLATES_S: Final = 5.0
RETRY_S: Final = 1.0
#: Longest wait for the champions before games are answered by baselines instead.
CHAMPIONS_S: Final = 20.0
REPORT_S: Final = 30.0
STOP_S: Final = 10.0
#: Longest wait, a partition, for what stands on the topics before the first answer.
TAIL_S: Final = 10.0


class Recompute:
    """The parts and their threads. `clock` gives the aware time now."""

    def __init__(
        self, settings: ServingSettings, league: League, *, clock: Callable[[], datetime] | None = None
    ) -> None:
        now = clock or (lambda: datetime.now(UTC))
        partitions = settings.stream_partitions
        self._settings, self._league = settings, league
        self._servers = Servers(settings.redis_url)
        self._database = Database(settings.database_url)
        self._online = OnlineStore(settings.redis_url)
        self.champions = Champions(settings, Registry(settings, self._database))
        snapshots = Snapshots(self._online)
        self._predictor = SlatePredictor(
            self.champions, self._online, snapshots, torch_threads=settings.torch_threads
        )
        self._states = [LiveState(settings.redis_url, league, partitions) for _ in range(2)]
        self.seen = Seen(self._servers, league)
        self.seat = Seat(self._servers, league, partitions, self._everything_anew)
        publisher = Publisher(self._servers, league, partitions, "model", self.seat.turn)
        lines = LiveLines(self.champions, LiveGames(settings.home, snapshots, now))
        directory = Directory(self._servers.client(), league)
        self.games = FollowGames(
            league, self._states[0], directory, lines, publisher, self.seen, Curves(self._servers, league),
            turn=self.seat.turn, torch_threads=settings.torch_threads,
        )  # fmt: skip
        self.slates = LiveSlates(league, self._database, self._predictor, self.seen, now)
        self._news, self._stop = threading.Event(), threading.Event()
        self.lineups = FollowLineups(
            league,
            LineupStore(self._servers),
            self.slates,
            publisher,
            self.seen,
            now,
            self._news.set,
            self.seat.held,
        )
        self._publisher = publisher
        registry = Publisher(self._servers, league, partitions, "registry", self.seat.turn)
        self.models = ModelTopic(
            self.champions, league, registry, self._new_champion, every_s=settings.champion_poll_s
        )
        self._tail = Tail(self._servers, league, partitions, self._changed)
        self._slates_thread = threading.Thread(target=self._follow_slates, name="slates", daemon=True)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        self.start()
        try:
            while not stop.wait(REPORT_S):
                self._report()
        finally:
            self.stop()

    def start(self) -> None:
        """Start every part; the champions get a moment to be loaded before the first answer."""
        self.champions.start()
        self._await_champions()
        self._tail.start()
        self._tail.wait(TAIL_S)
        self.seat.start()
        self.games.start()
        self.models.start()
        self._slates_thread.start()
        self.lineups.start()
        log.info("recompute of league %s started", self._league)

    def stop(self) -> None:
        """Stop every part."""
        self._stop.set()
        self._news.set()
        self._tail.stop()
        self.lineups.stop()
        self.games.stop()
        self.models.stop()
        self._slates_thread.join(timeout=STOP_S)
        self.seat.stop()
        self.champions.stop()
        self._predictor.close()
        for state in self._states:
            state.close()
        self._online.close()
        self._database.close()
        self._servers.close()

    def refresh_slates(self) -> int:
        """Project the slates as news has them; how many topics changed. Raises `StoreUnavailable`."""
        self.slates.hear(self._states[1].news())
        return self._publisher.publish(self.slates.refresh())

    def _changed(self, partition: int, change: Change) -> None:
        self.seen.take(partition, change)
        if change.writer == "news":
            told = change.data.get("news") or ()
            self.slates.hear(convert({**each, "subject": change.topic}, News) for each in told)
            self._news.set()
            return
        if change.writer == "model" and not any(value is not None for value in change.data.values()):
            self._publisher.forget(partition, change.topic)
        what, _, name = change.topic.partition(":")
        if change.writer == "state" and what == "game" and self.seat.held():
            self.games.touch(name, change.at_ns)
        if what in ("game", "player"):
            self.lineups.touch(change)

    def _everything_anew(self) -> None:
        """This process speaks from now on: what was told while it stood by may be old."""
        self.models.tell_again()
        self.lineups.tell_again()
        self._new_champion()

    def _new_champion(self) -> None:
        for game_id in self.seen.games():
            self.games.touch(game_id, 0)
        self._news.set()

    def _await_champions(self) -> None:
        until = time.monotonic() + CHAMPIONS_S
        while self.champions.problem() is not None and time.monotonic() < until:
            time.sleep(0.05)
        served = [name for name in FAMILIES if self.champions.get(self._league, name) is not None]
        log.info("champions of league %s: %s", self._league, ", ".join(served) or "none; baselines answer")

    def _follow_slates(self) -> None:
        complaints = Complaints()
        while not self._stop.is_set():
            self._news.clear()
            try:
                self.refresh_slates()
                complaints.over("slates")
            except (FantasyError, *DEFECTS) as error:
                if complaints.fresh("slates", repr(error)):
                    log.warning(
                        "slates not projected yet: %s", error, exc_info=not isinstance(error, FantasyError)
                    )
                self._stop.wait(RETRY_S)
                continue
            self._news.wait(SLATES_S)

    def _report(self) -> None:
        counts = self.games.counts
        log.info(
            "games answered=%d overtaken=%d failed=%d latency_ms p50=%.0f work_ms p50=%.0f; lineups=%d swaps "
            "searched=%d cancelled=%d",
            counts.answered, self.games.superseded, counts.failed,
            statistics.median(counts.latency_ms or [0.0]), statistics.median(counts.work_ms or [0.0]),
            len(self.lineups), self.lineups.swaps.searched, self.lineups.swaps.cancelled,
        )  # fmt: skip


def run(settings: ServingSettings, league: League) -> None:
    """Follow a league's games until SIGTERM or SIGINT."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    Recompute(settings, league).run(stop)
