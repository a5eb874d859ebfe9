"""Name the rules that clash: a deletion filter over rule groups, each probe a feasibility solve."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import Infeasible
from models.lineups.compile import Pool
from models.lineups.milp import feasible
from models.lineups.problem import LineupRules

if TYPE_CHECKING:
    from features.contests import Contest


def explain(pool: Pool, contest: Contest, rules: LineupRules) -> Infeasible:
    """Return the error naming the smallest clashing set found; it is irreducible: without any one rule it works."""
    names = _names(pool, contest, rules)
    if not _works(pool, contest, frozenset(names)):
        return Infeasible(
            f"no legal lineup: the player pool has {len(pool.projection)} players for {pool.size} roster slots; "
            "add players",
            ("player pool",),
        )
    found = min((_filter(pool, contest, order) for order in (list(names), list(names)[::-1])), key=len)
    said = tuple(names[key] for key in found)
    if all(key.startswith("lock ") for key in found) and len(found) > pool.size:
        said += (f"{pool.size} roster slots",)
    return Infeasible(f"no legal lineup satisfies together: {'; '.join(said)}. Relax one of them", said)


def _filter(pool: Pool, contest: Contest, keys: list[str]) -> list[str]:
    """Drop each rule that the clash does not need; what stays is irreducible."""
    off: frozenset[str] = frozenset()
    for key in keys:
        if not _works(pool, contest, off | {key}):
            off |= {key}
    return [key for key in keys if key not in off]


def _works(pool: Pool, contest: Contest, off: frozenset[str]) -> bool:
    """Whether a legal lineup exists with the rules named in `off` switched off."""
    caps = [int(pool.salary.sum())]
    contest_cap = contest.salary_cap_usd // pool.unit_usd
    if "cap" not in off:
        caps.append(contest_cap)
    if "max salary" not in off and pool.cap < contest_cap:
        caps.append(pool.cap)
    kept = np.array([f"lock {c.id}" not in off for c in pool.candidates])
    relaxed = replace(
        pool,
        cap=min(caps),
        floor=0 if "min salary" in off else pool.floor,
        mask=np.full_like(pool.mask, (1 << pool.size) - 1) if "positions" in off else pool.mask,
        max_per_team=pool.size if "max per team" in off else pool.max_per_team,
        min_teams=1 if "teams" in off else pool.min_teams,
        min_games=1 if "games" in off else pool.min_games,
        excluded=pool.excluded & ("excluded" not in off),
        locked=pool.locked & kept,
    )
    return feasible(relaxed)


def _names(pool: Pool, contest: Contest, rules: LineupRules) -> dict[str, str]:
    """Every rule in force, key to wording. Contest rules first: the filter keeps what it tries last, and his own
    rules are those a player can change."""
    names = {"positions": "roster positions " + " ".join(pool.slots)}
    if pool.min_games > 1:
        names["games"] = f"at least {pool.min_games} games"
    if pool.min_teams > 1:
        names["teams"] = f"at least {pool.min_teams} teams"
    if pool.max_per_team < pool.size:
        names["max per team"] = f"at most {pool.max_per_team} players of one team"
    names["cap"] = f"salary cap {contest.salary_cap_usd:,}"
    if rules.max_salary_usd is not None and rules.max_salary_usd < contest.salary_cap_usd:
        names["max salary"] = f"max salary {rules.max_salary_usd:,}"
    if pool.floor > 0:
        names["min salary"] = f"min salary {rules.min_salary_usd:,}"
    if pool.excluded.any():
        names["excluded"] = f"{int(pool.excluded.sum())} excluded players"
    for row in np.flatnonzero(pool.locked):
        c = pool.candidates[row]
        names[f"lock {c.id}"] = f"lock {c.name} ({c.id})"
    return names
