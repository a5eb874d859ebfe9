"""Ingest: bring what a source knows into the tables, each record once, whatever fails on the way.

A record is one game's rows of one table. Every batch takes four steps in this order: raw archive, tables,
ledger, Bloom filter. Each step can be repeated without harm, and only the third marks records as seen, so a
crash anywhere means that the batch is done again, never that it is lost. A record whose content changed (a live
score, a corrected box) replaces all rows of its game; rows that existed before keep the `known_time` of their
first version unless the source gives a later one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from features.errors import InvalidInput, SchemaError, StoreUnavailable
from features.files import remove_leftovers, replace_parquet, writing
from features.fingerprint import frame_hash, record_hashes
from features.ledger import Ledger
from features.sources.base import Batch, Source
from features.stores.offline import OfflineStore
from features.tables import KEYS, SCHEMAS, TABLES, TIMES
from features.workspace import Workspace

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
WRITE_ATTEMPTS: Final = 4
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """What became of the records a source gave; `seen` is the sum of the next four.

    `failed` records could not be written: they are not marked as seen and the next collect tries them again.
    `bloom_false_positive_rate` is measured over the records that were new; None when none was.
    `unchanged_batches` were left out by the source because nothing in them moved since the last collect.
    """

    seen: int = 0
    new: int = 0
    changed: int = 0
    duplicate: int = 0
    failed: int = 0
    bloom_false_positive_rate: float | None = None
    unchanged_batches: int = 0


def collect(
    source: Source,
    workspace: Workspace,
    *,
    as_of: datetime,
    seasons: Sequence[int] | None,
    on_progress: Progress | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> IngestCounts:
    """Store everything `source` knows as of `as_of` and return the counts.

    `on_progress` gets a batch key, how many of its records are dealt with, and how many it has; `clock` dates the
    ledger's rows. Raises `SourceUnavailable` or `SchemaError` when the source cannot give a sound batch: the
    batches before it are stored, nothing of that batch is. May run beside another collect of the same workspace.
    """
    if as_of.tzinfo is None:
        raise InvalidInput(f"as_of {as_of.isoformat()} has no time zone; give an aware time")
    if source.league != workspace.league:
        raise InvalidInput(
            f"source {source.name!r} is of league {source.league!r}, the workspace of {workspace.league!r}"
        )
    store = OfflineStore(workspace)
    totals = dict.fromkeys(("new", "changed", "duplicate", "failed"), 0)
    with Ledger(workspace.raw) as ledger:
        with ledger.exclusive():
            ledger.keep_only({table: store.seasons(table) for table in TABLES})
        cursors = ledger.cursors(source.name, seasons)
        offered: set[str] = set()
        for batch in source.batches(as_of=as_of, seasons=seasons, cursors=cursors):
            offered.add(batch.key)
            _check(batch, as_of)
            hashes = record_hashes(batch.table, batch.frame)
            if on_progress is not None:
                on_progress(batch.key, 0, len(hashes))
            for outcome, count in _ingest(batch, hashes, source.name, store, ledger, clock).items():
                totals[outcome] += count
            if on_progress is not None:
                on_progress(batch.key, len(hashes), len(hashes))
        rate = ledger.bloom_counts.false_positive_rate
    return IngestCounts(
        seen=sum(totals.values()),
        **totals,
        bloom_false_positive_rate=rate,
        unchanged_batches=len(cursors.keys() - offered),
    )


def _check(batch: Batch, as_of: datetime) -> None:
    """Raise `SchemaError` when the batch lacks columns or times, or knows the future."""
    frame = batch.frame
    lacking = [name for name in (*SCHEMAS[batch.table], *TIMES) if name not in frame.columns]
    if lacking:
        raise SchemaError(f"batch {batch.key!r} lacks columns {lacking}; see docs/data.md for the schema")
    late = frame.filter(pl.col("known_time") > as_of.astimezone(UTC)).height
    if late:
        raise SchemaError(f"batch {batch.key!r} holds {late} rows with known_time after as_of {as_of.isoformat()}")


def _ingest(
    batch: Batch,
    hashes: Mapping[str, str],
    source: str,
    store: OfflineStore,
    ledger: Ledger,
    clock: Callable[[], datetime],
) -> dict[str, int]:
    """Store one batch and say how many of its records were new, changed, duplicate or failed."""
    with ledger.exclusive():
        stored = ledger.hashes(source, batch.table, list(hashes))
        moved = {game_id: digest for game_id, digest in hashes.items() if stored.get(game_id) != digest}
        changed = moved.keys() & stored.keys()
        counts = {
            "new": len(moved) - len(changed),
            "changed": len(changed),
            "duplicate": len(hashes) - len(moved),
        }
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(StoreUnavailable),
                stop=stop_after_attempt(WRITE_ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S, jitter=_FIRST_WAIT_S),
                before_sleep=before_sleep_log(log, logging.WARNING),
                reraise=True,
            ):
                with attempt:
                    if moved:
                        _write(batch, moved.keys(), changed, store)
                    ledger.commit(source, batch, moved, seen_at=clock())
        except StoreUnavailable as error:
            log.error(
                "batch %s could not be written and will be tried again by the next collect: %s", batch.key, error
            )
            return {"duplicate": counts["duplicate"], "failed": len(moved)}
    return counts


def _write(batch: Batch, moved: Set[str], changed: Set[str], store: OfflineStore) -> None:
    """Archive the rows of the `moved` games as they came, then put them into the table."""
    rows = batch.frame.select(*SCHEMAS[batch.table], *TIMES)
    if len(moved) < rows["game_id"].n_unique():
        rows = rows.filter(pl.col("game_id").is_in(list(moved)))
    _archive(store.workspace.raw / batch.table / f"season={batch.season:04d}", rows)
    if changed:
        rows = _with_first_known_time(rows, changed, batch, store)
    store.upsert(batch.table, batch.season, rows, by=("game_id",))


def _archive(folder: Path, rows: pl.DataFrame) -> None:
    """Write rows to a read-only file named by their content; a file that exists already says the same."""
    path = folder / f"{frame_hash(rows)}.parquet"
    if path.exists():
        return
    remove_leftovers(path)
    replace_parquet(path, rows)
    with writing(path):
        path.chmod(0o444)


def _with_first_known_time(
    rows: pl.DataFrame, changed: Set[str], batch: Batch, store: OfflineStore
) -> pl.DataFrame:
    keys = list(KEYS[batch.table])
    first = (
        store.read(batch.table, seasons=[batch.season], columns=[*keys, "known_time"])
        .filter(pl.col("game_id").is_in(list(changed)))
        .group_by(keys)
        .agg(pl.col("known_time").min().alias("first_known_time"))
    )
    joined = rows.join(first, on=keys, how="left", maintain_order="left")
    return joined.with_columns(known_time=pl.max_horizontal("known_time", "first_known_time")).select(rows.columns)
