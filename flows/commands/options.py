"""Options that several commands share."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from features.errors import InvalidInput
from features.sources.catalog import SOURCES
from flows.settings import FlowSettings
from flows.spec import LineSpec

SEASONS_HELP: Final = "write 2024 or 2024-25 for one season, 2015-2024 for start years, 2023,2024 for a list"
#: The league's first season, and far enough ahead for any simulated one.
FIRST_SEASON: Final = 1946
LAST_SEASON: Final = 2100
_SEASONS: Final = re.compile(r"(\d{4})(?:-(\d{4}|\d{2}))?")


def parse_day(text: str | None) -> date | None:
    """Return the ISO date in `text`. Raises `InvalidInput` for anything else."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"date {text!r} is not a day; write it as 2024-12-15") from error


def parse_moment(text: str | None) -> datetime:
    """Return the moment in `text`, aware; the present one for None. Raises `InvalidInput` for anything else."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"--now {text!r} is not a moment; write it as 2024-12-15T19:35-05:00") from error
    if moment.utcoffset() is None:
        raise InvalidInput(f"--now {text!r} has no time zone; end it with Z for UTC or -05:00 for US Eastern")
    return moment


def parse_seasons(text: str | None) -> tuple[int, ...] | None:
    """Return the start years meant by `text`, ascending and each once. Raises `InvalidInput` for anything else.

    `2024` is a start year; `2024-25` and `2024-2025` are that one season as the league writes it; a longer span
    such as `2015-2024` is every start year from first to last; commas join several of these.
    """
    if text is None:
        return None
    years: set[int] = set()
    for part in text.split(","):
        found = _SEASONS.fullmatch(part.strip())
        if found is None:
            raise InvalidInput(f"seasons {text!r}: {part.strip()!r} is no season; {SEASONS_HELP}")
        first = int(found[1])
        last = int(found[2] or first)
        if found[2] and len(found[2]) == 2:
            last += first // 100 * 100 + (100 if last < first % 100 else 0)
            if last != first + 1:
                raise InvalidInput(f"seasons {text!r}: {part.strip()!r} is not one season; {SEASONS_HELP}")
        if not FIRST_SEASON <= first <= last <= LAST_SEASON:
            raise InvalidInput(
                f"seasons {text!r}: {part.strip()!r} must ascend between {FIRST_SEASON} and {LAST_SEASON}; "
                f"{SEASONS_HELP}"
            )
        years.update([first] if last == first + 1 else range(first, last + 1))
    return tuple(sorted(years))


Source = Annotated[str, typer.Option(help="simulated, archive or nba")]
Data = Annotated[Path | None, typer.Option(help="folder of recorded seasons, for --source archive")]
Seasons = Annotated[str | None, typer.Option(help=SEASONS_HELP)]
Through = Annotated[
    str | None, typer.Option(help="day (ISO): use what was known when it began; its games are the slate")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a machine")]


def line_spec(
    source: str, data: Path | None, seasons: str | None, through: str | None, *, retrain: bool = False
) -> LineSpec:
    """Return the spec of a run from command-line words and the settings. Raises `InvalidInput` for bad words."""
    if source not in SOURCES:
        raise InvalidInput(f"source {source!r} is not known; choose one of {', '.join(SOURCES)}")
    settings = FlowSettings()
    return LineSpec(
        source=source,
        data=data or settings.data,
        seasons=parse_seasons(seasons),
        through=parse_day(through),
        home=settings.home.resolve(),
        retrain=retrain,
    )


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
