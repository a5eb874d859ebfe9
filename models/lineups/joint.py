"""Lineups chosen jointly, so that minimum exposures are kept: column generation over exact K-best lists.

A selection is n distinct legal lineups that keep every exposure. The relaxation over the lineups found so far prices
the exposures; the best lineups at those prices prove a bound on every selection and are the next columns. An integer
choice among all columns is the answer, its distance from the bound the gap. What the relaxation of a single lineup
proves impossible is refused before (`models.lineups.average`), and a time budget ends the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from models.errors import SearchUnfinished
from models.lineups.budget import Budget
from models.lineups.columns import Asks, Columns, asks_of
from models.lineups.compile import CompiledSlate, min_unique
from models.lineups.pool import Floats, Pool
from models.lineups.portfolio import Portfolio
from models.lineups.pricing import Pricing, rows_of, solved
from models.lineups.randomness import redrawn
from models.lineups.rules import LineupRules
from models.lineups.selection import relax, select

logger = logging.getLogger(__name__)

# The share by which a chosen set may fall short of the bound before more columns are sought.
TARGET_GAP = 2e-4
MAX_ROUNDS = 40
# Seconds for a whole selection, and for naming what clashes where none exists.
BUDGET_S = 20.0
# Share of the budget after which prices are as good as they get, and the choice among the columns begins.
PRICES_SHARE = 0.6
# First room for prices around the best so far, as a share of the best lineup.
BOX = 0.02
SELECT_S = 3.0
LAST_S = 1.0
# Columns sought beyond the relaxation's, as multiples of the lineups asked for.
WIDER = (2, 6, 16)
UNMET = 1e-6
UNFINISHED = (
    "no set of lineups that keeps the minimum exposures was found in time; lower one of them or min_unique"
)


@dataclass(frozen=True, slots=True)
class Joint:
    """A selection best first, the proven bound on the total score of any, and its relative gap."""

    portfolio: Portfolio
    bound: float
    gap: float
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class State:
    """Columns so far, the best bound and the prices that proved it; `clash` says that it leaves no selection."""

    columns: Columns
    pricing: Pricing
    budget: Budget
    clash: bool = False
    bound: float = float("inf")
    price: Floats = field(default_factory=lambda: np.zeros(0))


def choose(
    slate: CompiledSlate,
    pool: Pool,
    rules: LineupRules,
    cancelled: Callable[[], bool] | None = None,
    draws: Floats | None = None,
    budget: Budget | None = None,
) -> Joint:
    """Return `rules.n` lineups of the pool that keep all exposures; fewer, with a warning, where fewer are legal.

    Once the `budget` (`BUDGET_S`) is used up the best selection so far is returned, with its gap and a warning. With
    `draws` each lineup is then replaced by the best for its own draw that keeps the exposures kept. Raises
    `Infeasible` naming the exposures that clash, `SearchUnfinished` where no selection was found in time.
    """
    from models.lineups.shortfall import refuse_impossible, unmet_exposures

    unique = min_unique(rules, pool.size)
    budget = budget or Budget(BUDGET_S)
    asks = asks_for(pool, rules, rules.n)
    refuse_impossible(slate, rules, pool, asks)
    state = State(Columns(pool, asks), Pricing(pool, asks, cancelled, budget), budget)
    first = state.pricing.search(pool.score, {}, rules.n)
    if not first:
        return Joint(Portfolio(pool, unique), 0.0, 0.0)
    if not rows_of(first):
        raise SearchUnfinished(UNFINISHED)
    warnings: tuple[str, ...] = ()
    if len(first) < rules.n:
        warnings = (f"{rules.n} lineups were asked for; only {len(first)} distinct legal lineups exist",)
        asks = replace(asks_for(pool, rules, rules.n), n=len(first), most=np.minimum(asks.most, len(first)))
        state = State(Columns(pool, asks), Pricing(pool, asks, cancelled, budget), budget)
    state.columns.add(rows_of(first))
    _open(state, asks, pool)
    converge(state, asks)
    # Without any exposure none would score more than the best of all.
    state.bound = min(state.bound, sum(value for value, _ in first))
    if state.clash:
        raise unmet_exposures(slate, rules, state, asks)
    chosen = _integer(slate, rules, state, asks, unique)
    best = max(value for value, _ in first)
    listed = sorted((solved(pool, state.columns.found[c].rows, best) for c in chosen), key=lambda s: -s.projection)
    portfolio = Portfolio(pool, unique)
    for found in listed:
        portfolio.take(found)
    total = sum(found.projection for found in listed)
    gap = max(0.0, state.bound - total) / max(abs(state.bound), 1e-9)
    if budget.over and gap > TARGET_GAP:
        note = (
            f"the search for better lineups stopped after {budget.seconds:g} s; the total may be {gap:.2%} short"
        )
        warnings = (*warnings, note)
    if draws is not None:
        portfolio = redrawn(portfolio, slate, replace(rules, n=len(listed)), draws, cancelled)
        note = "bound and gap are of the unmoved projections; each lineup is the best for its own draw"
        warnings = (*warnings, note)
    return Joint(portfolio, max(state.bound, total), gap, warnings)


def asks_for(pool: Pool, rules: LineupRules, n: int) -> Asks:
    """The request's exposures, worded as the player gave them."""
    own = {
        id_: f"max exposure {share:.0%} of {name}"
        for id_, share in rules.player_max_exposure.items()
        for name in (c.name for c in pool.candidates if c.id == id_)
    }
    return asks_of(pool, n, f"max exposure {rules.max_exposure:.0%}", own)


