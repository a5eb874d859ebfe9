"""What a lineup request is and what its answer looks like; pure data, no solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """One player the optimizer may pick. `projection` is in fantasy points and must be finite."""

    id: str
    name: str
    positions: tuple[str, ...]
    team: str
    game: str
    salary_usd: int
    projection: float
    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class LineupRules:
    """The player's own rules on top of the contest's; exposures are fractions of the lineups asked for."""

    n: int = 1
    locked: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    max_exposure: float = 1.0
    player_max_exposure: dict[str, float] = field(default_factory=dict)
    min_salary_usd: int = 0
    max_salary_usd: int | None = None
    min_unique: int = 1


@dataclass(frozen=True, slots=True)
class RosteredPlayer:
    """A candidate in its roster slot."""

    id: str
    name: str
    slot: str
    team: str
    salary: int
    projection: float


@dataclass(frozen=True, slots=True)
class Lineup:
    """A legal lineup, players in roster-slot order. `bound` is proven: no legal lineup that was still allowed
    when this one was chosen projects above it; `gap` = bound - projection (0 when optimal)."""

    players: tuple[RosteredPlayer, ...]
    salary: int
    projection: float
    bound: float
    gap: float

    def as_json(self) -> dict[str, Any]:
        """The shape printed by `fantasy lineups --json` and returned by `POST /v1/lineups`."""
        return {
            "players": [
                {"id": p.id, "name": p.name, "slot": p.slot, "team": p.team, "salary": p.salary,
                 "projection": round(p.projection, 4)}
                for p in self.players
            ],
            "salary": self.salary,
            "projection": round(self.projection, 4),
            "bound": round(self.bound, 4),
            "gap": round(self.gap, 4),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineupResult:
    """Lineups best first. `warnings` says e.g. that only 7 of 150 exist. `solve_ms` is the solver's own time."""

    lineups: tuple[Lineup, ...]
    solve_ms: float
    warnings: tuple[str, ...] = ()


def lineup_from_json(body: dict[str, Any]) -> Lineup:
    """Return the lineup that `Lineup.as_json` wrote."""
    players = tuple(RosteredPlayer(**player) for player in body["players"])
    return Lineup(players, body["salary"], body["projection"], body["bound"], body["gap"])
