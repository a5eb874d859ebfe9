"""Many lineups in order: each the best still legal after what the earlier ones used up.

Exposure caps and uniqueness only ever tighten, so a lineup refused once stays refused; that makes one pass over a
complete best-first list exact, and a fresh search is needed only where the list ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.errors import Cancelled, Infeasible
from models.lineups.pool import Flags, Ints, Pool, Quota
from models.lineups.quotas import allowed_count
from models.lineups.rules import LineupRules


@dataclass(frozen=True, slots=True)
class Solved:
    """Chosen rows in roster-slot order, the sum of what is maximized (`Pool.score`) and a proven upper bound on it."""

    rows: tuple[int, ...]
    projection: float
    bound: float


@dataclass(slots=True)
class Portfolio:
    """Lineups chosen so far and what they leave allowed.

    `count` is per candidate, `held` per quota of the pool. `allowed` (N,) closes rows whose candidate is used up;
    `upper` (R,) starts as the pool's and falls where a quota with a row is full.
    """

    pool: Pool
    min_unique: int
    chosen: list[Solved] = field(default_factory=list)
    count: Ints = field(init=False)
    allowed: Flags = field(init=False)
    upper: Ints = field(init=False)
    held: Ints = field(init=False)
    members: set[frozenset[int]] = field(default_factory=set)
    _closed: set[int] = field(default_factory=set)
    _full: list[Quota] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.count = np.zeros(len(self.pool.candidates), dtype=np.int64)
        self.allowed = ~self.pool.excluded
        self.upper = self.pool.rows.upper.copy()
        self.held = np.zeros(len(self.pool.quotas), dtype=np.int64)

    def accept(self, found: Solved) -> bool:
        """Take the lineup if all it holds is below its limit and it differs enough from those chosen."""
        players = frozenset(found.rows)
        if players in self.members or not self._closed.isdisjoint(players):
            return False
        if any(int(quota.members[list(found.rows)].sum()) >= quota.threshold for quota in self._full):
            return False
        most = self.pool.size - self.min_unique
        if self.min_unique > 1 and any(len(players & other) > most for other in self.members):
            return False
        self.take(found)
        return True

    def take(self, found: Solved) -> None:
        """Add a lineup known to be allowed."""
        pool, rows = self.pool, list(found.rows)
        self.chosen.append(found)
        self.members.add(frozenset(found.rows))
        used = pool.source[rows]
        self.count[used] += 1
        full = self.count[used] >= pool.limit[rows]
        if full.any():
            barred = np.zeros(len(self.count), dtype=np.bool_)
            barred[used[full]] = True
            self._bar(barred[pool.source])
        for at, quota in enumerate(pool.quotas):
            if int(quota.members[rows].sum()) >= quota.threshold:
                self.held[at] += 1
                if self.held[at] == quota.most:
                    self._close(quota)

    def _close(self, quota: Quota) -> None:
        self._full.append(quota)
        if quota.row is not None:
            self.upper[quota.row] = min(int(self.upper[quota.row]), quota.threshold - 1)
        elif quota.threshold == 1:
            self._bar(quota.members)

    def _bar(self, rows: Flags) -> None:
        self.allowed &= ~rows
        self._closed.update(np.flatnonzero(rows).tolist())

    def rows(self) -> Ints:
        """Return the chosen lineups as player rows, one lineup a line."""
        return np.array([found.rows for found in self.chosen], dtype=np.int64).reshape(-1, self.pool.size)


# Portfolio and how many are wanted -> the best lineups still allowed, best first, complete down to the last.
Search = Callable[[Portfolio, int], Sequence[Solved]]


def fill(portfolio: Portfolio, n: int, search: Search, cancelled: Callable[[], bool] | None = None) -> None:
    """Add lineups until there are `n` or no further legal one exists. Raises `Cancelled` between searches."""
    while len(portfolio.chosen) < n:
        check_cancelled(cancelled)
        found = search(portfolio, n - len(portfolio.chosen))
        if not found:
            return
        for lineup in found:
            portfolio.accept(lineup)
            if len(portfolio.chosen) == n:
                return


def check_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raise `Cancelled` if the caller no longer wants the answer."""
    if cancelled is not None and cancelled():
        raise Cancelled("the request was cancelled; nothing was kept")


def check_exposures(pool: Pool, rules: LineupRules) -> None:
    """Raise `Infeasible` where counting alone proves that the exposure limits cannot give `n` lineups."""
    for id_ in sorted(rules.locked & rules.player_max_exposure.keys()):
        exposure = rules.player_max_exposure[id_]
        if allowed_count(exposure, rules.n) < rules.n and id_ not in rules.fixed.values():
            c = next(c for c in pool.candidates if c.id == id_)
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
    # With nobody at all for a slot no exposure is to blame: the search says so.
    if len(short) and supply[short[0]]:
        wanted = int(slots[short[0]])
        where = "roster slots " + " ".join(name for s, name in enumerate(pool.slots) if wanted >> s & 1)
        cap = f"max exposure {rules.max_exposure:.0%} ({allowed_count(rules.max_exposure, rules.n)} of {rules.n})"
        asked = f"{rules.n} lineups"
        raise Infeasible(
            f"{cap} cannot be met: {asked} need {int(demand[short[0]])} appearances in {where}, the players may make "
            f"{int(supply[short[0]])}. Raise the exposure, add players or ask for fewer lineups",
            (cap, asked, where),
        )
