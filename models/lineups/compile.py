"""Compile a lineup request into arrays; everything after this works on numbers only.

A lineup is a set of players that can fill the roster slots one to one, so a player's positions are kept as one
bit mask of the slots he may fill and a multi-position player is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from features.errors import InvalidInput
from models.lineups.pool import (
    MAX_LINEUPS,
    Choice,
    Flags,
    Floats,
    Ints,
    LinearRows,
    Pool,
    Quota,
    no_rows,
)
from models.lineups.problem import Candidate
from models.lineups.quotas import allowed_count, limits, write_quotas
from models.lineups.rulebook import Book, write_rules
from models.lineups.rules import LineupRules, Objective
from models.lineups.slates import CompiledSlate, compile_slate, slot_masks
from models.lineups.stacks import write_stacks
from models.lineups.validity import validate

if TYPE_CHECKING:
    from features.contests import Contest

__all__ = [
    "MAX_LINEUPS", "Choice", "CompiledSlate", "Flags", "Floats", "Ints", "LinearRows", "Pool", "Quota",
    "allowed_count", "compile_pool", "compile_slate", "min_unique", "no_rows", "scores", "slot_masks",
]  # fmt: skip


def compile_pool(candidates: Sequence[Candidate] | CompiledSlate, contest: Contest, rules: LineupRules) -> Pool:
    """Return the request as arrays. Raises `InvalidInput` naming the field, its value and the fix."""
    slate = compile_slate(candidates, contest)
    validate(slate, rules)
    mask, locked, excluded = _seats(slate, rules)
    book = Book(slate, mask, ~excluded & (mask != 0))
    write_rules(book, rules)
    locked |= _lock(book, rules)
    choices = write_stacks(book, rules)
    limit = limits(book, rules)
    quotas = write_quotas(book, rules, limit)
    size, unit = contest.lineup_size, slate.unit_usd
    return Pool(
        candidates=slate.candidates,
        source=slate.source,
        slots=tuple(slot.name for slot in contest.slots),
        score=scores(slate, rules.objective),
        projection=slate.mean[slate.source] * slate.multiplier,
        salary=slate.salary,
        mask=mask,
        person=slate.person,
        team=slate.team,
        game=slate.game,
        locked=locked,
        excluded=excluded,
        limit=limit,
        unit_usd=unit,
        cap=_cap(slate, rules),
        floor=-(-rules.min_salary_usd // unit),
        max_per_team=min(contest.max_per_team, rules.max_per_team or size, size),
        min_teams=contest.min_teams,
        min_games=contest.min_games,
        max_per_game=min(contest.max_per_game or size, size),
        rows=book.linear(),
        choices=choices,
        quotas=quotas,
        conflict=book.conflict,
        side=_side(slate),
    )


def scores(slate: CompiledSlate, objective: Objective, draw: Floats | None = None) -> Floats:
    """Return what is maximized, per row (N,); `draw` (P,) is one draw of the players' points, for `randomness`."""
    points = slate.mean
    if objective.measure == "floor" or (objective.measure == "blend" and objective.blend_weight < 0):
        weight = 1.0 if objective.measure == "floor" else -objective.blend_weight
        points = slate.mean + weight * (slate.floor - slate.mean)
    elif objective.measure == "ceiling" or (objective.measure == "blend" and objective.blend_weight > 0):
        weight = 1.0 if objective.measure == "ceiling" else objective.blend_weight
        points = slate.mean + weight * (slate.ceiling - slate.mean)
    if draw is not None:
        points = (1 - objective.randomness) * points + objective.randomness * draw
    score = points[slate.source] * slate.multiplier
    if objective.leverage:
        score = score - objective.leverage * slate.ownership[slate.source]
    return score


def min_unique(rules: LineupRules, size: int) -> int:
    """Return in how many players any two lineups differ."""
    repeating = size if rules.max_repeating is None else rules.max_repeating
    return max(rules.min_unique, size - repeating)


def _cap(slate: CompiledSlate, rules: LineupRules) -> int:
    """Salary units a lineup may cost; what no lineup can reach where nothing limits it."""
    size = slate.contest.lineup_size
    caps = [int(np.sort(slate.salary)[-size:].sum())]
    for limit in (slate.contest.salary_cap_usd, rules.max_salary_usd):
        if limit is not None:
            caps.append(limit // slate.unit_usd)
    return min(caps)


def _side(slate: CompiledSlate) -> Ints | None:
    positions = slate.contest.min_teams_positions
    if positions is None:
        return None
    return np.where(slate.playing(positions), slate.team, -1)


def _seats(slate: CompiledSlate, rules: LineupRules) -> tuple[Ints, Flags, Flags]:
    """Return slot bits, locked and excluded rows once the fixed players sit."""
    excluded = slate.holding(rules.excluded)
    locked = np.zeros(len(slate.source), dtype=np.bool_)
    if not rules.fixed:
        return slate.mask, locked, excluded
    taken = sum(1 << slot for slot in rules.fixed)
    mask = slate.mask & ~taken
    for slot, id_ in rules.fixed.items():
        rows = np.flatnonzero(slate.source == slate.codes[id_])
        kind = slate.contest.slots[slot].points_multiplier
        able = [row for row in rows if slate.multiplier[row] == kind]
        if not able:
            raise InvalidInput(
                f"fixed seats {id_} in slot {slot} ({slate.contest.slots[slot].name}), which his positions do not fit; "
                "correct the seat"
            )
        mask[rows] = 0
        excluded[rows] = True
        # The site seated him there: his file positions may have changed since, and an exclusion comes too late.
        mask[able[0]] = 1 << slot
        excluded[able[0]] = False
        locked[able[0]] = True
    return mask, locked, excluded


def _lock(book: Book, rules: LineupRules) -> Flags:
    """Return the locked rows; who has several rows is locked by a row of the book: one of them plays."""
    slate = book.slate
    flags = np.zeros(len(slate.source), dtype=np.bool_)
    several = []
    for id_ in rules.locked:
        rows = np.flatnonzero(slate.source == slate.codes[id_]) if len(slate.source) > len(slate.codes) else ()
        if len(rows) > 1:
            several.append(id_)
        else:
            flags[slate.codes[id_] if not len(rows) else rows] = True
    for id_ in sorted(several):
        book.add(slate.holding((id_,)).astype(np.int64), 1, 1, f"lock {id_}")
    return flags
