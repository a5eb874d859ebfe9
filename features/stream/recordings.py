"""Recorded games of one day as plays in the order, and at the moments, in which they really came."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InvalidInput, NotMaterialized
from features.play.plays import COLUMNS, recorded_plays
from features.sources.archive import ArchiveSource
from features.stores.offline import OfflineStore
from features.stream.directory import GameInfo
from features.tables import EASTERN, SCHEMAS, TableName

#: Real time per game time when a recording has no wall clock: 48 minutes take about 2 h 15 min.
REAL_PER_PLAYED: Final = 2.8
#: The least that two plays of one game are apart.
STEP_S: Final = 0.5
_MINUTE_S: Final = 60.0
#: Within a minute, plays end before this, so that the next minute's come later.
_LAST_S: Final = 59.9
_LATEST_FIRST_S: Final = 30.0
_EVERYTHING: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recording:
    """Games with their `plays` (`features.play.plays.COLUMNS`) in the order they came; `at_ns` is when, UNIX ns.

    `repeated` rows were left out: of rows with the same game and `seq` the last one stands.
    """

    games: tuple[GameInfo, ...]
    plays: pl.DataFrame
    at_ns: NDArray[np.int64]
    repeated: int = 0


def archived(data: Path, day: date, game_id: str | None = None) -> Recording:
    """Recording of the games of `day` (or of one) from the folder `data`.

    Raises `SourceUnavailable` when the folder cannot be read, `InvalidInput` when there is nothing to replay.
    """
    games = _all(ArchiveSource(data, tables=("games",)), None, "games").filter(pl.col("game_date") == day)
    games = _chosen(games, day, game_id, f"recorded in {data}")
    season = int(games["season"][0])
    box = _all(ArchiveSource(data, tables=("games", "box")), season, "box")
    return _recording(games, box, recorded_plays(data).read(season), day)


def stored(store: OfflineStore, day: date, game_id: str | None = None) -> Recording:
    """Recording of the games of `day` (or of one) that were collected into `store`.

    Raises `NotMaterialized` when nothing was collected, `InvalidInput` when there is nothing to replay.
    """
    where = f"collected in {store.workspace.tables}"
    games = _chosen(store.read("games").filter(pl.col("game_date") == day), day, game_id, where)
    season = int(games["season"][0])
    try:
        box = store.read("box", seasons=[season])
    except NotMaterialized:
        box = pl.DataFrame(schema=SCHEMAS["box"])
    return _recording(games, box, store.read("pbp", seasons=[season], columns=COLUMNS), day)


def play_times_s(wall_et_min: Sequence[int | None], elapsed_s: Sequence[float], tip_et_min: float) -> list[float]:
    """Seconds since midnight Eastern of a game's plays, ordered by seq; strictly ascending.

    The wall clock is good to a minute; inside a minute plays are spread by the game clock. Minutes that fall out
    of order are mistakes of the scorer's table and are replaced. Without any, tip-off and game clock decide.
    """
    minutes = _ascending(wall_et_min)
    if minutes is None:
        running = accumulate(elapsed_s, max)
        minutes = [int(tip_et_min + elapsed * REAL_PER_PLAYED / _MINUTE_S) for elapsed in running]
    times: list[float] = []
    first = 0
    while first < len(minutes):
        last = first
        while last + 1 < len(minutes) and minutes[last + 1] == minutes[first]:
            last += 1
        start = minutes[first] * _MINUTE_S
        begin = start
        if times:  # goes on where the minute before ended, as far as the game clock ran
            ran = max(elapsed_s[first] - elapsed_s[first - 1], STEP_S)
            begin = min(max(start, times[-1] + ran), start + _LATEST_FIRST_S)
        offsets = [0.0]
        for index in range(first + 1, last + 1):
            offsets.append(offsets[-1] + max(elapsed_s[index] - elapsed_s[index - 1], STEP_S))
        room = start + _LAST_S - begin
        scale = min(1.0, room / offsets[-1]) if offsets[-1] else 1.0
        times += [begin + offset * scale for offset in offsets]
        first = last + 1
    return times


def _ascending(minutes: Sequence[int | None]) -> list[int] | None:
    """`minutes` with what is not on their longest ascending run replaced by the one before; None without any."""
    tails: list[int] = []  # index of the smallest end of a run of each length
    values: list[int] = []
    before: list[int | None] = [None] * len(minutes)
    for index, minute in enumerate(minutes):
        if minute is None:
            continue
        length = bisect_right(values, minute)
        before[index] = tails[length - 1] if length else None
        if length == len(values):
            values.append(minute)
            tails.append(index)
        else:
            values[length], tails[length] = minute, index
    if not tails:
        return None
    kept: set[int] = set()
    at: int | None = tails[-1]
    while at is not None:
        kept.add(at)
        at = before[at]
    current = next(minute for index, minute in enumerate(minutes) if index in kept and minute is not None)
    result: list[int] = []
    for index, minute in enumerate(minutes):
        if index in kept and minute is not None:
            current = minute
        result.append(current)
    return result


def _recording(games: pl.DataFrame, box: pl.DataFrame, plays: pl.DataFrame, day: date) -> Recording:
    # Twelve hours before noon: on the day when clocks change, evenings count from there, not from midnight.
    midnight = datetime.combine(day, time(12), tzinfo=ZoneInfo(EASTERN)).astimezone(UTC) - timedelta(hours=12)
    found = plays.filter(pl.col("game_id").is_in(games["game_id"].implode()))
    rows = found.unique(["game_id", "seq"], keep="last", maintain_order=True).sort("game_id", "seq")
    if rows.is_empty():
        raise InvalidInput(f"the games of {day} have no play-by-play; choose another date")
    midnight_ns = int(midnight.timestamp()) * 1_000_000_000
    tips = dict(zip(games["game_id"], games["event_time"], strict=True))
    parts: list[pl.DataFrame] = []
    for part in rows.partition_by("game_id", maintain_order=True):
        tip_min = (tips[part["game_id"][0]] - midnight).total_seconds() / _MINUTE_S
        elapsed = part["elapsed_s"].cast(pl.Float64).fill_null(strategy="forward").fill_null(0.0).to_list()
        seconds = np.array(play_times_s(part["wall_et_min"].to_list(), elapsed, tip_min))
        at_ns = midnight_ns + (seconds * 1e9).astype(np.int64)
        parts.append(part.with_columns(pl.Series("at_ns", at_ns)))
    # game_id and seq break ties: the order has to be the same in every run for a replay to go on where it stopped
    ordered = pl.concat(parts).sort("at_ns", "game_id", "seq", maintain_order=True)
    present = games.filter(pl.col("game_id").is_in(ordered["game_id"].unique().implode())).sort("game_id")
    return Recording(
        _game_infos(present, box, ordered),
        ordered.select(COLUMNS),
        ordered["at_ns"].to_numpy().copy(),
        found.height - rows.height,
    )


def _game_infos(games: pl.DataFrame, box: pl.DataFrame, plays: pl.DataFrame) -> tuple[GameInfo, ...]:
    rosters = _rosters(box, plays)
    return tuple(
        GameInfo(
            game["game_id"],
            game["season"],
            game["home_team"],
            game["away_team"],
            game["event_time"],
            rosters.get(game["game_id"], ()),
        )
        for game in games.iter_rows(named=True)
    )


def _rosters(box: pl.DataFrame, plays: pl.DataFrame) -> dict[str, tuple[int, ...]]:
    """Who may appear in each game that has box lines: those of the box, and those whom its own plays name.

    A box leaves out who did not play, yet a man on the bench may be given a technical foul.
    """
    boxed = box.filter(pl.col("game_id").is_in(plays["game_id"].unique().implode())).select("game_id", "player_id")
    named = pl.concat(
        plays.select("game_id", pl.col(name).alias("player_id")) for name in ("p1_id", "p2_id", "p3_id")
    ).filter(pl.col("player_id") > 0)
    people = pl.concat([boxed, named.join(boxed, on="game_id", how="semi")]).unique().sort("game_id", "player_id")
    return {
        str(game_id): tuple(ids)
        for game_id, ids in people.group_by("game_id", maintain_order=True).agg("player_id").iter_rows()
    }


def _all(source: ArchiveSource, season: int | None, table: TableName) -> pl.DataFrame:
    seasons = None if season is None else [season]
    frames = [
        batch.frame
        for batch in source.batches(as_of=_EVERYTHING, seasons=seasons, cursors={})
        if batch.table == table
    ]
    return pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMAS[table])


def _chosen(games: pl.DataFrame, day: date, game_id: str | None, where: str) -> pl.DataFrame:
    if games.is_empty():
        raise InvalidInput(f"date {day} has no games {where}; choose another date")
    if game_id is None:
        return games
    chosen = games.filter(pl.col("game_id") == game_id)
    if chosen.is_empty():
        raise InvalidInput(
            f"game {game_id!r} is not among the games of {day} {where}: {sorted(games['game_id'].to_list())}"
        )
    return chosen
