"""Writes what was predicted, and which arm of an experiment was served, to the database: off the hot path, once."""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from features.errors import StoreUnavailable
from features.stores.database import Database
from features.stores.exposures import Exposure, save_exposures
from features.stores.predictions import ServedPrediction, save_predictions
from models.live_micro import PossessionAnswer, RemainderAnswer, ShotAnswer, SideAnswer
from serving import telemetry
from serving.in_game import GameAnswer, LineAnswer, LiveAnswer, NextAnswer, Source
from serving.predictor import POINTS, Projected, Winners

log = logging.getLogger(__name__)
WAITING: Final = 256
REMEMBERED: Final = 4096
TRIES: Final = 5
RETRY_S: Final = 1.0
CLOSE_S: Final = 5.0
TIER: Final = "regional"
Rows = Callable[[], Sequence[ServedPrediction]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What waits to be written: `save` writes `count` rows of `what`; `key` is how it is remembered."""

    key: str
    what: str
    count: int
    save: Callable[[Database], None]


class Recorder:
    """A queue and the one thread that empties it; a full queue or a database that stays away is counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.Queue[Callable[[], _Entry] | None] = queue.Queue(WAITING)
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
            log.warning("predictions and exposures still wait while the database is away")
        self._thread.join(timeout=CLOSE_S)

    def projections(self, projected: Projected) -> None:
        """Record a slate's projections, unless this question was recorded before."""
        self._put(projected.question, lambda: projection_rows(projected, datetime.now(UTC)))

    def winners(self, winners: Winners) -> None:
        """Record the probabilities of a slate's games, unless this question was recorded before."""
        self._put(winners.question, lambda: winner_rows(winners, datetime.now(UTC)))

    def live(self, answer: GameAnswer | LineAnswer | NextAnswer) -> None:
        """Record an answer about a game in progress, unless this question was recorded before; what is known for
        certain (a finished game) is no prediction."""
        if answer.found.game.final:
            return
        self._put(answer.question, lambda: live_rows(answer, datetime.now(UTC)))

    def exposure(self, exposure: Exposure) -> None:
        """Record that a unit was served an arm, unless it was recorded today; one that was lost is counted, and is
        recorded when the unit comes back."""
        day = exposure.exposed_at.date()
        key = f"{exposure.experiment}/{exposure.bucket_version}/{exposure.unit_hash}/{exposure.arm}/{day}"
        self._queue_once(
            key, lambda: _Entry(key, "exposures", 1, lambda database: save_exposures(database, [exposure]))
        )

    def _put(self, question: str, rows: Rows) -> None:
        def entry() -> _Entry:
            made = rows()
            return _Entry(question, "predictions", len(made), lambda database: save_predictions(database, made))

        self._queue_once(question, entry)

    def _queue_once(self, question: str, entry: Callable[[], _Entry]) -> None:
        with self._lock:
            if question in self._seen:
                return
            self._seen[question] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._lose(entry())

    def _lose(self, entry: _Entry) -> None:
        """Count what could not be written, and forget it: the same answer given again is recorded then."""
        with self._lock:
            self._seen.pop(entry.key, None)
        (telemetry.UNRECORDED if entry.what == "predictions" else telemetry.UNEXPOSED).inc(entry.count)

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            self._write(entry())

    def _write(self, entry: _Entry) -> None:
        for _ in range(TRIES):
            try:
                entry.save(self._database)
            except StoreUnavailable as error:
                log.warning("%s=%d not recorded yet: %s", entry.what, entry.count, error)
                self._closing.wait(RETRY_S)
            else:
                (telemetry.RECORDED if entry.what == "predictions" else telemetry.EXPOSED).inc(entry.count)
                return
        self._lose(entry)


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
            fallback=row["basis"] in {"file_average", "prior"},
            latency_ms=projected.latency_ms,
        )
        for row in given.frame.to_dicts()
    ]


def winner_rows(winners: Winners, served_at: datetime) -> list[ServedPrediction]:
    """One row per game of the slate and target: the winner, and margin and total where the model answers them."""
    rows = []
    for row in winners.games.to_dicts():
        rows.append(_winner_row(winners, row, served_at, probability=row["home_win_probability"]))
        for target in POINTS:
            if row[f"{target}_mean"] is not None:
                rows.append(_winner_row(winners, row, served_at, target=target))
    return rows


def _winner_row(
    winners: Winners,
    row: dict[str, Any],
    served_at: datetime,
    *,
    target: str | None = None,
    probability: float | None = None,
) -> ServedPrediction:
    quantiles = {name: row[f"{target}_{name}"] for name in ("q10", "q50", "q90")} if target else None
    return ServedPrediction(
        prediction_id=winners.prediction_id(row["game_id"], target or ""),
        served_at=served_at,
        league=winners.stored.league,
        target=target or "home_win",
        game_id=row["game_id"],
        player_id=None,
        slate_id=winners.stored.slate.slate_id,
        asked_at="pregame",
        model_name=winners.model_name,
        model_version=winners.model_version,
        view_versions=dict(winners.view_versions),
        data_timestamp=winners.data_timestamp,
        mean=row[f"{target}_mean"] if target else None,
        probability=probability,
        quantiles=quantiles,
        tier=TIER,
        fallback=winners.fallback,
        latency_ms=winners.latency_ms,
    )


