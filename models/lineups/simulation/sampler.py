"""The compiled part of a field: lineups drawn slot by slot from player weights, and their weights raked to targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.lineups.jit import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]

# Draws for one slot before the lineup is begun anew.
REDRAWS = 12


class Book(NamedTuple):
    """The pool as the sampler reads it, N rows and K slots.

    `listed[start[k]..start[k + 1]]` are the rows that fit slot k, cheapest first, `cost` their salaries. `cheapest`
    and `dearest` (K,) bound what a slot costs. `side` is the team that `Bounds.teams` counts, -1: none. `weight`
    (R, N), `lower` and `upper` (R,) are the contest's own linear rules.
    """

    listed: Ints
    start: Ints
    cost: Ints
    cheapest: Ints
    dearest: Ints
    person: Ints
    team: Ints
    game: Ints
    side: Ints
    weight: Ints
    lower: Ints
    upper: Ints


class Bounds(NamedTuple):
    """Salary cap and floor in salary units, and a lineup's spread over teams and games."""

    cap: int
    floor: int
    per_team: int
    teams: int
    games: int
    per_game: int


class Taste(NamedTuple):
    """How the crowd builds: mean salary left (units), how much likelier a team-mate or opponent of those in is."""

    left: float
    mate: float
    rival: float


@compiled
def draw(
    book: Book,
    bounds: Bounds,
    taste: Taste,
    cumulative: Floats,
    wanted: int,
    tries: int,
    rng: np.random.Generator,
) -> Rows:
    """Up to `wanted` legal lineups (L, K) in slot order; fewer where `tries` attempts found no more.

    `cumulative` runs along `book.listed`: within a slot's part its differences are the rows' weights.
    """
    slots = len(book.cheapest)
    found = np.zeros((wanted, slots), np.int32)
    order = np.arange(slots)
    chosen = np.zeros(slots, np.int64)
    count = 0
    while count < wanted and tries > 0:
        tries -= 1
        for k in range(slots - 1, 0, -1):
            other = int(rng.random() * (k + 1))
            order[k], order[other] = order[other], order[k]
        if seat(book, bounds, taste, cumulative, order, chosen, rng) and lawful(book, bounds, chosen):
            for k in range(slots):
                found[count, order[k]] = chosen[k]
            count += 1
    return found[:count]


@compiled
def seat(
    book: Book,
    bounds: Bounds,
    taste: Taste,
    cumulative: Floats,
    order: Ints,
    chosen: Ints,
    rng: np.random.Generator,
) -> bool:
    """Fill the slots in `order`; the last is chosen among those who leave no more than a drawn amount of salary."""
    slots = len(order)
    floor_later, most_later = 0, 0
    for k in range(slots):
        floor_later += book.cheapest[k]
        most_later += book.dearest[k]
    left, slack = bounds.cap, min(int(-taste.left * np.log(1.0 - rng.random())), bounds.cap - bounds.floor)
    for k in range(slots):
        slot = order[k]
        floor_later -= book.cheapest[slot]
        most_later -= book.dearest[slot]
        high, low = left - floor_later, left - slack - most_later
        picked = pick(book, bounds, taste, cumulative, slot, low, high, chosen, k, rng)
        if picked < 0:
            return False
        chosen[k] = book.listed[picked]
        left -= book.cost[picked]
    return True


@compiled
def pick(
    book: Book,
    bounds: Bounds,
    taste: Taste,
    cumulative: Floats,
    slot: int,
    low: int,
    high: int,
    chosen: Ints,
    k: int,
    rng: np.random.Generator,
) -> int:
    """Position in `book.listed` of a row for the slot costing low..high, by weight and taste; -1 where none fits."""
    first = edge(book.cost, book.start[slot], book.start[slot + 1], low)
    last = edge(book.cost, book.start[slot], book.start[slot + 1], high + 1)
    if first >= last:
        return -1
    base = cumulative[first - 1] if first > book.start[slot] else 0.0
    span = cumulative[last - 1] - base
    most = max(1.0, taste.mate, taste.rival)
    for _ in range(REDRAWS):
        at = above(cumulative, first, last, base + span * rng.random())
        if rng.random() * most < bond(book, bounds, taste, book.listed[at], chosen, k):
            return int(at)
    return -1


@compiled
def bond(book: Book, bounds: Bounds, taste: Taste, row: int, chosen: Ints, k: int) -> float:
    """How much likelier the row is beside the first `k` chosen; 0 where he may not join them."""
    factor, mates = 1.0, 0
    for earlier in range(k):
        other = chosen[earlier]
        if book.person[other] == book.person[row]:
            return 0.0
        if book.team[other] == book.team[row]:
            mates += 1
            factor = max(factor, taste.mate)
        elif book.game[other] == book.game[row]:
            factor = max(factor, taste.rival)
    return factor if mates < bounds.per_team else 0.0


@compiled
def edge(cost: Ints, first: int, last: int, value: int) -> int:
    """First position in first..last whose cost is at least `value`."""
    while first < last:
        middle = (first + last) // 2
        if cost[middle] < value:
            first = middle + 1
        else:
            last = middle
    return first


@compiled
def above(cumulative: Floats, first: int, last: int, value: float) -> int:
    """First position in first..last - 1 whose cumulative weight exceeds `value`, else the last."""
    last -= 1
    while first < last:
        middle = (first + last) // 2
        if cumulative[middle] <= value:
            first = middle + 1
        else:
            last = middle
    return first


@compiled
def lawful(book: Book, bounds: Bounds, chosen: Ints) -> bool:
    """Whether the spread over teams and games and every linear rule hold."""
    teams, _ = spread(book.side, chosen)
    games, most = spread(book.game, chosen)
    if teams < bounds.teams or games < bounds.games or most > bounds.per_game:
        return False
    for r in range(len(book.lower)):
        total = 0
        for row in chosen:
            total += book.weight[r, row]
        if total < book.lower[r] or total > book.upper[r]:
            return False
    return True


@compiled
def spread(code: Ints, chosen: Ints) -> tuple[int, int]:
    """How many different codes >= 0 the chosen have, and how many share the commonest."""
    different, most = 0, 0
    for k in range(len(chosen)):
        before, here = 0, 0
        for other in range(len(chosen)):
            if code[chosen[other]] == code[chosen[k]]:
                here += 1
                before += other < k
        different += before == 0 and code[chosen[k]] >= 0
        most = max(most, here)
    return different, most


@compiled
def rake(start: Ints, member: Ints, target: Floats, weight: Floats, sweeps: int, limit: float) -> float:
    """Scale lineup weights (L,) in place until each player's weighted share meets his target; return the largest miss.

    member[start[i]..start[i + 1]] are the lineups that hold player i. One player at a time, each exactly (iterative
    proportional fitting), which keeps the weights as close to the drawn ones (in relative entropy) as targets allow.
    """
    total, worst = 0.0, 0.0
    for value in weight:
        total += value
    for _ in range(sweeps):
        worst = 0.0
        for i in range(len(target)):
            held = 0.0
            for at in range(start[i], start[i + 1]):
                held += weight[member[at]]
            share = held / total
            if held <= 0.0 or share >= 1.0 or target[i] >= 1.0:
                continue
            worst = max(worst, abs(share - target[i]))
            wanted = max(target[i], 1e-6)
            factor = wanted * (1 - share) / (share * (1 - wanted))
            factor = min(max(factor, 0.05), 20.0)
            for at in range(start[i], start[i + 1]):
                weight[member[at]] *= factor
            total += held * (factor - 1)
        if worst < limit:
            break
    return worst
