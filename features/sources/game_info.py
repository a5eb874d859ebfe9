"""What a salary row says about its game: teams, tip-off, or that it has started or will not be played."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from features.tables import EASTERN

#: NBA slates lock at 7 pm Eastern on most days; used when neither the file nor its caller gives a time.
DEFAULT_LOCK: Final = time(19, 0)
_ET: Final = ZoneInfo(EASTERN)
_GAME: Final = re.compile(r"^(?P<first>.+?)\s*(?P<sep>@|\svs\.?\s)\s*(?P<second>.+?)$", re.IGNORECASE)
_WHEN: Final = re.compile(
    r"\s+(?:(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\s+)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})\s*(?P<half>[AP])M(?:\s*E[SD]?T)?$",
    re.IGNORECASE,
)
_UNDER_WAY: Final = frozenset({"in progress", "final", "completed", "live"})
_OFF: Final = frozenset({"postponed", "cancelled", "canceled", "suspended"})


@dataclass(frozen=True, slots=True)
class GameInfo:
    """`away`/`home` as written, empty when the cell names no game (a started game, a golf event)."""

    away: str = ""
    home: str = ""
    day: date | None = None
    clock: time | None = None
    called_off: bool = False
    started: bool = False

    def tip(self, slate_date: date | None) -> datetime | None:
        """Tip-off in UTC; the file's own date wins over `slate_date`. None without a date or a time."""
        day = self.day or slate_date
        return None if day is None or self.clock is None else eastern(day, self.clock)


def eastern(day: date, clock: time) -> datetime:
    """UTC moment of a wall-clock time in US Eastern, daylight saving included."""
    return datetime.combine(day, clock, _ET).astimezone(UTC)


def eastern_day(moment: datetime) -> date:
    """Calendar day of an aware moment in US Eastern."""
    return moment.astimezone(_ET).date()


def parse_game(text: str, clock: str = "") -> GameInfo:
    """Read 'DAL@GSW 12/15/2024 08:30PM ET', 'Dal@LAC 10:30PM ET', 'TOT vs SOU 07:30AM ET' or 'NO@GS'.

    `vs` has the home side first. `clock` is a separate time column ('7:00PM EST'). Raises `ValueError` for an
    impossible date or time.
    """
    cell = " ".join(text.split())
    if cell.lower() in _OFF:
        return GameInfo(called_off=True)
    if cell.lower() in _UNDER_WAY:
        return GameInfo(started=True)
    day, at, teams = _when(cell)
    if at is None and clock:
        day, at, _ = _when(" " + clock.strip())
    match = _GAME.match(teams)
    if match is None:
        return GameInfo(day=day, clock=at)
    first, second = match["first"].strip(), match["second"].strip()
    away, home = (first, second) if match["sep"] == "@" else (second, first)
    return GameInfo(away, home, day, at)


def _when(cell: str) -> tuple[date | None, time | None, str]:
    match = _WHEN.search(cell)
    if match is None:
        return None, None, cell.strip()
    hour = int(match["hour"]) % 12 + (12 if match["half"].upper() == "P" else 0)
    if not 1 <= int(match["hour"]) <= 12:
        raise ValueError(f"hour {match['hour']} is not on a 12-hour clock")
    at = time(hour, int(match["minute"]))
    day = date(int(match["year"]), int(match["month"]), int(match["day"])) if match["year"] else None
    return day, at, cell[: match.start()].strip()
