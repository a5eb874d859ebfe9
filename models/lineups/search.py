"""Exact K-best lineups by depth-first search under a loss budget, compiled by numba.

The dual of `models.lineups.dual` turns a lineup into a sum of non-negative losses; the tables of
`models.lineups.table` complete any partial lineup optimistically, so whole branches fall to one look-up. The search
ends complete (every lineup within the budget seen) or says that it ran out of steps; it never guesses.
"""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import Best, Core, Counts, Limits, Players, Prices
from models.lineups.compile import Flags, Floats, Ints
from models.lineups.dual import FOUND, INFEASIBLE, solve_dual
from models.lineups.jit import compiled
from models.lineups.table import empty_core, fill_core, sort_by

OUT_OF_STEPS = 2
# Two projections closer than this, relative to the bound, count as tied.
TIE = 1e-9
GRIDS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.01)
# First loss budget as a share of the bound: on real slates most optima lie within it.
FIRST_SPREAD = 0.008
# Lineups within a loss budget grow roughly with its sixth power, which sizes the next budget.
SPREAD_POWER = 1 / 6


@compiled
def k_best(
    players: Players, allowed: Flags, limits: Limits, earlier: Ints, min_unique: int, room: int, max_steps: int
) -> tuple[int, Floats, Ints, Ints, int]:
    """The `room` best lineups of allowed players that differ from each of `earlier` in `min_unique` players.

    `earlier` is (m, slots), each row ascending. Returns (status, projections, seats in roster-slot order, rows of
    these two best first, steps left). FOUND with fewer than `room` means that no more exist; OUT_OF_STEPS proves
    nothing.
    """
    size = earlier.shape[1]
    prices = Prices(np.zeros(size), np.zeros(size), np.zeros(size, np.int64))
    best = Best(np.zeros(room), np.zeros((room, size), np.int64), np.zeros((room, size), np.int64))
    status, side, lam, bound, incumbent = solve_dual(players, allowed, limits, prices)
    if status == INFEASIBLE:
        return INFEASIBLE, best.value, best.seats, np.arange(0), max_steps
    core = empty_core(players, allowed, limits, prices)
    counts = empty_counts(players, earlier, min_unique)
    most = size - min_unique
    forbidden = earlier if min_unique == 1 else earlier[:0]
    tie = TIE * max(1.0, bound)
    strict = max(tie, grid_of(players.projection) / 2)  # on a grid, better means a whole step better
    budget = FIRST_SPREAD * bound + tie
    if room == 1:
        budget = min(budget, bound - incumbent + tie)
    while True:
        fill_core(budget, lam, side, players, allowed, limits, prices, core)
        max_steps, count = explore(
            bound, budget, strict, tie, max_steps, players, limits, core, counts, most, forbidden, best
        )
        if max_steps < 0:
            return OUT_OF_STEPS, best.value, best.seats, np.arange(0), max_steps
        # Projections are >= 0, so no lineup loses more than the bound: such a budget has seen them all.
        if count == room or budget > bound + tie:
            best_first = np.arange(count)
            sort_by(-best.value[:count], best_first, 0, count)
            return FOUND, best.value, best.seats, best_first, max_steps
        budget *= max(1.15, (room / count) ** SPREAD_POWER) if count else 1.6


@compiled
def explore(
    bound: float, budget: float, strict: float, tie: float, max_steps: int, players: Players, limits: Limits,
    core: Core, counts: Counts, most: int, forbidden: Ints, best: Best,
) -> tuple[int, int]:  # fmt: skip
    """Depth-first search of every lineup within the budget; return (steps left, how many kept).

    Once `best` is full the budget shrinks to what would still improve it. Negative steps left: not complete.
    """
    size, room, count, k = len(core.order), len(best.value), 0, 0
    at, left, lost = np.zeros(size, np.int64), np.full(size, limits.cap), np.zeros(size)
    chosen, seated = np.zeros(size, np.int64), np.zeros(size, np.int64)
    while k >= 0 and max_steps >= 0:
        max_steps -= 1
        if at[k] == core.start[k + 1]:
            k -= 1
            if k >= 0:
                move(chosen[k], -1, players, counts)
            continue
        i, total = core.player[at[k]], lost[k] + core.loss[at[k]]
        at[k] += 1
        if total + core.least[k + 1] + core.forfeit[k, seated[k]] > budget:
            at[k] = core.start[k + 1]
            continue
        rest, bits = left[k] - players.salary[i], seated[k] | core.bit_of[i]
        if rest < 0 or total + core.suffix[k + 1, rest] + core.forfeit[k + 1, bits] > budget:
            continue
        if not admissible(i, k, players, limits, core.order, chosen, counts) or crowded(i, counts, most):
            continue
        chosen[k] = i
        if k == size - 1:
            count = keep(chosen, core.order, players.projection, tie, forbidden, count, best)
            if count == room:
                budget = min(budget, bound - lowest(best.value) - strict)
            continue
        move(i, 1, players, counts)
        k += 1
        at[k], left[k], lost[k], seated[k] = core.start[k], rest, total, bits
    while k > 0:  # out of steps: leave the counters as they were found
        k -= 1
        move(chosen[k], -1, players, counts)
    return max_steps, count


