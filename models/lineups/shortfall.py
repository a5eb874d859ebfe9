"""Which exposures cannot be kept together: deletion filters over them, on one lineup's relaxation or on columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import Infeasible, SearchUnfinished
from models.lineups.average import clashing
from models.lineups.columns import Asks
from models.lineups.compile import CompiledSlate, compile_pool
from models.lineups.pool import Pool
from models.lineups.rules import Group, LineupRules
from models.lineups.selection import select

if TYPE_CHECKING:
    from models.lineups.joint import State

UNIQUE = "min_unique"
# Seconds for each question whether a set of exposures can be met.
PROBE_S = 3.0
# Seconds for all of them.
EXPLAIN_S = 5.0


def refuse_impossible(slate: CompiledSlate, rules: LineupRules, pool: Pool, asks: Asks) -> None:
    """Raise `Infeasible` where the relaxation of a single lineup proves that the exposures clash."""
    kept = clashing(pool, asks)
    if kept:
        raise _named(slate, rules, pool, asks, kept)


def unmet_exposures(slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks) -> Infeasible:
    """Return the error naming a set of exposures that clash; where one alone fails, what it fails on.

    The set is irreducible as far as `EXPLAIN_S` seconds could tell.
    """
    from models.lineups.joint import UNMET, converge

    hot = np.abs(state.price) > UNMET
    state.budget.restart(EXPLAIN_S)

    def clash(off: frozenset[str]) -> bool:
        if not state.budget.over:
            converge(state, asks.without(off))
        return not state.budget.over and state.clash

    suspects = list(dict.fromkeys(label for label, priced in zip(asks.labels, hot, strict=True) if priced))
    others = frozenset(asks.labels) - frozenset(suspects)
    off = others if others and suspects and clash(others) else frozenset[str]()
    kept = [label for label in dict.fromkeys(asks.labels) if label not in off]
    for label in list(kept):
        if len(kept) > 1 and clash(off | {label}):
            off |= {label}
            kept.remove(label)
    return _named(slate, rules, state.columns.pool, asks, kept)


def unmet_together(
    slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks, unique: int, *, complete: bool
) -> Infeasible | SearchUnfinished:
    """The error where shares of lineups could keep the exposures but no whole lineups among the columns do.

    Only columns that are all legal lineups prove it; then an irreducible set of what clashes is named.
    """
    from models.lineups.joint import UNFINISHED

    if not complete:
        return SearchUnfinished(UNFINISHED)
    state.budget.restart(EXPLAIN_S)

    def works(off: frozenset[str]) -> bool:
        kept, limit = 1 if UNIQUE in off else unique, min(PROBE_S, state.budget.left)
        try:
            found = select(state.columns, asks.without(off), target=-np.inf, min_unique=kept, time_limit_s=limit)
        except SearchUnfinished:
            return True
        return found is not None

    off = frozenset[str]()
    named = [*dict.fromkeys(asks.labels), *([UNIQUE] if unique > 1 else [])]
    for label in named:
        if not works(off | {label}):
            off |= {label}
    kept = [f"{UNIQUE} {unique}" if label == UNIQUE else label for label in named if label not in off]
    return _together(asks, kept)


def _named(slate: CompiledSlate, rules: LineupRules, pool: Pool, asks: Asks, kept: list[str]) -> Infeasible:
    """The error for a set of clashing asks."""
    if len(kept) == 1 and kept[0] in {quota.label for quota in pool.quotas if quota.least > 0}:
        alone = _alone(slate, rules, pool, asks, kept[0])
        if alone is not None:
            return alone
    return _together(asks, kept)


def _together(asks: Asks, kept: list[str]) -> Infeasible:
    least = {label: int(count) for label, count in zip(asks.labels, asks.least, strict=True) if count > 0}
    said = (*(_said(label, least.get(label), asks.n) for label in kept), f"{asks.n} lineups")
    return Infeasible(f"exposures that cannot be met together: {'; '.join(said)}. Relax one of them", said)


def _said(label: str, least: int | None, n: int) -> str:
    return f"min exposure {least} of {n} of {label}" if least else label


def _alone(slate: CompiledSlate, rules: LineupRules, pool: Pool, asks: Asks, label: str) -> Infeasible | None:
    """Why not even one lineup holds the ask, None if one does."""
    from models.lineups.infeasible import explain
    from models.lineups.milp import feasible

    quota = next(quota for quota in pool.quotas if quota.label == label)
    members = frozenset(pool.candidates[source].id for source in pool.source[quota.members])
    name = f"min exposure {quota.least} of {asks.n} of {label}"
    if len(members) < quota.threshold:
        said = (name, f"{len(members)} players in the pool")
        return Infeasible(f"exposures that cannot be met: {'; '.join(said)}. Lower it or add players", said)
    asked = replace(rules, groups=(*rules.groups, Group(name, members, at_least=quota.threshold)))
    if feasible(compile_pool(slate, slate.contest, asked)):
        return None
    return explain(slate.candidates, slate.contest, asked)
