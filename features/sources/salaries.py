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
from features.sources.sports import (
    CAPTAINS,
    MULTIPLIED,
    OPEN_SLOTS,
    SPORTS,
    find_mode,
    find_sport,
    fits_sport,
    slot_positions,
)
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
_NBA_POSITIONS: Final = frozenset({"PG", "SG", "SF", "PF", "C"})
_SALARY: Final = re.compile(r"^\$?(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?$")
_STATUS: Final = re.compile(r"\s*\((OUT|O|Q|D|P|GTD|DTD|IR|IL|INJ|NA|SUSP)\)\s*$", re.IGNORECASE)
_LOCKED: Final = re.compile(r"\(LOCKED\)\s*$", re.IGNORECASE)
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


@dataclass(frozen=True, slots=True)
class _Pool:
    """What the whole file says: a row means different things in different sports and modes."""

    site: Site
    sport: str
    mode: str


def read_salaries(
    path_or_bytes: Path | str | bytes,
    *,
    site: Site | None = None,
    sport: str | None = None,
    mode: str | None = None,
    slate_date: date | None = None,
) -> Slate:
    """The slate in a salary file or upload template; site, sport and mode are found from columns, positions and teams.

    `sport` and `mode` name them where the file cannot tell (a user's own contest, golf's one-round showdown).
    `slate_date` (US Eastern) dates files that give times only or nothing (FanDuel). `lock` is the earliest
    tip-off in the file, else 19:00 Eastern on `slate_date`, else None.
    Raises `SalaryFileError` for anything that cannot be trusted, including a file of another `site` or `sport`.
    """
    text = read_csv_text(path_or_bytes)
    layout = find_layout(text, site)
    rows = list(_rows(text, layout))
    if not rows:
        raise SalaryFileError(f"{text.origin} has a header but no players: the slate is empty; download it again")
    pool = _pool(rows, layout.format.site, sport, mode)
    players: list[SlatePlayer] = []
    games: dict[tuple[str, str], SlateGame] = {}
    for row in rows:
        info = _game(row)
        players.append(_player(row, info, pool))
        away, home = _teams(info, pool.sport)
        if away:
            games.setdefault((away, home), SlateGame(away, home, info.tip(slate_date)))
    _refuse_duplicates(rows, players)
    lock = _lock(games.values(), slate_date)
    return Slate(
        slate_id=_slate_id(pool, lock, players),
        site=pool.site,
        sport=pool.sport,
        mode=pool.mode,
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


def _pool(rows: list[_Row], site: Site, sport: str | None, mode: str | None) -> _Pool:
    """Sport and mode of the file. Raises `SalaryFileError` for positions of no sport, or not of the one named."""
    slots = {slot for row in rows for slot in _split(row.cells.get("roster", ""))}
    fields = {position for row in rows for position in _split(row.cells["position"])}
    games = {row.cells.get("game", "") for row in rows}
    found_mode = find_mode(slots or fields, dear_mvp=any(row.cells.get("mvp") for row in rows))
    if site == "yahoo" and len(games) == 1:
        found_mode = "single_game"  # its files name no roster slots
    positions = slots - OPEN_SLOTS if found_mode == "classic" else set()
    if positions <= CAPTAINS or not any(positions <= known for known in SPORTS.values()):
        positions = fields
    teams = {row.cells["team"] for row in rows if row.cells.get("team")}
    found = find_sport(positions, teams) or find_sport(fields, teams)
    if sport is None and found is None:
        raise SalaryFileError(
            f"{rows[0].origin}, field 'position': {sorted(positions)[:12]} are the positions of no sport known here; "
            "correct the row that is wrong, or pass the sport"
        )
    named = sport or str(found)
    if not (fits_sport(named, positions) or fits_sport(named, fields)):
        known = SPORTS.get(named, frozenset())
        odd = next((row for row in rows if not known.issuperset(_split(row.cells["position"]))), rows[0])
        raise odd.error(
            "position",
            f"this is no position of sport {named!r}; "
            + (
                f"the file looks like {found!r}: pass that sport or none" if found else "pass the file's own sport"
            ),
        )
    return _Pool(site, named, mode or found_mode)


def _player(row: _Row, info: GameInfo, pool: _Pool) -> SlatePlayer:
    name, status = _name(row)
    away, home = _teams(info, pool.sport)
    team = _team(row.cells.get("team", ""), pool.sport)
    if not team and "team" in row.cells:
        raise row.error("team", "the player has no team; the row may be cut off: download the file again")
    if away and team and team not in (away, home):
        raise row.error(
            "team", f"the team plays in neither side of its game {away}@{home}; the row may be cut off"
        )
    opponent = _team(row.cells.get("opponent", ""), pool.sport)
    if away and team:
        opponent = home if team == away else away
    positions, field_positions = _positions(row, pool)
    site_id = row.cells.get("id", "") or _made_id(name, team, positions)
    side = team or f"{away}@{home}"
    person = [normalize_name(name, suffix=True), side, *(field_positions if pool.mode != "classic" else ())]
    return SlatePlayer(
        site_id=site_id,
        name=name,
        positions=positions,
        salary_usd=_salary(row, pool.mode),
        team=team,
        opponent=opponent,
        is_home=bool(team) and team == home,
        average_points=_average(row),
        injury_status="PPD" if info.called_off else status,
        upload_name=f"{name} ({site_id})" if row.cells.get("name_id") else row.cells.get("id") or name,
        person="|".join(person),
        field_positions=field_positions,
        batting_order=_batting_order(row),
        started=info.started or bool(_LOCKED.search(row.cells.get("name_id", ""))),
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


def _salary(row: _Row, mode: str) -> int:
    text = row.cells.get("salary", "")
    if mode.startswith("tiers") and text.strip("0.$") == "":
        return 0
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


def _positions(row: _Row, pool: _Pool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What roster slots ask for, and where the player plays.

    Where a DraftKings or an NBA file lists roster slots they win: they are what the site checks (a real entries export
    has wrong positions beside right slots). FanDuel's baseball slots are wider than positions (a catcher fills C/1B).
    """
    raw, roster = _split(row.cells["position"]), _split(row.cells.get("roster", ""))
    field = slot_positions(pool.sport, raw)
    if not field:
        raise row.error("position", "the player has no position; download the file again")
    if pool.mode != "classic" or not (CAPTAINS | MULTIPLIED).isdisjoint(roster):
        return roster or field, field
    if pool.sport == "nba":
        return tuple(slot for slot in roster if slot in _NBA_POSITIONS) or field, field
    listed = tuple(slot for slot in roster if slot not in OPEN_SLOTS) if pool.site == "draftkings" else ()
    return slot_positions(pool.sport, listed) or field, field


def _batting_order(row: _Row) -> int | None:
    text = row.cells.get("batting", "")
    return int(text) if re.fullmatch(r"[1-9]", text) else None


def _split(text: str) -> tuple[str, ...]:
    # FanDuel writes its multiplier into the slot: "MVP - 1.5X Points/AnyFLEX".
    parts = (part.split(" - ")[0].strip().upper() for part in text.split("/"))
    return tuple(dict.fromkeys(part for part in parts if part))


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
        person = (player.person, "/".join(player.positions))
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


def _slate_id(pool: _Pool, lock: datetime | None, players: list[SlatePlayer]) -> str:
    """Site, sport, mode, Eastern day and a digest of the pool: the same content gives the same id."""
    digest = hashlib.sha256()
    for p in sorted(players, key=lambda p: p.site_id):
        digest.update(f"{p.site_id}|{p.name}|{'/'.join(p.positions)}|{p.salary_usd}|{p.team}\n".encode())
    digest.update(str(lock).encode())
    day = "undated" if lock is None else eastern_day(lock).isoformat()
    return f"{pool.site}-{pool.sport}-{pool.mode}-{day}-{digest.hexdigest()[:8]}"
