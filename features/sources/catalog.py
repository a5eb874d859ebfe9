"""Opens a source of games by its name: simulated, archive or nba."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from features.errors import InvalidInput
from features.sources.base import Source
from features.tables import EASTERN
from features.workspace import League

SOURCES: Final = ("simulated", "archive", "nba")
LEAGUE_OF: Final[dict[str, League]] = {"simulated": "simulated", "archive": "nba", "nba": "nba"}


def start_of_day(day: date) -> datetime:
    """UTC instant at which `day` begins in US Eastern, the league's clock.

    `--through D` means this instant: all that was known before day D, whose own games are the slate.
    """
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(EASTERN)).astimezone(UTC)


def open_source(name: str, *, data: Path | None, simulate: Mapping[str, Any], through: date | None) -> Source:
    """Return the source called `name`. Raises `InvalidInput` for an unknown name or an archive without a folder."""
    if name == "simulated":
        from features.sources.simulated import SimulatedSource

        seasons: Sequence[int] = simulate["seasons"]
        return SimulatedSource(seed=int(simulate["seed"]), seasons=seasons, through=through or simulate["through"])
    if name == "archive":
        from features.sources.archive import ArchiveSource

        if data is None:
            raise InvalidInput("source 'archive' needs a folder: pass --data DIR or set FANTASY_DATA")
        return ArchiveSource(data)
    if name == "nba":
        from features.sources.nba import NbaSource

        return NbaSource()
    raise InvalidInput(f"unknown source {name!r}; choose one of {', '.join(SOURCES)}")
