"""Validate what the offline store holds, season by season, so that one bad season stops only itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from features.errors import InvalidInput, NotMaterialized, SchemaError
from features.stores.offline import OfflineStore
from features.tables import SCHEMAS, TABLES, TIMES, TableName
from features.validation.inspector import Inspector, unjudged
from features.validation.quarantine import quarantine
from features.validation.report import page, write_json
from features.validation.results import ExpectationResult, Status, SuiteName, SuiteResult, ValidationReport
from features.validation.rules import PBP_COLUMNS, Fault, Frames, SeasonTables, season_frames
from features.validation.slates import slate_frames
from features.validation.suites import SUITES

_LOG: Final = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A suite's result with the frames it was judged on."""

    result: SuiteResult
    frames: Frames


def validate(
    store: OfflineStore,
    *,
    as_of: datetime,
    seasons: Sequence[int] | None = None,
    on_progress: Progress | None = None,
) -> ValidationReport:
    """Check every table of every season (or of `seasons`) and all slates against the declared expectations.

    Judges rows with `known_time <= as_of`; later rows are set aside and counted. A failed batch is copied to the
    workspace's quarantine and left in place: read `usable_seasons` before training. `on_progress` gets what is
    being checked, how many are done and how many there are. Raises `InvalidInput` for a naive `as_of` and
    `NotMaterialized` when the store holds no season at all.
    """
    if as_of.tzinfo is None:
        raise InvalidInput(f"as_of {as_of.isoformat()} has no time zone; give an aware datetime")
    stored = sorted({season for table in TABLES for season in store.seasons(table)})
    wanted = stored if seasons is None else sorted(set(seasons))
    if not wanted:
        raise NotMaterialized(f"no seasons to validate in {store.workspace.tables}; run `fantasy run` first")
    started = time.monotonic()
    inspector = Inspector()
    suites: list[SuiteResult] = []
    for done, season in enumerate(wanted):
        _tell(on_progress, f"season {season}", done, len(wanted) + 1)
        newest = season == max([*stored, *wanted])
        for judged in _season(store, inspector, season, as_of, newest):
            suites.append(_settled(store, judged, as_of))
    _tell(on_progress, "salaries", len(wanted), len(wanted) + 1)
    salaries = _salaries(store, inspector, as_of)
    suites.append(_settled(store, salaries, as_of))
    report = _written(store, inspector, suites, _failed_slates(salaries), as_of)
    _tell(on_progress, "report", len(wanted) + 1, len(wanted) + 1)
    _LOG.info("validated", extra={"seasons": len(wanted), "passed": report.passed,
                                  "seconds": round(time.monotonic() - started, 1)})  # fmt: skip
    return report


def _season(
    store: OfflineStore, inspector: Inspector, season: int, as_of: datetime, newest: bool
) -> list[_Judged]:
    known: dict[TableName, pl.DataFrame] = {}
    later: dict[TableName, pl.DataFrame] = {}
    faults: dict[TableName, Fault] = {}
    for table in TABLES:
        rows = _read(store, table, season)
        if isinstance(rows, Fault):
            faults[table] = rows
            rows = _empty(table)
        known[table] = rows.filter(pl.col("known_time") <= as_of)
        later[table] = rows.filter(pl.col("known_time") > as_of)
    frames = season_frames(SeasonTables(season, as_of, known, later, newest))
    judged = []
    for table in TABLES:
        own: Frames = dict.fromkeys(frames[table], faults[table]) if table in faults else frames[table]
        rows_known, rows_later = known[table].height, later[table].height
        skip = _skip_reason(table, faults, rows_known, rows_later)
        results = _inspected(inspector, table, own, str(season), as_of, skip)
        judged.append(_Judged(_summed(table, season, results, rows_known, rows_later, skip), own))
    return judged


def _read(store: OfflineStore, table: TableName, season: int) -> pl.DataFrame | Fault:
    columns = [*PBP_COLUMNS, *TIMES] if table == "pbp" else None
    try:
        rows = store.read(table, seasons=[season], columns=columns)
    except NotMaterialized:
        return _empty(table)
    except SchemaError as error:
        return Fault(str(error))
    lacking = [name for name in TIMES if name not in rows.columns]
    return Fault(f"table {table!r} lacks {lacking}; every record needs both times") if lacking else rows


