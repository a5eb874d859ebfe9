"""The kernel's prices: per salary unit and per roster slot, for one scenario.

The relaxed lineup at a salary price is an assignment of rows to slots (Hungarian method); the price is found by
intersecting the dual's supporting lines, from the slate's first guess. Prices only steer: the bound derived from them
(`cuda_tables`) holds for any. Relaxed lineups that happen to be legal are kept as the first lineup to beat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.lineups.cuda_layout import (
    BEST,
    BEST_SEAT,
    CAP,
    CODE,
    COLUMN_ROW,
    COLUMNS,
    DUAL,
    DUAL_PRICE,
    EXPECTED,
    FIRST_COLUMN,
    FIRST_ROW,
    FLOOR,
    GAME_AT,
    GAMES,
    IS_OVER,
    IS_UNDER,
    KINDS,
    LAMBDA,
    LIKE,
    MASK,
    OVER,
    OVER_VALUE,
    OWNER,
    PER_GAME,
    PER_TEAM,
    PERSON,
    PRICE,
    PRICED,
    PRICED_SEAT,
    SALARY,
    SEAT,
    SHORTEST,
    SIDE_AT,
    SIZE,
    SLOT,
    STRIDE,
    TEAM_AT,
    TEAMS,
    TRIAL,
    UNDER,
    UNDER_VALUE,
    USED,
    WAY,
    WEIGHT,
    Scratch,
    Slate,
    V,
    device_function,
)
from models.lineups.pool import Floats

MAX_TRIALS = 24
# The search for the salary's price ends this close to the optimum, relative to the bound.
CLOSE = 1e-5
# Share by which the first guess is moved; it grows fourfold each time, up to a limit: where no price is high enough,
# since no lineup fits the cap, it must stay a number.
FIRST_STRIDE = 0.06
MAX_STRIDE = 4.0
INFINITY = np.inf


@device_function
def shortlist(s: int, lane: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch) -> None:
    """Write the heaviest rows of every kind at the salary price into the assignment's columns; a kind per lane."""
    price = scratch.numbers[s, LAMBDA]
    for kind in range(lane, slate.limits[KINDS], lanes):
        first, quota = slate.kinds[FIRST_COLUMN, kind], slate.kinds[FIRST_COLUMN, kind + 1]
        filled = first
        for i in range(slate.kinds[FIRST_ROW, kind], slate.kinds[FIRST_ROW, kind + 1]):
            weight = score[s, i] - price * slate.facts[SALARY, i]
            at = filled
            if filled == quota:
                if weight <= scratch.columns[s, WEIGHT, at - 1]:
                    continue
                at -= 1
            else:
                filled += 1
            while at > first and weight > scratch.columns[s, WEIGHT, at - 1]:
                scratch.columns[s, WEIGHT, at] = scratch.columns[s, WEIGHT, at - 1]
                scratch.owners[s, COLUMN_ROW, at] = scratch.owners[s, COLUMN_ROW, at - 1]
                at -= 1
            scratch.columns[s, WEIGHT, at] = weight
            scratch.owners[s, COLUMN_ROW, at] = i


@device_function
def assign(s: int, slate: Slate, scratch: Scratch) -> bool:
    """Seat the heaviest lineup without rules and price the slots; False when nobody can fill some slot.

    Column 0 stands for the slot being seated, column j + 1 for the j-th of the shortlist.
    """
    size, columns, owners, slots = slate.limits[SIZE], scratch.columns, scratch.owners, scratch.slots
    count = slate.limits[COLUMNS]
    for j in range(count + 1):
        columns[s, V, j] = 0.0
        owners[s, OWNER, j] = 0
    for slot in range(size):
        slots[s, DUAL_PRICE, slot] = 0.0
    for slot in range(size):
        if not augment(s, slot, count, slate, scratch):
            return False
    for j in range(1, count + 1):
        if owners[s, OWNER, j] > 0:
            scratch.seats[s, SEAT, owners[s, OWNER, j] - 1] = owners[s, COLUMN_ROW, j - 1]
    return True


