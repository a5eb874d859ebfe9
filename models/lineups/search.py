"""Exact K-best lineups, compiled by numba: a tree over the ways to meet the choices, a search in each leaf.

Every node has a dual bound (`models.lineups.dual`); leaves are searched best bound first (`models.lineups.explore`)
for lineups above a cutoff that falls until there are enough, and rises with what is found. The search ends complete
or says that it ran out of steps; it never guesses.
"""

from __future__ import annotations

import numpy as np

from models.lineups.arrays import (
    BOUND,
    CHOICES,
    INCUMBENT,
    MULTIPLIER,
    NUMBERS,
    PICK,
    ROOT_BOUND,
    SEEK,
    SIZE,
    WARM,
    Best,
    Counts,
    Problem,
    Request,
    Work,
)
from models.lineups.dual import activate, price_node, row_losses, settle
from models.lineups.explore import empty_counts, explore, lowest
from models.lineups.jit import compiled, inner
from models.lineups.pool import Flags, Floats, Ints
from models.lineups.table import build_core, slot_order, sort_by
from models.lineups.tree import (
    OPEN,
    SEARCHED,
    STUCK,
    choice_to_split,
    new_tree,
    open_node,
    openings,
    split,
    store,
    widest,
    with_room,
)

INFEASIBLE, FOUND, OUT_OF_STEPS = 0, 1, 2
# Two scores closer than this, relative to the bound, count as tied.
TIE = 1e-9
GRIDS = (1.0, 0.5, 0.25, 0.125, 0.1, 0.05, 0.01)
# First cutoff as a share of the bound below it: on real slates most optima lie within it.
FIRST_SPREAD = 0.012
# Lineups within a loss budget grow roughly with its sixth power, which sizes the next budget.
SPREAD_POWER = 1 / 6
# Steps in one node before it is split up by a choice still open.
PATIENCE = 20_000
# What pricing a node costs, in steps.
PRICING = 300


@compiled
def best_of(
    problem: Problem, upper: Ints, allowed: Flags, score: Floats, max_steps: int, work: Work
) -> tuple[int, float, Ints]:
    """The best lineup for one score vector (N,): (status, score, rows in roster-slot order); for batches.

    `problem`, `work`: `arrays.problem_of(pool)`, `arrays.workspace(problem)`, one workspace per thread.
    `upper`: `problem.upper`. `allowed` (N,): `arrays.open_rows(pool, ~pool.excluded)`. Status FOUND; INFEASIBLE: there
    is none; OUT_OF_STEPS: unproven, leave that vector to `core.ExactSearch`. Scores must be finite.
    """
    earlier = np.zeros((0, problem.limits[SIZE]), np.int64)
    status, values, seats, best_first, _ = k_best(problem, upper, allowed, score, earlier, 1, 1, max_steps, work)
    if status == FOUND and len(best_first) == 0:
        status = INFEASIBLE
    return status, values[0], seats[0]


@compiled
def k_best(
    problem: Problem, upper: Ints, allowed: Flags, score: Floats, earlier: Ints, min_unique: int, room: int,
    max_steps: int, work: Work,
) -> tuple[int, Floats, Ints, Ints, int]:  # fmt: skip
    """The `room` best lineups of allowed rows that differ from each of `earlier` in `min_unique` rows.

    `earlier` is (m, slots), each row ascending. Returns (status, scores, seats in roster-slot order, rows of these two
    best first, steps left). FOUND with fewer than `room` means that no more exist; OUT_OF_STEPS proves nothing.
    """
    size, limits, count = problem.limits[SIZE], problem.limits.copy(), len(score)
    rows, seats = np.zeros((room, size), np.int64), np.zeros((room, size), np.int64)
    best = Best(np.zeros(room), rows, seats, np.zeros(1, np.int64))
    shift = 0.0
    for i in range(count):
        if allowed[i]:
            shift = min(shift, score[i])
    lifted, opened = np.empty(count), allowed.copy()
    for i in range(count):
        lifted[i] = score[i] - shift  # every lineup has `size` rows: the order stays
    limits[SEEK] = 0 if room > 1 else 2 if len(earlier) == 0 else 1
    request = Request(
        problem.facts, problem.quota, problem.weight, problem.lower, upper, problem.option, problem.choice,
        problem.conflict, limits, opened, lifted, slot_order(problem.facts, len(problem.quota), size, allowed),
    )  # fmt: skip
    max_steps = fill(request, earlier, min_unique, max_steps, best, work)
    found = best.filled[0] if max_steps >= 0 else 0
    best_first, key = np.arange(found), np.zeros(found)
    for a in range(found):
        best.value[a] = 0.0
        for k in range(size):
            best.value[a] += score[rows[a, k]]
        key[a] = -best.value[a]
    sort_by(key, best_first, 0, found)
    return FOUND if max_steps >= 0 else OUT_OF_STEPS, best.value, seats, best_first, max_steps