def _empty(table: TableName) -> pl.DataFrame:
    columns = PBP_COLUMNS if table == "pbp" else tuple(SCHEMAS[table])
    return pl.DataFrame(schema={**{name: SCHEMAS[table][name] for name in columns}, **TIMES})


def _skip_reason(table: TableName, faults: dict[TableName, Fault], known: int, later: int) -> str:
    if table in faults or known:
        return ""
    if later:
        return f"nothing known yet: all {later:,} rows are later than the report"
    return "no play-by-play" if table == "pbp" else ""


def _salaries(store: OfflineStore, inspector: Inspector, as_of: datetime) -> _Judged:
    try:
        slates = store.read_slates()
    except SchemaError as error:
        frames: Frames = dict.fromkeys(("players", "slates"), Fault(str(error)))
        count, skip = 0, ""
    else:
        frames = slate_frames(slates)
        count, skip = sum(len(slate.players) for slate in slates), "" if slates else "no slates collected"
    results = _inspected(inspector, "salaries", frames, "slates", as_of, skip)
    return _Judged(_summed("salaries", None, results, count, 0, skip), frames)


def _inspected(
    inspector: Inspector, suite: SuiteName, frames: Frames, label: str, as_of: datetime, skip: str
) -> tuple[ExpectationResult, ...]:
    if skip:
        return tuple(unjudged(item, "skipped", skip) for item in SUITES[suite].expectations)
    return inspector.inspect(SUITES[suite], frames, label=label, as_of=as_of)


def _summed(
    suite: SuiteName, season: int | None, results: tuple[ExpectationResult, ...], rows: int, later: int, skip: str
) -> SuiteResult:
    statuses = {result.status for result in results}
    status: Status = "skipped" if skip else "passed"
    for worse in ("warning", "failed"):
        status = worse if worse in statuses else status
    failed = [result.name for result in results if result.status == "failed"]
    reason = f"skipped: {skip}" if skip else ("failed: " + ", ".join(failed) if failed else "")
    return SuiteResult(suite, season, status, reason, rows, later, results)


def _settled(store: OfflineStore, judged: _Judged, as_of: datetime) -> SuiteResult:
    """The result, after its batch went to quarantine if it failed."""
    result = judged.result
    if result.status != "failed":
        return result
    batch = None
    if result.suite != "salaries" and result.season is not None:
        batch = store.path(result.suite, result.season)
    title = f"Quarantined: {result.suite} {result.season or ''}".strip()
    target = quarantine(
        store.workspace.quarantine, result, judged.frames, batch, as_of=as_of,
        page=page([result], as_of=as_of, title=title),
    )  # fmt: skip
    _LOG.warning("quarantined %s season %s: %s", result.suite, result.season, result.reason)
    return replace(result, quarantined=target)


def _failed_slates(salaries: _Judged) -> tuple[str, ...]:
    """Slates with a bad row; every slate when what failed cannot be pinned on rows."""
    failures = salaries.result.failures
    frame = salaries.frames["slates"]
    if not failures or not isinstance(frame, pl.DataFrame):
        return ()
    named = {str(key[0]) for item in failures for key in item.keys}
    pinned = all(item.keys for item in failures)
    return tuple(sorted(named if pinned else frame["slate_id"].to_list()))


def _written(
    store: OfflineStore, inspector: Inspector, suites: list[SuiteResult], slates: tuple[str, ...], as_of: datetime
) -> ValidationReport:
    folder = store.workspace.reports / "validation" / f"{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    data_docs = inspector.build_docs(store.workspace.reports / "data_docs")
    report = ValidationReport(
        as_of=as_of,
        passed=all(suite.status != "failed" for suite in suites),
        suites=tuple(suites),
        docs=folder / "index.html",
        json=folder / "report.json",
        data_docs=data_docs,
        failed_slates=slates,
    )
    link = Path("..") / ".." / "data_docs" / "index.html"
    html = page(suites, as_of=as_of, title=f"Validation of {store.workspace.league}", data_docs=link.as_posix())
    report.docs.write_text(html, encoding="utf-8")
    write_json(report)
    return report


def _tell(on_progress: Progress | None, what: str, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(what, done, total)
