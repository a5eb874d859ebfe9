"""Exact lineups under a contest's roster rules and the player's own.

The k-th lineup is the best legal one given what the earlier ones used up (exposure caps, uniqueness), the order
every optimizer a player knows works in. Each carries a proven bound; 0 gap means optimal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.lineups.compile import Pool, compile_pool
from models.lineups.milp import RosterModel, Solved
from models.lineups.portfolio import Portfolio, check_exposures, fill
from models.lineups.problem import Candidate, Lineup, LineupResult, LineupRules, RosteredPlayer

if TYPE_CHECKING:
    from features.contests import Contest

logger = logging.getLogger(__name__)


def optimize(candidates: Sequence[Candidate], contest: Contest, rules: LineupRules) -> LineupResult:
    """Return up to `rules.n` distinct lineups, best first; fewer, with a warning, where fewer exist.

    Raises `InvalidInput` on bad fields and `Infeasible` naming the clashing rules when no lineup is legal.
    """
    started = time.perf_counter()
    pool = compile_pool(candidates, contest, rules)
    check_exposures(pool, rules)
    portfolio = Portfolio(pool, rules.min_unique)
    fill(portfolio, rules.n, MilpSearch(pool, rules.min_unique))
    if not portfolio.chosen:
        from models.lineups.infeasible import explain

        raise explain(pool, contest, rules)
    lineups = tuple(_lineup(pool, found) for found in portfolio.chosen)
    solve_ms = (time.perf_counter() - started) * 1e3
    return LineupResult(lineups, solve_ms, tuple(_warnings(pool, rules, portfolio)))


class MilpSearch:
    """The next best lineup by HiGHS, one at a time."""

    def __init__(self, pool: Pool, min_unique: int) -> None:
        self._model = RosterModel(pool)
        self._pool = pool
        self._min_unique = min_unique
        self._banned: set[int] = set()
        self._cut = 0

    def __call__(self, portfolio: Portfolio, wanted: int) -> list[Solved]:
        """Return the best lineup still allowed, or nothing."""
        for row in (~portfolio.allowed).nonzero()[0]:
            if int(row) not in self._banned:
                self._banned.add(int(row))
                self._model.ban(int(row))
        for found in portfolio.chosen[self._cut :]:
            self._model.cut(found.rows, self._min_unique)
        self._cut = len(portfolio.chosen)
        found_next = self._model.solve()
        return [] if found_next is None else [seat(self._pool, found_next)]


def seat(pool: Pool, found: Solved) -> Solved:
    """Return the same lineup with its rows in roster-slot order (augmenting paths; a seating must exist)."""
    seated = [-1] * pool.size

    def place(row: int, tried: set[int]) -> bool:
        for slot in range(pool.size):
            if pool.mask[row] >> slot & 1 and slot not in tried:
                tried.add(slot)
                if seated[slot] < 0 or place(seated[slot], tried):
                    seated[slot] = row
                    return True
        return False

    if not all(place(row, set()) for row in found.rows):
        raise AssertionError(f"players {found.rows} cannot fill {pool.slots}")
    return Solved(tuple(seated), found.projection, found.bound)


def _lineup(pool: Pool, found: Solved) -> Lineup:
    players = []
    for slot, row in zip(pool.slots, found.rows, strict=True):
        c = pool.candidates[row]
        players.append(RosteredPlayer(c.id, c.name, slot, c.team, c.salary_usd, c.projection))
    salary = sum(player.salary for player in players)
    return Lineup(tuple(players), salary, found.projection, found.bound, found.bound - found.projection)


def _warnings(pool: Pool, rules: LineupRules, portfolio: Portfolio) -> list[str]:
    warnings = []
    count = len(portfolio.chosen)
    if count < rules.n:
        under = [f"max exposure {rules.max_exposure:.0%}"] * (rules.max_exposure < 1)
        under += ["player exposures"] * bool(rules.player_max_exposure)
        under += [f"min_unique {rules.min_unique}"] * (rules.min_unique > 1)
        suffix = f" with {', '.join(under)}" if under else ""
        warnings.append(f"{rules.n} lineups were asked for; only {count} distinct legal lineups exist{suffix}")
    if rules.locked and rules.max_exposure < 1 and rules.n > 1:
        warnings.append(
            f"locked players are in every lineup; max exposure {rules.max_exposure:.0%} is for the others"
        )
    open_gap = sum(found.bound - found.projection > 1e-6 for found in portfolio.chosen)
    if open_gap:
        warnings.append(f"{open_gap} lineups are not proven optimal within the time limit; see their gap")
    return warnings
