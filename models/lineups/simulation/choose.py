"""Choose entries jointly from thousands of candidates: greedy on a submodular objective, within the exposure rules.

What a candidate adds only shrinks as others are chosen, so a stale gain is an upper bound and most need no second look
(lazy greedy). Prizes of several own entries in one scenario are added up as if they took no place from one another;
the chosen portfolio is then reported with that counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import Cancelled
from models.lineups.pool import Pool

Objective = Literal["log_utility", "roi", "win"]
Rows = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: Wealth beside the stake, in stakes: the smaller, the more a sure small prize counts against a rare large one.
BANKROLL_STAKES: Final = 1.0
_LOOK: Final = 256


@dataclass(frozen=True, slots=True)
class Chosen:
    """Indices of the candidates chosen, in order of choice, and warnings about rules that could not be kept."""

    index: tuple[int, ...]
    warnings: tuple[str, ...]
    evaluations: int


class _Exposure:
    """What the pool's limits and quotas and `min_unique` still allow."""

    def __init__(self, pool: Pool, rows: Rows, wanted: int, min_unique: int) -> None:
        self._pool, self._wanted = pool, wanted
        self._players = pool.source[rows]
        self._sets = [frozenset(line) for line in self._players.tolist()]
        self._most_shared = pool.size - min_unique
        self._left = np.full(len(pool.candidates), wanted, dtype=np.int64)
        np.minimum.at(self._left, pool.source, pool.limit)
        self._holds = np.array(
            [(quota.members[rows].sum(axis=1) >= quota.threshold) for quota in pool.quotas], dtype=bool
        ).reshape(len(pool.quotas), len(rows))
        self._most = np.array([quota.most for quota in pool.quotas], dtype=np.int64)
        self._least = np.array([quota.least for quota in pool.quotas], dtype=np.int64)
        self._count = np.zeros(len(pool.quotas), dtype=np.int64)
        self._members: set[frozenset[int]] = set()
        self.taken: list[int] = []

    def closed(self, c: int) -> bool:
        """Whether the candidate can never be taken any more: limits only tighten."""
        if not (self._left[self._players[c]] > 0).all():
            return True
        if (self._holds[:, c] & (self._count >= self._most)).any():
            return True
        own = self._sets[c]
        if self._most_shared >= self._pool.size - 1:
            return own in self._members
        return any(len(own & self._sets[t]) > self._most_shared for t in self.taken)

    def idle(self, c: int) -> bool:
        """Whether minimum exposures need every entry left and the candidate serves none of them."""
        owed = np.maximum(self._least - self._count, 0)
        if not owed.any() or owed.sum() < self._wanted - len(self.taken):
            return False
        urgent = owed >= self._wanted - len(self.taken)
        serves = self._holds[:, c]
        return bool((urgent & ~serves).any() or not (serves & (owed > 0)).any())

    def take(self, c: int) -> None:
        """Count the candidate."""
        self.taken.append(c)
        self._members.add(self._sets[c])
        self._left[self._players[c]] -= 1
        self._count += self._holds[:, c]

    def unmet(self) -> list[str]:
        """Minimum exposures that were not reached, in words."""
        return [
            f"{quota.label}: {count} of the {len(self.taken)} chosen lineups, {quota.least} were asked for"
            for quota, count in zip(self._pool.quotas, self._count.tolist(), strict=True)
            if count < quota.least
        ]


class _Worth:
    """What each candidate adds to those chosen so far, under one objective."""

    def __init__(self, prize_usd: NDArray[np.float32], stake_usd: float, objective: Objective) -> None:
        from models.lineups.simulation.gains import log_gains, winnings

        self._objective = objective
        self._start, self._scenario, self._amount = winnings(prize_usd)
        self._wealth = np.full(prize_usd.shape[1], max(stake_usd, 1e-6) * BANKROLL_STAKES)
        self._missed = np.ones(prize_usd.shape[1])
        self.mean = prize_usd.mean(axis=1, dtype=np.float64)
        if objective == "log_utility":
            self.first = log_gains(self._start, self._scenario, self._amount, self._wealth)
        else:
            self.first = self.mean if objective == "roi" else self.mean * prize_usd.shape[1]

    def __call__(self, c: int) -> float:
        """What the candidate adds now."""
        from models.lineups.simulation.gains import coverage, log_gain

        at = slice(self._start[c], self._start[c + 1])
        if self._objective == "log_utility":
            return float(log_gain(self._scenario[at], self._amount[at], self._wealth))
        if self._objective == "roi":
            return float(self.mean[c])
        return float(coverage(self._scenario[at], self._amount[at], self._missed))

    def take(self, c: int) -> None:
        """Count the candidate's prizes."""
        at = slice(self._start[c], self._start[c + 1])
        self._wealth[self._scenario[at]] += self._amount[at]
        self._missed[self._scenario[at]] *= np.maximum(1 - self._amount[at], 0)


def choose(
    prize_usd: NDArray[np.float32],
    rows: Rows,
    pool: Pool,
    wanted: int,
    stake_usd: float,
    *,
    objective: Objective = "log_utility",
    min_unique: int = 1,
    cancelled: Callable[[], bool] | None = None,
) -> Chosen:
    """Choose up to `wanted` of the candidates `rows` (C, size) with prizes (C, S).

    log_utility: greatest mean log of bankroll plus all prizes. roi: greatest mean prize. win: greatest chance that
    any of them wins (give prizes of a contest that pays 1 to the winner only). `stake_usd` is what all entries cost.
    """
    worth, exposure = _Worth(prize_usd, stake_usd, objective), _Exposure(pool, rows, wanted, min_unique)
    # Equal gains (no scenario left to cover) fall back on the mean prize, then on the order given.
    heap = [(-worth.first[c], -worth.mean[c], c, 0) for c in range(len(rows))]
    heapq.heapify(heap)
    evaluations, aside = 0, []
    while heap and len(exposure.taken) < wanted:
        bound, tie, c, known = heapq.heappop(heap)
        if exposure.closed(c):
            continue
        if exposure.idle(c):
            aside.append((bound, tie, c, known))
            continue
        if known < len(exposure.taken):
            evaluations += 1
            if evaluations % _LOOK == 0 and cancelled is not None and cancelled():
                raise Cancelled("choosing the entries was cancelled")
            heapq.heappush(heap, (-worth(c), tie, c, len(exposure.taken)))
            continue
        exposure.take(c)
        worth.take(c)
        while aside:
            heapq.heappush(heap, aside.pop())
    for _, _, c, _ in aside:  # minimum exposures that nobody left can serve: fill up regardless
        if len(exposure.taken) < wanted and not exposure.closed(c):
            exposure.take(c)
    return Chosen(tuple(exposure.taken), tuple(exposure.unmet()), evaluations)
