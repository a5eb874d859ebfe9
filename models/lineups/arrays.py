"""What the compiled functions pass to one another: few arrays each, since every array passed costs compile time.

Rows of the packed arrays are named by the constants in capitals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.lineups.pool import Flags, Floats, Ints

if TYPE_CHECKING:
    from models.lineups.pool import Pool

Floats32 = NDArray[np.float32]
# Bounds beyond this say nothing: no sum of weights reaches it, and int64 holds its multiples.
UNBOUNDED = 1 << 40

# Problem.facts and Core.entry
MASK, PERSON, TEAM, GAME, SIDE, LOCKED, KIND = range(7)
ROW, SALARY, BIT = 5, 6, 7
# Problem.limits
SIZE, PER_TEAM, PER_GAME, TEAMS, GAMES, POOL_ROWS, OPTION_ROWS, CHOICES, LOCKS, SEEK = range(10)
# Work.floats and Work.ints
ADJUSTED, BASE, U, V, LEAST, MULTIPLIER, PRICE, PREMIUM, ROOT, NUMBERS = range(10)
COLUMNS, FILLED, OWNER, WAY, USED, SEAT, ACTIVE, PICK, LISTED = range(9)
# Work.floats[NUMBERS]
BOUND, INCUMBENT, WARM, ROOT_BOUND = range(4)
# Core.slots and Core.rates
START, UNLIKE = range(2)
SLOT_PRICE, SLOT_LEAST = range(2)
# Counts.tally
IN_TEAM, IN_GAME, IN_SIDE, SPREAD, OVERLAP = range(5)


class Problem(NamedTuple):
    """One pool, N rows, without scores: what a solve shares with the next one over the same pool.

    `facts` (7, N): slot mask, person, team, game, the team min_teams counts (-1: none), whether locked, and kind, which
    numbers the equal masks; `quota`
    (kinds,) is how many rows of a kind a relaxed lineup can need, and one more. `weight` (R, N) with `lower` and
    `upper` (R,): row 0 is the salary; then the pool's rows up to limits[POOL_ROWS]; then those of every option up to
    limits[OPTION_ROWS]; the rest repeat the team, game and person limits so that they can be priced. Option o owns
    rows option[o]..option[o + 1], choice c options choice[c]..choice[c + 1]. `conflict` is (N, N), or (0, 0) where
    none is.
    """

    facts: Ints
    quota: Ints
    weight: Ints
    lower: Ints
    upper: Ints
    option: Ints
    choice: Ints
    conflict: Flags
    limits: Ints


class Request(NamedTuple):
    """One solve: a problem with its rows' upper bounds, what is open, scores >= 0 and the slots in search order.

    limits[LOCKS] counts the locked rows; limits[SEEK] says that a good first lineup is worth looking for (1), and
    that rows which cannot beat it may be closed (2): `allowed` is the solve's own copy.
    """

    facts: Ints
    quota: Ints
    weight: Ints
    lower: Ints
    upper: Ints
    option: Ints
    choice: Ints
    conflict: Flags
    limits: Ints
    allowed: Flags
    score: Floats
    order: Ints


class Work(NamedTuple):
    """Scratch of one thread with the state of one relaxation; reused by solve after solve.

    floats: ADJUSTED and BASE weights per row; assignment duals; per row of `Problem.weight` its MULTIPLIER (>= 0
    prices a lower bound, <= 0 an upper one); per roster slot its PRICE and the PREMIUM of who sits there; what a lineup
    with the row loses at least of ROOT_BOUND (ROOT); NUMBERS: BOUND no lineup exceeds, INCUMBENT the best legal lineup
    seen (-1: none), WARM the salary multiplier to start from.
    ints: SEAT is the relaxed lineup by slot, ACTIVE counts and then lists the rows in force, PICK the option chosen of
    each choice (-1: open).
    """

    floats: Floats
    ints: Ints


class Core(NamedTuple):
    """The M rows worth a look, cheapest first and numbered so; slots in search order.

    `entry` (8, M): mask, person, team, game, counted team, row, salary, bit; `cost` (M,). slots[START]:
    `member[start[k]..start[k + 1]]` may take the k-th slot, at rates[SLOT_PRICE, k] + cost each; slots[UNLIKE, k]
    says that slot k takes others than slot k - 1. suffix[k, left]: least loss of slots k.. with `left` cells of
    salary, `grain` units each; rates[SLOT_LEAST] is its row minimum. bit and forfeit: see `table.premium_table`.
    `load` (A, M) are the weights of the rows `watched` (A,), reach[0] and reach[1] (A, slots + 1) the least and most
    that slots k.. can add.
    """

    entry: Ints
    cost: Floats
    slots: Ints
    rates: Floats
    member: Ints
    suffix: Floats32
    forfeit: Floats
    watched: Ints
    load: Ints
    reach: Ints
    grain: int


class Counts(NamedTuple):
    """tally: rows seated so far per team, per game, per counted team, teams and games in use, and per earlier lineup.

    member[start[i]..start[i + 1]] lists the earlier lineups row i is in.
    """

    tally: Ints
    start: Ints
    member: Ints


class Best(NamedTuple):
    """Room for the best lineups: score, rows ascending, rows in roster-slot order; how many there are."""

    value: Floats
    rows: Ints
    seats: Ints
    filled: Ints


def problem_of(pool: Pool) -> Problem:
    """Return the pool's rules as the compiled search takes them; everything but scores and what is open."""
    masks = pool.mask.tolist()
    kinds = {mask: kind for kind, mask in enumerate(dict.fromkeys(masks))}
    kind = np.array([kinds[mask] for mask in masks], dtype=np.int64)
    blocks = [_salary_row(pool), (pool.rows.weight, pool.rows.lower, pool.rows.upper)]
    option, choice = [0], [0]
    for rule in pool.choices:
        for rows in rule.options:
            blocks.append((rows.weight, rows.lower, rows.upper))
            option.append(option[-1] + len(rows.lower))
        choice.append(choice[-1] + len(rule.options))
    first = 1 + len(pool.rows.lower)
    blocks += _implied_rows(pool)
    none = np.zeros((0, 0), dtype=np.bool_)
    limits = [pool.size, pool.max_per_team, pool.max_per_game, pool.min_teams, pool.min_games, first]
    limits += [first + option[-1], len(pool.choices), int(pool.locked.sum()), 0]
    return Problem(
        facts=np.array(
            [pool.mask, pool.person, pool.team, pool.game, pool.counted_team, pool.locked, kind], dtype=np.int64
        ),
        # One more than a kind can seat: see `relaxation.shortlist`.
        quota=np.array([mask.bit_count() + 1 for mask in kinds], dtype=np.int64),
        weight=np.ascontiguousarray(np.concatenate([block[0] for block in blocks]), dtype=np.int64),
        lower=np.maximum(np.concatenate([block[1] for block in blocks]), -UNBOUNDED),
        upper=np.minimum(np.concatenate([block[2] for block in blocks]), UNBOUNDED),
        option=np.array(option, dtype=np.int64) + first,
        choice=np.array(choice, dtype=np.int64),
        conflict=none if pool.conflict is None else np.ascontiguousarray(pool.conflict | pool.conflict.T),
        limits=np.array(limits, dtype=np.int64),
    )


