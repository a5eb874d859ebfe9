"""Sends plays and news that have moments of their own: at that pace, faster, or at once.

The order is the same in every run, and so are the sequence numbers: a run that goes on where another stopped gives
the producer everything again, which leaves out what is applied; only what is left is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InvalidInput, SchemaError
from features.play.plays import COLUMNS
from features.stream.directory import GameInfo, Glossary, LocalDirectory, partition_of
from features.stream.events import Flag, Rows, key_of
from features.stream.news import News
from features.stream.plays import events_of
from features.stream.simulated import Load
from features.tables import PBP

Play = dict[str, Any]
#: Types of `features.play.plays.COLUMNS`.
PLAY_SCHEMA: Final = {name: PBP[name] for name in COLUMNS}
#: Rows given to the producer at once: progress is shown, and an end is noticed, between two chunks.
CHUNK_ROWS: Final = 2000
#: The longest sleep, for the same reason.
NAP_S: Final = 0.25
#: Generated events at once at most, and the pause when no more are due.
LOAD_ROWS: Final = 20_000
LOAD_NAP_S: Final = 0.001


class Sink(Protocol):
    """What is needed of `features.stream.producer.Producer`."""

    def send_many(self, rows: Rows) -> Any: ...
    def send_critical(self, row: Any) -> Any: ...
    def send_news(self, news: News) -> Any: ...


class ResumeFrom(Protocol):
    """`Producer.resume_from`: how many rows of a lane are applied."""

    def __call__(self, partition: int, *, critical: bool = False) -> int: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """`speed` recorded seconds a second (None: at once), by `clock_ns` (UNIX) and `sleep` (seconds).

    `stopped` is asked between chunks; True ends the sending.
    """

    speed: float | None = 1.0
    clock_ns: Callable[[], int] = time.time_ns
    sleep: Callable[[float], None] = time.sleep
    stopped: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        if self.speed is not None and not 0 < self.speed < float("inf"):
            raise InvalidInput(f"speed {self.speed!r} is not a number above 0; write 1, 60 or max")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent in `seconds`; `lag_ms` is by how much each came later than its moment, in order."""

    events: int
    seconds: float
    lag_ms: NDArray[np.float64]
    finished: bool

    def as_json(self) -> dict[str, Any]:
        """Numbers for a machine."""
        p50, p99 = np.percentile(self.lag_ms, (50, 99)) if len(self.lag_ms) else (0.0, 0.0)
        return {
            "seconds": round(self.seconds, 3),
            "events_per_s": round(self.events / self.seconds, 1) if self.seconds > 0 else 0.0,
            "lag_p50_ms": round(float(p50), 3),
            "lag_p99_ms": round(float(p99), 3),
            "finished": self.finished,
        }


def rows_of(plays: pl.DataFrame, games: Sequence[GameInfo], directory: Glossary) -> Rows:
    """Event rows of finished games' plays, in their order; games and texts are registered before this returns.

    Rows are kept for the models, and each game's last play ends it. `created_ns` is left to the sending.
    """
    for game in games:
        directory.register_game(game)
    rows, _ = events_of(plays, directory)
    last = plays.with_row_index("at").group_by("game_id").agg(pl.col("at").sort_by("seq").last())["at"].to_numpy()
    rows["flags"][last] |= np.uint8(Flag.final)
    return rows


def sound_plays(plays: Sequence[Play]) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """`plays` (dicts with COLUMNS) that fit into event rows, in order; and (index, reason) of those that do not."""
    try:
        return _fitting(plays), []
    except SchemaError:  # one of them: find which
        kept: list[Play] = []
        wrong: list[tuple[int, str]] = []
        for index, play in enumerate(plays):
            try:
                _fitting([play])
                kept.append(play)
            except SchemaError as error:
                wrong.append((index, str(error)))
        return _fitting(kept), wrong


