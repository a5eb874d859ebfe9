"""What the search looks up: the few rows worth a look per slot, and what the open slots must still cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.lineups.arrays import (
    ACTIVE,
    ADJUSTED,
    BASE,
    BIT,
    GAME,
    KIND,
    LOCKED,
    MASK,
    MULTIPLIER,
    OPTION_ROWS,
    PERSON,
    PREMIUM,
    PRICE,
    ROW,
    SALARY,
    SEAT,
    SIDE,
    SIZE,
    SLOT_LEAST,
    SLOT_PRICE,
    START,
    TEAM,
    UNLIKE,
    Core,
    Floats32,
    Request,
    Work,
)
from models.lineups.jit import inner
from models.lineups.pool import Flags, Floats, Ints

# Salary cells of the completion table; finer salaries are rounded to its advantage, so it stays a bound.
MAX_CELLS = 1024
# Premiums the completion table follows beside the locks; those beyond count as nothing.
MAX_PREMIUMS = 8
# Single precision adds up at most 17 losses: rounded down by this share they never exceed the true sum.
ROUNDED = 1.0 - 2e-6


@inner
def sort_by(key: NDArray[Any], other: NDArray[Any], first: int, last: int) -> None:
    """Sort key[first:last] ascending in place, `other` along with it (shell sort: argsort compiles slowly)."""
    gap = 1
    while gap < last - first:
        gap = gap * 3 + 1
    while gap > 0:
        for at in range(first + gap, last):
            k, o = key[at], other[at]
            to = at
            while to - gap >= first and key[to - gap] > k:
                key[to], other[to] = key[to - gap], other[to - gap]
                to -= gap
            key[to], other[to] = k, o
        gap //= 3


@inner
def slot_order(facts: Ints, kinds: int, size: int, allowed: Flags) -> Ints:
    """Slots from the most eligible rows to the fewest, equals in roster order: narrow slots last settle early
    which premiums can still be had."""
    count, seen = np.zeros(kinds, np.int64), np.zeros(kinds, np.int64)
    mask, kind = facts[MASK], facts[KIND]
    for i in range(len(allowed)):
        seen[kind[i]] = mask[i]
        count[kind[i]] += allowed[i]
    order, key = np.arange(size), np.arange(size)
    for slot in range(size):
        for t in range(kinds):
            key[slot] -= size * count[t] * (seen[t] >> slot & 1)
    sort_by(key, order, 0, size)
    return order


@inner
def premium_table(request: Request, work: Work) -> tuple[Ints, Floats]:
    """What leaving out rows of the relaxed lineup must still cost.

    Returns (rows with a lock or one of the largest premiums; forfeit): forfeit[k, seated] is the least sum of
    premiums lost when slots k.. are open and bit d of `seated` says that the d-th of those rows is in. A lock left
    out costs infinity.
    """
    mask, locked, order = request.facts[MASK], request.facts[LOCKED], request.order
    size = len(order)
    count, rows, key = premium_rows(locked, size, work)
    full = 1 << count
    forfeit = np.zeros((size + 1, full))
    for d in range(count):
        for seated in range(full):
            if not seated >> d & 1:
                forfeit[size, seated] -= key[d]
    for k in range(size - 1, -1, -1):
        here, after = forfeit[k], forfeit[k + 1]
        for seated in range(full):
            here[seated] = after[seated]
        for d in range(count):
            if mask[rows[d]] >> order[k] & 1:
                bit = 1 << d
                for seated in range(full):
                    other = after[seated | bit]
                    here[seated] = other if other < here[seated] else here[seated]
    return rows[:count], forfeit


@inner
def premium_rows(locked: Ints, size: int, work: Work) -> tuple[int, Ints, Floats]:
    """How many seated rows to follow, those rows first, and their premiums negated; locks are worth infinity."""
    count, key, rows = 0, np.zeros(size), np.zeros(size, np.int64)
    for slot in range(size):
        rows[slot] = work.ints[SEAT, slot]
        key[slot] = -np.inf if locked[rows[slot]] > 0 else -work.floats[PREMIUM, slot]
    sort_by(key, rows, 0, size)
    while count < size and key[count] < 0.0 and (count < MAX_PREMIUMS or key[count] == -np.inf):
        count += 1
    return count, rows, key


@inner
def build_core(budget: float, request: Request, work: Work) -> tuple[bool, Core]:
    """List for each slot the rows whose loss there fits the budget, with their tables; False: no lineup fits it."""
    size, grain = request.limits[SIZE], request.upper[0] // MAX_CELLS + 1
    premiums, forfeit = premium_table(request, work)
    cost, row = eligible(budget, request, work)
    count = len(row)
    entry = np.zeros((8, count), np.int64)
    salary = request.weight[0]
    for m in range(count):
        i = row[m]
        for fact in (MASK, PERSON, TEAM, GAME, SIDE):
            entry[fact, m] = request.facts[fact, i]
        entry[ROW, m], entry[SALARY, m] = i, salary[i]
        for d in range(len(premiums)):
            if premiums[d] == i:
                entry[BIT, m] = 1 << d
    slots, rates = np.zeros((2, size + 1), np.int64), np.zeros((2, size + 1))
    member = seat_lists(budget, request.order, work.floats[PRICE], cost, entry[MASK], slots, rates[SLOT_PRICE])
    spare = request.upper[0] - request.lower[0]
    suffix = suffix_table(
        request.upper[0],
        spare,
        work.floats[MULTIPLIER, 0],
        grain,
        slots[START],
        member,
        cost,
        entry[SALARY],
        rates,
    )
    watched, load, reach = watch(request, work, row, slots[START], member)
    core = Core(entry, cost, slots, rates, member, suffix, forfeit, watched, load, reach, grain)
    return bool(rates[SLOT_LEAST, 0] <= budget), core


@inner
def eligible(budget: float, request: Request, work: Work) -> tuple[Floats, Ints]:
    """Costs and row numbers of the rows that fit the budget in some slot, cheapest first."""
    cost, adjusted, price = work.floats[BASE], work.floats[ADJUSTED], work.floats[PRICE]
    kind, mask, allowed, seat = request.facts[KIND], request.facts[MASK], request.allowed, work.ints[SEAT]
    size, kinds, count = request.limits[SIZE], len(request.quota), 0
    cheapest, seen = np.empty(kinds), np.zeros(kinds, np.int64)
    for i in range(len(allowed)):
        cost[i] = -adjusted[i]
        seen[kind[i]] = mask[i]
    for t in range(kinds):
        cheapest[t] = np.inf
        for slot in range(size):
            if seen[t] >> slot & 1:
                cheapest[t] = min(cheapest[t], price[slot])
    for slot in range(size):
        cost[seat[slot]] += work.floats[PREMIUM, slot]
    row = np.empty(len(allowed), np.int64)
    for i in range(len(allowed)):
        if allowed[i] and cost[i] + cheapest[kind[i]] <= budget:
            row[count] = i
            count += 1
    key = np.empty(count)
    for m in range(count):
        key[m] = cost[row[m]]
    sort_by(key, row, 0, count)
    return key, row[:count]


@inner
def seat_lists(
    budget: float, order: Ints, price: Floats, cost: Floats, mask: Ints, slots: Ints, slot_price: Floats
) -> Ints:
    """Core rows that fit the budget slot by slot in search order; writes where each list starts and which slots
    take others than the slot before."""
    size, count, filled = len(order), len(cost), 0
    member = np.empty(size * count, np.int64)
    for k in range(size):
        slot, like = order[k], k > 0
        slot_price[k] = price[slot]
        before = slots[START, max(k - 1, 0)]
        for m in range(count):
            if cost[m] + price[slot] > budget:
                break
            if mask[m] >> slot & 1:
                like = like and before < slots[START, k] and member[before] == m
                before += 1
                member[filled] = m
                filled += 1
        slots[START, k + 1] = filled
        slots[UNLIKE, k] = not (like and before == slots[START, k])
    return member


@inner
def suffix_table(
    cap: int, spare: int, multiplier: float, grain: int, start: Ints, member: Ints, cost: Floats, salary: Ints,
    rates: Floats,
) -> Floats32:  # fmt: skip
    """Knapsack table from the last slot back; a row may repeat, which keeps it a bound. Writes its row minima.

    Only cells that some choice of the earlier slots can reach are filled.
    """
    size, coarse = len(start) - 1, grain - 1
    reached, first, last = cells_in_reach(cap, grain, start, member, salary)
    rates[SLOT_LEAST, 0] = np.inf
    if not reached:
        return np.empty((0, 0), np.float32)
    suffix = np.empty((size + 1, cap // grain + size + 1), np.float32)
    for left in range(first[size], last[size] + 1):
        at_least, at_most = max(0, left * grain - size * coarse), left * grain + coarse
        slack = at_least if multiplier <= 0.0 else max(0, spare - at_most)
        loss = abs(multiplier) * slack * ROUNDED
        suffix[size, left] = np.float32(loss if at_least <= spare else np.inf)
    for k in range(size - 1, -1, -1):
        here, after = suffix[k], suffix[k + 1]
        for left in range(first[k], last[k] + 1):
            here[left] = np.float32(np.inf)
        for at in range(start[k], start[k + 1]):
            m = member[at]
            cells = salary[m] // grain
            begin = max(first[k], cells)
            if begin <= last[k]:
                loss32 = np.float32(max(0.0, rates[SLOT_PRICE, k] + cost[m]) * ROUNDED)
                lower_to(here[begin : last[k] + 1], after[begin - cells : last[k] + 1 - cells], loss32)
    for k in range(size + 1):
        smallest = np.float32(np.inf)
        for left in range(first[k], last[k] + 1):
            smallest = min(smallest, suffix[k, left])
        rates[SLOT_LEAST, k] = smallest
    return suffix


@inner
def cells_in_reach(cap: int, grain: int, start: Ints, member: Ints, salary: Ints) -> tuple[bool, Ints, Ints]:
    """First and last cell that can be left after each slot; False when the cap or an empty list leaves none."""
    size, dearest, cheapest = len(start) - 1, 0, 0
    first, last = np.zeros(size + 1, np.int64), np.zeros(size + 1, np.int64)
    for k in range(size + 1):
        first[k], last[k] = max(0, cap - dearest) // grain, (cap - cheapest) // grain + (k if grain > 1 else 0)
        if cap < cheapest or (k < size and start[k] == start[k + 1]):
            return False, first, last
        if k < size:
            low = high = salary[member[start[k]]]
            for at in range(start[k] + 1, start[k + 1]):
                low, high = min(low, salary[member[at]]), max(high, salary[member[at]])
            cheapest, dearest = cheapest + low, dearest + high
    return True, first, last


@inner
def lower_to(here: Floats32, after: Floats32, loss: np.float32) -> None:
    """here = min(here, loss + after)."""
    for at in range(len(here)):
        total = loss + after[at]
        here[at] = total if total < here[at] else here[at]


@inner
def watch(request: Request, work: Work, row: Ints, start: Ints, member: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows beside the salary that a lineup of the core may break or that have a price, with their weights and the
    least and most that the slots from the k-th on can still add."""
    active, multiplier, size, count = work.ints[ACTIVE], work.floats[MULTIPLIER], request.limits[SIZE], 0
    rows = active[0]
    watched, reach = np.zeros(rows, np.int64), np.zeros((2, rows, size + 1), np.int64)
    for a in range(2, rows + 1):
        r = active[a]
        if r >= request.limits[OPTION_ROWS] and multiplier[r] == 0.0:
            continue  # the counters see to it
        weight = request.weight[r]
        low, high = reach[0, count], reach[1, count]
        low[size] = high[size] = 0
        for k in range(size - 1, -1, -1):
            least = most = weight[row[member[start[k]]]] if start[k] < start[k + 1] else 0
            for at in range(start[k] + 1, start[k + 1]):
                w = weight[row[member[at]]]
                least, most = min(least, w), max(most, w)
            low[k], high[k] = low[k + 1] + least, high[k + 1] + most
        if multiplier[r] != 0.0 or low[0] < request.lower[r] or high[0] > request.upper[r]:
            watched[count] = r
            count += 1
    load = np.zeros((count, len(row)), np.int64)
    for a in range(count):
        for m in range(len(row)):
            load[a, m] = request.weight[watched[a], row[m]]
    return watched[:count], load, reach