def open_rows(pool: Pool, allowed: Flags) -> Flags:
    """Return `allowed` less what a locked row shuts out: other rows of his person and those in conflict with him."""
    locked = np.flatnonzero(pool.locked)
    if not len(locked):
        return allowed
    shut = np.isin(pool.person, pool.person[locked]) & ~pool.locked
    if pool.conflict is not None:
        shut |= (pool.conflict | pool.conflict.T)[locked].any(axis=0)
    return allowed & ~shut


def workspace(problem: Problem) -> Work:
    """Scratch for solves of this problem; one per thread."""
    listed = len(problem.quota) * int(problem.quota.max())
    width = max(problem.facts.shape[1], listed, len(problem.lower), len(problem.choice), 32) + 1
    return Work(np.zeros((NUMBERS + 1, width)), np.zeros((LISTED + 1, width), np.int64))


def _salary_row(pool: Pool) -> tuple[Ints, Ints, Ints]:
    # No lineup can cost more than its size times the dearest player: a loose cap needs no larger table.
    cap = min(pool.cap, pool.size * int(pool.salary.max()))
    return pool.salary[None, :], np.array([max(0, pool.floor)]), np.array([cap])


def _implied_rows(pool: Pool) -> list[tuple[Ints, Ints, Ints]]:
    blocks = []
    for group, most in ((pool.team, pool.max_per_team), (pool.game, pool.max_per_game), (pool.person, 1)):
        sizes = np.bincount(group)
        crowded = np.flatnonzero(sizes > most)
        if most < pool.size and len(crowded):
            weight = (group[None, :] == crowded[:, None]).astype(np.int64)
            count = len(crowded)
            blocks.append((weight, np.zeros(count, np.int64), np.full(count, most, np.int64)))
    return blocks