@compiled
def admissible(
    i: int, k: int, players: Players, limits: Limits, order: Ints, chosen: Ints, counts: Counts
) -> bool:
    """Whether player i may take the k-th slot beside those chosen: unused, canonical seating, team and game rules.

    Canonical: two players who could swap slots sit in index order, which leaves each set at least one seating.
    """
    here, mask = order[k], players.mask
    for a in range(k):
        j = chosen[a]
        if j == i or (j > i and mask[i] >> order[a] & 1 and mask[j] >> here & 1):
            return False
    in_team, in_game = counts.team[players.team[i]], counts.game[players.game[i]]
    open_slots = len(order) - k - 1
    teams, games = counts.spread[0] + (in_team == 0), counts.spread[1] + (in_game == 0)
    return bool(
        in_team < limits.per_team and teams + open_slots >= limits.teams and games + open_slots >= limits.games
    )


@compiled
def crowded(i: int, counts: Counts, most: int) -> bool:
    """Whether adding player i would repeat more than `most` players of an earlier lineup."""
    full = False
    for at in range(counts.start[i], counts.start[i + 1]):
        full |= counts.overlap[counts.member[at]] >= most
    return full


@compiled
def move(i: int, step: int, players: Players, counts: Counts) -> None:
    """Seat (step 1) or unseat (step -1) a player in all counters."""
    t, g = players.team[i], players.game[i]
    counts.team[t] += step
    counts.game[g] += step
    if counts.team[t] == (step > 0):
        counts.spread[0] += step
    if counts.game[g] == (step > 0):
        counts.spread[1] += step
    for at in range(counts.start[i], counts.start[i + 1]):
        counts.overlap[counts.member[at]] += step


@compiled
def keep(
    chosen: Ints, order: Ints, projection: Floats, tie: float, forbidden: Ints, count: int, best: Best
) -> int:
    """Put a full lineup among the best so far if it belongs there and is new; return how many there are."""
    size, room = len(order), len(best.value)
    players, slots = chosen.copy(), order.copy()
    sort_by(players, slots, 0, size)
    value = 0.0
    for i in players:
        value += projection[i]
    at, worst = count, np.inf
    for a in range(len(forbidden)):
        if same(forbidden[a], players):
            return count
    for a in range(count):
        if abs(best.value[a] - value) <= tie and same(best.players[a], players):
            return count
        if best.value[a] < worst:
            worst = best.value[a]
            at = a if count == room else at
    if count < room or value > worst + tie:
        best.value[at] = value
        for k in range(size):
            best.players[at, k], best.seats[at, slots[k]] = players[k], players[k]
        count = max(count, at + 1)
    return count


@compiled
def same(a: Ints, b: Ints) -> bool:
    """Whether two rows hold the same players in the same order."""
    equal = True
    for k in range(len(a)):
        equal &= a[k] == b[k]
    return equal


@compiled
def lowest(values: Floats) -> float:
    """Smallest of at least one value."""
    least: float = values[0]
    for value in values:
        least = min(least, value)
    return least


@compiled
def empty_counts(players: Players, earlier: Ints, min_unique: int) -> Counts:
    """Counters at zero; lists of earlier lineups stay empty where only equality is forbidden."""
    lineups, size = earlier.shape
    start = np.zeros(len(players.mask) + 1, np.int64)
    member = np.zeros(lineups * size if min_unique > 1 else 0, np.int64)
    if min_unique > 1:
        for players_then in earlier:
            for i in players_then:
                start[i + 1] += 1
        for at_player in range(len(players.mask)):
            start[at_player + 1] += start[at_player]
        at = start.copy()
        for row in range(lineups):
            for i in earlier[row]:
                member[at[i]] = row
                at[i] += 1
    return Counts(
        np.zeros(players.team.max() + 1, np.int64),
        np.zeros(players.game.max() + 1, np.int64),
        np.zeros(2, np.int64),
        np.zeros(lineups + 1, np.int64),
        start,
        member,
    )


@compiled
def grid_of(projection: Floats) -> float:
    """Largest step of `GRIDS` that all projections are multiples of, 0 if none; sums then are too."""
    for step in GRIDS:
        on_grid = True
        for value in projection:
            if abs(value / step - np.rint(value / step)) > 1e-7:
                on_grid = False
                break
        if on_grid:
            return step
    return 0.0
