"""Roster rules of one contest type as typed values; no rule of any site is written in code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.scoring import Site

UploadCell = Literal["name_and_id", "id"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One roster slot; a player fits when any of his positions is in `positions`."""

    name: str
    positions: frozenset[str]
    #: A captain's points (and, where the site's file lists him once, his salary) are multiplied by these.
    points_multiplier: float = 1.0
    salary_multiplier: float = 1.0

    def accepts(self, positions: tuple[str, ...]) -> bool:
        """Whether a player with these site positions may fill the slot."""
        return not self.positions.isdisjoint(positions)


@dataclass(frozen=True, slots=True)
class TeamLimit:
    """At most `at_most` players of these positions from one team (MLB hitters)."""

    positions: frozenset[str]
    at_most: int


@dataclass(frozen=True, slots=True)
class Contest:
    """Roster rules of one site x sport x mode.

    `slots` are in roster order, as the site's upload file has them. `salary_cap_usd` is in the site's own salary
    units (Yahoo's salaries are tens of dollars, not thousands); every salary is a multiple of `salary_step_usd`.
    `max_per_team` is the lineup size where a site sets no limit; `min_teams` and `min_games` are 1 likewise.
    `source` is the rule page, `upload_header` the first row of the file the site accepts and `upload_cell`
    what it wants in each cell. `salary_cap_usd` is None where salaries do not count (tiers). `max_per_game` is 1 where
    opponents exclude one another (MMA), else None. `min_teams_positions` are the positions whose teams count towards
    `min_teams` (DraftKings NHL leaves goalies out), None where every player's does.
    """

    site: Site
    sport: str
    mode: str
    slots: tuple[Slot, ...]
    salary_cap_usd: int | None
    salary_step_usd: int
    max_per_team: int
    min_teams: int
    min_games: int
    upload_header: tuple[str, ...]
    upload_cell: UploadCell
    max_upload_lineups: int
    source: str
    team_limits: tuple[TeamLimit, ...] = ()
    max_per_game: int | None = None
    min_teams_positions: frozenset[str] | None = None

    @property
    def lineup_size(self) -> int:
        """Number of players in a lineup."""
        return len(self.slots)

    @property
    def positions(self) -> frozenset[str]:
        """Every player position that fits at least one slot."""
        return frozenset().union(*(slot.positions for slot in self.slots))

    @property
    def name(self) -> str:
        """E.g. `draftkings nba classic`."""
        return f"{self.site} {self.sport} {self.mode}"
