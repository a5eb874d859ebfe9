"""Many lineups in order: each the best still legal after what the earlier ones used up.

Exposure caps and uniqueness only ever tighten, so a lineup refused once stays refused; that makes one pass over a
complete best-first list exact, and a fresh search is needed only where the list ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.errors import Infeasible
from models.lineups.compile import Flags, Ints, Pool, allowed_count
from models.lineups.problem import LineupRules


@dataclass(frozen=True, slots=True)
class Solved:
    """Chosen rows in roster-slot order, their projection sum and a proven upper bound on it."""

    rows: tuple[int, ...]
    projection: float
    bound: float


@dataclass(slots=True)
class Portfolio:
    """Lineups chosen so far and what they leave allowed."""

    pool: Pool
    min_unique: int
    chosen: list[Solved] = field(default_factory=list)
    count: Ints = field(init=False)
    allowed: Flags = field(init=False)
    members: set[frozenset[int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.count = np.zeros(len(self.pool.projection), dtype=np.int64)
        self.allowed = ~self.pool.excluded

    def accept(self, found: Solved) -> bool:
        """Take the lineup if every player is below his limit and it differs enough from those chosen."""
        rows = list(found.rows)
        if not self.allowed[rows].all():
            return False
        players = frozenset(rows)
        most = self.pool.size - self.min_unique
        if players in self.members or (
            self.min_unique > 1 and any(len(players & other) > most for other in self.members)
        ):
            return False
        self.chosen.append(found)
        self.members.add(players)
        self.count[rows] += 1
        self.allowed[rows] = self.count[rows] < self.pool.limit[rows]
        return True

    def rows(self) -> Ints:
        """Return the chosen lineups as player rows, one lineup a line."""
        return np.array([found.rows for found in self.chosen], dtype=np.int64).reshape(-1, self.pool.size)


# Portfolio and how many are wanted -> the best lineups still allowed, best first, complete down to the last.
Search = Callable[[Portfolio, int], Sequence[Solved]]


def fill(portfolio: Portfolio, n: int, search: Search) -> None:
    """Add lineups until there are `n` or no further legal one exists."""
    while len(portfolio.chosen) < n:
        found = search(portfolio, n - len(portfolio.chosen))
        if not found:
            return
        for lineup in found:
            portfolio.accept(lineup)
            if len(portfolio.chosen) == n:
                return


def check_exposures(pool: Pool, rules: LineupRules) -> None:
    """Raise `Infeasible` where counting alone proves that the exposure limits cannot give `n` lineups."""
    for row in np.flatnonzero(pool.locked & (pool.limit < rules.n)):
        c = pool.candidates[row]
        exposure = rules.player_max_exposure[c.id]
        pair = (f"lock {c.name} ({c.id})", f"max exposure {exposure:.0%} of {c.name} ({c.id})")
        raise Infeasible(f"{pair[0]} puts him in every lineup, against {pair[1]}. Relax one of them", pair)
    if pool.limit.min() >= rules.n:
        return
    limit = np.where(pool.excluded, 0, pool.limit)
    masks, type_of = np.unique(pool.mask, return_inverse=True)
    by_type = np.bincount(type_of, weights=limit)
    slots = np.arange(1, 1 << pool.size)
    supply = ((slots[:, None] & masks[None, :]) != 0) @ by_type
    demand = rules.n * np.bitwise_count(slots).astype(np.int64)
    short = np.flatnonzero(supply < demand)
    if len(short):
        wanted = int(slots[short[0]])
        where = "roster slots " + " ".join(name for s, name in enumerate(pool.slots) if wanted >> s & 1)
        cap = f"max exposure {rules.max_exposure:.0%} ({allowed_count(rules.max_exposure, rules.n)} of {rules.n})"
        asked = f"{rules.n} lineups"
        raise Infeasible(
            f"{cap} cannot be met: {asked} need {int(demand[short[0]])} appearances in {where}, the players may make "
            f"{int(supply[short[0]])}. Raise the exposure, add players or ask for fewer lineups",
            (cap, asked, where),
        )