def live_rows(answer: GameAnswer | LineAnswer | NextAnswer, served_at: datetime) -> list[ServedPrediction]:
    """Every number of an answer about a game."""
    if isinstance(answer, GameAnswer):
        return game_answer_rows(answer, served_at)
    if isinstance(answer, LineAnswer):
        return line_answer_rows(answer, served_at)
    return next_answer_rows(answer, served_at)


def game_answer_rows(answer: GameAnswer, served_at: datetime) -> list[ServedPrediction]:
    """Winner, margin, and the amounts of every player who has appeared: of the others it is not known whether the
    condition of their answer holds."""
    win = answer.win
    margin = dict(zip(("q10", "q50", "q90"), win.quantiles, strict=True))
    rows = [
        _live_row(answer, answer.source, "home_win", served_at, probability=win.probability),
        _live_row(answer, answer.source, "home_margin", served_at, mean=win.margin, quantiles=margin),
    ]
    appeared = answer.found.listed.filter("appeared").select("player_id")
    for line in answer.lines.join(appeared, on="player_id", how="semi").iter_rows(named=True):
        quantiles = {name: line[name] for name in ("q10", "q50", "q90")}
        rows.append(
            _live_row(
                answer, answer.lines_source, line["amount"], served_at, player_id=line["player_id"],
                mean=line["mean"], quantiles=quantiles,
            )
        )  # fmt: skip
    return rows


def line_answer_rows(answer: LineAnswer, served_at: datetime) -> list[ServedPrediction]:
    """One row; the target names the line."""
    target = over_target(answer)
    over = answer.over
    return [
        _live_row(
            answer, answer.source, target, served_at, player_id=answer.player_id, probability=over.probability
        )
    ]


def next_answer_rows(answer: NextAnswer, served_at: datetime) -> list[ServedPrediction]:
    """The possession's expected points with its chances as `quantiles`, two minutes' points per team, the shot, or the
    winner and final points of the simulated rest."""
    given = answer.given
    if isinstance(given, PossessionAnswer):
        chances = {f"p{k}": chance for k, chance in enumerate(given.chances)}
        mean = sum(k * chance for k, chance in enumerate(given.chances))
        return [
            _live_row(answer, answer.source, "next_possession_points", served_at, mean=mean, quantiles=chances)
        ]
    if isinstance(given, ShotAnswer):
        return [_live_row(answer, answer.source, "shot_made", served_at, probability=given.probability)]
    if isinstance(given, RemainderAnswer):
        winner = _live_row(answer, answer.source, "home_win", served_at, probability=given.probability)
        return [winner, *(_side_row(answer, "final_points", side, served_at) for side in given.teams)]
    return [_side_row(answer, "points_next_2min", side, served_at) for side in given]


def _side_row(answer: NextAnswer, target: str, side: SideAnswer, served_at: datetime) -> ServedPrediction:
    quantiles = None if side.quantiles is None else dict(zip(("q10", "q50", "q90"), side.quantiles, strict=True))
    return _live_row(answer, answer.source, target, served_at, part=side.team, mean=side.mean, quantiles=quantiles)


def over_target(answer: LineAnswer) -> str:
    """Name of the target of a line, e.g. `points_over_24.5`."""
    return f"{answer.amount}_over_{answer.line:g}"


def part_of(target: str, player_id: int | None = None, part: str = "") -> str:
    """Which number of an answer about a game this is: what its `prediction_id` is made of."""
    return f"{target}/{player_id or ''}/{part}"


def _live_row(
    answer: LiveAnswer,
    source: Source,
    target: str,
    served_at: datetime,
    *,
    player_id: int | None = None,
    part: str = "",
    mean: float | None = None,
    probability: float | None = None,
    quantiles: dict[str, float] | None = None,
) -> ServedPrediction:
    found = answer.found
    return ServedPrediction(
        prediction_id=answer.prediction_id(part_of(target, player_id, part)),
        served_at=served_at,
        league=found.league,
        target=target,
        game_id=found.game.game_id,
        player_id=player_id,
        slate_id=None,
        asked_at=str(found.game.moment["asked_at"][0]),
        model_name=source.name,
        model_version=source.version,
        view_versions=found.view_versions,
        data_timestamp=found.data_timestamp,
        mean=mean,
        probability=probability,
        quantiles=quantiles,
        tier=TIER,
        fallback=source.fallback,
        latency_ms=answer.latency_ms,
    )
