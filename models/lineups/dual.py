"""Lagrangian dual of the salary limits and the linear rules: one multiplier per row that binds.

For given multipliers the relaxed lineup is a small assignment; its own duals give every (row, slot) pair a loss >= 0.
Any lineup is then worth  bound - its pair losses - premiums of rows left out - sum |multiplier| x slack,  whatever the
multipliers, so a search can add up losses and stop when a budget is spent. Better multipliers only prune more.
"""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import (
    ACTIVE,
    ADJUSTED,
    BASE,
    BOUND,
    CHOICES,
    GAME,
    GAMES,
    INCUMBENT,
    KIND,
    MASK,
    MULTIPLIER,
    NUMBERS,
    OPTION_ROWS,
    PICK,
    POOL_ROWS,
    PREMIUM,
    PRICE,
    ROOT,
    SEAT,
    SEEK,
    SIDE,
    SIZE,
    TEAMS,
    Request,
    Work,
)
from models.lineups.jit import inner
from models.lineups.pool import Floats, Ints
from models.lineups.relaxation import load_of, relax, total_of

MAX_MOVES = 40
ROUNDS = 4
# A line search ends this close to its optimum, relative to the bound: closer would cost more than it prunes.
CLOSE = 1e-5
# A further round over all multipliers must lower the bound by this share.
WORTHWHILE = 1e-3
# Share by which a warm multiplier first moves; it grows fourfold each time.
STRIDE = 0.06


@inner
def activate(request: Request, work: Work) -> None:
    """List the rows in force: salary, the pool's, those of the options picked, and the implied ones."""
    active, pick, option, limits = work.ints[ACTIVE], work.ints[PICK], request.option, request.limits
    count = limits[POOL_ROWS]
    for r in range(count):
        active[r + 1] = r
    for c in range(limits[CHOICES]):
        if pick[c] >= 0:
            for r in range(option[pick[c]], option[pick[c] + 1]):
                count += 1
                active[count] = r
    for r in range(limits[OPTION_ROWS], len(request.lower)):
        count += 1
        active[count] = r
    active[0] = count


@inner
def settle(request: Request, cutoff: float, work: Work) -> bool:
    """Lower the bound by one multiplier after the other, from those given; stop early once it is below `cutoff`.

    False when no lineup exists. Leaves prices and seats of the last multipliers behind.
    """
    numbers, multiplier, seat, active = (
        work.floats[NUMBERS],
        work.floats[MULTIPLIER],
        work.ints[SEAT],
        work.ints[ACTIVE],
    )
    size = request.limits[SIZE]
    numbers[BOUND] = price_node(request, work)
    if numbers[BOUND] < 0.0:
        return False
    if numbers[BOUND] < cutoff:
        return True
    for turn in range(ROUNDS):
        before, moved = numbers[BOUND], False
        for a in range(1, active[0] + 1):
            r = active[a]
            load = load_of(request.weight[r], seat, size)
            if multiplier[r] == 0.0 and request.lower[r] <= load <= request.upper[r]:
                continue
            moved |= r > 0
            if not descend(r, load, request, cutoff, work):
                return False
            if numbers[BOUND] < cutoff:
                return True
        if not moved or (turn > 0 and before - numbers[BOUND] < WORTHWHILE * before):
            break
    return True


@inner
def price_node(request: Request, work: Work) -> float:
    """Seat and price the relaxed lineup at the multipliers given; return its bound, -inf if no lineup exists."""
    constant = reprice(-1, request, work)
    adjusted, base = work.floats[ADJUSTED], work.floats[BASE]
    for i in range(len(request.score)):
        adjusted[i] = base[i]
    if not relax(request, work):
        return -np.inf
    consider(request, work)
    return constant + total_of(adjusted, work.ints[SEAT], request.limits[SIZE])


@inner
def reprice(skip: int, request: Request, work: Work) -> float:
    """Write score + multipliers x weights into BASE, row `skip` apart; return the constant that goes with it."""
    base, multiplier, active, constant = work.floats[BASE], work.floats[MULTIPLIER], work.ints[ACTIVE], 0.0
    score = request.score
    for i in range(len(score)):
        base[i] = score[i]
    for a in range(1, active[0] + 1):
        r = active[a]
        m = multiplier[r]
        if m != 0.0 and r != skip:
            constant -= m * (request.lower[r] if m > 0.0 else request.upper[r])
            add_scaled(m, request.weight[r], base, base)
    return constant


@inner
def add_scaled(m: float, weight: Ints, source: Floats, target: Floats) -> None:
    """target = source + m x weight."""
    for i in range(len(weight)):
        target[i] = source[i] + m * weight[i]


