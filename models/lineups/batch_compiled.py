"""The compiled search over many score vectors: one numba loop per chunk, without the GIL, a thread per core."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.lineups.arrays import NUMBERS, WARM, Problem, Work, open_rows, problem_of, workspace
from models.lineups.jit import compiled
from models.lineups.pool import Flags, Floats, Ints, Pool
from models.lineups.search import FOUND, INFEASIBLE, OUT_OF_STEPS, best_of

CHUNK: Final = 64
#: About a quarter of a second of search; a typical scenario takes a thousandth of it.
MAX_STEPS: Final = 10_000_000


@compiled
def solve_range(
    problem: Problem, allowed: Flags, score: Floats, max_steps: int, work: Work, seats: Ints, status: Ints
) -> None:
    """Write the best lineup of each score vector (B, N) into `seats` (B, size) and how it ended into `status` (B,)."""
    # Each solve starts from the last one's salary price: reset, so that a chunk's ties never depend on its thread.
    work.floats[NUMBERS, WARM] = 0.0
    for s in range(len(score)):
        status[s], _, found = best_of(problem, problem.upper, allowed, score[s], max_steps, work)
        seats[s] = found


def solve(pool: Pool, score: Floats, step: Callable[[int], None]) -> tuple[NDArray[np.int32], Flags]:
    """(rows (B, size) in roster-slot order, proven (B,)); raises what `step`, called after each chunk, raises.

    Not proven are scenarios the search gave up on. Stops at the first scenario proven to have no lineup: none has.
    """
    problem, allowed = problem_of(pool), open_rows(pool, ~pool.excluded)
    rows = np.full((len(score), pool.size), -1, dtype=np.int64)
    status = np.full(len(score), OUT_OF_STEPS, dtype=np.int64)
    scratch = threading.local()

    def work(first: int) -> int:
        if not hasattr(scratch, "work"):
            scratch.work = workspace(problem)
        at = slice(first, first + CHUNK)
        solve_range(problem, allowed, score[at], MAX_STEPS, scratch.work, rows[at], status[at])
        if (status[at] == INFEASIBLE).any():
            from models.lineups.batch import no_lineup

            raise no_lineup(pool)
        return int((status[at] == FOUND).sum())

    in_threads(work, range(0, len(score), CHUNK), step)
    return rows.astype(np.int32), status == FOUND


def in_threads(work: Callable[[int], int], starts: range, step: Callable[[int], None]) -> None:
    """Run `work` for every start, a thread per core; `step` gets what each returned, in the calling thread.

    An exception of either stops the work: chunks not begun are dropped, those under way are waited for.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    step(work(starts[0]))  # alone, so that one thread compiles
    pending: set[Future[int]] = set()
    with ThreadPoolExecutor(cores, "batch") as threads:
        try:
            for start in starts[1:]:
                pending.add(threads.submit(work, start))
                if len(pending) > 2 * cores:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        step(future.result())
            for future in pending:
                step(future.result())
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
