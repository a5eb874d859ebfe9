"""Recorded seasons on disk: `nba/games.parquet`, `nba/box/season=YYYY.parquet`, `nba/pbp/season=YYYY.parquet`.

A season may also be a folder `season=YYYY/` of Parquet files; box and play-by-play may be missing. Everything
takes its times from its game: `event_time` is tip-off, `known_time` is `FINAL_AFTER_TIP` later.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from features.errors import SalaryFileError, SchemaError, SourceUnavailable
from features.fingerprint import file_hash, frame_hash
from features.slate import Slate
from features.sources.base import Batch
from features.tables import FINAL_AFTER_TIP, SCHEMAS, TABLES, TIMES, TableName, conform, tip_time
from features.workspace import League

log = logging.getLogger(__name__)

#: Taken when a game has no tip time: the latest usual tip-off (22:30 Eastern), so nothing is known too early.
_LATEST_TIP_ET_MIN: Final = 22 * 60 + 30
_SEASON: Final = re.compile(r"season=(\d{4})(\.parquet)?")
_PLAYER_TABLES: Final[tuple[TableName, ...]] = ("box", "pbp")
_MANIFEST_FIELDS: Final = ("file", "site", "sport", "kind", "date", "mode")


class ArchiveSource:
    """Source over the folder `data`, of `tables` only when given (games are always read).

    Raises `SourceUnavailable` when its games file is not there.
    """

    name = "archive"
    league: League = "nba"

    def __init__(self, data: Path, *, tables: Sequence[TableName] = TABLES) -> None:
        self._data = data
        self._player_tables: tuple[TableName, ...] = tuple(name for name in _PLAYER_TABLES if name in tables)
        self._root = data / "nba"

    def batches(
        self, *, as_of: datetime, seasons: Sequence[int] | None, cursors: Mapping[str, str]
    ) -> Iterator[Batch]:
        """One batch per season and table that has rows known by `as_of` and moved since `cursors`.

        A cursor is the content of the season's file and games and the newest `known_time` it could give, so a
        finished season is read once however `as_of` moves. All files are opened before the first batch is given:
        a truncated one stops the collect with `SourceUnavailable` before anything is stored. `SchemaError` names
        the file whose columns or values are wrong.
        """
        games = self._games()
        wanted = self._wanted(games, seasons)
        for season in wanted:
            for table in self._player_tables:
                self._require_readable(table, season)
        for season in wanted:
            played = games.filter(pl.col("season") == season, pl.col("known_time") <= as_of.astimezone(UTC))
            if played.is_empty():
                log.info("season %d has no game known by %s", season, as_of.isoformat())
                continue
            key, cursor = f"games/season={season}", frame_hash(played)
            if cursors.get(key) != cursor:
                yield Batch("games", season, key, cursor, played)
            for table in self._player_tables:
                batch = self._player_batch(table, season, games, played, cursors)
                if batch is not None:
                    yield batch

    def slates(self, day: date) -> list[Slate]:
        """Classic NBA slates of `day` among the salary files in `dfs/manifest.csv`, biggest first per site.

        A file that cannot be read is left out with a warning: the other slates of the day go on.
        """
        # Salary parsing is another source's work; importing it here keeps a collect without salaries free of it.
        from features.sources.salaries import read_salaries

        found: list[Slate] = []
        for row in self._manifest():
            salary = (row["sport"], row["kind"], row["date"]) == ("nba", "salary", day.isoformat())
            if not salary or row["mode"] not in ("classic", ""):
                continue
            try:
                slate = read_salaries(self._data / "dfs" / row["file"], slate_date=day)
            except (SalaryFileError, OSError) as error:
                log.warning("salary file %s is left out: %s", row["file"], error)
                continue
            if slate.mode == "classic":
                found.append(slate)
        return sorted(found, key=lambda slate: (slate.site, -len(slate.players), slate.slate_id))

    def play_seasons(self) -> tuple[int, ...]:
        """Start years with play-by-play and games, ascending."""
        return tuple(sorted(self._files("pbp").keys() & set(self._games()["season"].unique().to_list())))

    def plays(self, season: int) -> pl.DataFrame:
        """Play-by-play of a season in `SCHEMAS["pbp"]`, as the file has it: times are those of its games."""
        path = self._files("pbp").get(season)
        if path is None:
            raise SourceUnavailable(f"{self._root}/pbp has no season {season}; it has {list(self.play_seasons())}")
        return _table(path, "pbp")

    def _games(self) -> pl.DataFrame:
        path = self._root / "games.parquet"
        if not path.is_file():
            raise SourceUnavailable(f"no recorded seasons at {self._data}: {path} is missing; give --data DIR")
        games = _conform(path, "games", _read(path))
        tip = pl.col("tip_et_min")
        timed = games.with_columns(tip.fill_null(_LATEST_TIP_ET_MIN)).with_columns(event_time=tip_time())
        dated = timed.with_columns(
            tip_et_min=games["tip_et_min"], known_time=pl.col("event_time") + FINAL_AFTER_TIP
        )
        undated = dated.filter(pl.any_horizontal(pl.col("season", *TIMES).is_null()))
        if undated.height:
            ids = undated["game_id"].head(5).to_list()
            raise SchemaError(f"{path}: {undated.height} games lack season or game_date, e.g. {ids}; fill them")
        return dated

    def _wanted(self, games: pl.DataFrame, seasons: Sequence[int] | None) -> list[int]:
        present = sorted(games["season"].unique().to_list())
        for table in self._player_tables:
            orphans = sorted(self._files(table).keys() - set(present))
            if orphans:
                log.warning("%s has seasons %s that games.parquet lacks; they are left out", table, orphans)
        if seasons is None:
            return present
        missing = sorted(set(seasons) - set(present))
        if missing:
            raise SourceUnavailable(f"{self._root} has no season {missing}; it has {present} (start years)")
        return sorted(set(seasons))

    def _files(self, table: TableName) -> dict[int, Path]:
        entries = ((_SEASON.fullmatch(path.name), path) for path in (self._root / table).glob("season=*"))
        return {int(match.group(1)): path for match, path in entries if match}

    def _require_readable(self, table: TableName, season: int) -> None:
        path = self._files(table).get(season)
        for part in _parts(path) if path else []:
            try:
                pl.read_parquet_schema(part)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise _unreadable(part, error) from error

    def _player_batch(
        self,
        table: TableName,
        season: int,
        games: pl.DataFrame,
        played: pl.DataFrame,
        cursors: Mapping[str, str],
    ) -> Batch | None:
        path = self._files(table).get(season)
        if path is None:
            log.info("season %d has no %s; models that need it go without", season, table)
            return None
        times = played.select("game_id", *TIMES)
        key, cursor = f"{table}/season={season}", f"{file_hash(path)}-{frame_hash(times)}"
        if cursors.get(key) == cursor:
            return None
        rows = _table(path, table)
        orphans = rows.join(games, on="game_id", how="anti")["game_id"].unique()
        if len(orphans):
            log.warning(
                "%s: %d games are not in games.parquet and are left out, e.g. %s", path, len(orphans), orphans[0]
            )
        timed = rows.join(times, on="game_id", how="inner", maintain_order="left")
        if timed.is_empty():
            log.warning("%s has no row of the %d games known of season %d", path, played.height, season)
        return Batch(table, season, key, cursor, timed.select(*SCHEMAS[table], *TIMES))

    def _manifest(self) -> list[dict[str, str]]:
        path = self._data / "dfs" / "manifest.csv"
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as handle:
                reader = csv.DictReader(handle)
                missing = sorted(set(_MANIFEST_FIELDS) - set(reader.fieldnames or ()))
                rows = [{name: row.get(name) or "" for name in _MANIFEST_FIELDS} for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceUnavailable(f"{path} cannot be read ({error}); restore or delete it") from error
        if missing:
            raise SourceUnavailable(f"{path} lacks columns {missing}; restore or delete it")
        return rows


def _parts(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _table(path: Path, table: TableName) -> pl.DataFrame:
    return _conform(path, table, pl.concat([_read(part) for part in _parts(path)], how="diagonal_relaxed"))


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SourceUnavailable:
    return SourceUnavailable(f"{path} is not readable as Parquet ({error}); restore or delete that file")


def _conform(path: Path, table: TableName, frame: pl.DataFrame) -> pl.DataFrame:
    try:
        return conform(table, frame.select(pl.col(pl.Categorical).cast(pl.String), pl.exclude(pl.Categorical)))
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error