@inner
def fill(request: Request, earlier: Ints, min_unique: int, max_steps: int, best: Best, work: Work) -> int:
    """Fill `best` from a tree of nodes; return the steps left, negative: not complete."""
    room, counts, numbers = len(best.value), empty_counts(request.facts, earlier, min_unique), work.floats[NUMBERS]
    if not plant(request, work):
        return max_steps
    tree, nodes = new_tree(request, 2 + request.choice[request.limits[CHOICES]]), 1
    store(tree, 0, request, work)
    tie = TIE * max(1.0, numbers[BOUND])
    strict = max(tie, grid_of(request.score) / 2)  # on a grid, better means a whole step better
    top, cutoff, node = -1.0, -1.0, 0
    while max_steps >= 0:
        if node >= 0 and (top < 0.0 or tree.floats[node, 0] >= cutoff):
            open_node(tree, node, request, work)
            c = choice_to_split(request, tree.ints[node, 0] == STUCK, work)
            if c >= 0:
                more = request.choice[c + 1] - request.choice[c]
                max_steps -= PRICING * more
                tree = with_room(tree, nodes, more, request)
                enough = cutoff if best.filled[0] == room else numbers[INCUMBENT]
                nodes = split(node, c, request, enough - tie, tree, nodes, work)
            else:
                if top < 0.0:
                    top = tree.floats[node, 0]
                    cutoff = max(top - FIRST_SPREAD * top, numbers[INCUMBENT]) - tie
                patience = min(max_steps, PATIENCE) if openings(request, work) > 0 else max_steps
                left = dive(cutoff, strict, tie, patience, request, counts, min_unique, earlier, best, work)
                max_steps -= patience - left
                tree.ints[node, 0] = SEARCHED if left >= 0 else STUCK
                if best.filled[0] == room:
                    cutoff = max(cutoff, lowest(best.value) + strict)
        elif top < 0.0 or cutoff < 0.0 or (best.filled[0] == room and lowest(best.value) + strict >= cutoff):
            break  # scores are >= 0: a cutoff below has seen them all
        else:
            cutoff = lower_cutoff(top, cutoff, best.filled[0], room) - tie
            if best.filled[0] == room:  # a leaf may turn out to lose more than its branch was charged
                cutoff = lowest(best.value) + strict
            for at in range(nodes):
                tree.ints[at, 0] = OPEN if tree.ints[at, 0] == SEARCHED else tree.ints[at, 0]
        node = widest(tree, nodes)
    return max_steps


@inner
def plant(request: Request, work: Work) -> bool:
    """Price the root, every choice open, from the last solve's salary multiplier; False when no lineup exists."""
    numbers, multiplier = work.floats[NUMBERS], work.floats[MULTIPLIER]
    for r in range(len(request.lower)):
        multiplier[r] = 0.0
    for c in range(request.limits[CHOICES]):
        work.ints[PICK, c] = -1
    multiplier[0], numbers[INCUMBENT] = numbers[WARM], -1.0
    activate(request, work)
    feasible = settle(request, -1.0, work)
    numbers[WARM] = multiplier[0] if feasible else 0.0
    if feasible and request.limits[CHOICES] > 0:
        numbers[ROOT_BOUND] = price_node(request, work)
        row_losses(request, work)
    return feasible


@inner
def lower_cutoff(top: float, cutoff: float, count: int, room: int) -> float:
    """The next cutoff when `count` of `room` lineups lie above this one."""
    return top - (top - cutoff) * (max(1.15, (room / count) ** SPREAD_POWER) if count else 1.6)


@inner
def dive(
    cutoff: float, strict: float, tie: float, max_steps: int, request: Request, counts: Counts, min_unique: int,
    earlier: Ints, best: Best, work: Work,
) -> int:  # fmt: skip
    """Search one node for lineups above the cutoff; return the steps left."""
    bound = price_node(request, work)
    if bound < cutoff:
        return max_steps
    reachable, core = build_core(bound - cutoff, request, work)
    if not reachable:
        return max_steps
    forbidden = earlier if min_unique == 1 else earlier[:0]
    most = request.limits[SIZE] - min_unique
    return explore(
        bound, bound - cutoff, strict, tie, max_steps, request, core, counts, most, forbidden, best, work
    )


@inner
def grid_of(score: Floats) -> float:
    """Largest step of `GRIDS` that all scores are multiples of, 0 if none; sums then are too."""
    for step in GRIDS:
        on_grid = True
        for value in score:
            if abs(value / step - np.rint(value / step)) > 1e-7:
                on_grid = False
                break
        if on_grid:
            return step
    return 0.0
