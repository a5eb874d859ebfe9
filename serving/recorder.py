"""Writes what was predicted to the database, off the hot path and once per question."""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from features.errors import StoreUnavailable
from features.stores.database import Database
from features.stores.predictions import ServedPrediction, save_predictions
from serving import telemetry
from serving.predictor import Projected, Winners

log = logging.getLogger(__name__)
WAITING: Final = 256
REMEMBERED: Final = 4096
TRIES: Final = 5
RETRY_S: Final = 1.0
CLOSE_S: Final = 5.0
TIER: Final = "regional"
Rows = Callable[[], Sequence[ServedPrediction]]


class Recorder:
    """A queue and the one thread that empties it; a full queue or a database that stays away is counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.Queue[Rows | None] = queue.Queue(WAITING)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, for `CLOSE_S` seconds at most, and stop."""
        self._closing.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            log.warning("predictions still wait while the database is away")
        self._thread.join(timeout=CLOSE_S)

    def projections(self, projected: Projected) -> None:
        """Record a slate's projections, unless this question was recorded before."""
        self._put(projected.question, lambda: projection_rows(projected, datetime.now(UTC)))

    def winners(self, winners: Winners) -> None:
        """Record the probabilities of a slate's games, unless this question was recorded before."""
        self._put(winners.question, lambda: winner_rows(winners, datetime.now(UTC)))

    def _put(self, question: str, rows: Rows) -> None:
        with self._lock:
            if question in self._seen:
                return
            self._seen[question] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        try:
            self._queue.put_nowait(rows)
        except queue.Full:
            self._forget(question)
            telemetry.UNRECORDED.inc(len(rows()))

    def _forget(self, question: str) -> None:
        with self._lock:
            self._seen.pop(question, None)

    def _work(self) -> None:
        while (rows := self._queue.get()) is not None:
            self._write(rows())

    def _write(self, predictions: Sequence[ServedPrediction]) -> None:
        for _ in range(TRIES):
            try:
                save_predictions(self._database, predictions)
            except StoreUnavailable as error:
                log.warning("predictions=%d not recorded yet: %s", len(predictions), error)
                self._closing.wait(RETRY_S)
            else:
                telemetry.RECORDED.inc(len(predictions))
                return
        telemetry.UNRECORDED.inc(len(predictions))


def projection_rows(projected: Projected, served_at: datetime) -> list[ServedPrediction]:
    """One row per player of the slate."""
    given, slate = projected.projections, projected.stored.slate
    games = {p.site_id: f"{p.opponent}@{p.team}" if p.is_home else f"{p.team}@{p.opponent}" for p in slate.players}
    return [
        ServedPrediction(
            prediction_id=projected.prediction_id(row["site_id"]),
            served_at=served_at,
            league=projected.stored.league,
            target=f"fantasy_points_{slate.site}",
            game_id=games[row["site_id"]],
            player_id=row["player_id"],
            slate_id=slate.slate_id,
            asked_at="pregame",
            model_name=given.model_name,
            model_version=given.model_version,
            view_versions=projected.view_versions,
            data_timestamp=given.data_timestamp,
            mean=row["mean"],
            probability=None,
            quantiles={name: row[name] for name in ("q10", "q50", "q90")},
            tier=TIER,
            fallback=row["basis"] == "file_average",
            latency_ms=projected.latency_ms,
        )
        for row in given.frame.to_dicts()
    ]


def winner_rows(winners: Winners, served_at: datetime) -> list[ServedPrediction]:
    """One row per game of the slate."""
    return [
        ServedPrediction(
            prediction_id=winners.prediction_id(row["game_id"]),
            served_at=served_at,
            league=winners.stored.league,
            target="home_win",
            game_id=row["game_id"],
            player_id=None,
            slate_id=winners.stored.slate.slate_id,
            asked_at="pregame",
            model_name=winners.model_name,
            model_version=winners.model_version,
            view_versions=dict(winners.view_versions),
            data_timestamp=winners.data_timestamp,
            mean=None,
            probability=row["home_win_probability"],
            quantiles=None,
            tier=TIER,
            fallback=winners.fallback,
            latency_ms=winners.latency_ms,
        )
        for row in winners.games.to_dicts()
    ]
