"""What the search looks up: the few players worth a look per slot, and what the open slots must still cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.lineups.arrays import Core, Limits, Players, Prices
from models.lineups.compile import Flags, Floats, Ints
from models.lineups.jit import compiled


@compiled
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


@compiled
def slot_order(mask: Ints, allowed: Flags, size: int) -> Ints:
    """Slots from the most eligible players to the fewest, equals in roster order: narrow slots last settle early
    which premiums can still be had."""
    eligible = np.zeros(size, np.int64)
    for slot in range(size):
        for i in range(len(mask)):
            eligible[slot] += allowed[i] and (mask[i] >> slot & 1)
    order = np.arange(size)
    sort_by(order - eligible * size, order, 0, size)
    return order


@compiled
def empty_core(players: Players, allowed: Flags, limits: Limits, prices: Prices) -> Core:
    """Room for any budget's core, with everything in place that no budget changes."""
    size, count = len(prices.seat), len(players.mask)
    order = slot_order(players.mask, allowed, size)
    bit_of, forfeit = premium_table(order, players, prices)
    return Core(
        order,
        np.zeros(size + 1, np.int64),
        np.zeros(size * count, np.int64),
        np.zeros(size * count),
        np.zeros((size + 1, limits.cap + 1)),
        np.zeros(size + 1),
        bit_of,
        forfeit,
    )


@compiled
def premium_table(order: Ints, players: Players, prices: Prices) -> tuple[Ints, Floats]:
    """What leaving out players of the relaxed lineup must still cost.

    Returns (bit of each player with a premium or a lock, 0 for others; forfeit): forfeit[k, seated] is the least sum
    of premiums lost when slots k.. are open and `seated` has the bits of those in. A lock left out costs infinity.
    """
    size, count = len(order), 0
    bit_of = np.zeros(len(players.mask), np.int64)
    player, premium = np.zeros(size, np.int64), np.zeros(size)
    for slot in range(size):
        i = prices.seat[slot]
        if players.locked[i] or prices.premium[slot] > 0.0:
            player[count], bit_of[i] = i, 1 << count
            premium[count] = np.inf if players.locked[i] else prices.premium[slot]
            count += 1
    forfeit = np.zeros((size + 1, 1 << count))
    for seated in range(1 << count):
        for d in range(count):
            if not seated >> d & 1:
                forfeit[size, seated] += premium[d]
    for k in range(size - 1, -1, -1):
        for seated in range(1 << count):
            least = forfeit[k + 1, seated]
            for d in range(count):
                if not seated >> d & 1 and players.mask[player[d]] >> order[k] & 1:
                    least = min(least, forfeit[k + 1, seated | 1 << d])
            forfeit[k, seated] = least
    return bit_of, forfeit


@compiled
def fill_core(
    budget: float,
    lam: float,
    side: int,
    players: Players,
    allowed: Flags,
    limits: Limits,
    prices: Prices,
    core: Core,
) -> None:
    """List for each slot the players whose loss there fits the budget, and fill the suffix table from them."""
    weight = players.projection - lam * side * players.salary
    premium = np.zeros(len(weight))
    for slot in range(len(core.order)):
        premium[prices.seat[slot]] = prices.premium[slot]
    count = 0
    for k in range(len(core.order)):
        core.start[k] = count
        slot = core.order[k]
        for i in range(len(weight)):
            if allowed[i] and players.mask[i] >> slot & 1:
                loss = prices.price[slot] + premium[i] - weight[i]
                if loss <= budget:
                    core.player[count], core.loss[count] = i, max(loss, 0.0)
                    count += 1
        sort_by(core.loss, core.player, core.start[k], count)
    core.start[len(core.order)] = count
    fill_suffix(lam, side, players.salary, limits, core)


@compiled
def fill_suffix(lam: float, side: int, salary: Ints, limits: Limits, core: Core) -> None:
    """Knapsack table from the last slot back; a player may repeat, which keeps it a bound."""
    suffix, least, size = core.suffix, core.least, len(core.order)
    for left in range(limits.cap + 1):
        slack = left if side > 0 else limits.cap - limits.floor - left
        suffix[size, left] = lam * slack if left <= limits.cap - limits.floor else np.inf
    for k in range(size - 1, -1, -1):
        for left in range(limits.cap + 1):
            suffix[k, left] = np.inf
        for at in range(core.start[k], core.start[k + 1]):
            cost, loss = salary[core.player[at]], core.loss[at]
            for left in range(cost, limits.cap + 1):
                suffix[k, left] = min(suffix[k, left], loss + suffix[k + 1, left - cost])
    for k in range(size + 1):
        least[k] = np.inf
        for left in range(limits.cap + 1):
            least[k] = min(least[k], suffix[k, left])
