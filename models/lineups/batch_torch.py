"""The exact optimum of many score vectors at once in torch, on a CPU or a CUDA device.

A beam (`torch_beam`) finds a good lineup per scenario and often proves it; the tree (`torch_tree`) then looks at
everything that could still beat it, within growing loss budgets. What outgrows the tree's memory is returned as
unproven, for the compiled search. The tests run it on a CPU; on a GPU it has neither been run nor timed yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.device import one_thread
from models.lineups.pool import Floats, Ints, Pool
from models.lineups.torch_beam import beam_search
from models.lineups.torch_bounds import Slate, core_of, slate_of
from models.lineups.torch_prices import FAR
from models.lineups.torch_tree import complete

#: Scenarios of one chunk and expansions of one tree level.
SCENARIOS: Final = {"cpu": 256, "cuda": 8_192}
ROOM: Final = {"cpu": 4_000_000, "cuda": 60_000_000}
#: Longest (salary left) table; dearer caps are the compiled search's.
MAX_CAP: Final = 4_000
MAX_SLOTS: Final = 10
#: Whole scores up to here leave float32 room for sums of losses.
WHOLE: Final = 20_000.0
#: First loss budget as a share of the bound, and how much larger the next one is. A tree grows with about the sixth
#: power of its budget, so the smallest that holds a lineup is worth searching for.
FIRST_SPREAD: Final = 0.012
WIDER: Final = 1.3
MAX_BUDGETS: Final = 12


def holds(pool: Pool) -> bool:
    """Whether this path models everything the pool asks for; the compiled search models the rest."""
    return (
        not pool.rows.names
        and not pool.choices
        and pool.conflict is None
        and not pool.locked.any()
        and pool.size <= MAX_SLOTS
        and min(pool.cap, pool.size * int(pool.salary.max())) <= MAX_CAP
    )


def solve(
    pool: Pool, score: Floats, strict: float, *, device: str = "cpu", step: Callable[[int], None] | None = None
) -> tuple[Ints, NDArray[np.bool_]]:
    """(rows (B, S) in roster-slot order, proven (B,)) of score vectors (B, N); rows are -1 where none was found.

    `strict` is by how much a lineup must exceed another to count as better: half a step where all scores are whole
    numbers, else a tie's width. `step` is called with the number of scenarios settled and may raise to stop. Only for
    pools that `holds`.
    """
    kind = torch.float32 if strict >= 0.5 and np.abs(score).max() * pool.size <= WHOLE else torch.float64
    allowed = np.flatnonzero(~pool.excluded & (pool.mask != 0))
    slate = slate_of(pool, allowed, device)
    rows = np.full((len(score), pool.size), -1, dtype=np.int64)
    proven = np.zeros(len(score), dtype=np.bool_)
    room = SCENARIOS[torch.device(device).type]
    with one_thread():
        for first in range(0, len(score), room):
            at = slice(first, first + room)
            chunk = torch.as_tensor(np.ascontiguousarray(score[at][:, allowed]), dtype=kind, device=device)
            found, sure = best_lineups(slate, chunk, strict)
            rows[at], proven[at] = np.where(found >= 0, allowed[found], -1), sure
            if step is not None:
                step(len(found))
    return rows, proven


def best_lineups(slate: Slate, score: Tensor, strict: float) -> tuple[Ints, NDArray[np.bool_]]:
    """Score vectors (B, N): (rows (B, S) in roster-slot order or -1, proven (B,))."""
    core = core_of(slate, score)
    rows, loss, unseen = beam_search(slate, core)
    found = loss < FAR
    value = torch.where(found, score.gather(1, rows).sum(1), -FAR)
    # A better lineup loses less than this.
    budget = core.bound - value - strict
    proven = found & (unseen > budget)
    todo, allowance = ~proven, core.bound.abs() * FIRST_SPREAD
    for _ in range(MAX_BUDGETS):
        if not bool(todo.any()):
            break
        spend = torch.minimum(budget, allowance)
        better, scenario, searched = complete(
            slate, core, score, torch.nonzero(todo).flatten(), spend, ROOM[score.device.type]
        )
        rows[scenario], found[scenario] = better, True
        settled = searched & (spend >= budget)
        settled[scenario] = True
        proven = proven | settled
        todo = todo & searched & ~settled
        allowance = allowance * WIDER
    seats = torch.empty_like(rows)
    seats[:, list(slate.order)] = rows
    seats[~found] = -1
    return seats.cpu().numpy(), proven.cpu().numpy()
