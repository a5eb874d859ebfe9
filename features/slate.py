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
    """One salary row. `site_id` is the id the upload file wants.

    `positions` are what roster slots ask for: PG, SG, ... in a classic contest (a site's SP is the P its slot wants),
    the slots themselves where those multiply: ('CPT',) or ('FLEX',) on DraftKings, ('MVP', 'ANYFLEX') on FanDuel,
    ('T1',) in tiers. `field_positions` are then where he plays (('QB',)), for stacks; elsewhere the same as
    `positions` or empty. `person` is the same text on every row of one human (DraftKings lists a captain apart, with
    his own id), of whom a lineup takes one row; empty: the row is his only one. `batting_order` is 1..9 where the
    file tells. `started` says that the file marks the player or his game as under way, so that he cannot be swapped.
    `team` and `opponent` use NBA.com abbreviations (NBA), else the site's in upper case. `average_points` is the
    file's own column (DraftKings repeats it unmultiplied for a captain), `salary_usd` 0 in tiers. `player_id` is the
    NBA.com person id once matched, None before or when nobody matches.
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
    person: str = ""
    field_positions: tuple[str, ...] = ()
    batting_order: int | None = None
    started: bool = False


@dataclass(frozen=True, slots=True)
class Slate:
    """A pool of players for one contest type. `lock` (UTC) is the first tip-off.

    `slate_id` is stable for the same content. `lock` is None when neither file nor caller gives a date. `mode` is
    `classic`, `showdown` (DraftKings captain), `single_game` (FanDuel, Yahoo) or `tiers`.
    """

    slate_id: str
    site: Site
    sport: str
    mode: str
    lock: datetime | None
    games: tuple[SlateGame, ...]
    players: tuple[SlatePlayer, ...]
    source: str = "file"
