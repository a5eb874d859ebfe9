"""A slate: the games and salaries of one contest pool, whatever site it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from features.scoring import Site


@dataclass(frozen=True, slots=True)
class SlateGame:
    """One game of a slate; `tip` is UTC, None when the file does not say."""

    away_team: str
    home_team: str
    tip: datetime | None


@dataclass(frozen=True, slots=True)
class SlatePlayer:
    """One salary row. `site_id` is the id the upload file wants; `positions` are the site's own (PG, SG, ...).

    `team` and `opponent` use NBA.com abbreviations; `average_points` is the file's own column.
    `player_id` is the NBA.com person id once matched, None before or when nobody matches.
    """

    site_id: str
    name: str
    positions: tuple[str, ...]
    salary_usd: int
    team: str
    opponent: str
    is_home: bool
    average_points: float
    injury_status: str = ""
    player_id: int | None = None
    upload_name: str = ""


@dataclass(frozen=True, slots=True)
class Slate:
    """A pool of players for one contest type. `lock` (UTC) is the first tip-off.

    `slate_id` is stable for the same content. `lock` is None when neither file nor caller gives a date.
    """

    slate_id: str
    site: Site
    sport: str
    mode: str
    lock: datetime | None
    games: tuple[SlateGame, ...]
    players: tuple[SlatePlayer, ...]
    source: str = "file"
