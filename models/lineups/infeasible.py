"""Name the rules that clash: a deletion filter over rule groups, each probe a feasibility solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import Infeasible
from models.lineups.compile import Pool
from models.lineups.milp import feasible
from models.lineups.problem import LineupRules

if TYPE_CHECKING:
    from features.contests import Contest


@dataclass(frozen=True, slots=True)
class Group:
    """One rule as a player knows it, and the pool without it."""

    name: str
    relax: Callable[[Pool], Pool]


def explain(pool: Pool, contest: Contest, rules: LineupRules) -> Infeasible:
    """Return the error that names the smallest clashing set found; irreducible: without any one of them it works."""
    groups = _groups(pool, contest, rules)
    everything_off = pool
    for group in groups:
        everything_off = group.relax(everything_off)
    if not feasible(everything_off):
        count = len(pool.projection)
        return Infeasible(
            f"no legal lineup: the player pool has {count} players for {pool.size} roster slots; add players",
            ("player pool",),
        )
    found = min((_filter(pool, order) for order in (groups, groups[::-1])), key=len)
    names = tuple(group.name for group in found)
    return Infeasible(f"no legal lineup satisfies together: {'; '.join(names)}. Relax one of them", names)


def _filter(pool: Pool, groups: list[Group]) -> list[Group]:
    """Drop each rule that is not needed for the clash; what stays is irreducible."""
    kept: list[Group] = []
    for position, group in enumerate(groups):
        without = group.relax(pool)
        if feasible(without):
            kept.append(group)
        else:
            pool = without
    return kept


def _groups(pool: Pool, contest: Contest, rules: LineupRules) -> list[Group]:
    """Contest rules first: the filter keeps what it tries last, and the player's own rules are those he can change."""
    no_cap = int(pool.salary.sum())
    contest_cap = contest.salary_cap_usd // pool.unit_usd
    full = (1 << pool.size) - 1
    off = np.zeros(len(pool.projection), dtype=np.bool_)
    groups = [
        Group("roster positions " + " ".join(pool.slots), lambda p: replace(p, mask=np.full_like(p.mask, full))),
        Group(f"at least {pool.min_games} games", lambda p: replace(p, min_games=1)),
        Group(f"at least {pool.min_teams} teams", lambda p: replace(p, min_teams=1)),
        Group(f"at most {pool.max_per_team} players of one team", lambda p: replace(p, max_per_team=p.size)),
        Group(f"salary cap {contest.salary_cap_usd:,}", lambda p: replace(p, cap=no_cap)),
    ]
    if pool.cap < contest_cap:
        # Once the contest's own cap is off, taking this one off must not bring it back.
        groups.append(
            Group(f"max salary {rules.max_salary_usd:,}", lambda p: replace(p, cap=max(p.cap, contest_cap)))
        )
    if pool.floor > 0:
        groups.append(Group(f"min salary {rules.min_salary_usd:,}", lambda p: replace(p, floor=0)))
    if pool.excluded.any():
        groups.append(Group(f"{int(pool.excluded.sum())} excluded players", lambda p: replace(p, excluded=off)))
    groups.extend(_lock(pool, int(row)) for row in np.flatnonzero(pool.locked))
    return groups


def _lock(pool: Pool, row: int) -> Group:
    candidate = pool.candidates[row]

    def relax(p: Pool) -> Pool:
        locked = p.locked.copy()
        locked[row] = False
        return replace(p, locked=locked)

    return Group(f"lock {candidate.name} ({candidate.id})", relax)
