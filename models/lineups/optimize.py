"""Exact lineups under a contest's roster rules and the player's own.

The k-th lineup is the best legal one given what the earlier ones used up (exposure caps, uniqueness), the order
every optimizer a player knows works in. Each carries a proven bound; 0 gap means optimal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from models.errors import SearchUnfinished
from models.lineups.compile import Pool, compile_pool
from models.lineups.core import ExactSearch
from models.lineups.portfolio import Portfolio, Solved, check_exposures, fill
from models.lineups.problem import Candidate, Lineup, LineupResult, LineupRules, RosteredPlayer

if TYPE_CHECKING:
    from features.contests import Contest

# Points; a larger gap is reported as not proven.
PROVEN = 1e-6


def optimize(candidates: Sequence[Candidate], contest: Contest, rules: LineupRules) -> LineupResult:
    """Return up to `rules.n` distinct lineups, best first; fewer, with a warning, where fewer exist.

    Raises `InvalidInput` on bad fields and `Infeasible` naming the clashing rules when no lineup is legal.
    """
    started = time.perf_counter()
    pool = compile_pool(candidates, contest, rules)
    check_exposures(pool, rules)
    portfolio = Portfolio(pool, rules.min_unique)
    warnings = []
    try:
        fill(portfolio, rules.n, ExactSearch(pool, rules.min_unique))
    except SearchUnfinished as error:
        if not portfolio.chosen:
            raise
        warnings.append(f"{rules.n} lineups were asked for; the search for the next stopped: {error}")
    if not portfolio.chosen:
        from models.lineups.infeasible import explain

        raise explain(pool, contest, rules)
    lineups = tuple(_lineup(pool, found) for found in portfolio.chosen)
    warnings = warnings or _shortage(rules, len(lineups))
    warnings += _notes(rules, portfolio)
    return LineupResult(lineups, (time.perf_counter() - started) * 1e3, tuple(warnings))


@cache
def warm() -> None:
    """Compile the search (cached on disk) and load it, so that the first request does not wait for it."""
    from features.contests import load_contest

    contest = load_contest("draftkings")
    players = [
        Candidate(
            f"{slot.name}{row}", slot.name, tuple(sorted(slot.positions)), f"T{row}", f"G{row % 2}", 3000, row
        )
        for slot in contest.slots
        for row in range(2)
    ]
    optimize(players, contest, LineupRules(n=2))


def _lineup(pool: Pool, found: Solved) -> Lineup:
    players = []
    for slot, row in zip(pool.slots, found.rows, strict=True):
        c = pool.candidates[row]
        players.append(RosteredPlayer(c.id, c.name, slot, c.team, c.salary_usd, c.projection))
    salary = sum(player.salary for player in players)
    return Lineup(tuple(players), salary, found.projection, found.bound, found.bound - found.projection)


def _shortage(rules: LineupRules, count: int) -> list[str]:
    if count == rules.n:
        return []
    under = [f"max exposure {rules.max_exposure:.0%}"] if rules.max_exposure < 1 else []
    under += ["player exposures"] if rules.player_max_exposure else []
    under += [f"min_unique {rules.min_unique}"] if rules.min_unique > 1 else []
    suffix = f" with {', '.join(under)}" if under else ""
    return [f"{rules.n} lineups were asked for; only {count} distinct legal lineups exist{suffix}"]


def _notes(rules: LineupRules, portfolio: Portfolio) -> list[str]:
    notes = []
    if rules.locked and rules.max_exposure < 1 and rules.n > 1:
        notes.append(
            f"locked players are in every lineup; max exposure {rules.max_exposure:.0%} is for the others"
        )
    unproven = sum(found.bound - found.projection > PROVEN for found in portfolio.chosen)
    if unproven:
        notes.append(f"{unproven} lineups are not proven optimal within the time limit; see their gap")
    return notes
