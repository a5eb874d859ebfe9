"""Read a player's own projections: a CSV with names (or site ids) and points, and what else it says of them.

Beside the points a floor, a ceiling (or a standard deviation) and a projected ownership are read where there are
columns for them; a slate's own `.csv` from another tool usually has some.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Final

from features.errors import SalaryFileError
from features.slate import Slate
from features.sources.csv_text import CsvText, read_csv_text
from features.sources.player_names import normalize_name
from features.sources.team_names import nba_team

_IDS: Final = ("id", "player id", "site_id", "playerid")
_NAMES: Final = ("name", "player", "player name", "nickname")
_TEAMS: Final = ("team", "teamabbrev", "tm")
_POINTS: Final = ("fpts", "projection", "projected points", "proj", "points", "ppg_projection", "fp", "mean")
_FLOORS: Final = ("floor", "fpts floor", "q10", "p10", "low")
_CEILINGS: Final = ("ceiling", "ceil", "fpts ceiling", "q90", "p90", "high")
_DEVIATIONS: Final = ("stddev", "std dev", "std", "sd", "deviation")
_OWNERSHIPS: Final = (
    "own%", "own", "ownership", "ownership%", "ownership %", "own %", "proj own", "proj own%", "projected ownership",
    "pown", "pown%",
)  # fmt: skip
_COLUMNS: Final = {
    "id": _IDS, "name": _NAMES, "team": _TEAMS, "points": _POINTS, "floor": _FLOORS, "ceiling": _CEILINGS,
    "deviation": _DEVIATIONS, "ownership": _OWNERSHIPS,
}  # fmt: skip
_HEADER_ROWS: Final = 5
#: Floor and ceiling are the 10 % and 90 % quantiles, this many standard deviations from the mean.
_Z: Final = NormalDist().inv_cdf(0.90)


@dataclass(frozen=True, slots=True)
class OwnNumbers:
    """What a file says of one player: fantasy points, their 10 % and 90 % quantiles, and his ownership (0..1)."""

    points: float
    floor: float | None = None
    ceiling: float | None = None
    ownership: float | None = None


def read_projections(path: Path | str | bytes, slate: Slate) -> dict[str, float]:
    """`site_id -> points` for the slate's players in the file; otherwise as `read_own_numbers`."""
    return {site_id: numbers.points for site_id, numbers in read_own_numbers(path, slate).items()}


def read_own_numbers(path: Path | str | bytes, slate: Slate) -> dict[str, OwnNumbers]:
    """`site_id -> numbers` for the slate's players in the file, matched by id, else by name (and team).

    Players of the file who are not on the slate are ignored, players of the slate who are not in the file have no
    entry. A name on two slate rows (showdown) gives both its numbers. Ownership may be in per cent or a share. Raises
    `SalaryFileError` for missing columns, a value that is not a finite number, a floor above a ceiling, a player named
    twice, or a file that shares no player with the slate.
    """
    text = read_csv_text(path, what="the projections file")
    start, columns = _columns(text)
    by_name = _index(slate)
    known = {player.site_id for player in slate.players}
    scale = _ownership_scale(text, start, columns.get("ownership"))
    found: dict[str, OwnNumbers] = {}
    for line, row in zip(text.lines[start:], text.rows[start:], strict=True):
        cells = {field: row[i] for field, i in columns.items() if i < len(row)}
        if not any(row):
            continue
        ids = _slate_ids(cells, known, by_name)
        numbers = _numbers(cells, scale, text.origin, line)
        for site_id in ids:
            if site_id in found:
                raise SalaryFileError(f"{text.origin}, row {line}: {cells!r} names a player twice; remove one row")
            found[site_id] = numbers
    if not found:
        raise SalaryFileError(
            f"{text.origin} names no player of slate {slate.slate_id}; check that it is for the same day"
        )
    return found


def _columns(text: CsvText) -> tuple[int, dict[str, int]]:
    for index, row in enumerate(text.rows[:_HEADER_ROWS]):
        titles = [cell.lower() for cell in row]
        columns: dict[str, int] = {}
        for field, choices in _COLUMNS.items():
            title = next((choice for choice in choices if choice in titles), None)
            if title is not None:
                columns[field] = titles.index(title)
        if "points" in columns and ("id" in columns or "name" in columns):
            return index + 1, columns
    first = text.rows[0][:12] if text.rows else ()
    raise SalaryFileError(
        f"{text.origin} has no projection columns (first row: {list(first)}); it needs a name column {_NAMES} "
        f"or an id column {_IDS}, and a points column {_POINTS}"
    )


def _index(slate: Slate) -> dict[tuple[str, str], list[str]]:
    """(name, team) and (name, '') -> site ids; a name two people share has no entry without its team."""
    index: dict[tuple[str, str], list[str]] = {}
    teams: dict[str, set[str]] = {}
    for player in slate.players:
        name = normalize_name(player.name)
        index.setdefault((name, player.team), []).append(player.site_id)
        teams.setdefault(name, set()).add(player.team)
    for (name, _), ids in list(index.items()):
        if len(teams[name]) == 1:
            index[(name, "")] = ids
    return index


def _slate_ids(cells: dict[str, str], known: set[str], by_name: dict[tuple[str, str], list[str]]) -> list[str]:
    if cells.get("id") in known:
        return [cells["id"]]
    name = normalize_name(cells.get("name", ""))
    return by_name.get((name, nba_team(cells.get("team", "")))) or by_name.get((name, ""), [])


def _numbers(cells: dict[str, str], scale: float, origin: str, line: int) -> OwnNumbers:
    points = _number(cells.get("points", ""), "points", origin, line)
    floor, ceiling, deviation, ownership = (
        _number(cells[field].rstrip("%"), field, origin, line) if cells.get(field) else None
        for field in ("floor", "ceiling", "deviation", "ownership")
    )
    if deviation is not None and deviation > 0:
        floor = max(0.0, points - _Z * deviation) if floor is None else floor
        ceiling = points + _Z * deviation if ceiling is None else ceiling
    low, high = points if floor is None else floor, points if ceiling is None else ceiling
    if low > high:
        raise SalaryFileError(f"{origin}, row {line}: floor {low} is above ceiling {high}; correct the row")
    if ownership is not None:
        ownership *= scale
        if not 0 <= ownership <= 1:
            raise SalaryFileError(
                f"{origin}, row {line}, field 'ownership', value {cells['ownership']!r}: not between 0 and 100 %"
            )
    return OwnNumbers(points, floor, ceiling, ownership)


def _ownership_scale(text: CsvText, start: int, column: int | None) -> float:
    """What turns the column into shares: per cent where a sign or a value above 1 says so."""
    if column is None:
        return 1.0
    cells = [row[column] for row in text.rows[start:] if column < len(row) and row[column]]
    signed = "%" in text.rows[start - 1][column] or any(cell.endswith("%") for cell in cells)
    return 0.01 if signed or any(_above_one(cell) for cell in cells) else 1.0


def _above_one(cell: str) -> bool:
    try:
        return float(cell) > 1
    except ValueError:
        return False


def _number(value: str, field: str, origin: str, line: int) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SalaryFileError(
            f"{origin}, row {line}, field {field!r}, value {value!r}: not a number; correct the row"
        )
    return number
