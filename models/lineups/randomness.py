"""Lineups of moved projections: each is the best for its own draw of the players' distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.lineups.compile import CompiledSlate, scores
from models.lineups.core import ExactSearch
from models.lineups.pool import Flags, Floats, Ints, LinearRows, Pool
from models.lineups.portfolio import Portfolio, Solved, check_cancelled
from models.lineups.rules import LineupRules


def fill_drawn(
    portfolio: Portfolio,
    slate: CompiledSlate,
    rules: LineupRules,
    draws: Floats,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Add the best lineup still allowed under each of `rules.n` draws, (S, candidates), taken in turn."""
    for k in range(rules.n):
        check_cancelled(cancelled)
        drawn = replace(portfolio.pool, score=scores(slate, rules.objective, draws[k % len(draws)]))
        found = ExactSearch(drawn, portfolio.min_unique)(portfolio, 1)
        if not found:
            return
        portfolio.accept(found[0])


def redrawn(
    plan: Portfolio,
    slate: CompiledSlate,
    rules: LineupRules,
    draws: Floats,
    cancelled: Callable[[], bool] | None = None,
) -> Portfolio:
    """Replace each lineup of a plan by the best under its draw, such that the exposures the plan keeps stay kept.

    A replacement holds every minimum its planned lineup holds and uses no capacity that the rest of the plan needs.
    """
    pool, done = plan.pool, Portfolio(plan.pool, plan.min_unique)
    held = _held(pool, plan.rows())
    pool = _with_rows(pool)
    for k, planned in enumerate(plan.chosen):
        check_cancelled(cancelled)
        room = _room(plan, done, k)
        lower, upper = pool.rows.lower.copy(), pool.rows.upper.copy()
        base, allowed = len(lower) - len(pool.quotas), ~pool.excluded & room
        for at, quota in enumerate(pool.quotas):
            if held[k, at] and quota.least > 0:
                lower[base + at] = quota.threshold
            elif not held[k, at] and done.held[at] + int(held[k + 1 :, at].sum()) >= quota.most:
                upper[base + at] = quota.threshold - 1
        score = scores(slate, rules.objective, draws[k % len(draws)])
        drawn = replace(pool, score=score, rows=replace(pool.rows, lower=lower, upper=upper), quotas=())
        view = Portfolio(drawn, plan.min_unique)
        # Distinct from those already drawn and from those still planned, so that the plan stays open.
        for other in (*done.chosen, *plan.chosen[k + 1 :]):
            view.chosen.append(other)
            view.members.add(frozenset(other.rows))
        view.allowed = allowed
        found = ExactSearch(drawn, plan.min_unique)(view, 1)
        value = float(score[list(planned.rows)].sum())
        done.take(found[0] if found else Solved(planned.rows, value, value))
    return done


def _held(pool: Pool, rows: Ints) -> Flags:
    """Which lineup holds which quota (lineups, quotas)."""
    held = [quota.members[rows].sum(axis=1) >= quota.threshold for quota in pool.quotas]
    return np.array(held, dtype=np.bool_).reshape(len(pool.quotas), len(rows)).T


def _with_rows(pool: Pool) -> Pool:
    """The pool with one more row per quota, in their order."""
    rows = pool.rows
    grown = LinearRows(
        np.vstack([rows.weight, *(quota.members[None, :].astype(np.int64) for quota in pool.quotas)]),
        np.concatenate([rows.lower, np.zeros(len(pool.quotas), dtype=np.int64)]),
        np.concatenate([rows.upper, np.full(len(pool.quotas), pool.size, dtype=np.int64)]),
        rows.names + tuple(quota.label for quota in pool.quotas),
    )
    return replace(pool, rows=grown)


def _room(plan: Portfolio, done: Portfolio, k: int) -> Flags:
    """Rows whose candidate lineup k may hold: his limit is not used up by those drawn and those still planned."""
    pool = plan.pool
    later = pool.source[plan.rows()[k + 1 :]].ravel()
    used = done.count + np.bincount(later, minlength=len(pool.candidates))
    room: Flags = used[pool.source] < pool.limit
    return room
