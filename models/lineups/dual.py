"""Lagrangian dual of the salary limits: a price per salary unit, per roster slot and per rostered player.

For a multiplier the relaxed lineup is a small assignment; its own duals give every (player, slot) pair a loss >= 0.
Any lineup is then worth  bound - sum of its pair losses - premiums of players left out - multiplier x slack,  so a
search can add up losses and stop when a budget is spent.
"""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import Limits, Players, Prices
from models.lineups.compile import Flags, Floats, Ints
from models.lineups.jit import compiled

INFEASIBLE, FOUND = 0, 1
MAX_STEPS = 100
TOLERANCE = 1e-9


@compiled
def solve_dual(
    players: Players, allowed: Flags, limits: Limits, prices: Prices
) -> tuple[int, int, float, float, float]:
    """Minimize the dual over the salary multiplier by intersecting its supporting lines.

    Returns (status, side, multiplier, bound, incumbent): side +1 prices the cap, -1 the floor; incumbent is the best
    legal relaxed lineup's projection, -1 if none. Leaves prices and seats of the last multiplier behind.
    """
    ok, value, spent = relax(0.0, players, players.salary, allowed, prices)
    if not ok:
        return INFEASIBLE, 1, 0.0, 0.0, -1.0
    if limits.floor <= spent <= limits.cap:
        return FOUND, 1, 0.0, value, value if legal(prices.seat, players, limits) else -1.0
    side = 1 if spent > limits.cap else -1
    target = limits.cap if side > 0 else -limits.floor
    cost = side * players.salary
    over_value, over, under_value, under = value, side * spent, 0.0, 0
    hopeless = 2.0 * (value + 1.0)  # from here on one salary unit outweighs any projection
    lam = value / max(1, spent) + TOLERANCE
    expected, best, incumbent = -np.inf, np.inf, -1.0
    for _ in range(MAX_STEPS):
        ok, value, spent = relax(lam, players, cost, allowed, prices)
        best = value + lam * (target - spent)
        if spent > target:
            over_value, over = value, spent
            if lam > hopeless:
                return INFEASIBLE, side, lam, 0.0, -1.0
        else:
            under_value, under = value, spent
            if limits.floor <= side * spent <= limits.cap and legal(prices.seat, players, limits):
                incumbent = max(incumbent, value)
            if expected == -np.inf:
                expected = np.inf
        if spent == target or best <= expected + TOLERANCE * max(1.0, abs(expected)) < np.inf:
            break
        if expected == -np.inf:
            lam *= 2.0
        else:
            lam = (over_value - under_value) / (over - under)
            expected = under_value + lam * (target - under)
    return FOUND, side, lam, best, incumbent


@compiled
def relax(lam: float, players: Players, cost: Ints, allowed: Flags, prices: Prices) -> tuple[bool, float, int]:
    """Best lineup ignoring salary limits at weights `projection - lam * cost`; return (ok, projection, cost).

    Writes prices and seats. A locked player gets a bonus no lineup can do without, taken off his premium again: his
    dual has no sign.
    """
    size = len(prices.seat)
    weight = players.projection - lam * cost
    most = 0.0
    for w in weight:
        most = max(most, abs(w))
    bonus = 2.0 * size * (most + 1.0)
    wanted = 0
    for i in range(len(weight)):
        if players.locked[i]:
            weight[i] += bonus
            wanted += 1
    columns = np.empty(len(players.quota) * players.quota.max(), np.int64)
    count = shortlist(weight, allowed, players.kind, players.quota, columns)
    u, v = np.zeros(size), np.zeros(count + 1)
    owner = np.zeros(count + 1, np.int64)
    for slot in range(size):
        if not augment(slot, weight, players.mask, columns[:count], u, v, owner):
            return False, 0.0, 0
    value, spent = 0.0, 0
    for j in range(1, count + 1):
        if owner[j] == 0:
            continue
        slot, i = owner[j] - 1, columns[j - 1]
        prices.seat[slot], prices.premium[slot], prices.price[slot] = i, -v[j], -u[slot]
        if players.locked[i]:
            prices.premium[slot] -= bonus
            wanted -= 1
        value += players.projection[i]
        spent += cost[i]
    return wanted == 0, value, spent


@compiled
def shortlist(weight: Floats, allowed: Flags, kind: Ints, quota: Ints, columns: Ints) -> int:
    """Write the `quota[t]` heaviest allowed players of every kind t into `columns`; return how many.

    A kind can fill at most as many slots as its mask has bits; one player more keeps the slot prices valid for all
    players left off the list.
    """
    kinds = len(quota)
    best = np.empty((kinds, quota.max()), np.int64)
    filled = np.zeros(kinds, np.int64)
    for i in range(len(weight)):
        if not allowed[i]:
            continue
        t = kind[i]
        at = filled[t]
        if at == quota[t]:
            if weight[i] <= weight[best[t, at - 1]]:
                continue
            at -= 1
        else:
            filled[t] += 1
        while at > 0 and weight[i] > weight[best[t, at - 1]]:
            best[t, at] = best[t, at - 1]
            at -= 1
        best[t, at] = i
    count = 0
    for t in range(kinds):
        for at in range(filled[t]):
            columns[count] = best[t, at]
            count += 1
    return count


@compiled
def augment(slot: int, weight: Floats, mask: Ints, columns: Ints, u: Floats, v: Floats, owner: Ints) -> bool:
    """Seat one more slot by a shortest augmenting path (Hungarian method); False when nobody can fill it."""
    width = len(columns) + 1
    way, least, used = np.zeros(width, np.int64), np.full(width, np.inf), np.zeros(width, np.bool_)
    owner[0] = slot + 1
    j0 = 0
    while owner[j0] != 0:
        used[j0] = True
        row = owner[j0] - 1
        delta, j1 = np.inf, 0
        for j in range(1, width):
            if used[j]:
                continue
            i = columns[j - 1]
            reduced = -weight[i] - u[row] - v[j]
            if mask[i] >> row & 1 and reduced < least[j]:
                least[j], way[j] = reduced, j0
            if least[j] < delta:
                delta, j1 = least[j], j
        if j1 == 0:
            return False
        for j in range(width):
            if used[j]:
                u[owner[j] - 1] += delta
                v[j] -= delta
            else:
                least[j] -= delta
        j0 = j1
    reseat(j0, way, owner)
    return True


@compiled
def reseat(j0: int, way: Ints, owner: Ints) -> None:
    """Move everybody along the augmenting path that ends in column j0."""
    while j0 != 0:
        owner[j0] = owner[way[j0]]
        j0 = way[j0]


@compiled
def legal(seat: Ints, players: Players, limits: Limits) -> bool:
    """Whether a full set of seats keeps the team and game rules."""
    teams, games, crowd = 0, 0, 0
    for a in range(len(seat)):
        same, first_team, first_game = 0, True, True
        for b in range(len(seat)):
            same += players.team[seat[b]] == players.team[seat[a]]
            first_team &= b >= a or players.team[seat[b]] != players.team[seat[a]]
            first_game &= b >= a or players.game[seat[b]] != players.game[seat[a]]
        crowd = max(crowd, same)
        teams += first_team
        games += first_game
    return crowd <= limits.per_team and teams >= limits.teams and games >= limits.games
