"""What the CUDA kernel reads and writes: one slate for all scenarios, one set of scratch arrays per scenario.

The kernel's functions are plain numba functions that get all their memory passed in: numba compiles the same source
for a GPU and for a CPU, and its simulator (NUMBA_ENABLE_CUDASIM=1) runs it as Python. Rows of the packed arrays are
named by the constants in capitals.

Letters: B scenarios of a launch, N pool rows, S slots, T kinds of rows (equal slot bits), C columns of the assignment,
L lanes (GPU threads) per scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.lineups.pool import Floats, Ints, Pool

Function = TypeVar("Function", bound=Callable[..., Any])
Ints32 = NDArray[np.int32]

#: Whether numba's CUDA simulator stands in for a GPU; settled when numba is imported.
SIMULATED: Final = bool(vars(import_module("numba.core.config"))["ENABLE_CUDASIM"])
#: Rows a slot can list; a scenario that needs more is left to the compiled search.
ROOM: Final = 96
#: Premiums of the relaxed lineup that the completion table follows; the others count as nothing.
PREMIUMS: Final = 6
#: Bits of `Slate.traits`: person, team, game, counted team + 1 (0: none), slot mask.
PERSON_BITS: Final = 16
CODE_BITS: Final = 10
TEAM_AT: Final = PERSON_BITS
GAME_AT: Final = TEAM_AT + CODE_BITS
SIDE_AT: Final = GAME_AT + CODE_BITS
MASK_AT: Final = SIDE_AT + CODE_BITS
PERSON: Final = (1 << PERSON_BITS) - 1
CODE: Final = (1 << CODE_BITS) - 1

# Slate.limits
SIZE, CAP, FLOOR, PER_TEAM, PER_GAME, TEAMS, GAMES, ROWS, KINDS, COLUMNS, STEPS = range(11)
# Slate.facts, Slate.kinds, Slate.order
SALARY, MASK = range(2)
FIRST_ROW, FIRST_COLUMN = range(2)
SLOT, LIKE = range(2)
# Scratch.numbers
LAMBDA, DUAL, OVER_VALUE, OVER, UNDER_VALUE, UNDER, EXPECTED, STRIDE, PRICED, BOUND, BEST, ALLOWANCE, BUDGET = (
    range(13)
)
# Scratch.state
STAGE, TRIAL, IS_UNDER, IS_OVER, ROUND, LEVEL, FOLLOWED, PROVEN = range(8)
# Scratch.slots and Scratch.seats
PRICE, DUAL_PRICE, LEAST, PREMIUM = range(4)
SEAT, PRICED_SEAT, BEST_SEAT, PREMIUM_ROW, COUNT, LOW, HIGH, FIRST, LAST = range(9)
# Scratch.rows, Scratch.columns and Scratch.owners
COST, KEY = range(2)
WEIGHT, V, SHORTEST = range(3)
COLUMN_ROW, OWNER, WAY, USED = range(4)
# Scratch.lists
RANK, LISTED_ROW, LISTED_SALARY, BIT = range(4)
# Scratch.lanes and Scratch.depth
PART, VALUE, SPENT_STEPS = range(3)
AT, LEFT, BITS, CHOSEN, CHOSEN_ROW = range(5)


class Slate(NamedTuple):
    """The pool as the kernel reads it, rows of one kind side by side.

    limits (11,), facts (2, N), order (2, S): slot by place in the search, and whether it takes the same rows as the
    one before; kinds (2, T + 1): first row and first column of each kind; traits (N,): see `PERSON_BITS`; rules (2,):
    by how much better is better, and a first guess at the salary's price.
    """

    limits: Ints32
    facts: Ints32
    order: Ints32
    kinds: Ints32
    traits: Ints
    rules: Floats


class Scratch(NamedTuple):
    """The memory of B scenarios; each array's first axis is the scenario, lanes come last so that they read side by
    side."""

    numbers: Any
    state: Any
    slots: Any
    seats: Any
    rows: Any
    core: Any
    columns: Any
    owners: Any
    lists: Any
    loss: Any
    suffix: Any
    forfeit: Any
    lanes: Any
    depth: Any
    lost: Any
    marks: Any
    found: Any


def device_function(function: Function) -> Function:
    """Compile for compiled callers alone: other such functions, a CUDA kernel, or (simulated) Python.

    Cached on disk like `models.lineups.jit`, but beside it: the two sets of functions do not call one another, so a
    change to one must not cost the other its cache.
    """
    # numba's stubs do not know the two options.
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return function if SIMULATED else _stamped(function, options)


def cpu_function(function: Function) -> Function:
    """Compile for Python on a CPU."""
    return function if SIMULATED else _stamped(function, {})


def _stamped(function: Function, options: dict[str, Any]) -> Function:
    dispatcher: Any = njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    # numba has no public way to say what else a cached function depends on.
    dispatcher._cache._cache_file._source_stamp = _sources_stamp()
    return cast(Function, dispatcher)


@cache
def _sources_stamp() -> str:
    digest = blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("cuda_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def slate_of(pool: Pool, allowed: Ints, strict: float, max_steps: int) -> tuple[Slate, Ints]:
    """The allowed rows of the pool, and which pool row each of the slate's rows is."""
    mask = pool.mask[allowed]
    source = allowed[np.argsort(mask, kind="stable")]
    mask = pool.mask[source]
    first = np.flatnonzero(np.r_[True, mask[1:] != mask[:-1]]) if len(mask) else np.zeros(0, np.int64)
    after = np.r_[first, len(mask)]
    # As many rows as a kind can seat, and one: the slot prices then hold for all rows left out.
    quota = [min(int(mask[at]).bit_count() + 1, int(end - at)) for at, end in zip(first, after[1:], strict=True)]
    column = np.r_[0, np.cumsum(quota, dtype=np.int64)]
    counts = [int((mask >> slot & 1).sum()) for slot in range(pool.size)]
    # Narrow slots last: they settle early which premiums can still be had.
    order = sorted(range(pool.size), key=lambda slot: -counts[slot])
    like = [0] + [int((mask >> a & 1 == mask >> b & 1).all()) for a, b in pairwise(order)]
    cap = min(pool.cap, pool.size * int(pool.salary.max(initial=0)))
    limits = [pool.size, cap, pool.floor, pool.max_per_team, pool.max_per_game, pool.min_teams, pool.min_games]
    limits += [len(mask), len(first), int(column[-1]), max_steps]
    traits = pool.person[source] | pool.team[source] << TEAM_AT | pool.game[source] << GAME_AT
    traits |= (pool.counted_team[source] + 1) << SIDE_AT | mask << MASK_AT
    slate = Slate(
        limits=np.minimum(np.array(limits, dtype=np.int64), 1 << 30).astype(np.int32),
        facts=np.array([pool.salary[source], mask], dtype=np.int32),
        order=np.array([order, like], dtype=np.int32),
        kinds=np.array([after, column], dtype=np.int32),
        traits=traits.astype(np.int64),
        rules=np.array([strict, 0.0]),
    )
    return slate, source


