"""The kernel's bounds: what each row loses, the rows worth a look per slot, and what open slots must still lose.

Prices turn every lineup into a sum of losses >= 0 below a proven bound, as in `models.lineups.table`: it is worth
bound - its rows' losses - premiums of rows left out - price x salary unspent, whatever the prices.
"""

from __future__ import annotations

import numpy as np

from models.lineups.cuda_layout import (
    ALLOWANCE,
    BEST,
    BIT,
    BOUND,
    BUDGET,
    CAP,
    COST,
    COUNT,
    FIRST,
    FLOOR,
    FOLLOWED,
    HIGH,
    KEY,
    LAST,
    LEAST,
    LEVEL,
    LISTED_ROW,
    LISTED_SALARY,
    LOW,
    MASK,
    PART,
    PREMIUM,
    PREMIUM_ROW,
    PREMIUMS,
    PRICE,
    PRICED,
    PRICED_SEAT,
    RANK,
    ROOM,
    ROUND,
    ROWS,
    SALARY,
    SIZE,
    SLOT,
    Scratch,
    Slate,
    device_function,
)
from models.lineups.pool import Floats

#: First loss budget as a share of the bound: most optima of real slates lie within it. A tree grows with about the
#: sixth power of its budget, so the next one is only so much wider.
FIRST_SPREAD = 0.012
WIDER = 1.3
MAX_ROUNDS = 12
#: Single precision adds up a lineup's losses: rounded down by this share they never exceed the true sum.
ROUNDED = 1.0 - 2e-6
INFINITY = np.inf
# How a list of rows turned out.
EMPTY, USABLE, TOO_LONG = range(3)


@device_function
def cost_rows(s: int, lane: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch) -> None:
    """Write premium - weight of every row, and this lane's share of the sum of premiums."""
    price, size, total = scratch.numbers[s, PRICED], slate.limits[SIZE], 0.0
    for i in range(lane, slate.limits[ROWS], lanes):
        weight, mask, premium = score[s, i] - price * slate.facts[SALARY, i], slate.facts[MASK, i], 0.0
        for slot in range(size):
            if mask >> slot & 1:
                premium = max(premium, weight - scratch.slots[s, PRICE, slot])
        scratch.rows[s, COST, i] = premium - weight
        total += premium
    scratch.lanes[s, PART, lane] = total


@device_function
def bound_losses(s: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch) -> None:
    """Write the bound, the largest premiums of the relaxed lineup and the first loss budget."""
    numbers, slots, seats, size = scratch.numbers, scratch.slots, scratch.seats, slate.limits[SIZE]
    price = numbers[s, PRICED]
    bound, followed = price * slate.limits[CAP], 0
    for slot in range(size):
        bound += slots[s, PRICE, slot]
    for lane in range(lanes):
        bound += scratch.lanes[s, PART, lane]
    for k in range(size):
        row = seats[s, PRICED_SEAT, k]
        premium = scratch.rows[s, COST, row] + score[s, row] - price * slate.facts[SALARY, row]
        at = min(followed, PREMIUMS - 1)
        if premium <= 0.0 or (followed == PREMIUMS and premium <= slots[s, PREMIUM, at]):
            continue
        followed = min(followed + 1, PREMIUMS)
        while at > 0 and premium > slots[s, PREMIUM, at - 1]:
            slots[s, PREMIUM, at], seats[s, PREMIUM_ROW, at] = (
                slots[s, PREMIUM, at - 1],
                seats[s, PREMIUM_ROW, at - 1],
            )
            at -= 1
        slots[s, PREMIUM, at], seats[s, PREMIUM_ROW, at] = premium, row
    scratch.state[s, FOLLOWED], scratch.state[s, ROUND] = followed, 0
    numbers[s, BOUND], numbers[s, ALLOWANCE] = bound, abs(bound) * FIRST_SPREAD
    set_budget(s, slate, scratch)


@device_function
def to_beat(s: int, slate: Slate, scratch: Scratch) -> float:
    """The most a lineup better than the best known can lose; infinite while none is known."""
    best = scratch.numbers[s, BEST]
    return scratch.numbers[s, BOUND] - best - slate.rules[0] if best >= 0.0 else INFINITY


@device_function
def set_budget(s: int, slate: Slate, scratch: Scratch) -> None:
    """Search as far as the allowance goes, but no further than could pay."""
    scratch.numbers[s, BUDGET] = min(scratch.numbers[s, ALLOWANCE], to_beat(s, slate, scratch))


@device_function
def widen(s: int, slate: Slate, scratch: Scratch) -> bool:
    """The next, wider budget; False after the last."""
    scratch.state[s, ROUND] += 1
    scratch.numbers[s, ALLOWANCE] *= WIDER
    set_budget(s, slate, scratch)
    return bool(scratch.state[s, ROUND] < MAX_ROUNDS)