@device_function
def augment(s: int, slot: int, count: int, slate: Slate, scratch: Scratch) -> bool:
    """Seat one more slot by a shortest augmenting path; False when nobody can fill it."""
    columns, owners, slots = scratch.columns, scratch.owners, scratch.slots
    for j in range(count + 1):
        columns[s, SHORTEST, j] = INFINITY
        owners[s, USED, j] = 0
    owners[s, OWNER, 0] = slot + 1
    j0 = 0
    while owners[s, OWNER, j0] != 0:
        owners[s, USED, j0] = 1
        row = owners[s, OWNER, j0] - 1
        j1 = nearest(s, j0, row, count, slate, scratch)
        if j1 == 0:
            return False
        delta = columns[s, SHORTEST, j1]
        for j in range(count + 1):
            if owners[s, USED, j] > 0:
                slots[s, DUAL_PRICE, owners[s, OWNER, j] - 1] += delta
                columns[s, V, j] -= delta
            else:
                columns[s, SHORTEST, j] -= delta
        j0 = j1
    reseat(s, j0, scratch)
    return True


@device_function
def nearest(s: int, j0: int, row: int, count: int, slate: Slate, scratch: Scratch) -> int:
    """Shorten the ways to columns through slot `row` and column j0; the open column that is nearest, 0 for none."""
    columns, owners, j1, delta = scratch.columns, scratch.owners, 0, INFINITY
    price = scratch.slots[s, DUAL_PRICE, row]
    for j in range(1, count + 1):
        if owners[s, USED, j] > 0:
            continue
        shortest = columns[s, SHORTEST, j]
        if slate.facts[MASK, owners[s, COLUMN_ROW, j - 1]] >> row & 1:
            reduced = -columns[s, WEIGHT, j - 1] - price - columns[s, V, j]
            if reduced < shortest:
                shortest = reduced
                columns[s, SHORTEST, j] = reduced
                owners[s, WAY, j] = j0
        if shortest < delta:
            delta, j1 = shortest, j
    return j1


@device_function
def reseat(s: int, j0: int, scratch: Scratch) -> None:
    """Move everybody along the augmenting path that ends in column j0."""
    while j0 != 0:
        before = scratch.owners[s, WAY, j0]
        scratch.owners[s, OWNER, j0] = scratch.owners[s, OWNER, before]
        j0 = before


@device_function
def next_price(s: int, score: Floats, slate: Slate, scratch: Scratch) -> bool:
    """Take in the lineup just seated and write the next salary price to try; False when no other is worth it."""
    numbers, state, size, cap = scratch.numbers, scratch.state, slate.limits[SIZE], slate.limits[CAP]
    value, spent = 0.0, 0
    for k in range(size):
        row = scratch.seats[s, SEAT, k]
        value += score[s, row]
        spent += slate.facts[SALARY, row]
    consider(s, value, spent, slate, scratch)
    price, trial = numbers[s, LAMBDA], state[s, TRIAL]
    dual = value + price * (cap - spent)
    if trial == 0 or dual < numbers[s, DUAL]:
        numbers[s, DUAL], numbers[s, PRICED] = dual, price
        for k in range(size):
            slot = slate.order[SLOT, k]
            scratch.slots[s, PRICE, slot] = -scratch.slots[s, DUAL_PRICE, slot]
            scratch.seats[s, PRICED_SEAT, k] = scratch.seats[s, SEAT, k]
            if slate.order[LIKE, k] > 0:  # equal but for rounding; made equal so that their lists are
                scratch.slots[s, PRICE, slot] = scratch.slots[s, PRICE, slate.order[SLOT, k - 1]]
    state[s, TRIAL] = trial + 1
    if spent == cap or (price == 0.0 and spent < cap) or trial + 1 == MAX_TRIALS:
        return False
    if state[s, IS_UNDER] > 0 and state[s, IS_OVER] > 0 and dual <= numbers[s, EXPECTED] + CLOSE * abs(dual):
        return False
    if spent < cap:
        numbers[s, UNDER_VALUE], numbers[s, UNDER], state[s, IS_UNDER] = value, spent, 1
    else:
        numbers[s, OVER_VALUE], numbers[s, OVER], state[s, IS_OVER] = value, spent, 1
    move_price(s, value, spent, cap, scratch)
    return True


