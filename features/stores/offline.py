"""The offline store: one league's tables, views and slates as files that are replaced whole, never edited.

A reader sees either the old or the new file: every write goes to a temporary file beside its target, is flushed
to disk and renamed over it. Writers of one table take turns through a lock file, so concurrent upserts all land.
A write that the file system refuses raises `StoreUnavailable` and leaves the old file.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from features.errors import InvalidInput, NotMaterialized, SchemaError
from features.files import remove_leftovers, replace_file, replace_parquet, writing
from features.slate import Slate
from features.tables import KEYS, SCHEMAS, TIMES, TableName, Tables, conform
from features.workspace import Workspace

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")
_SEASON: Final = re.compile(r"season=(\d{4})\.parquet")
_SLATE: Final = TypeAdapter(Slate)


class OfflineStore:
    """Parquet tables per season, Parquet views and JSON slates under one `Workspace`."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def read(
        self,
        table: TableName,
        *,
        seasons: Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        known_by: datetime | None = None,
    ) -> pl.DataFrame:
        """Rows in the archive schema plus `event_time` and `known_time`, ordered by season, then `KEYS[table]`.

        Only rows with `known_time <= known_by` are given. `columns` picks columns, in that order. Seasons that
        were never ingested are left out; `NotMaterialized` when that leaves no file at all, `SchemaError` when
        a file is damaged or a column is unknown.
        """
        known = {**SCHEMAS[table], **TIMES}
        unknown = [c for c in columns or () if c not in known]
        if unknown:
            raise SchemaError(f"table {table!r} has no columns {unknown}; it has {list(known)}")
        wanted = self.seasons(table)
        if seasons is not None:
            wanted = [season for season in wanted if season in set(seasons)]
        if not wanted:
            asked = "" if seasons is None else f" for seasons {sorted(seasons)}"
            raise NotMaterialized(f"no {table!r} rows{asked} in {self.workspace.tables}; run `fantasy run` first")
        return pl.concat([self._read_season(table, season, columns, known_by) for season in wanted])

    def tables(self, *, known_by: datetime | None = None) -> Tables:
        """Games and box lines of every season, known by `known_by`."""
        return Tables(games=self.read("games", known_by=known_by), box=self.read("box", known_by=known_by))

    def seasons(self, table: TableName) -> list[int]:
        """Start years that have a file, ascending; empty before the first ingest."""
        found = (_SEASON.fullmatch(path.name) for path in self._folder(table).glob("season=*.parquet"))
        return sorted(int(match.group(1)) for match in found if match)

    def upsert(
        self, table: TableName, season: int, frame: pl.DataFrame, *, by: Sequence[str] | None = None
    ) -> None:
        """Replace the stored rows whose key is in `frame` and add the rest, in one atomic step.

        `by` is `KEYS[table]` unless given: `by=("game_id",)` replaces whole games, so rows that a newer version
        of a game lacks disappear. `frame` needs `TIMES` without nulls and this `season` only (`SchemaError`).
        Rows repeated inside `frame` are all kept: telling that is the task of validation.
        """
        rows = self._checked(table, season, frame)
        keys = list(KEYS[table] if by is None else by)
        path = self.path(table, season)
        with self._locked(table):
            remove_leftovers(path)
            if path.exists():
                kept = self._read_season(table, season, None, None).join(
                    rows, on=keys, how="anti", nulls_equal=True
                )
                rows = pl.concat([kept, rows])
            replace_parquet(path, rows.sort(KEYS[table], maintain_order=True))

    def path(self, table: TableName, season: int) -> Path:
        """File of one table and season, whether it exists or not."""
        return self._folder(table) / f"season={season:04d}.parquet"

    def write_view(self, name: str, frame: pl.DataFrame) -> Path:
        """Replace a feature view and return its file."""
        path = self.workspace.views / f"{_checked_name('view', name)}.parquet"
        replace_parquet(path, frame)
        return path

    def read_views(self, names: Sequence[str] | None = None) -> dict[str, pl.DataFrame]:
        """Views by name (all of them by default). Raises `NotMaterialized` naming the missing ones."""
        present = sorted(path.stem for path in self.workspace.views.glob("*.parquet"))
        wanted = present if names is None else list(names)
        missing = [name for name in wanted if name not in present]
        if missing or not wanted:
            what = f"views {missing}" if missing else "views"
            raise NotMaterialized(f"no {what} in {self.workspace.views}; run `fantasy run` first")
        return {name: _read_parquet(self.workspace.views / f"{name}.parquet") for name in wanted}

    def write_slate(self, slate: Slate) -> None:
        """Store a slate under its `slate_id`, replacing an older copy."""
        path = self.workspace.slates / f"{_checked_name('slate_id', slate.slate_id)}.json"
        payload = json.dumps(_SLATE.dump_python(slate, mode="json"), indent=1, ensure_ascii=False).encode()
        replace_file(path, lambda target: target.write_bytes(payload))

    def read_slates(self) -> list[Slate]:
        """Every stored slate, by lock time (undated ones last); empty when there is none."""
        slates = [_read_slate(path) for path in sorted(self.workspace.slates.glob("*.json"))]
        return sorted(
            slates, key=lambda slate: (slate.lock is None, slate.lock or datetime.max.replace(tzinfo=UTC))
        )

    def read_slate(self, slate_id: str) -> Slate:
        """One slate. Raises `NotMaterialized` when it was never stored."""
        path = self.workspace.slates / f"{_checked_name('slate_id', slate_id)}.json"
        if not path.is_file():
            raise NotMaterialized(f"no slate {slate_id!r} in {self.workspace.slates}; collect it first")
        return _read_slate(path)

    def _folder(self, table: TableName) -> Path:
        return self.workspace.tables / table

    def _read_season(
        self, table: TableName, season: int, columns: Sequence[str] | None, known_by: datetime | None
    ) -> pl.DataFrame:
        return _read_parquet(self.path(table, season), columns=columns, known_by=known_by)

    def _checked(self, table: TableName, season: int, frame: pl.DataFrame) -> pl.DataFrame:
        lacking = [name for name in TIMES if name not in frame.columns]
        if lacking:
            raise SchemaError(f"rows for table {table!r} lack {lacking}; every record needs both times")
        rows = conform(table, frame).select(*SCHEMAS[table], *TIMES)
        required = [*KEYS[table], "season", *TIMES]
        empty = [name for name, nulls in rows.select(required).null_count().row(0, named=True).items() if nulls]
        if empty:
            raise SchemaError(f"rows for table {table!r} have nulls in {empty}; these columns must be filled")
        others = rows.filter(pl.col("season") != season)["season"].unique().to_list()
        if others:
            raise SchemaError(f"rows for table {table!r} season {season} hold seasons {sorted(others)} too")
        return rows

    @contextmanager
    def _locked(self, table: TableName) -> Iterator[None]:
        path = self._folder(table) / ".lock"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # released when the handle closes, a killed process included
            yield


def _checked_name(field: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{field} {name!r} cannot name a file; use letters, digits, '.', '_', '=' and '-'")
    return name


def _read_parquet(
    path: Path, *, columns: Sequence[str] | None = None, known_by: datetime | None = None
) -> pl.DataFrame:
    try:
        rows = pl.scan_parquet(path, glob=False)
        if known_by is not None:
            rows = rows.filter(pl.col("known_time") <= known_by.astimezone(UTC))
        return (rows if columns is None else rows.select(list(columns))).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SchemaError(f"{path} cannot be read ({error}); delete it and run `fantasy collect` again") from error


def _read_slate(path: Path) -> Slate:
    try:
        slate = _SLATE.validate_json(path.read_bytes())
    except ValidationError as error:
        raise SchemaError(f"{path} is not a stored slate ({error}); delete it and collect again") from error
    games = tuple(replace(game, tip=_utc(game.tip)) for game in slate.games)
    return replace(slate, lock=_utc(slate.lock), games=games)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
