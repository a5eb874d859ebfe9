"""What a validation says: one result per declared expectation, grouped by suite and season."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from features.tables import TableName

SuiteName = Literal["games", "box", "pbp", "salaries"]
#: `warning` is a missed expectation of severity warning: it is reported and stops nothing.
Status = Literal["passed", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One declared expectation against one frame. `unexpected` of `rows` broke it; `keys` name some of those."""

    name: str
    frame: str
    kind: str
    status: Status
    bound: str
    observed: str
    why: str
    rows: int | None = None
    unexpected: int | None = None
    keys: tuple[tuple[object, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """Every expectation of a suite for one season (`season` is None for salaries).

    `not_yet_known` counts stored rows with `known_time` after the report's `as_of`: they are set aside.
    """

    suite: SuiteName
    season: int | None
    status: Status
    reason: str
    rows: int
    not_yet_known: int
    results: tuple[ExpectationResult, ...]
    quarantined: Path | None = None

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """The expectations that broke the batch."""
        return tuple(result for result in self.results if result.status == "failed")


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The whole validation as of one moment; `docs` is the offline page, `data_docs` Great Expectations' own."""

    as_of: datetime
    passed: bool
    suites: tuple[SuiteResult, ...]
    docs: Path
    json: Path
    data_docs: Path | None
    failed_slates: tuple[str, ...] = ()

    def failed_seasons(self, table: TableName) -> tuple[int, ...]:
        """Start years whose `table` broke its expectations, ascending."""
        return _seasons(suite for suite in self.suites if suite.suite == table and suite.status == "failed")

    def usable_for(self, *tables: TableName) -> tuple[int, ...]:
        """Start years with something known at `as_of` in which none of `tables` failed, ascending."""
        known = _seasons(suite for suite in self.suites if suite.suite == "games" and suite.rows > 0)
        failed = {season for table in tables for season in self.failed_seasons(table)}
        return tuple(season for season in known if season not in failed)

    @property
    def usable_seasons(self) -> tuple[int, ...]:
        """Start years that training may use: neither games, box nor play-by-play failed."""
        return self.usable_for("games", "box", "pbp")


def _seasons(suites: Iterable[SuiteResult]) -> tuple[int, ...]:
    return tuple(sorted({suite.season for suite in suites if suite.season is not None}))