@device_function
def filter_rows(s: int, lane: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """Write the cost of rows that fit the budget in their cheapest slot, infinity for the others."""
    size, budget = slate.limits[SIZE], scratch.numbers[s, BUDGET]
    for i in range(lane, slate.limits[ROWS], lanes):
        cost, mask, cheapest = scratch.rows[s, COST, i], slate.facts[MASK, i], INFINITY
        for slot in range(size):
            if mask >> slot & 1:
                cheapest = min(cheapest, scratch.slots[s, PRICE, slot])
        scratch.rows[s, KEY, i] = cost if cost + cheapest <= budget else INFINITY
        scratch.core[s, i] = -1


@device_function
def rank_rows(s: int, lane: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """Write the rows that fit the budget into the core, cheapest first, equals in row order."""
    count = slate.limits[ROWS]
    for i in range(lane, count, lanes):
        key = scratch.rows[s, KEY, i]
        if key < INFINITY:
            rank = 0
            for j in range(count):
                other = scratch.rows[s, KEY, j]
                rank += other < key or (other == key and j < i)
            scratch.core[s, rank] = i


@device_function
def list_rows(s: int, lane: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """List for each slot, in search order, the core rows that fit the budget there; a slot per lane."""
    lists, seats, budget = scratch.lists, scratch.seats, scratch.numbers[s, BUDGET]
    for k in range(lane, slate.limits[SIZE], lanes):
        slot, filled, low, high = slate.order[SLOT, k], 0, 1 << 30, 0
        price = scratch.slots[s, PRICE, slot]
        for rank in range(slate.limits[ROWS]):
            i = scratch.core[s, rank]
            if i < 0:
                break
            loss = max(0.0, price + scratch.rows[s, COST, i])
            if loss > budget:
                break
            if slate.facts[MASK, i] >> slot & 1:
                if filled < ROOM:
                    salary, bit = slate.facts[SALARY, i], 0
                    for d in range(scratch.state[s, FOLLOWED]):
                        bit |= (seats[s, PREMIUM_ROW, d] == i) << d
                    lists[s, RANK, k, filled], lists[s, LISTED_ROW, k, filled] = rank, i
                    lists[s, LISTED_SALARY, k, filled], lists[s, BIT, k, filled] = salary, bit
                    scratch.loss[s, k, filled] = loss
                    low, high = min(low, salary), max(high, salary)
                filled += 1
        seats[s, COUNT, k], seats[s, LOW, k], seats[s, HIGH, k] = filled, low, high


@device_function
def reach_cells(s: int, slate: Slate, scratch: Scratch) -> int:
    """Write first and last salary left that the slots before each can lead to; whether the lists are of any use."""
    seats, size, cap, dearest, cheapest = scratch.seats, slate.limits[SIZE], slate.limits[CAP], 0, 0
    for k in range(size):
        count = seats[s, COUNT, k]
        if count == 0:
            return EMPTY
        if count > ROOM:
            return TOO_LONG
        seats[s, FIRST, k], seats[s, LAST, k] = max(0, cap - dearest), cap - cheapest
        dearest, cheapest = dearest + seats[s, HIGH, k], cheapest + seats[s, LOW, k]
        if cheapest > cap:
            return EMPTY
    seats[s, FIRST, size], seats[s, LAST, size] = max(0, cap - dearest), cap - cheapest
    return USABLE


@device_function
def fill_level(s: int, lane: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """One level of both tables, from the one after it: the least that slots k.. lose by salary left (a row may
    repeat, which keeps it a bound), and the premiums lost for good by premium rows seated."""
    k, size, followed = scratch.state[s, LEVEL], slate.limits[SIZE], scratch.state[s, FOLLOWED]
    suffix, smallest = scratch.suffix, np.float32(INFINITY)
    price, spare = scratch.numbers[s, PRICED], slate.limits[CAP] - slate.limits[FLOOR]
    count = scratch.seats[s, COUNT, k] if k < size else 0
    for left in range(scratch.seats[s, FIRST, k] + lane, scratch.seats[s, LAST, k] + 1, lanes):
        least = np.float32(INFINITY)
        if k == size and left <= spare:
            least = np.float32(price * left * ROUNDED)
        for at in range(count):
            rest = left - scratch.lists[s, LISTED_SALARY, k, at]
            if rest >= 0:
                total = np.float32(scratch.loss[s, k, at] * ROUNDED) + suffix[s, k + 1, rest]
                least = min(least, total)
        suffix[s, k, left] = least
        smallest = min(smallest, least)
    scratch.lanes[s, PART, lane] = smallest
    for seated in range(lane, 1 << followed, lanes):
        forfeit = 0.0
        if k < size:
            forfeit = scratch.forfeit[s, k + 1, seated]
        for d in range(followed):
            if k == size:
                forfeit += scratch.slots[s, PREMIUM, d] if seated >> d & 1 == 0 else 0.0
            elif slate.facts[MASK, scratch.seats[s, PREMIUM_ROW, d]] >> slate.order[SLOT, k] & 1:
                forfeit = min(forfeit, scratch.forfeit[s, k + 1, seated | 1 << d])
        scratch.forfeit[s, k, seated] = forfeit


@device_function
def close_level(s: int, lanes: int, scratch: Scratch) -> None:
    """Write the smallest entry of the level just filled and turn to the one before it."""
    smallest, level = INFINITY, scratch.state[s, LEVEL]
    for lane in range(lanes):
        smallest = min(smallest, scratch.lanes[s, PART, lane])
    scratch.slots[s, LEAST, level] = smallest
    scratch.state[s, LEVEL] = level - 1
