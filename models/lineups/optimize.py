"""Exact lineups under a contest's roster rules and the player's own.

The k-th lineup is the best legal one given what the earlier ones used up (exposure caps, uniqueness), the order
every optimizer a player knows works in. Each carries a proven bound; 0 gap means optimal. Where minimum exposures
are asked for the lineups are chosen jointly instead (`models.lineups.joint`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from features.errors import InvalidInput
from models.errors import Infeasible, SearchUnfinished
from models.lineups.compile import CompiledSlate, compile_pool, compile_slate, min_unique
from models.lineups.core import ExactSearch
from models.lineups.pool import Floats, Pool
from models.lineups.portfolio import Portfolio, Solved, check_exposures, fill
from models.lineups.problem import Candidate, ExposureCount, Lineup, LineupResult, RosteredPlayer
from models.lineups.rules import LineupRules

if TYPE_CHECKING:
    from features.contests import Contest

# Points; a larger gap is reported as not proven.
PROVEN = 1e-6

Cancel = Callable[[], bool]


def optimize(
    candidates: Sequence[Candidate] | CompiledSlate,
    contest: Contest,
    rules: LineupRules,
    *,
    cancelled: Cancel | None = None,
    draws: Floats | None = None,
) -> LineupResult:
    """Return up to `rules.n` distinct lineups, best first; fewer, with a warning, where fewer exist.

    `draws` (S, candidates) are simulated points, needed where the objective has randomness. Raises `InvalidInput` on
    bad fields, `Infeasible` naming the clashing rules when no lineup is legal or minimum exposures cannot be met,
    and `Cancelled` once `cancelled` says so, asked between searches.
    """
    started = time.perf_counter()
    slate = compile_slate(candidates, contest)
    pool = compile_pool(slate, contest, rules)
    check_exposures(pool, rules)
    random = _check_draws(slate, rules, draws)
    if any(quota.least > 0 for quota in pool.quotas):
        from models.lineups.joint import choose

        joint = choose(slate, pool, rules, cancelled, random)
        portfolio, warnings = joint.portfolio, list(joint.warnings)
        bound: float | None = joint.bound
        gap: float | None = joint.gap
    else:
        portfolio, warnings = _in_order(slate, pool, rules, cancelled, random)
        bound = gap = None
    if not portfolio.chosen:
        raise _clash(pool, contest, rules)
    lineups = lineups_of(pool, portfolio.chosen)
    warnings = warnings or _shortage(rules, len(lineups))
    warnings += _notes(rules, portfolio, joint=bound is not None)
    took_ms = (time.perf_counter() - started) * 1e3
    return LineupResult(lineups, took_ms, tuple(warnings), bound, gap, exposures_of(pool, rules, portfolio))


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


def lineups_of(pool: Pool, chosen: Sequence[Solved]) -> tuple[Lineup, ...]:
    """Return the lineups a search found, with multiplied points and salaries.

    A lineup's gap is in what was maximized; where that is not the projection, `bound` is the projection plus that gap.
    """
    seats: dict[tuple[str, int], RosteredPlayer] = {}
    lineups = []
    for found in chosen:
        players = []
        for slot, row in zip(pool.slots, found.rows, strict=True):
            seat = seats.get((slot, row))
            if seat is None:
                c = pool.candidates[pool.source[row]]
                salary, points = int(pool.salary[row]) * pool.unit_usd, float(pool.projection[row])
                seat = seats[slot, row] = RosteredPlayer(c.id, c.name, slot, c.team, salary, points)
            players.append(seat)
        gap = max(0.0, found.bound - found.projection)
        projection = sum(seat.projection for seat in players)
        total = sum(seat.salary for seat in players)
        lineups.append(Lineup(tuple(players), total, projection, projection + gap, gap))
    return tuple(lineups)


def lineup_of(pool: Pool, found: Solved) -> Lineup:
    """Return one lineup a search found."""
    return lineups_of(pool, (found,))[0]


def exposures_of(pool: Pool, rules: LineupRules, portfolio: Portfolio) -> tuple[ExposureCount, ...]:
    """Count the lineups that hold what each exposure rule names: quotas, and players with a cap of their own."""
    rows = portfolio.rows()
    counts = [
        ExposureCount(
            quota.label, int((quota.members[rows].sum(axis=1) >= quota.threshold).sum()), quota.least, quota.most
        )
        for quota in pool.quotas
    ]
    if not rules.player_max_exposure:
        return tuple(counts)
    held = np.bincount(pool.source[rows].ravel(), minlength=len(pool.candidates))
    limit = dict(zip(pool.source.tolist(), pool.limit.tolist(), strict=True))
    for at, c in enumerate(pool.candidates):
        if c.id in rules.player_max_exposure and not rules.player_min_exposure.get(c.id):
            counts.append(ExposureCount(f"{c.name} ({c.id})", int(held[at]), 0, limit[at]))
    return tuple(counts)


def _in_order(
    slate: CompiledSlate, pool: Pool, rules: LineupRules, cancelled: Cancel | None, draws: Floats | None
) -> tuple[Portfolio, list[str]]:
    unique = min_unique(rules, pool.size)
    portfolio = Portfolio(pool, unique)
    try:
        if draws is None:
            fill(portfolio, rules.n, ExactSearch(pool, unique), cancelled)
        else:
            from models.lineups.randomness import fill_drawn

            fill_drawn(portfolio, slate, rules, draws, cancelled)
    except SearchUnfinished as error:
        if not portfolio.chosen:
            raise
        return portfolio, [f"{rules.n} lineups were asked for; the search for the next stopped: {error}"]
    return portfolio, []


def _check_draws(slate: CompiledSlate, rules: LineupRules, draws: Floats | None) -> Floats | None:
    if rules.objective.randomness == 0:
        return None
    count = len(slate.candidates)
    if draws is None or draws.ndim != 2 or draws.shape[1] != count or not len(draws):
        shape = None if draws is None else draws.shape
        raise InvalidInput(
            f"objective randomness is {rules.objective.randomness} but draws is {shape}; give simulated points of "
            f"shape (scenarios, {count}), or randomness 0"
        )
    draws = np.asarray(draws, dtype=np.float64)
    if not np.isfinite(draws).all():
        raise InvalidInput("draws holds values that are no finite points; correct the simulation")
    return draws


def _clash(pool: Pool, contest: Contest, rules: LineupRules) -> Infeasible:
    from models.lineups.infeasible import explain

    return explain(pool.candidates, contest, rules)


def _shortage(rules: LineupRules, count: int) -> list[str]:
    if count == rules.n:
        return []
    under = [f"max exposure {rules.max_exposure:.0%}"] if rules.max_exposure < 1 else []
    under += ["player exposures"] if rules.player_max_exposure else []
    capped = [rule.max_exposure for rule in rules.groups] + [rule.max_exposure for rule in rules.team_exposures]
    capped += [rule.max_exposure for rule in rules.stacks] + [rule.max_exposure for rule in rules.game_stacks]
    under += ["team, stack and group exposures"] if min(capped, default=1.0) < 1 else []
    under += [f"min_unique {rules.min_unique}"] if rules.min_unique > 1 else []
    under += [f"max_repeating {rules.max_repeating}"] if rules.max_repeating is not None else []
    suffix = f" with {', '.join(under)}" if under else ""
    return [f"{rules.n} lineups were asked for; only {count} distinct legal lineups exist{suffix}"]


def _notes(rules: LineupRules, portfolio: Portfolio, *, joint: bool) -> list[str]:
    notes = []
    if rules.locked and rules.max_exposure < 1 and rules.n > 1:
        notes.append(
            f"locked players are in every lineup; max exposure {rules.max_exposure:.0%} is for the others"
        )
    unproven = 0 if joint else sum(found.bound - found.projection > PROVEN for found in portfolio.chosen)
    if unproven:
        notes.append(f"{unproven} lineups are not proven optimal within the time limit; see their gap")
    return notes
