"""The exact optimum of many score vectors at once by a CUDA kernel, a block of threads per score vector.

Simple pools only (`holds`). What takes more steps than a GPU thread should is returned as unproven, for the compiled
search. The kernel's source also runs compiled on a CPU (`on="cpu"`, slower than `batch_compiled`, to the same lineups)
and in numba's simulator: that is how it is tested; it has neither been run nor timed on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import FantasyError
from models.lineups.cuda_kernel import cuda, solve_on_gpu
from models.lineups.cuda_layout import (
    BEST_SEAT,
    CAP,
    CODE,
    MASK_AT,
    PERSON,
    PROVEN,
    SIMULATED,
    SIZE,
    SPENT_STEPS,
    Slate,
    bytes_per_scenario,
    scratch_of,
    slate_of,
)
from models.lineups.cuda_prices import hint_of
from models.lineups.cuda_stages import solve_on_cpu
from models.lineups.pool import Flags, Floats, Ints, Pool

__all__ = ["SIMULATED", "GpuUnusable", "holds", "solve", "why_not"]

On = Literal["cuda", "cpu"]

#: Threads per score vector: a warp, whose barriers cost next to nothing; the simulator's are Python's, and slow.
LANES: Final = 2 if SIMULATED else 32
#: Steps of one thread for one score vector; nearly all need a tenth of it (docs/adr/0008-cuda-batch.md).
MAX_STEPS = 20_000
#: Scratch of one launch at most, and the share of what is free that it may take; scenarios a launch takes on a CPU.
SCRATCH_BYTES: Final = 4 << 30
SHARE_OF_FREE: Final = 0.5
CPU_ROOM: Final = 256
#: Longest (salary left) table and sizes of a lineup; others are the compiled search's.
MAX_CAP: Final = 4_000
SIZES: Final = range(3, 11)
INSTALL: Final = "on a machine with an NVIDIA driver, install the gpu extra: pip install 'fantasy-ai[gpu]'"


class GpuUnusable(FantasyError):
    """No CUDA device that numba can compile for and run on."""

    http_status = 503


def holds(pool: Pool) -> bool:
    """Whether the kernel models everything the pool asks for; the compiled search models the rest."""
    codes = max(int(code.max(initial=0)) for code in (pool.team, pool.game, pool.counted_team))
    return (
        not pool.rows.names
        and not pool.choices
        and pool.conflict is None
        and not pool.locked.any()
        and pool.size in SIZES
        and min(pool.cap, pool.size * int(pool.salary.max(initial=0))) <= MAX_CAP
        and int(pool.salary.min(initial=0)) >= 0
        and int(pool.person.max(initial=0)) <= PERSON
        and codes < CODE
        and int(pool.mask.max(initial=0)) < 1 << (63 - MASK_AT)
    )


def why_not() -> str | None:
    """Why no kernel can run here, None where one can; numba's simulator counts as a GPU."""
    return None if cuda.is_available() else f"numba finds no CUDA driver or no CUDA toolkit (libnvvm); {INSTALL}"


