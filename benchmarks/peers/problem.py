"""The request as every peer gets it: the same rows, points and rules that ours was given, read from JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Starts one build: yields the rows of one lineup after another, best first.
Build = Callable[[], Iterator[list[int]]]


@dataclass(frozen=True)
class Row:
    """A player as he may be rostered; `points` and `salary` carry the slot's multiplier."""

    person: str
    positions: tuple[str, ...]
    team: str
    game: str
    salary: int
    points: float


@dataclass(frozen=True)
class Problem:
    """A slate, its contest's rules and what is asked: `n` lineups, each row in at most `max_exposure` of them.

    `slots` are (name, positions accepted); `team_limits` (positions, most from one team); `stack` (size, positions):
    that many of one team, whichever.
    """

    site: str
    sport: str
    mode: str
    cap: int
    slots: tuple[tuple[str, tuple[str, ...]], ...]
    max_per_team: int
    min_teams: int
    min_games: int
    team_limits: tuple[tuple[tuple[str, ...], int], ...]
    stack: tuple[int, tuple[str, ...]] | None
    rows: tuple[Row, ...]
    n: int
    max_exposure: float

    @property
    def size(self) -> int:
        """Players in a lineup."""
        return len(self.slots)

    @property
    def most(self) -> int:
        """Lineups that may hold one row."""
        return max(1, int(self.max_exposure * self.n + 1e-9))


def read_problem(text: str) -> Problem:
    """Return the problem that `json.dumps(dataclasses.asdict(problem))` wrote."""
    body: dict[str, Any] = json.loads(text)
    stack = body["stack"]
    return Problem(
        **body
        | {
            "slots": tuple((name, tuple(positions)) for name, positions in body["slots"]),
            "team_limits": tuple((tuple(positions), most) for positions, most in body["team_limits"]),
            "stack": None if stack is None else (stack[0], tuple(stack[1])),
            "rows": tuple(Row(**row | {"positions": tuple(row["positions"])}) for row in body["rows"]),
        }
    )
