"""The best lineups once holding an ask has a price, and what they prove about every selection (Lagrange).

Prices on single players move their scores. An ask such as "five or more of a team" is not additive, so the search
runs once with it forced and once with it forbidden; beyond a few of those the rest are priced by a line that never
undervalues a lineup, which keeps the bound proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from models.errors import SearchUnfinished
from models.lineups.budget import Budget
from models.lineups.columns import Asks, switchable
from models.lineups.core import ExactSearch
from models.lineups.milp import TIME_LIMIT_S, RosterModel
from models.lineups.pool import Floats, Ints, Pool
from models.lineups.portfolio import Portfolio, Solved, check_cancelled

# Searches per pricing; each is a K-best list of the size asked for.
MAX_PATTERNS = 24
# Lineups found one at a time before a list is cut short.
MAX_ALONE = 5
# Seconds HiGHS may take for a lineup the core could not prove; then its bound stands for it.
FALLBACK_S = 1.0
# Below this a price does not pay for searches of its own.
NEGLIGIBLE = 1e-7

# Upper values and lineups, best first; no lineup where a list was cut short.
Listed = list[tuple[float, tuple[int, ...] | None]]


@dataclass(frozen=True, slots=True)
class Priced:
    """Lineups (rows) that are best at the prices, and the bound on any selection of n that keeps the asks.

    `complete` says that no other legal lineups exist.
    """

    lineups: list[tuple[int, ...]]
    bound: float
    complete: bool


class Pricing:
    """K-best lists of one pool under changing prices. Past the `budget` lists are bounds alone, without lineups."""

    def __init__(
        self, pool: Pool, asks: Asks, cancelled: Callable[[], bool] | None, budget: Budget | None = None
    ) -> None:
        self._pool, self._row = switchable(pool, asks)
        self._asks = asks
        self._cancelled = cancelled
        self._budget = budget or Budget(float("inf"))

    def best(self, price: Floats, asks: Asks, wanted: int | None = None) -> Priced:
        """Return the n (or `wanted`, which is more) best lineups when ask i costs price[i] (negative: pays).

        `asks` may switch some of ours off.
        """
        wanted = wanted or asks.n
        constant = float(np.where(price > 0, price * asks.most, price * asks.least).sum())
        score = self._pool.score - price[asks.additive] @ asks.members[asks.additive]
        strong, weak = self._split(price)
        slope, lift = self._lines(price, weak)
        score = score - slope
        found: Listed = []
        for pattern in self._patterns(strong):
            extra = lift - sum(float(price[i]) for i, forced in pattern.items() if forced)
            listed = self.search(score, pattern, wanted, patient=False)
            found += [(value + extra, rows) for value, rows in listed]
        found.sort(key=lambda pair: -pair[0])
        bound = sum(value for value, _ in found[: asks.n]) + constant
        return Priced(rows_of(found[:wanted]), bound, len(found) < wanted)

    def search(
        self,
        score: Floats,
        pattern: dict[int, bool],
        wanted: int,
        min_unique: int = 1,
        *,
        patient: bool = True,
    ) -> Listed:
        """The best lineups for a score (N,) with some asks forced (True) or forbidden, with proven upper values.

        Unless `patient`, a list that the search can only grow one by one is cut short, and what is left stands for
        itself by the last value, without a lineup. So it does once the budget is used up.
        """
        pool = self._pool
        lower, upper, excluded = pool.rows.lower.copy(), pool.rows.upper.copy(), pool.excluded
        locked = pool.locked
        for i, forced in pattern.items():
            members = self._asks.members[i]
            if self._row[i] >= 0 and forced:
                lower[self._row[i]] = self._asks.threshold[i]
            elif self._row[i] >= 0:
                upper[self._row[i]] = self._asks.threshold[i] - 1
            elif forced and members.sum() == 1:
                locked = locked | members
            elif not forced:
                excluded = excluded | members
        # Every lineup has the same number of players: a shift moves all alike, and the search takes points >= 0.
        shift = min(0.0, float(score.min()))
        shifted = score - shift
        asked = replace(
            pool,
            score=shifted,
            projection=shifted,
            locked=locked,
            excluded=excluded,
            limit=np.full(len(score), max(wanted, 1), dtype=np.int64),
            rows=replace(pool.rows, lower=lower, upper=upper),
        )
        if (locked & excluded).any():
            return []
        portfolio = Portfolio(asked, min_unique)
        cut = self._fill(portfolio, wanted, patient=patient or min_unique > 1)
        listed: Listed = [(found.bound + pool.size * shift, found.rows) for found in portfolio.chosen]
        if not cut:
            return listed
        value = listed[-1][0] if listed else _outline(asked, shift)
        return listed if value is None else listed + [(value, None)] * (wanted - len(listed))

    def _fill(self, portfolio: Portfolio, wanted: int, *, patient: bool) -> bool:
        """Fill as far as budget and patience reach; return whether more lineups may exist.

        Without patience one lineup by HiGHS is enough: at wild prices its next is no quicker.
        """
        asked, budget, alone = portfolio.pool, self._budget, 0
        limit = min(budget.left, TIME_LIMIT_S if patient else FALLBACK_S)
        find = ExactSearch(asked, portfolio.min_unique, fallback_s=limit)
        while len(portfolio.chosen) < wanted:
            check_cancelled(self._cancelled)
            if budget.over:
                return True
            try:
                found = find(portfolio, wanted - len(portfolio.chosen))
            except SearchUnfinished:
                return True
            if not found:
                return False
            alone += len(found) == 1
            for lineup in found:
                portfolio.accept(lineup)
            if not patient and (alone == MAX_ALONE or find.fallback):
                return len(portfolio.chosen) < wanted
        return False

    def _split(self, price: Floats) -> tuple[Ints, Ints]:
        """Asks that get searches of their own, dearest first, and those priced by a line."""
        wanted = np.flatnonzero(~self._asks.additive & (np.abs(price) > NEGLIGIBLE))
        wanted = wanted[np.argsort(-np.abs(price[wanted]), kind="stable")]
        count = len(wanted)
        while count and sum(1 for _ in self._patterns(wanted[:count])) > MAX_PATTERNS:
            count -= 1
        return wanted[:count], wanted[count:]

    def _patterns(self, asks: Ints) -> Iterator[dict[int, bool]]:
        """Every way to hold or not to hold these asks that fits into a lineup."""

        def extend(at: int, pattern: dict[int, bool], taken: int, used: Ints) -> Iterator[dict[int, bool]]:
            if at == len(asks):
                yield pattern
                return
            i = int(asks[at])
            yield from extend(at + 1, pattern | {i: False}, taken, used)
            disjoint = not (used & self._asks.members[i]).any()
            need = taken + int(self._asks.threshold[i]) if disjoint else taken
            if need <= self._pool.size:
                yield from extend(at + 1, pattern | {i: True}, need, used | self._asks.members[i])

        yield from extend(0, {}, 0, np.zeros(len(self._pool.score), dtype=np.bool_))

    def _lines(self, price: Floats, asks: Ints) -> tuple[Floats, float]:
        """A price per row, and a constant, that together never charge a lineup more than its asks do."""
        slope, lift = np.zeros(len(self._pool.score)), 0.0
        for i in asks.tolist():
            members, threshold = self._asks.members[i], int(self._asks.threshold[i])
            if price[i] < 0:  # holding pays: count / threshold is at least the indicator
                slope += price[i] / threshold * members
            else:  # holding costs: (count - threshold + 1) / (size - threshold + 1) is at most the indicator
                share = price[i] / (self._pool.size - threshold + 1)
                slope += share * members
                lift += share * (threshold - 1)
        return slope, lift


def rows_of(found: Listed) -> list[tuple[int, ...]]:
    """The lineups of a search without their values."""
    return [rows for _, rows in found if rows is not None]


def solved(pool: Pool, rows: tuple[int, ...], bound: float) -> Solved:
    """A lineup with its own score and a bound."""
    value = float(pool.score[list(rows)].sum())
    return Solved(rows, value, max(bound, value))


def _outline(asked: Pool, shift: float) -> float | None:
    """What no lineup exceeds, by the linear relaxation; None where it proves that there is none."""
    value = RosterModel(asked, relaxed=True).outline()
    return None if value is None else value + asked.size * shift
