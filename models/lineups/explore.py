"""Depth-first search of one relaxation's core under a loss budget: every lineup within it is seen, or it says not."""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import (
    BIT,
    CHOICES,
    GAME,
    GAMES,
    IN_GAME,
    IN_SIDE,
    IN_TEAM,
    MASK,
    MULTIPLIER,
    OVERLAP,
    PER_GAME,
    PER_TEAM,
    PERSON,
    PICK,
    ROW,
    SALARY,
    SIDE,
    SIZE,
    SLOT_LEAST,
    SLOT_PRICE,
    SPREAD,
    START,
    TEAM,
    TEAMS,
    UNLIKE,
    Best,
    Core,
    Counts,
    Request,
    Work,
)
from models.lineups.dual import option_of
from models.lineups.jit import inner
from models.lineups.pool import Flags, Floats, Ints
from models.lineups.table import sort_by


@inner
def explore(  # noqa: C901, PLR0912 - one loop: a call per step would cost more than the step
    bound: float, budget: float, strict: float, tie: float, max_steps: int, request: Request, core: Core,
    counts: Counts, most: int, forbidden: Ints, best: Best, work: Work,
) -> int:  # fmt: skip
    """See every lineup that loses at most `budget` of `bound`; return the steps left, negative: not complete.

    Once `best` is full the budget shrinks to what would still improve it. Lineups share at most `most` rows with
    each earlier one (`counts`) and equal none of `forbidden`.
    """
    size, room, k, rows, cap = request.limits[SIZE], len(best.value), 0, len(core.watched), request.upper[0]
    entry, cost, member, suffix, forfeit = core.entry, core.cost, core.member, core.suffix, core.forfeit
    start, unlike = core.slots[START], core.slots[UNLIKE]
    price, least = core.rates[SLOT_PRICE], core.rates[SLOT_LEAST]
    salary, bit, row, grain, limits = entry[SALARY], entry[BIT], entry[ROW], core.grain, request.limits
    at, left, lost = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size)
    chosen, seated, load = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros((size + 1, rows), np.int64)
    left[0], overlaps, exclusive = cap, len(counts.member) > 0, len(request.conflict) > 0
    if best.filled[0] == room:
        budget = min(budget, bound - lowest(best.value) - strict)
    while k >= 0 and max_steps >= 0:
        max_steps -= 1
        if at[k] >= start[k + 1]:
            k -= 1
            if k >= 0:
                move(chosen[k], -1, entry, counts)
            continue
        i = member[at[k]]
        total = lost[k] + max(0.0, price[k] + cost[i])
        at[k] += 1
        if total + least[k + 1] + forfeit[k, seated[k]] > budget:
            at[k] = start[k + 1]
            continue
        rest, bits = left[k] - salary[i], seated[k] | bit[i]
        if rest < 0 or total + suffix[k + 1, rest // grain] + forfeit[k + 1, bits] > budget:
            continue
        if not admissible(i, k, entry, request.order, chosen, counts.tally, limits):
            continue
        if exclusive and clashes(row[i], k, row, chosen, request.conflict):
            continue
        if (
            rows > 0
            and total + least[k + 1] + overrun(i, k, request, core, load, work.floats[MULTIPLIER]) > budget
        ):
            continue
        if overlaps and crowded(row[i], counts, most):
            continue
        chosen[k] = i
        if k == size - 1:
            if cap - rest >= request.lower[0] and keep(chosen, request, row, tie, forbidden, best, work):
                budget = min(budget, bound - lowest(best.value) - strict)
            continue
        move(i, 1, entry, counts)
        k += 1
        at[k] = start[k] if unlike[k] else start[k] + at[k - 1] - start[k - 1]
        left[k], lost[k], seated[k] = rest, total, bits
    while k > 0:  # out of steps: leave the counters as they were found
        k -= 1
        move(chosen[k], -1, entry, counts)
    return max_steps


@inner
def admissible(i: int, k: int, entry: Ints, order: Ints, chosen: Ints, tally: Ints, limits: Ints) -> bool:
    """Whether core row i may take the k-th slot beside those chosen: his person is new, the seating is canonical,
    and team and game rules hold.

    Canonical: two rows who could swap slots sit in core order, which leaves each set at least one seating.
    """
    masks, persons, here = entry[MASK], entry[PERSON], order[k]
    mask, person = masks[i], persons[i]
    for a in range(k):
        j = chosen[a]
        if persons[j] == person or (j > i and mask >> order[a] & 1 and masks[j] >> here & 1):
            return False
    in_team, in_game = tally[IN_TEAM, entry[TEAM, i]], tally[IN_GAME, entry[GAME, i]]
    open_slots = len(order) - k - 1
    side = entry[SIDE, i]
    teams, games = tally[SPREAD, 0] + (side >= 0 and tally[IN_SIDE, side] == 0), tally[SPREAD, 1] + (in_game == 0)
    return bool(
        in_team < limits[PER_TEAM]
        and in_game < limits[PER_GAME]
        and teams + open_slots >= limits[TEAMS]
        and games + open_slots >= limits[GAMES]
    )


@inner
def clashes(i: int, k: int, row: Ints, chosen: Ints, conflict: Flags) -> bool:
    """Whether the row is in conflict with one of those chosen."""
    found = False
    for a in range(k):
        found = found or conflict[i, row[chosen[a]]]
    return found


@inner
def overrun(i: int, k: int, request: Request, core: Core, load: Ints, multiplier: Floats) -> float:
    """Loss for going past priced rows' bounds with core row i in the k-th slot; infinite where a row is out of
    reach. Leaves the loads of the next slot behind."""
    loss = 0.0
    for a in range(len(core.watched)):
        r = core.watched[a]
        here = load[k, a] + core.load[a, i]
        least, most = here + core.reach[0, a, k + 1], here + core.reach[1, a, k + 1]
        lower, upper, m = request.lower[r], request.upper[r], multiplier[r]
        if most < lower or least > upper:
            return np.inf
        if m > 0.0 and least > lower:
            loss += m * (least - lower)
        elif m < 0.0 and most < upper:
            loss -= m * (upper - most)
        load[k + 1, a] = here
    return loss


@inner
def crowded(row: int, counts: Counts, most: int) -> bool:
    """Whether adding the row would repeat more than `most` rows of an earlier lineup."""
    for at in range(counts.start[row], counts.start[row + 1]):
        if counts.tally[OVERLAP, counts.member[at]] >= most:
            return True
    return False


@inner
def move(i: int, step: int, entry: Ints, counts: Counts) -> None:
    """Seat (step 1) or unseat (step -1) a core row in all counters."""
    t, g, side, tally = entry[TEAM, i], entry[GAME, i], entry[SIDE, i], counts.tally
    tally[IN_TEAM, t] += step
    tally[IN_GAME, g] += step
    if side >= 0:
        tally[IN_SIDE, side] += step
        if tally[IN_SIDE, side] == (step > 0):
            tally[SPREAD, 0] += step
    if tally[IN_GAME, g] == (step > 0):
        tally[SPREAD, 1] += step
    if len(counts.member) > 0:
        row = entry[ROW, i]
        for at in range(counts.start[row], counts.start[row + 1]):
            tally[OVERLAP, counts.member[at]] += step


@inner
def keep(chosen: Ints, request: Request, row: Ints, tie: float, forbidden: Ints, best: Best, work: Work) -> bool:
    """Put a full lineup among the best so far if it belongs there, is new and meets the choices still open; return
    whether `best` is full now."""
    size = len(chosen)
    rows, slots = np.empty(size, np.int64), np.empty(size, np.int64)
    for k in range(size):
        rows[k], slots[k] = row[chosen[k]], request.order[k]
    for c in range(request.limits[CHOICES]):
        if work.ints[PICK, c] < 0 and option_of(c, request, rows) < 0:
            return False
    sort_by(rows, slots, 0, size)
    value = 0.0
    for k in range(size):
        value += request.score[rows[k]]
    at = place_of(value, rows, tie, forbidden, best)
    if at >= 0:
        best.value[at] = value
        for k in range(size):
            best.rows[at, k], best.seats[at, slots[k]] = rows[k], rows[k]
        best.filled[0] = max(best.filled[0], at + 1)
    return bool(best.filled[0] == len(best.value))


@inner
def place_of(value: float, rows: Ints, tie: float, forbidden: Ints, best: Best) -> int:
    """Where the lineup belongs among the best: a free place or that of the worst; -1 if it is known or too weak."""
    count, room = best.filled[0], len(best.value)
    at, worst = count, np.inf
    for a in range(len(forbidden)):
        if same(forbidden[a], rows):
            return -1
    for a in range(count):
        if abs(best.value[a] - value) <= tie and same(best.rows[a], rows):
            return -1
        if best.value[a] < worst:
            worst = best.value[a]
            at = a if count == room else at
    return at if count < room or value > worst + tie else -1


@inner
def same(a: Ints, b: Ints) -> bool:
    """Whether two lineups hold the same rows in the same order."""
    at, size = 0, len(a)
    while at < size and a[at] == b[at]:
        at += 1
    return at == size


@inner
def lowest(values: Floats) -> float:
    """Smallest of at least one value."""
    least: float = values[0]
    for value in values:
        least = min(least, value)
    return least


@inner
def empty_counts(facts: Ints, earlier: Ints, min_unique: int) -> Counts:
    """Counters at zero; lists of earlier lineups stay empty where only equality is forbidden."""
    lineups, size = earlier.shape
    wide = max(2, lineups)
    for i in range(facts.shape[1]):
        wide = max(wide, facts[TEAM, i] + 1, facts[GAME, i] + 1)
    tally = np.zeros((5, wide), np.int64)
    if min_unique == 1:
        return Counts(tally, np.zeros(0, np.int64), np.zeros(0, np.int64))
    start, member = np.zeros(facts.shape[1] + 1, np.int64), np.zeros(lineups * size, np.int64)
    for lineup in range(lineups):
        for k in range(size):
            start[earlier[lineup, k] + 1] += 1
    for i in range(facts.shape[1]):
        start[i + 1] += start[i]
    at = start.copy()
    for lineup in range(lineups):
        for k in range(size):
            i = earlier[lineup, k]
            member[at[i]] = lineup
            at[i] += 1
    return Counts(tally, start, member)
