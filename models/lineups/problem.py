"""Who may be picked and what an answer looks like; pure data, no solver. The rules are in `models.lineups.rules`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """One player the optimizer may pick; one per row of the salary file.

    `projection`, `floor` and `ceiling` are fantasy points in a slot that multiplies nothing, and must be finite.
    `person` is shared by rows of one player (DraftKings lists a captain apart), which exclude one another; empty:
    his id. `ownership` is the share of the field's lineups expected to hold him, 0..1. `batting_order` is 1..9.
    """

    id: str
    name: str
    positions: tuple[str, ...]
    team: str
    game: str
    salary_usd: int
    projection: float
    floor: float | None = None
    ceiling: float | None = None
    person: str = ""
    opponent: str = ""
    ownership: float | None = None
    batting_order: int | None = None


@dataclass(frozen=True, slots=True)
class RosteredPlayer:
    """A candidate in its roster slot."""

    id: str
    name: str
    slot: str
    team: str
    salary: int
    projection: float

    def as_json(self) -> dict[str, Any]:
        """His place in `Lineup.as_json`."""
        return {"id": self.id, "name": self.name, "slot": self.slot, "team": self.team, "salary": self.salary,
                "projection": round(self.projection, 4)}  # fmt: skip


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
        return self.document([player.as_json() for player in self.players])

    def document(self, players: list[dict[str, Any]]) -> dict[str, Any]:
        """`as_json` with these players in it."""
        return {
            "players": players,
            "salary": self.salary,
            "projection": round(self.projection, 4),
            "bound": round(self.bound, 4),
            "gap": round(self.gap, 4),
        }


@dataclass(frozen=True, slots=True)
class ExposureCount:
    """How many lineups hold a player, team, stack or group that an exposure rule names, and what was asked."""

    label: str
    count: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class LineupResult:
    """Lineups best first. `warnings` says e.g. that only 7 of 150 exist. `solve_ms` is the solver's own time.

    Where minimum exposures were asked for the lineups are chosen jointly: `bound` is proven, no set of that many legal
    lineups that keeps the exposures scores above it in total, and `gap` is the share by which the chosen set may fall
    short of it. `exposures` counts, per exposure rule in force, the lineups that hold it.
    """

    lineups: tuple[Lineup, ...]
    solve_ms: float
    warnings: tuple[str, ...] = ()
    bound: float | None = None
    gap: float | None = None
    exposures: tuple[ExposureCount, ...] = ()


def lineups_as_json(
    lineups: Sequence[Lineup], player: Callable[[RosteredPlayer], dict[str, Any]] = RosteredPlayer.as_json
) -> list[dict[str, Any]]:
    """`Lineup.as_json` of each, with `player` for its players, asked once for an object that many lineups hold.

    Such players share one document: change none of them.
    """
    seats = {id(seat): seat for lineup in lineups for seat in lineup.players}
    made = {key: player(seat) for key, seat in seats.items()}
    return [lineup.document([made[id(seat)] for seat in lineup.players]) for lineup in lineups]


def lineup_from_json(body: dict[str, Any]) -> Lineup:
    """Return the lineup that `Lineup.as_json` wrote."""
    players = tuple(RosteredPlayer(**player) for player in body["players"])
    return Lineup(players, body["salary"], body["projection"], body["bound"], body["gap"])