def solve(
    pool: Pool,
    score: Floats,
    strict: float,
    *,
    on: On = "cuda",
    lanes: int = LANES,
    max_steps: int | None = None,
    step: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.int32], Flags]:
    """(rows (B, S) in roster-slot order, proven (B,)) of score vectors (B, N); rows are -1 where none is proven.

    `strict` is by how much a lineup must exceed another to count as better: half a step where all scores are whole
    numbers, else a tie's width. `step` is called with the number of scenarios settled and may raise to stop. Only for
    pools that `holds`. `max_steps`: of each lane, `MAX_STEPS` unless given. Raises `GpuUnusable` where no kernel can
    run.
    """
    reason = why_not() if on == "cuda" else None
    if reason:
        raise GpuUnusable(f"backend 'cuda' cannot run: {reason}")
    allowed = np.flatnonzero(~pool.excluded & (pool.mask != 0))
    rows = np.full((len(score), pool.size), -1, dtype=np.int32)
    proven = np.zeros(len(score), dtype=np.bool_)
    if len(allowed) < pool.size or not len(score):
        return rows, proven
    slate, source = slate_of(pool, allowed, strict, MAX_STEPS if max_steps is None else max_steps)
    vectors = lifted(score[:, source])
    slate.rules[1] = hint_of(
        vectors.mean(axis=0), slate.facts[0], slate.facts[1], pool.size, int(slate.limits[CAP])
    )
    launch = Launch(slate, lanes, on, len(score))
    for first in range(0, len(score), launch.room):
        at = slice(first, first + launch.room)
        seats, sure, _ = launch.run(vectors[at])
        rows[at], proven[at] = np.where(sure[:, None], source[np.where(sure[:, None], seats, 0)], -1), sure
        if step is not None:
            step(len(seats))
    return rows, proven


def lifted(score: Floats) -> Floats:
    """The scores less the least of each vector, if that is below zero: all lineups change alike, and a negative score
    is free to mean that no lineup is known."""
    least = np.minimum(score.min(axis=1, keepdims=True), 0.0)
    return np.ascontiguousarray(score - least if least.any() else score, dtype=np.float64)


class Launch:
    """One slate with the memory its scenarios need, `room` of them at a time."""

    def __init__(self, slate: Slate, lanes: int, on: On, count: int) -> None:
        self._lanes, self._on, self._size = lanes, on, int(slate.limits[SIZE])
        self.room = min(count, CPU_ROOM if on == "cpu" else _gpu_room(slate, lanes))
        if on == "cpu":
            self._slate, self._scratch = slate, scratch_of(slate, self.room, lanes)
        else:
            self._slate = Slate(*(cuda.to_device(part) for part in slate))
            self._scratch = scratch_of(slate, self.room, lanes, cuda.device_array)

    def run(self, score: Floats) -> tuple[Ints, Flags, Ints]:
        """Solve up to `room` score vectors (B, N) >= 0: (slate rows (B, S), proven (B,), steps per lane (B, L)).

        Raises `GpuUnusable` when the kernel cannot be compiled or the device fails.
        """
        scratch, count = self._scratch, len(score)
        if self._on == "cpu":
            solve_on_cpu(score, self._slate, scratch, self._lanes)
            seats, state, lanes = scratch.seats, scratch.state, scratch.lanes
        else:
            try:
                solve_on_gpu[count, self._lanes](cuda.to_device(score), self._slate, scratch)
                seats, state, lanes = (
                    part.copy_to_host() for part in (scratch.seats, scratch.state, scratch.lanes)
                )
            except _device_errors() as error:
                raise GpuUnusable(f"the CUDA kernel failed: {error}; {INSTALL}") from error
        return (
            seats[:count, BEST_SEAT, : self._size].astype(np.int64),
            state[:count, PROVEN] > 0,
            lanes[:count, SPENT_STEPS].astype(np.int64),
        )


def _gpu_room(slate: Slate, lanes: int) -> int:
    """How many scenarios fit one launch."""
    free = float(cuda.current_context().get_memory_info().free)
    return max(1, int(min(SCRATCH_BYTES, SHARE_OF_FREE * free)) // bytes_per_scenario(slate, lanes))


def _device_errors() -> tuple[type[Exception], ...]:
    """What numba raises for a kernel it cannot compile, link or run; the simulator has only some of them."""
    from numba.core.errors import NumbaError
    from numba.cuda.cudadrv import driver, error

    names = (
        "CudaSupportError",
        "CudaDriverError",
        "CudaRuntimeError",
        "NvvmError",
        "NvvmSupportError",
        "NvrtcError",
    )
    known = [getattr(error, name) for name in names if hasattr(error, name)]
    return (NumbaError, driver.CudaAPIError, driver.LinkerError, *known)
