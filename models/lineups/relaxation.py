"""A lineup without salary and rules: the heaviest rows that fill the roster slots, with its assignment duals."""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import (
    ADJUSTED,
    COLUMNS,
    FILLED,
    KIND,
    LEAST,
    LISTED,
    LOCKED,
    LOCKS,
    MASK,
    OWNER,
    PREMIUM,
    PRICE,
    SEAT,
    SIZE,
    USED,
    WAY,
    Request,
    U,
    V,
    Work,
)
from models.lineups.jit import inner
from models.lineups.pool import Flags, Floats, Ints


@inner
def relax(request: Request, work: Work) -> bool:
    """Seat the best lineup at the ADJUSTED weights; write its seats, slot prices and premiums.

    False when nobody can fill some slot or a locked row finds none. A locked row gets a bonus no lineup can do
    without, taken off his premium again: his dual has no sign.
    """
    floats, ints, mask, locked = work.floats, work.ints, request.facts[MASK], request.facts[LOCKED]
    weight, u, v, least = floats[ADJUSTED], floats[U], floats[V], floats[LEAST]
    columns, owner, way, used = ints[COLUMNS], ints[OWNER], ints[WAY], ints[USED]
    size, locks, bonus = request.limits[SIZE], request.limits[LOCKS], 0.0
    if locks > 0:
        bonus = lock_bonus(size, weight, locked)
        lift(bonus, weight, locked)
    count = shortlist(
        request.allowed, weight, request.facts[KIND], request.quota, ints[LISTED], ints[FILLED], columns
    )
    for j in range(count + 1):
        v[j], owner[j] = 0.0, 0
    for slot in range(size):
        u[slot] = 0.0
    seated = True
    for slot in range(size):
        if not augment(slot, count, mask, weight, columns, u, v, least, owner, way, used):
            seated = False
            break
    if seated:
        locks -= write_prices(count, bonus, locked, work)
    if bonus > 0.0:
        lift(-bonus, weight, locked)
    return seated and locks == 0


@inner
def write_prices(count: int, bonus: float, locked: Ints, work: Work) -> int:
    """Write seats, slot prices and premiums of a finished assignment; return how many locked rows it seats."""
    floats, ints, locks = work.floats, work.ints, 0
    for j in range(1, count + 1):
        if ints[OWNER, j] > 0:
            slot, i = ints[OWNER, j] - 1, ints[COLUMNS, j - 1]
            ints[SEAT, slot], floats[PRICE, slot], floats[PREMIUM, slot] = i, -floats[U, slot], -floats[V, j]
            if locked[i] > 0:
                floats[PREMIUM, slot] -= bonus
                locks += 1
    return locks


@inner
def lock_bonus(size: int, weight: Floats, locked: Ints) -> float:
    """More than any lineup without one of the locked rows can make up for."""
    most = 0.0
    for i in range(len(locked)):
        most = max(most, abs(weight[i]))
    return 2.0 * size * (most + 1.0)


@inner
def lift(bonus: float, weight: Floats, locked: Ints) -> None:
    """Add the bonus to every locked row."""
    for i in range(len(locked)):
        if locked[i] > 0:
            weight[i] += bonus


@inner
def shortlist(
    allowed: Flags, weight: Floats, kind: Ints, quota: Ints, best: Ints, filled: Ints, columns: Ints
) -> int:
    """Write the `quota[t]` heaviest allowed rows of every kind t into `columns`; return how many.

    A kind can fill at most as many slots as its mask has bits; one row more keeps the slot prices valid for all
    left off the list.
    """
    kinds, most = len(quota), 0
    for t in range(kinds):
        filled[t] = 0
        most = max(most, quota[t])
    for i in range(len(allowed)):
        if not allowed[i]:
            continue
        t = kind[i]
        at, w, first = filled[t], weight[i], t * most
        if at == quota[t]:
            if w <= weight[best[first + at - 1]]:
                continue
            at -= 1
        else:
            filled[t] += 1
        while at > 0 and w > weight[best[first + at - 1]]:
            best[first + at] = best[first + at - 1]
            at -= 1
        best[first + at] = i
    count = 0
    for t in range(kinds):
        for at in range(filled[t]):
            columns[count] = best[t * most + at]
            count += 1
    return count


@inner
def augment(
    slot: int, count: int, mask: Ints, weight: Floats, columns: Ints, u: Floats, v: Floats, least: Floats,
    owner: Ints, way: Ints, used: Ints,
) -> bool:  # fmt: skip
    """Seat one more slot by a shortest augmenting path (Hungarian method); False when nobody can fill it."""
    for j in range(count + 1):
        least[j], used[j] = np.inf, 0
    owner[0] = slot + 1
    j0 = 0
    while owner[j0] != 0:
        used[j0] = 1
        row = owner[j0] - 1
        delta, j1, price = np.inf, 0, u[row]
        for j in range(1, count + 1):
            if used[j] > 0:
                continue
            i = columns[j - 1]
            reduced = -weight[i] - price - v[j]
            if mask[i] >> row & 1 and reduced < least[j]:
                least[j], way[j] = reduced, j0
            if least[j] < delta:
                delta, j1 = least[j], j
        if j1 == 0:
            return False
        for j in range(count + 1):
            if used[j] > 0:
                u[owner[j] - 1] += delta
                v[j] -= delta
            else:
                least[j] -= delta
        j0 = j1
    reseat(j0, way, owner)
    return True


@inner
def reseat(j0: int, way: Ints, owner: Ints) -> None:
    """Move everybody along the augmenting path that ends in column j0."""
    while j0 != 0:
        owner[j0] = owner[way[j0]]
        j0 = way[j0]


@inner
def total_of(values: Floats, seat: Ints, size: int) -> float:
    """Sum of `values` over the seated rows."""
    total = 0.0
    for k in range(size):
        total += values[seat[k]]
    return total


@inner
def load_of(weight: Ints, seat: Ints, size: int) -> int:
    """Sum of one row's integer weights over the seated rows."""
    total = 0
    for k in range(size):
        total += weight[seat[k]]
    return total