def converge(state: State, asks: Asks) -> None:
    """Generate columns until the relaxation meets its bound, or `state.clash` says that there is no selection.

    Prices stay within a box around the best so far, which grows while it binds (boxstep): the first relaxations know
    few lineups and would price wildly, and wild prices make for slow searches. Where no selection exists the prices
    grow until even the bound is below what any lineups score.
    """
    state.bound, state.price, state.clash = float("inf"), np.zeros(len(asks.labels)), False
    top = max(1.0, float(np.abs(state.columns.scores()).max(initial=0.0)))
    box, until = BOX * top, (1 - PRICES_SHARE) * state.budget.left
    lowest = asks.n * _lowest(state.columns.pool) - UNMET * asks.n * top
    for _ in range(MAX_ROUNDS):
        if state.budget.left <= until:
            break
        relaxed = relax(state.columns, asks, state.price - box, state.price + box)
        met = relaxed.unmet <= UNMET
        priced = state.pricing.best(relaxed.price, asks)
        better = priced.bound < state.bound - UNMET * top
        if priced.bound < state.bound:
            state.bound, state.price = priced.bound, relaxed.price
        new = state.columns.add(priced.lineups)
        state.clash = state.bound < lowest
        settled = met and (not new or state.bound - relaxed.value <= 0.25 * TARGET_GAP * abs(state.bound))
        if state.clash or settled or (priced.complete and not new):
            break
        if not met and (better or not new):
            box *= 2


def _lowest(pool: Pool) -> float:
    """A score that every lineup reaches."""
    return float(np.sort(pool.score[~pool.excluded])[: pool.size].sum())


def _open(state: State, asks: Asks, pool: Pool) -> None:
    """First columns: for every ask that must be held, the best lineups that do."""
    for i in np.flatnonzero(asks.least > 0).tolist():
        state.columns.add(rows_of(state.pricing.search(pool.score, {i: True}, int(asks.least[i]), patient=False)))


def _integer(slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks, unique: int) -> list[int]:
    """The best choice among the columns; more columns, near the best at the prices, until it is good or all are in."""
    target = state.bound - TARGET_GAP * abs(state.bound)
    if unique > 1:
        _diverse(state, asks, unique)

    def pick(limit_s: float) -> tuple[list[int] | None, bool]:
        # Past the budget a choice among what was found is still worth a moment.
        limit_s = max(LAST_S, min(limit_s, state.budget.left))
        try:
            return select(state.columns, asks, target=target, min_unique=unique, time_limit_s=limit_s), True
        except SearchUnfinished:
            return None, False

    complete = False
    for wider in WIDER:
        chosen, _ = pick(SELECT_S)
        scores = state.columns.scores()
        if chosen is not None and (state.budget.over or scores[chosen].sum() >= target):
            return chosen
        more = state.pricing.best(state.price, asks, wider * asks.n)
        complete = more.complete
        if not state.columns.add(more.lineups) and complete:
            break
    chosen, known = pick(2 * SELECT_S)
    if chosen is None:
        from models.lineups.shortfall import unmet_together

        raise unmet_together(slate, rules, state, asks, unique, complete=complete and known)
    return chosen


def _diverse(state: State, asks: Asks, unique: int) -> None:
    """Columns that differ enough from one another: K-best lists are full of near twins."""
    pool = state.columns.pool
    additive = asks.additive
    score = pool.score - state.price[additive] @ asks.members[additive]
    state.columns.add(rows_of(state.pricing.search(score, {}, 2 * asks.n, unique)))
    for i in np.flatnonzero(asks.least > 0).tolist():
        state.columns.add(rows_of(state.pricing.search(score, {i: True}, 2 * int(asks.least[i]), unique)))
