"""Read a salary file as downloaded from DraftKings, FanDuel or Yahoo into a `Slate`.

Every real layout is listed in docs/salary_files.md. A file is read whole or refused with a `SalaryFileError` that
names the row, the field, the value and the fix; no row is ever dropped in silence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from features.errors import SalaryFileError
from features.scoring import Site
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.csv_text import CsvText, read_csv_text
from features.sources.game_info import DEFAULT_LOCK, GameInfo, eastern, eastern_day, parse_game
from features.sources.player_names import MatchReport, match_players, normalize_name
from features.sources.projections_file import read_projections
from features.sources.salary_formats import Layout, find_layout
from features.sources.team_names import nba_team

__all__ = [
    "OUT_STATUSES",
    "MatchReport",
    "date_from_name",
    "match_players",
    "read_projections",
    "read_salaries",
]

#: Statuses of players who do not play: DraftKings OUT; FanDuel O, IR, IL, NA; Yahoo O, INJ, SUSP; PPD called off.
OUT_STATUSES: Final = frozenset({"O", "OUT", "INJ", "IR", "IL", "NA", "SUSP", "PPD"})
_ONE_POSITION: Final = frozenset({"PG", "SG", "SF", "PF", "C"})
NBA_POSITIONS: Final = _ONE_POSITION | {"G", "F", "UTIL"}
_SHOWDOWN: Final = ("CPT", "MVP", "STAR", "SUPERSTAR", "CAPTAIN")
_SALARY: Final = re.compile(r"^\$?(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?$")
_STATUS: Final = re.compile(r"\s*\((OUT|O|Q|D|P|GTD|DTD|IR|IL|INJ|NA|SUSP)\)\s*$", re.IGNORECASE)
_NAME_DATE: Final = re.compile(r"(?<![A-Za-z0-9])(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class _Row:
    """One pool row: text by field, and where it is for messages."""

    origin: str
    line: int
    cells: dict[str, str]

    def error(self, field: str, problem: str) -> SalaryFileError:
        value = self.cells.get(field, "")
        return SalaryFileError(f"{self.origin}, row {self.line}, field {field!r}, value {value!r}: {problem}")


def read_salaries(
    path_or_bytes: Path | str | bytes,
    *,
    site: Site | None = None,
    sport: str = "nba",
    slate_date: date | None = None,
) -> Slate:
    """The slate in a salary file or upload template; the site is found from the columns.

    `slate_date` (US Eastern) dates files that give times only or nothing (FanDuel). `lock` is the earliest
    tip-off in the file, else 19:00 Eastern on `slate_date`, else None. Teams are NBA.com's for `sport="nba"`.
    Raises `SalaryFileError` for anything that cannot be trusted, including a file of another `site`.
    """
    text = read_csv_text(path_or_bytes)
    layout = find_layout(text, site)
    rows = list(_rows(text, layout))
    if not rows:
        raise SalaryFileError(f"{text.origin} has a header but no players: the slate is empty; download it again")
    mode = "showdown" if any(_is_showdown(row) for row in rows) else "classic"
    players: list[SlatePlayer] = []
    games: dict[tuple[str, str], SlateGame] = {}
    for row in rows:
        info = _game(row)
        player = _player(row, info, sport, mode)
        players.append(player)
        away, home = _teams(info, sport)
        if away:
            games.setdefault((away, home), SlateGame(away, home, info.tip(slate_date)))
    _refuse_duplicates(rows, players)
    lock = _lock(games.values(), slate_date)
    return Slate(
        slate_id=_slate_id(layout.format.site, sport, mode, lock, players),
        site=layout.format.site,
        sport=sport,
        mode=mode,
        lock=lock,
        games=tuple(sorted(games.values(), key=lambda g: (g.tip is None, g.tip, g.away_team))),
        players=tuple(players),
    )


def date_from_name(path: Path | str) -> date | None:
    """The date a file name starts or continues with ('DKSalaries_2024-12-15.csv'), or None.

    A date glued to a letter is not a slate date (`c2015-12-15...` marks when a file was stored).
    """
    for match in _NAME_DATE.finditer(Path(path).name):
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            continue
    return None


def _rows(text: CsvText, layout: Layout) -> Iterable[_Row]:
    """Pool rows below the header; rows that hold only lineups or instructions have no pool cells."""
    needed = max(layout.columns.values())
    for line, row in zip(text.lines[layout.header_row + 1 :], text.rows[layout.header_row + 1 :], strict=True):
        cells = {field: row[i] for field, i in layout.columns.items() if i < len(row)}
        if not any(cells.values()):
            continue
        if len(row) <= needed:
            raise SalaryFileError(
                f"{text.origin}, row {line} is cut short: {len(row)} cells where {needed + 1} are needed; "
                "the file may be truncated: download it again"
            )
        yield _Row(text.origin, line, cells)


def _player(row: _Row, info: GameInfo, sport: str, mode: str) -> SlatePlayer:
    name, status = _name(row)
    away, home = _teams(info, sport)
    team = _team(row.cells.get("team", ""), sport)
    if not team and "team" in row.cells:
        raise row.error("team", "the player has no team; the row may be cut off: download the file again")
    if away and team and team not in (away, home):
        raise row.error(
            "team", f"the team plays in neither side of its game {away}@{home}; the row may be cut off"
        )
    opponent = _team(row.cells.get("opponent", ""), sport)
    if away and team:
        opponent = home if team == away else away
    positions = _positions(row, sport, mode)
    site_id = row.cells.get("id", "") or _made_id(name, team, positions)
    return SlatePlayer(
        site_id=site_id,
        name=name,
        positions=positions,
        salary_usd=_salary(row),
        team=team,
        opponent=opponent,
        is_home=bool(team) and team == home,
        average_points=_average(row),
        injury_status="PPD" if info.called_off else status,
        upload_name=f"{name} ({site_id})" if row.cells.get("name_id") else row.cells.get("id") or name,
    )


def _name(row: _Row) -> tuple[str, str]:
    """Display name and injury status; FanDuel's nickname is the name it shows."""
    cells = row.cells
    if "id" in cells and not cells["id"]:
        raise row.error("id", "the player has no id; download the file again")
    name = (
        cells.get("name") or cells.get("nickname") or f"{cells.get('first', '')} {cells.get('last', '')}".strip()
    )
    if not name:
        raise row.error("name", "the player has no name; download the file again")
    status = cells.get("status", "").upper()
    suffix = _STATUS.search(name)
    if suffix:
        name, status = name[: suffix.start()], status or suffix[1].upper()
    return name, status