def scratch_shapes(slate: Slate, lanes: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """Shape, without the scenarios' axis, and type of every array of `Scratch`."""
    size, rows, columns = (int(slate.limits[at]) for at in (SIZE, ROWS, COLUMNS))
    whole, real = np.int32, np.float64
    return {
        "numbers": ((BUDGET + 1,), real),
        "state": ((PROVEN + 1,), whole),
        "slots": ((PREMIUM + 1, size + 1), real),
        "seats": ((LAST + 1, size + 1), whole),
        "rows": ((KEY + 1, rows), real),
        "core": ((rows,), whole),
        "columns": ((SHORTEST + 1, columns + 1), real),
        "owners": ((USED + 1, columns + 1), whole),
        "lists": ((BIT + 1, size, ROOM), whole),
        "loss": ((size, ROOM), real),
        "suffix": ((size + 1, int(slate.limits[CAP]) + 1), np.float32),
        "forfeit": ((size + 1, 1 << PREMIUMS), real),
        "lanes": ((SPENT_STEPS + 1, lanes), real),
        "depth": ((CHOSEN_ROW + 1, size + 1, lanes), whole),
        "lost": ((size + 1, lanes), real),
        "marks": ((size + 1, lanes), np.int64),
        "found": ((size, lanes), whole),
    }


def bytes_per_scenario(slate: Slate, lanes: int) -> int:
    """What one scenario's scratch takes."""
    shapes = scratch_shapes(slate, lanes).values()
    return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in shapes)


def scratch_of(slate: Slate, count: int, lanes: int, new: Callable[..., Any] = np.zeros) -> Scratch:
    """Scratch for `count` scenarios; `new(shape, dtype)` makes an array where it is wanted."""
    shapes = scratch_shapes(slate, lanes)
    return Scratch(**{name: new((count, *shape), dtype=kind) for name, (shape, kind) in shapes.items()})
