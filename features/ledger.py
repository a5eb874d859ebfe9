"""The ingest ledger: which records are stored, with what content, and where each source left off.

The truth is a SQLite table with one row per (source, table, game). A Bloom filter in front answers "never seen"
without touching it; a "maybe" is always checked exactly, so the filter can cost time but never a wrong answer.
The filter file names the ledger generation it was built from and is rebuilt when they differ (after a crash).
"""

from __future__ import annotations

import fcntl
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import xxhash
from rbloom import Bloom

from features.errors import FantasyError, SchemaError, StoreUnavailable
from features.files import remove_leftovers, replace_file, writing
from features.sources.base import Batch
from features.tables import TableName

log = logging.getLogger(__name__)

#: The filter is sized for at least this many records (about ten seasons of three tables) and doubles when full.
_MIN_CAPACITY: Final = 65_536
_FALSE_POSITIVE_RATE: Final = 0.01
_HEADER_BYTES: Final = 8
_LOCK_TIMEOUT_S: Final = 60.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    source TEXT NOT NULL, table_name TEXT NOT NULL, game_id TEXT NOT NULL, season INTEGER NOT NULL,
    content_hash TEXT NOT NULL, first_seen TEXT NOT NULL, last_changed TEXT NOT NULL,
    PRIMARY KEY (source, table_name, game_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (
    source TEXT NOT NULL, batch TEXT NOT NULL, table_name TEXT NOT NULL, season INTEGER NOT NULL,
    cursor TEXT NOT NULL, PRIMARY KEY (source, batch)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO state VALUES ('generation', 0);
"""


@dataclass(slots=True)
class BloomCounts:
    """How the filter answered for records that the ledger did not hold."""

    rejected: int = 0
    false_positives: int = 0

    @property
    def false_positive_rate(self) -> float | None:
        """Share of absent records that the filter let through; None when none was asked for."""
        absent = self.rejected + self.false_positives
        return self.false_positives / absent if absent else None


class Ledger:
    """Ledger of one league in `folder` (`ledger.sqlite`, `ledger.bloom`). Use as a context manager.

    Raises `SchemaError` when the database file is damaged, `StoreUnavailable` when it stays locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "ledger.sqlite"
        self._bloom_path = folder / "ledger.bloom"
        self.bloom_counts = BloomCounts()

    def __enter__(self) -> Self:
        with writing(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
        try:
            # Transactions are opened by hand: `isolation_level=None` is SQLite's autocommit.
            self._database = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
            self._bloom, self._generation = self._load_bloom()
        except sqlite3.Error as error:
            raise self._explained(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise self._explained(error) from error

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the ledger alone, across processes; the filter is brought up to date on entry."""
        with (self._folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if self._read_generation() != self._generation:
                self._bloom, self._generation = self._load_bloom()
            yield

    def hashes(self, source: str, table: TableName, game_ids: Sequence[str]) -> dict[str, str]:
        """Content hash of those of `game_ids` that are stored."""
        maybe = [game_id for game_id in game_ids if _key(source, table, game_id) in self._bloom]
        found: dict[str, str] = {}
        if maybe:
            found = dict(
                self._database.execute(
                    "SELECT game_id, content_hash FROM records WHERE source = ? AND table_name = ?"
                    " AND game_id IN (SELECT value FROM json_each(?))",
                    (source, table, json.dumps(maybe)),
                )
            )
        self.bloom_counts.rejected += len(game_ids) - len(maybe)
        self.bloom_counts.false_positives += len(maybe) - len(found)
        return found

    def cursors(self, source: str, seasons: Sequence[int] | None) -> dict[str, str]:
        """Where `source` left off in `seasons` (None = all): batch key -> cursor."""
        rows = self._database.execute("SELECT batch, cursor, season FROM cursors WHERE source = ?", (source,))
        return {batch: cursor for batch, cursor, season in rows if seasons is None or season in seasons}

    def commit(self, source: str, batch: Batch, hashes: Mapping[str, str], *, seen_at: datetime) -> None:
        """Mark `hashes` (game id -> content) as stored and move the batch's cursor: all of it or nothing."""
        moment = seen_at.isoformat()
        with self._transaction():
            self._database.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " season = excluded.season, content_hash = excluded.content_hash,"
                " last_changed = excluded.last_changed",
                [
                    (source, batch.table, game, batch.season, digest, moment, moment)
                    for game, digest in hashes.items()
                ],
            )
            self._database.execute(
                "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)",
                (source, batch.key, batch.table, batch.season, batch.cursor),
            )
            if hashes:
                self._database.execute("UPDATE state SET value = value + 1 WHERE name = 'generation'")
        if hashes:
            self._bloom.update(_key(source, batch.table, game_id) for game_id in hashes)
            self._generation = self._read_generation()
            self._save_bloom()

    def keep_only(self, stored: Mapping[TableName, Iterable[int]]) -> None:
        """Forget records and cursors of every table and season that is not in `stored` (its file was deleted)."""
        held = self._database.execute(
            "SELECT table_name, season FROM records UNION SELECT table_name, season FROM cursors"
        ).fetchall()
        present = {(table, season) for table, seasons in stored.items() for season in seasons}
        gone = [pair for pair in held if pair not in present]
        if not gone:
            return
        with self._transaction():
            self._database.executemany("DELETE FROM records WHERE table_name = ? AND season = ?", gone)
            self._database.executemany("DELETE FROM cursors WHERE table_name = ? AND season = ?", gone)
            self._database.execute("UPDATE state SET value = value + 1 WHERE name = 'generation'")
        self._bloom, self._generation = self._load_bloom()

    def _explained(self, error: sqlite3.Error) -> FantasyError:
        if isinstance(error, sqlite3.OperationalError):
            return StoreUnavailable(f"the ingest ledger {self._path} does not answer ({error}); try again")
        return SchemaError(
            f"the ingest ledger {self._path} is damaged ({error}); delete it and collect again, nothing is lost"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _read_generation(self) -> int:
        row = self._database.execute("SELECT value FROM state WHERE name = 'generation'").fetchone()
        return int(row[0])

    def _load_bloom(self) -> tuple[Bloom, int]:
        """The saved filter when it belongs to this ledger generation and has room, else one built anew."""
        generation = self._read_generation()
        capacity = _MIN_CAPACITY
        records = int(self._database.execute("SELECT count(*) FROM records").fetchone()[0])
        while capacity < 2 * records:
            capacity *= 2
        empty = Bloom(capacity, _FALSE_POSITIVE_RATE, _stable_hash)
        if self._bloom_path.is_file():
            saved = self._bloom_path.read_bytes()
            same_size = len(saved) == _HEADER_BYTES + len(empty.save_bytes())
            if same_size and int.from_bytes(saved[:_HEADER_BYTES], "little") == generation:
                return Bloom.load_bytes(saved[_HEADER_BYTES:], _stable_hash), generation
        empty.update(
            _key(*row) for row in self._database.execute("SELECT source, table_name, game_id FROM records")
        )
        return empty, generation

    def _save_bloom(self) -> None:
        """Save the filter. A failure is only logged: an older file is noticed by its generation and rebuilt."""
        payload = self._generation.to_bytes(_HEADER_BYTES, "little") + self._bloom.save_bytes()
        try:
            remove_leftovers(self._bloom_path)
            replace_file(self._bloom_path, lambda target: target.write_bytes(payload))
        except StoreUnavailable as error:
            log.warning("the Bloom filter %s was not saved: %s", self._bloom_path, error)


def _key(source: str, table: str, game_id: str) -> str:
    return f"{source}\0{table}\0{game_id}"


def _stable_hash(key: str) -> int:
    """Signed 128 bits of xxh3: Python's own hash is salted per process, so a saved filter could not be read."""
    return int(xxhash.xxh3_128_intdigest(key.encode())) - (1 << 127)
