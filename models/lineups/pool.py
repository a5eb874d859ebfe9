"""A lineup request as arrays: the contract between the rules and the search. Data only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.lineups.problem import Candidate

MAX_LINEUPS = 150

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LinearRows:
    """Rules of the form lower <= weight . chosen <= upper, one per row: (R, N), (R,), (R,) of int64, and wordings."""

    weight: Ints
    lower: Ints
    upper: Ints
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A rule met in one of several ways (a stack of any team): all rows of at least one of `options` hold."""

    name: str
    options: tuple[LinearRows, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Quota:
    """Between `least` and `most` of the lineups hold `threshold` or more of `members` (N,).

    `row` is where `LinearRows` bounds that count, so that a full quota closes by upper[row] = threshold - 1;
    None where closing means disallowing the members (threshold 1).
    """

    label: str
    members: Flags
    threshold: int
    least: int
    most: int
    row: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Players and limits as arrays, N rows. A candidate has a row per way his slots multiply his points.

    `source` is the candidate of each row. `score` is what is maximized (any finite number), `projection` the
    mean points, both with the slot's multiplier. `salary`, `cap` and `floor` are in units of `unit_usd`; bit s of
    `mask` says the row may fill slot s; `person`, `team` and `game` are dense codes, and rows of one person exclude one
    another. `conflict` (N, N), where given, marks further pairs that do. `side`, where given, is what `min_teams`
    counts instead of `team`, -1 where a row's team does not count (DraftKings NHL goalies). `limit` is how many of the
    lineups asked for may hold the row's candidate.
    """

    candidates: tuple[Candidate, ...]
    source: Ints
    slots: tuple[str, ...]
    score: Floats
    projection: Floats
    salary: Ints
    mask: Ints
    person: Ints
    team: Ints
    game: Ints
    locked: Flags
    excluded: Flags
    limit: Ints
    unit_usd: int
    cap: int
    floor: int
    max_per_team: int
    min_teams: int
    min_games: int
    max_per_game: int
    rows: LinearRows
    choices: tuple[Choice, ...] = ()
    quotas: tuple[Quota, ...] = ()
    conflict: Flags | None = None
    side: Ints | None = None

    @property
    def counted_team(self) -> Ints:
        """The team code by which a row counts towards `min_teams` (N,), -1 where it does not."""
        return self.team if self.side is None else self.side

    @property
    def size(self) -> int:
        """Number of players in a lineup."""
        return len(self.slots)


def no_rows(count: int) -> LinearRows:
    """No rules for a pool of `count` rows."""
    none = np.zeros(0, dtype=np.int64)
    return LinearRows(np.zeros((0, count), dtype=np.int64), none, none, ())