def _salary(row: _Row) -> int:
    text = row.cells["salary"]
    match = _SALARY.match(text)
    if match is None:
        problem = "the salary is missing" if not text else "a salary is a whole number above 0"
        raise row.error("salary", f"{problem}; correct the row or download the file again")
    salary = int(match[1].replace(",", ""))
    if not 0 < salary < 1_000_000:
        raise row.error("salary", "a salary is above 0 and below 1,000,000; correct the row")
    return salary


def _average(row: _Row) -> float:
    text = row.cells.get("average", "")
    if not re.fullmatch(r"-?\d*\.?\d*(?:[eE]-?\d+)?", text):
        raise row.error("average", "the average points must be a number or empty; correct the row")
    try:
        return float(text) if text else 0.0
    except ValueError as error:
        raise row.error("average", "the average points must be a number or empty; correct the row") from error


def _positions(row: _Row, sport: str, mode: str) -> tuple[str, ...]:
    """The site's positions; a showdown's are its roster slots.

    Where an NBA file lists roster slots they win: they are what the site checks (a real entries export has wrong
    positions beside right slots).
    """
    positions, roster = _split(row.cells["position"]), _split(row.cells.get("roster", ""))
    if mode == "showdown":
        positions = roster or positions
    elif sport == "nba":
        positions = tuple(slot for slot in roster if slot in _ONE_POSITION) or positions
    if not positions:
        raise row.error("position", "the player has no position; download the file again")
    unknown = [p for p in positions if p not in NBA_POSITIONS]
    if sport == "nba" and mode == "classic" and unknown:
        raise row.error("position", f"{unknown[0]} is no NBA position; for another sport's file pass its sport")
    return positions


def _split(text: str) -> tuple[str, ...]:
    # FanDuel writes its multiplier into the slot: "MVP - 1.5X Points/AnyFLEX".
    parts = (part.split(" - ")[0].strip().upper() for part in text.split("/"))
    return tuple(dict.fromkeys(part for part in parts if part))


def _is_showdown(row: _Row) -> bool:
    return row.cells.get("roster", "").upper().startswith(_SHOWDOWN)


def _game(row: _Row) -> GameInfo:
    try:
        return parse_game(row.cells.get("game", ""), row.cells.get("time", ""))
    except ValueError as error:
        raise row.error("game", f"{error}; correct the date or time") from error


def _teams(info: GameInfo, sport: str) -> tuple[str, str]:
    return _team(info.away, sport), _team(info.home, sport)


def _team(name: str, sport: str) -> str:
    return nba_team(name) if sport == "nba" else name.upper()


def _made_id(name: str, team: str, positions: tuple[str, ...]) -> str:
    """A stable id where the site gave none (DraftKings until 2017): 'chris-paul-lac'."""
    return "-".join([*normalize_name(name).split(), (team or "-".join(positions)).lower()])


def _refuse_duplicates(rows: list[_Row], players: list[SlatePlayer]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for row, player in zip(rows, players, strict=True):
        person = (normalize_name(player.name, suffix=True), player.team, "/".join(player.positions))
        for key in (("id", player.site_id), person):
            if key in seen:
                raise SalaryFileError(
                    f"{row.origin}, row {row.line}: duplicate player {player.name!r} ({player.site_id}), "
                    f"already in row {seen[key]}; remove one of the two"
                )
            seen[key] = row.line


def _lock(games: Iterable[SlateGame], slate_date: date | None) -> datetime | None:
    tips = [game.tip for game in games if game.tip is not None]
    if tips:
        return min(tips)
    return None if slate_date is None else eastern(slate_date, DEFAULT_LOCK)


def _slate_id(site: str, sport: str, mode: str, lock: datetime | None, players: list[SlatePlayer]) -> str:
    """Site, sport, mode, Eastern day and a digest of the pool: the same content gives the same id."""
    digest = hashlib.sha256()
    for p in sorted(players, key=lambda p: p.site_id):
        digest.update(f"{p.site_id}|{p.name}|{'/'.join(p.positions)}|{p.salary_usd}|{p.team}\n".encode())
    digest.update(str(lock).encode())
    day = "undated" if lock is None else eastern_day(lock).isoformat()
    return f"{site}-{sport}-{mode}-{day}-{digest.hexdigest()[:8]}"
