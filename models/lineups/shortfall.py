"""Which exposures cannot be kept together: a deletion filter over them, on columns already generated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import Infeasible, SearchUnfinished
from models.lineups.columns import Asks
from models.lineups.compile import CompiledSlate, compile_pool
from models.lineups.rules import Group, LineupRules
from models.lineups.selection import select

if TYPE_CHECKING:
    from models.lineups.joint import State

UNIQUE = "min_unique"
# Seconds for each question whether a set of exposures can be met.
PROBE_S = 3.0


def unmet_exposures(slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks) -> Infeasible:
    """Return the error naming an irreducible set of exposures that clash; where one alone fails, what it fails on."""
    from models.lineups.joint import UNMET, converge

    relaxed = converge(state, asks)
    priced = np.abs(relaxed.price) > UNMET
    suspects = list(dict.fromkeys(label for label, hot in zip(asks.labels, priced, strict=True) if hot))
    others = frozenset(asks.labels) - frozenset(suspects)
    off = others if converge(state, asks.without(others)).unmet > UNMET else frozenset[str]()
    kept = [label for label in dict.fromkeys(asks.labels) if label not in off]
    for label in list(kept):
        if len(kept) > 1 and converge(state, asks.without(off | {label})).unmet > UNMET:
            off |= {label}
            kept.remove(label)
    least = {label: int(count) for label, count in zip(asks.labels, asks.least, strict=True) if count > 0}
    if len(kept) == 1 and kept[0] in least:
        alone = _alone(slate, rules, state, asks, kept[0])
        if alone is not None:
            return alone
    said = (*(_said(label, least.get(label), asks.n) for label in kept), f"{asks.n} lineups")
    return Infeasible(f"exposures that cannot be met together: {'; '.join(said)}. Relax one of them", said)


def unmet_together(
    slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks, unique: int, *, complete: bool
) -> Infeasible | SearchUnfinished:
    """The error where shares of lineups could keep the exposures but no whole lineups among the columns do.

    Only columns that are all legal lineups prove it; then an irreducible set of what clashes is named.
    """
    if not complete:
        return SearchUnfinished(
            "no set of lineups that keeps the minimum exposures was found in time; lower one of them or min_unique"
        )

    def works(off: frozenset[str]) -> bool:
        kept = 1 if UNIQUE in off else unique
        found = select(state.columns, asks.without(off), target=-np.inf, min_unique=kept, time_limit_s=PROBE_S)
        return found is not None

    off = frozenset[str]()
    named = [*dict.fromkeys(asks.labels), *([UNIQUE] if unique > 1 else [])]
    for label in named:
        if not works(off | {label}):
            off |= {label}
    least = {label: int(count) for label, count in zip(asks.labels, asks.least, strict=True) if count > 0}
    said = [_said(label, least.get(label), asks.n) for label in named if label not in off]
    said = [*(f"{UNIQUE} {unique}" if text == UNIQUE else text for text in said), f"{asks.n} lineups"]
    return Infeasible(f"exposures that cannot be met together: {'; '.join(said)}. Relax one of them", tuple(said))


def _said(label: str, least: int | None, n: int) -> str:
    return f"min exposure {least} of {n} of {label}" if least else label


def _alone(slate: CompiledSlate, rules: LineupRules, state: State, asks: Asks, label: str) -> Infeasible | None:
    """Why not even one lineup holds the ask, None if one does."""
    from models.lineups.infeasible import explain
    from models.lineups.milp import feasible

    pool = state.columns.pool
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