def _fitting(plays: Sequence[Play]) -> pl.DataFrame:
    try:
        frame = pl.DataFrame(plays, schema=PLAY_SCHEMA, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise SchemaError(f"a value of the play has the wrong type or size: {error}") from error
    events_of(frame, LocalDirectory())
    return frame


def is_critical(rows: Rows) -> NDArray[np.bool_]:
    """True for plays that change the score: they travel on the critical lane, all others in bulk."""
    return np.asarray(rows["points"] > 0)


def applied_plays(rows: Rows, partitions: int, resume_from: ResumeFrom) -> NDArray[np.bool_]:
    """True for rows that an earlier run of the same life got applied."""
    partition = partition_of(rows["game"].astype(np.int64), partitions)
    return _applied(2 * partition + is_critical(rows), partitions, resume_from)


def applied_news(news: Sequence[News], partitions: int, resume_from: ResumeFrom) -> NDArray[np.bool_]:
    """True for news that an earlier run of the same life got applied."""
    partition = np.array([partition_of(key_of(each.subject), partitions) for each in news], np.int64)
    return _applied(2 * partition + 1, partitions, resume_from)


def _applied(lanes: NDArray[np.int64], partitions: int, resume_from: ResumeFrom) -> NDArray[np.bool_]:
    applied = np.zeros(len(lanes), np.bool_)
    for lane in range(2 * partitions):
        mine = np.flatnonzero(lanes == lane)
        applied[mine[: resume_from(lane // 2, critical=bool(lane % 2))]] = True
    return applied


def send_plays(
    rows: Rows,
    at_ns: NDArray[np.int64],
    sink: Sink,
    pace: Pace,
    *,
    applied: NDArray[np.bool_] | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Sent:
    """Send `rows` at their moments `at_ns` (ascending), score changes on the critical lane.

    Rows up to the first that is not `applied` go at once: the producer leaves them out. `on_progress` is given the
    number of rows that are done.
    """
    critical = is_critical(rows)
    first = _first_left(applied)

    def send(start: int, end: int, created_ns: NDArray[np.int64]) -> None:
        chunk = rows[start:end].copy()
        chunk["created_ns"] = created_ns
        begin = 0
        for index in np.flatnonzero(critical[start:end]).tolist():
            if index > begin:
                sink.send_many(chunk[begin:index])
            sink.send_critical(chunk[index])
            begin = index + 1
        if begin < len(chunk):
            sink.send_many(chunk[begin:])

    if first:
        send(0, first, np.full(first, pace.clock_ns(), np.int64))
    return _send_paced(at_ns, first, send, pace, on_progress)


def send_news(
    news: Sequence[News],
    at_ns: NDArray[np.int64],
    sink: Sink,
    pace: Pace,
    *,
    applied: NDArray[np.bool_] | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Sent:
    """Send `news` at their moments `at_ns` (ascending); see `send_plays`."""

    def send(start: int, end: int, created_ns: NDArray[np.int64]) -> None:
        for each in news[start:end]:
            sink.send_news(each)

    first = _first_left(applied)
    send(0, first, at_ns[:first])
    return _send_paced(at_ns, first, send, pace, on_progress)


def generated_events(rate: float, seconds: float) -> int:
    """How many events `generate` sends. Raises `InvalidInput`."""
    if not (rate > 0 and seconds > 0 and rate * seconds < 2**40):
        raise InvalidInput(
            f"rate {rate:g} and seconds {seconds:g} must be above 0 and give less than 10^12 events"
        )
    return round(rate * seconds)


def generate(
    load: Load,
    sink: Sink,
    pace: Pace,
    *,
    rate: float,
    seconds: float,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Sent:
    """Send `rate` generated events a second for `seconds`, each created when it was due; `pace.speed` is not used.

    What cannot be sent in time is sent late, not left out. Lags are those of the first and last event of each chunk.
    """
    total, started = generated_events(rate, seconds), pace.clock_ns()
    lags: list[float] = []
    done = 0
    while done < total and not pace.stopped():
        fallen_due = min(int((pace.clock_ns() - started) / 1e9 * rate), total)
        due = min(fallen_due, done + LOAD_ROWS)
        if due > done:
            created = started + (np.arange(done, due) / rate * 1e9).astype(np.int64)
            sink.send_many(load.rows(done, due - done, created))
            now = pace.clock_ns()
            lags += [(now - int(created[0])) / 1e6, (now - int(created[-1])) / 1e6]
            done = due
            on_progress(done)
        if due == fallen_due < total:
            pace.sleep(LOAD_NAP_S)  # without it every few rows would be a chunk, and a core be spent on that
    return Sent(done, (pace.clock_ns() - started) / 1e9, np.array(lags), done == total)


def _first_left(applied: NDArray[np.bool_] | None) -> int:
    """Index of the first that is not applied."""
    return 0 if applied is None else int(np.argmin(np.append(applied, False)))


def _send_paced(
    at_ns: NDArray[np.int64],
    first: int,
    send: Callable[[int, int, NDArray[np.int64]], None],
    pace: Pace,
    on_progress: Callable[[int], None],
) -> Sent:
    started = pace.clock_ns()
    count = len(at_ns)
    due = None
    if pace.speed is not None and first < count:
        due = started + ((at_ns - at_ns[first]) / pace.speed).astype(np.int64)
    lags: list[NDArray[np.float64]] = []
    done = first
    while done < count and not pace.stopped():
        now = pace.clock_ns()
        end = count if due is None else int(np.searchsorted(due, now, "right"))
        end = min(end, done + CHUNK_ROWS)
        if due is not None and end <= done:
            on_progress(done)
            pace.sleep(min((int(due[done]) - now) / 1e9, NAP_S))
            continue
        created = np.full(end - done, now, np.int64) if due is None else due[done:end]
        send(done, end, created)
        lags.append((pace.clock_ns() - created) / 1e6)
        done = end
        on_progress(done)
    lag_ms = np.concatenate(lags) if lags else np.empty(0)
    return Sent(done - first, (pace.clock_ns() - started) / 1e9, lag_ms, done == count)


def speed_of(text: str) -> float | None:
    """Recorded seconds a second; None for "max". Raises `InvalidInput` for anything else."""
    if text == "max":
        return None
    try:
        return Pace(float(text)).speed
    except ValueError as error:
        raise InvalidInput(f"speed {text!r} is not a number above 0; write 1, 60 or max") from error
