"""The player's own rules on top of the contest's; pure data, no solver.

Ids are the salary file's. Positions are the site's (QB, WR, OF, ...). Teams are the slate's abbreviations. Exposures
are shares of the lineups asked for, rounded down for maxima (but at least one lineup) and up for minima.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Measure = Literal["mean", "floor", "ceiling", "blend"]


@dataclass(frozen=True, slots=True)
class Objective:
    """What a lineup's players are summed by.

    blend = mean + blend_weight x (ceiling - mean), or + |blend_weight| x (floor - mean) for a negative weight.
    `leverage` takes that many points off per 100 % of projected ownership. `randomness` (0..1) moves each lineup's
    projections that far from the mean towards a draw of the players' own correlated distributions, by `seed`.
    """

    measure: Measure = "mean"
    blend_weight: float = 0.5
    leverage: float = 0.0
    randomness: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """How many of `players` a lineup holds; both equal means exactly. Exposure counts lineups with one or more."""

    name: str
    players: frozenset[str]
    at_least: int = 0
    at_most: int | None = None
    min_exposure: float = 0.0
    max_exposure: float = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """If a lineup holds any of `when`, it holds at least / at most so many of `then`."""

    when: frozenset[str]
    then: frozenset[str]
    at_least: int = 1
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class TeamStack:
    """At least `size` players of one team, of any of `teams` (None: every team), counting `positions` (None: all).

    `roles` asks beside that for so many of given positions within the same team, such as ((QB,), 1), ((WR, TE), 2).
    `bring_back` asks for so many of the stacked team's opponents, of `bring_back_positions`. Several stacks of one
    request are met by different teams. `max_exposure` / `min_exposure` are per team: lineups that hold `size` or more
    of its `positions`.
    """

    size: int
    teams: frozenset[str] | None = None
    positions: frozenset[str] | None = None
    roles: tuple[tuple[frozenset[str], int], ...] = ()
    bring_back: int = 0
    bring_back_positions: frozenset[str] | None = None
    max_exposure: float = 1.0
    min_exposure: float = 0.0


@dataclass(frozen=True, slots=True)
class GameStack:
    """At least `size` players of one game, of any of `games` (None: every game), `per_team` or more from each side.

    Only `positions` count (None: all). Several game stacks of one request are met by different games. `max_exposure` is
    per game: lineups that hold `size` or more of it.
    """

    size: int
    per_team: int = 1
    games: frozenset[str] | None = None
    positions: frozenset[str] | None = None
    max_exposure: float = 1.0


@dataclass(frozen=True, slots=True)
class OpposingLimit:
    """Beside a player of `positions` at most `at_most` of his opponents' `against` (a pitcher and hitters)."""

    positions: frozenset[str]
    against: frozenset[str]
    at_most: int = 0


@dataclass(frozen=True, slots=True)
class SameTeamLimit:
    """At most `at_most` players of `positions` from one team, of `teams` (None: every team)."""

    positions: frozenset[str]
    at_most: int
    teams: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class TeamExposure:
    """Share of lineups that hold `players` or more of `team`."""

    team: str
    players: int = 1
    min_exposure: float = 0.0
    max_exposure: float = 1.0


@dataclass(frozen=True, slots=True)
class BattingOrderSpacing:
    """The hitters of one team all bat in a run of `span` consecutive places, the order being a circle of nine.

    Players without a batting order are not bound.
    """

    span: int


@dataclass(frozen=True, slots=True)
class OwnershipLimit:
    """Bounds on the sum of a lineup's projected ownership, in shares (8 players at 20 % sum to 1.6)."""

    max_total: float | None = None
    min_total: float | None = None


@dataclass(frozen=True, slots=True)
class LineupRules:
    """Everything a player may ask for. `min_unique` players differ between any two lineups; `max_repeating`, where
    given, says the same as size - min_unique. `fixed` seats players by roster-slot index (late swap), against
    exclusions and exposures. Where a site lists one player in several rows (a captain), an id means that row.
    """

    n: int = 1
    locked: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    max_exposure: float = 1.0
    player_max_exposure: dict[str, float] = field(default_factory=dict)
    player_min_exposure: dict[str, float] = field(default_factory=dict)
    min_salary_usd: int = 0
    max_salary_usd: int | None = None
    min_unique: int = 1
    max_repeating: int | None = None
    max_per_team: int | None = None
    objective: Objective = Objective()
    groups: tuple[Group, ...] = ()
    conditions: tuple[Condition, ...] = ()
    stacks: tuple[TeamStack, ...] = ()
    game_stacks: tuple[GameStack, ...] = ()
    opposing: tuple[OpposingLimit, ...] = ()
    same_team: tuple[SameTeamLimit, ...] = ()
    team_exposures: tuple[TeamExposure, ...] = ()
    spacing: BattingOrderSpacing | None = None
    ownership: OwnershipLimit | None = None
    fixed: dict[int, str] = field(default_factory=dict)