@device_function
def move_price(s: int, value: float, spent: int, cap: int, scratch: Scratch) -> None:
    """The next salary price: where two lines cross, or a stride from the last one while only one side is known."""
    numbers, state = scratch.numbers, scratch.state
    price, stride = numbers[s, LAMBDA], numbers[s, STRIDE]
    if state[s, IS_UNDER] > 0 and state[s, IS_OVER] > 0:
        price = (numbers[s, OVER_VALUE] - numbers[s, UNDER_VALUE]) / (numbers[s, OVER] - numbers[s, UNDER])
        price = max(0.0, price)
        numbers[s, EXPECTED] = numbers[s, UNDER_VALUE] + price * (cap - numbers[s, UNDER])
    elif price == 0.0:
        price = max(value, 1.0) / max(1, spent)
    else:
        price *= 1.0 + stride if spent > cap else max(0.0, 1.0 - stride)
        numbers[s, STRIDE] = min(stride * 4.0, MAX_STRIDE)
    numbers[s, LAMBDA] = price


@device_function
def consider(s: int, value: float, spent: int, slate: Slate, scratch: Scratch) -> None:
    """Remember the seated lineup if it is legal and the best so far."""
    size, limits, seats = slate.limits[SIZE], slate.limits, scratch.seats
    if value <= scratch.numbers[s, BEST] or spent > limits[CAP] or spent < limits[FLOOR]:
        return
    teams, games = 0, 0
    for a in range(size):
        one = slate.traits[seats[s, SEAT, a]]
        mates, rivals = 0, 0
        new_side, new_game = one >> SIDE_AT & CODE != 0, True
        for b in range(a):
            other = slate.traits[seats[s, SEAT, b]]
            differ = one ^ other
            if differ & PERSON == 0:
                return
            mates += differ >> TEAM_AT & CODE == 0
            rivals += differ >> GAME_AT & CODE == 0
            new_side = new_side and differ >> SIDE_AT & CODE != 0
            new_game = new_game and differ >> GAME_AT & CODE != 0
        if mates >= limits[PER_TEAM] or rivals >= limits[PER_GAME]:
            return
        teams += new_side
        games += new_game
    if teams < limits[TEAMS] or games < limits[GAMES]:
        return
    scratch.numbers[s, BEST] = value
    for k in range(size):
        seats[s, BEST_SEAT, k] = seats[s, SEAT, k]


@device_function
def start_pricing(s: int, slate: Slate, scratch: Scratch) -> None:
    """Begin at the slate's first guess of the salary's price, with no lineup known."""
    numbers, state = scratch.numbers, scratch.state
    numbers[s, LAMBDA], numbers[s, STRIDE], numbers[s, BEST] = slate.rules[1], FIRST_STRIDE, -1.0
    state[s, TRIAL], state[s, IS_UNDER], state[s, IS_OVER] = 0, 0, 0


def hint_of(score: Floats, salary: Any, mask: Any, size: int, cap: int) -> float:
    """The salary's price under one score vector (N,), roughly; 0 where the cap does not bind or no lineup exists."""
    from scipy.optimize import linear_sum_assignment

    eligible = (mask[:, None] >> np.arange(size) & 1).astype(np.bool_)
    never = -4.0 * (1.0 + np.abs(score).max(initial=0.0)) * (size + 1)

    def spent(price: float) -> int:
        weight = np.where(eligible, (score - price * salary)[:, None], never - price * salary.max() * size)
        rows, _ = linear_sum_assignment(weight, maximize=True)
        return int(salary[rows].sum())

    if len(score) < size or spent(0.0) <= cap:
        return 0.0
    low, high = 0.0, max(1.0, float(score.max())) / max(1, int(salary[salary > 0].min(initial=1)))
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > cap else (low, middle)
    return high