@inner
def descend(r: int, load: int, request: Request, cutoff: float, work: Work) -> bool:
    """Minimize the bound over row r's multiplier by intersecting its supporting lines; False: no lineup exists.

    `load` is the row's sum over the seated lineup. Scores are >= 0, so a bound below 0 proves that there is none.
    """
    numbers, multiplier, seat, size = (
        work.floats[NUMBERS],
        work.floats[MULTIPLIER],
        work.ints[SEAT],
        request.limits[SIZE],
    )
    weight, t, base = request.weight[r], abs(multiplier[r]), work.floats[BASE]
    side = 1 if multiplier[r] > 0.0 or (t == 0.0 and load < request.lower[r]) else -1
    target = request.lower[r] if side > 0 else request.upper[r]
    constant = reprice(r, request, work)
    value, slope = constant + total_of(base, seat, size), side * (load - target)
    short_value, short, enough_value, enough = 0.0, 0, 0.0, -1
    stride, expected = STRIDE, -np.inf
    for _ in range(MAX_MOVES):
        bound = value + t * slope
        numbers[BOUND] = min(numbers[BOUND], bound)
        if bound < -CLOSE:
            return False
        if slope >= 0:
            enough_value, enough = value, slope
        else:
            short_value, short = value, slope
        if slope == 0 or bound <= expected + CLOSE * bound or (t == 0.0 and slope > 0) or bound < cutoff:
            break
        if short < 0 and enough >= 0:
            t = (short_value - enough_value) / (enough - short)
            expected = enough_value + t * enough
        elif t == 0.0:
            t = first_step(r, value, load, weight)
        else:
            t = t * (1.0 + stride) if slope < 0 else t * max(0.0, 1.0 - stride)
            stride *= 4.0
        add_scaled(side * t, weight, base, work.floats[ADJUSTED])
        if not relax(request, work):
            return False
        consider(request, work)
        load = load_of(weight, seat, size)
        value, slope = constant + total_of(base, seat, size), side * (load - target)
    multiplier[r] = side * t
    return True


@inner
def first_step(r: int, value: float, load: int, weight: Ints) -> float:
    """A first multiplier to try: the lineup's worth per salary unit, a hundredth of it per unit of other rules."""
    if r == 0:
        return max(value, 1.0) / max(1, load)
    most = 1
    for w in weight:
        most = max(most, abs(w))
    return 0.01 * max(value, 1.0) / most


@inner
def row_losses(request: Request, work: Work) -> None:
    """Write into ROOT what any lineup with a row loses at least of the bound just priced; infinite where it fits
    no slot."""
    kind, mask, size = request.facts[KIND], request.facts[MASK], request.limits[SIZE]
    cheapest, losses = np.full(len(request.quota), np.inf), work.floats[ROOT]
    for i in range(len(kind)):
        losses[i] = -work.floats[ADJUSTED, i]
        if cheapest[kind[i]] == np.inf:
            for slot in range(size):
                if mask[i] >> slot & 1:
                    cheapest[kind[i]] = min(cheapest[kind[i]], work.floats[PRICE, slot])
    for slot in range(size):
        losses[work.ints[SEAT, slot]] += work.floats[PREMIUM, slot]
    for i in range(len(kind)):
        losses[i] += cheapest[kind[i]]


@inner
def consider(request: Request, work: Work) -> None:
    """Remember the seated lineup's score if it is legal and the best so far."""
    if request.limits[SEEK] > 0 and legal(request, work):
        numbers = work.floats[NUMBERS]
        numbers[INCUMBENT] = max(
            numbers[INCUMBENT], total_of(request.score, work.ints[SEAT], request.limits[SIZE])
        )


@inner
def option_of(c: int, request: Request, seat: Ints) -> int:
    """The first option of choice c that the seated lineup meets, -1 if none."""
    for o in range(request.choice[c], request.choice[c + 1]):
        met = True
        for r in range(request.option[o], request.option[o + 1]):
            met = (
                met
                and request.lower[r] <= load_of(request.weight[r], seat, request.limits[SIZE]) <= request.upper[r]
            )
        if met:
            return o
    return -1


@inner
def legal(request: Request, work: Work) -> bool:
    """Whether the seated lineup, which fills the slots, keeps every rule."""
    seat, active, pick = work.ints[SEAT], work.ints[ACTIVE], work.ints[PICK]
    side, game, limits, conflict = request.facts[SIDE], request.facts[GAME], request.limits, request.conflict
    size = limits[SIZE]
    for a in range(1, active[0] + 1):
        r = active[a]
        if not request.lower[r] <= load_of(request.weight[r], seat, size) <= request.upper[r]:
            return False
    for c in range(limits[CHOICES]):
        if pick[c] < 0 and option_of(c, request, seat) < 0:
            return False
    teams, games = 0, 0
    for a in range(size):
        first_team, first_game = side[seat[a]] >= 0, True
        for b in range(a):
            first_team &= side[seat[b]] != side[seat[a]]
            first_game &= game[seat[b]] != game[seat[a]]
            if len(conflict) > 0 and conflict[seat[a], seat[b]]:
                return False
        teams += first_team
        games += first_game
    return bool(teams >= limits[TEAMS] and games >= limits[GAMES])
