"""Read a player's own projections: a CSV with names (or site ids) and points."""

from __future__ import annotations

import math
from pathlib import Path
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
_HEADER_ROWS: Final = 5


def read_projections(path: Path | str | bytes, slate: Slate) -> dict[str, float]:
    """`site_id -> points` for the slate's players in the file, matched by id, else by name (and team).

    Players of the file who are not on the slate are ignored, players of the slate who are not in the file have no
    entry. A name on two slate rows (showdown) gives both its points. Raises `SalaryFileError` for missing columns,
    a value that is not a finite number, a player named twice, or a file that shares no player with the slate.
    """
    text = read_csv_text(path, what="the projections file")
    start, columns = _columns(text)
    by_name = _index(slate)
    known = {player.site_id for player in slate.players}
    found: dict[str, float] = {}
    for line, row in zip(text.lines[start:], text.rows[start:], strict=True):
        cells = {field: row[i] for field, i in columns.items() if i < len(row)}
        if not any(row):
            continue
        ids = _slate_ids(cells, known, by_name)
        points = _points(cells.get("points"), text.origin, line)
        for site_id in ids:
            if site_id in found:
                raise SalaryFileError(f"{text.origin}, row {line}: {cells!r} names a player twice; remove one row")
            found[site_id] = points
    if not found:
        raise SalaryFileError(
            f"{text.origin} names no player of slate {slate.slate_id}; check that it is for the same day"
        )
    return found


def _columns(text: CsvText) -> tuple[int, dict[str, int]]:
    for index, row in enumerate(text.rows[:_HEADER_ROWS]):
        titles = [cell.lower() for cell in row]
        columns: dict[str, int] = {}
        for field, choices in (("id", _IDS), ("name", _NAMES), ("team", _TEAMS), ("points", _POINTS)):
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


def _points(value: str | None, origin: str, line: int) -> float:
    try:
        points = float(value or "")
    except ValueError:
        points = math.nan
    if not math.isfinite(points):
        raise SalaryFileError(
            f"{origin}, row {line}, field 'points', value {value!r}: not a number; correct the row"
        )
    return points
