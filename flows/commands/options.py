"""Options that several commands share."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from features.errors import InvalidInput
from flows.settings import FlowSettings
from flows.spec import LineSpec


def parse_day(text: str | None) -> date | None:
    """Return the ISO date in `text`. Raises `InvalidInput` for anything else."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"date {text!r} is not a day; write it as 2024-12-15") from error


def parse_seasons(text: str | None) -> tuple[int, ...] | None:
    """Return start years from `2023,2024`, `2015-2024` or `2024`. Raises `InvalidInput` otherwise."""
    if text is None:
        return None
    years: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise InvalidInput(f"seasons {text!r}: write start years, e.g. 2024, 2023,2024 or 2015-2024")
        years.extend(range(int(first), int(last or first) + 1))
    return tuple(years)


Source = Annotated[str, typer.Option(help="simulated, archive or nba")]
Data = Annotated[Path | None, typer.Option(help="folder of recorded seasons, for --source archive")]
Seasons = Annotated[str | None, typer.Option(help="start years: 2024, 2023,2024 or 2015-2024")]
Through = Annotated[
    str | None, typer.Option(help="day (ISO): use what was known when it began; its games are the slate")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a machine")]


def line_spec(
    source: str, data: Path | None, seasons: str | None, through: str | None, *, retrain: bool = False
) -> LineSpec:
    """Return the spec of a run from command-line words and the settings."""
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
