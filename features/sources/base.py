"""What every source of games offers: batches in the archive schema, each with a cursor to resume from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from features.slate import Slate
from features.tables import TableName
from features.workspace import League


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table and season as received: archive schema plus `event_time` and `known_time`.

    `key` names the batch within its source (e.g. `box/season=2024`); `cursor` is what the source wants back
    to skip what it already gave (an ETag, a date, a content hash).
    """

    table: TableName
    season: int
    key: str
    cursor: str
    frame: pl.DataFrame


class Source(Protocol):
    """A place games come from. `as_of` bounds everything: no row with a later `known_time` is given."""

    name: str
    league: League

    def batches(
        self, *, as_of: datetime, seasons: Sequence[int] | None, cursors: Mapping[str, str]
    ) -> Iterator[Batch]:
        """Yield batches not covered by `cursors` (batch key -> cursor). Raises `SourceUnavailable`."""
        ...

    def slates(self, day: date) -> list[Slate]:
        """Salary slates whose games start on `day` (US Eastern), empty when the source has none."""
        ...
