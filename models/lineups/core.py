"""The compiled search as a source of lineups, with HiGHS behind it for what the core cannot finish."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from models.lineups.pool import MAX_LINEUPS, Ints, Pool
from models.lineups.portfolio import Portfolio, Solved

if TYPE_CHECKING:
    from models.lineups.milp import MilpSearch

logger = logging.getLogger(__name__)

# About a quarter of a second of search on one core; a typical request takes a hundredth of it.
MAX_STEPS = 10_000_000
# With min_unique > 1 most runners-up resemble the lineup just taken, so long lists are wasted.
UNIQUE_ROOM = 4


class ExactSearch:
    """The next best lineups of a pool: by the core while it can prove them, by HiGHS from then on.

    `fallback_s` limits each of HiGHS's searches, whose lineup then carries the bound proven by that time.
    """

    def __init__(
        self, pool: Pool, min_unique: int, *, max_steps: int = MAX_STEPS, fallback_s: float | None = None
    ) -> None:
        from models.lineups.arrays import problem_of, workspace

        self._pool = pool
        self._min_unique = min_unique
        self._max_steps = max_steps
        self._fallback_s = fallback_s
        self._problem = problem_of(pool)
        self._work = workspace(self._problem)
        self._room = UNIQUE_ROOM if min_unique > 1 else MAX_LINEUPS
        self._milp: MilpSearch | None = None

    def __call__(self, portfolio: Portfolio, wanted: int) -> list[Solved]:
        """Return lineups best first, complete down to the last; empty when no legal one is left."""
        while self._milp is None:
            room = min(wanted, self._room)
            found = self._k_best(portfolio, room)
            if found is not None:
                return found
            if room == 1:
                self._give_up("out of steps")
            self._room = 1  # one lineup needs far fewer steps than the last of many
        return self._milp(portfolio, wanted)

    @property
    def fallback(self) -> bool:
        """Whether HiGHS has taken over."""
        return self._milp is not None

    def _k_best(self, portfolio: Portfolio, room: int) -> list[Solved] | None:
        from models.lineups import search
        from models.lineups.arrays import open_rows

        earlier = np.sort(portfolio.rows(), axis=1)
        status, values, seats, best_first, _ = search.k_best(
            self._problem,
            self._upper(portfolio),
            open_rows(self._pool, portfolio.allowed),
            self._pool.score,
            earlier,
            self._min_unique,
            room,
            self._max_steps,
            self._work,
        )
        if status == search.OUT_OF_STEPS:
            return None
        # A complete search proves the value itself as the bound.
        return [Solved(tuple(seats[at].tolist()), float(values[at]), float(values[at])) for at in best_first]

    def _upper(self, portfolio: Portfolio) -> Ints:
        """Upper bounds of all rows, those of the pool as far as the portfolio has lowered them."""
        upper = self._problem.upper.copy()
        upper[1 : 1 + len(portfolio.upper)] = np.minimum(upper[1 : 1 + len(portfolio.upper)], portfolio.upper)
        return upper

    def _give_up(self, reason: str) -> None:
        from models.lineups.milp import TIME_LIMIT_S, MilpSearch

        logger.info("lineup core hands over to HiGHS", extra={"reason": reason})
        limit = TIME_LIMIT_S if self._fallback_s is None else self._fallback_s
        self._milp = MilpSearch(self._pool, self._min_unique, time_limit_s=limit)
