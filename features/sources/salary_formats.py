"""The column layouts salary files come in, and finding one inside a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from features.errors import SalaryFileError
from features.scoring import Site
from features.sources.csv_text import CsvText
from features.sources.sports import is_tier

#: Upload templates put the player pool to the right of and below the lineups, within this many rows.
_HEADER_ROWS: Final = 60
_MAX_COLUMNS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Format:
    """One layout: `required` and `optional` map our field to the site's column title (lower case).

    The player pool starts at the column titled as the field `anchor`.
    """

    site: Site
    label: str
    anchor: str
    required: dict[str, str]
    optional: dict[str, str]
    #: Only for files whose rows have such a roster slot.
    tiers: bool = False


FORMATS: Final[tuple[Format, ...]] = (
    Format(
        "draftkings",
        "DraftKings (since 2018)",
        "position",
        {"position": "position", "name_id": "name + id", "name": "name", "id": "id",
         "roster": "roster position", "salary": "salary", "game": "game info", "team": "teamabbrev",
         "average": "avgpointspergame"},
        {"status": "status"},
    ),
    Format(
        "draftkings",
        "DraftKings tiers",
        "position",
        {"position": "position", "name_id": "name + id", "name": "name", "id": "id",
         "roster": "roster position", "game": "game info", "team": "teamabbrev", "average": "avgpointspergame"},
        {"status": "status"},
        tiers=True,
    ),
    Format(
        # The exports and upload templates of 2017-18: an id, but no roster position yet.
        "draftkings",
        "DraftKings (2017)",
        "position",
        {"position": "position", "name_id": "name + id", "name": "name", "id": "id", "salary": "salary"},
        {"roster": "roster position", "game": "gameinfo", "game_info": "game info", "team": "teamabbrev",
         "average": "avgpointspergame"},
    ),
    Format(
        "draftkings",
        "DraftKings (2015-17)",
        "position",
        {"position": "position", "name": "name", "salary": "salary", "game": "gameinfo",
         "average": "avgpointspergame"},
        {"team": "teamabbrev"},
    ),
    Format(
        "fanduel",
        "FanDuel",
        "id",
        {"id": "id", "position": "position", "first": "first name", "last": "last name", "average": "fppg",
         "salary": "salary", "game": "game", "team": "team", "opponent": "opponent", "status": "injury indicator"},
        {"nickname": "nickname", "roster": "roster position", "batting": "batting order",
         "mvp": "mvp salary"},
    ),
    Format(
        "yahoo",
        "Yahoo",
        "id",
        {"id": "id", "first": "first name", "last": "last name", "position": "position", "team": "team",
         "opponent": "opponent", "game": "game", "salary": "salary", "average": "fppg", "status": "injury status"},
        {"time": "time", "starting": "starting"},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """A format found in a file: the header's row index and the column index of each field present."""

    format: Format
    header_row: int
    columns: dict[str, int]


def find_layout(text: CsvText, site: Site | None) -> Layout:
    """Locate the player pool. Raises `SalaryFileError` for unknown columns or another site's file."""
    for index, row in enumerate(text.rows[:_HEADER_ROWS]):
        titles = tuple(cell.lower() for cell in row[:_MAX_COLUMNS])
        for layout in FORMATS:
            columns = _columns(layout, titles)
            if columns is None or (layout.tiers and not _has_tier(text.rows[index + 1 :], columns["roster"])):
                continue
            if site is not None and layout.site != site:
                raise SalaryFileError(
                    f"{text.origin} is a {layout.label} file, but the site asked for is {site!r}; "
                    f"pass site {layout.site!r} or the {site} file"
                )
            return Layout(layout, index, columns)
    raise SalaryFileError(_unknown(text))


def _columns(layout: Format, titles: tuple[str, ...]) -> dict[str, int] | None:
    anchor = layout.required[layout.anchor]
    for start, title in enumerate(titles):
        if title != anchor:
            continue
        found = {title: start + i for i, title in reversed(list(enumerate(titles[start:])))}
        if all(title in found for title in layout.required.values()):
            every = {**layout.optional, **layout.required}
            columns = {field: found[title] for field, title in every.items() if title in found}
            if "game_info" in columns:
                columns["game"] = columns.pop("game_info")
            return columns
    return None


def _has_tier(rows: Sequence[Sequence[str]], column: int) -> bool:
    return any(len(row) > column and is_tier(row[column].upper()) for row in rows)


def _unknown(text: CsvText) -> str:
    """The closest layout, and which of its columns are missing."""
    row = next((r for r in text.rows if any(r)), ())
    titles = {cell.lower() for cell in row}
    if {"entryid", "lineup", "points"} <= titles:
        return f"{text.origin} is a contest standings file, not salaries; pass it as standings"
    if {"fpts", "own%"} <= titles:
        return f"{text.origin} is a projections file, not salaries; pass it as projections"
    closest = max(FORMATS, key=lambda f: len(titles & set(f.required.values())) / len(f.required))
    missing = [title for title in closest.required.values() if title not in titles]
    seen = ", ".join(repr(cell[:30]) for cell in row[:12]) or "nothing"
    if len(missing) < len(closest.required) / 2:
        return f"{text.origin} looks like {closest.label} but lacks the columns {missing}; download it again"
    return (
        f"{text.origin} has no salary columns (first row: {seen}); "
        "expected a DraftKings, FanDuel or Yahoo player export: see docs/salary_files.md"
    )
