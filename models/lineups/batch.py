"""The exact best lineup of each of many simulated slates, and how often each player is in one.

Every lineup is proven optimal for its scenario: by the compiled search on a CPU's cores, by a CUDA kernel where there
is a GPU for it, by the torch path where that is asked for (what those two cannot prove goes to the compiled search), by
HiGHS where the search runs out of steps. Scores on a grid are solved as whole numbers, so that ties are ties.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.errors import Cancelled, Infeasible
from models.lineups.pool import Floats, Pool

if TYPE_CHECKING:
    from models.lineups.scenarios import Scenarios

logger = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "compiled", "torch", "cuda"]

#: Grids tried for a batch, in points; sites' own and what captains make of them.
GRIDS: Final = (1.0, 0.5, 0.25, 0.125, 0.1, 0.05, 0.025, 0.02, 0.01, 0.005)
#: A score off its grid by no more than this share of a step is float32 rounding.
OFF_GRID: Final = 0.01
#: Half a step: between whole scores, more means better.
WHOLE_STRICT: Final = 0.5
TIE: Final = 1e-9
PROVEN: Final = 1e-6
MAX_SCORE: Final = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """The best lineup per scenario: `rows` (S, size) of the pool in roster-slot order, `score` (S,) in points.

    `unproven` counts scenarios whose lineup is not proven optimal (0 unless HiGHS hit its time limit); `by_highs` those
    the fast paths handed over; `backend` is `compiled`, `torch` or `cuda`.
    """

    rows: NDArray[np.int32]
    score: Floats
    unproven: int
    by_highs: int
    backend: str

    def optimal_share(self, pool: Pool) -> Floats:
        """Share of scenarios (candidates,) whose best lineup holds the candidate, in whatever slot."""
        share = np.zeros(len(pool.candidates))
        np.add.at(share, pool.source[self.rows.ravel()], 1.0)
        return share / max(1, len(self.rows))


def row_scores(pool: Pool, scenarios: Scenarios) -> NDArray[np.float32]:
    """Points (S, N) of every pool row: the player's times what the row's slots multiply.

    Raises `InvalidInput` for a candidate the scenarios do not have.
    """
    column_of = {id_: column for column, id_ in enumerate(scenarios.ids)}
    missing = [c.id for c in pool.candidates if c.id not in column_of]
    if missing:
        raise InvalidInput(f"candidate {missing[0]!r} has no column in the scenarios; simulate the same slate")
    columns = np.array([column_of[c.id] for c in pool.candidates], dtype=np.int64)[pool.source]
    factor = (multipliers(pool) * scenarios.step).astype(np.float32)
    points: NDArray[np.float32] = np.take(scenarios.points, columns, axis=1).astype(np.float32)
    points *= factor
    return points


def multipliers(pool: Pool) -> Floats:
    """How much each row (N,) multiplies its candidate's points; a slot multiplies whoever sits in it alike."""
    plain = np.array([c.projection for c in pool.candidates], dtype=np.float64)[pool.source]
    factor = np.ones(len(plain))
    for slot in range(pool.size):
        fits = (pool.mask >> slot & 1).astype(np.bool_)
        telling = np.flatnonzero(fits & (plain != 0))
        if len(telling):
            factor[fits] = round(float(pool.projection[telling[0]] / plain[telling[0]]), 6)
    return factor


def optimal_by_scenario(
    pool: Pool,
    scores: NDArray[np.float32] | Floats,
    *,
    device: Device = "auto",
    backend: Backend = "auto",
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BatchResult:
    """The exact best lineup of the pool under each score vector of `scores` (S, N), points with multipliers applied.

    `on_progress(done, S)` and `cancelled()` are called after every chunk, from the calling thread. Raises `Cancelled`,
    `Infeasible` where no legal lineup exists (for all scenarios or for none), `InvalidInput` for scores of another
    shape or not finite and for a torch or cuda backend asked of a pool with rules it does not model, `GpuUnusable` for
    a cuda backend without a GPU or toolkit, `SearchUnfinished` where HiGHS, asked for what the search gave up on, runs
    into its time limit without a lineup.
    """
    if scores.ndim != 2 or scores.shape[1] != len(pool.mask):
        raise InvalidInput(
            f"scores have shape {scores.shape}; they must be (scenarios, {len(pool.mask)} pool rows)"
        )
    if not (np.abs(scores) <= MAX_SCORE).all():  # NaN counts as wrong
        raise InvalidInput(f"scores must be finite and at most {MAX_SCORE:,.0f} points; correct the projections")
    chosen, on = choose_backend(pool, device, backend)
    count = Progress(len(scores), on_progress, cancelled)
    step = grid_step(scores)
    # C order whatever came in: each layout would be compiled anew.
    whole = np.ascontiguousarray(np.rint(scores / step) if step else scores, dtype=np.float64)
    strict = WHOLE_STRICT if step else TIE * max(1.0, float(np.abs(whole).max(initial=0.0)) * pool.size)
    rows = np.full((len(scores), pool.size), -1, dtype=np.int32)
    proven = np.zeros(len(scores), dtype=np.bool_)
    if chosen == "cuda":
        chosen, proven = _by_kernel(pool, whole, strict, rows, count, required=backend == "cuda")
    elif chosen == "torch":
        from models.lineups import batch_torch

        found, proven = batch_torch.solve(pool, whole, strict, device=on, step=count)
        rows[proven] = found[proven]
        count.reopen(int((~proven).sum()))
    if chosen != "compiled":
        logger.info("batch", extra={"by": chosen, "unproven": int((~proven).sum()), "scenarios": len(scores)})
    todo = np.flatnonzero(~proven)
    if len(todo):
        from models.lineups import batch_compiled

        rows[todo], proven[todo] = batch_compiled.solve(
            pool, whole if len(todo) == len(whole) else whole[todo], count
        )
    left = np.flatnonzero(~proven)
    unproven = _by_highs(pool, whole, left, rows, count)
    value = np.take_along_axis(whole, rows.astype(np.int64), axis=1).sum(axis=1) * (step or 1.0)
    return BatchResult(rows, value, unproven, len(left), chosen)


class Progress:
    """Counts settled scenarios; raises `Cancelled` when asked to stop."""

    def __init__(
        self, total: int, on_progress: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None
    ) -> None:
        self._total, self._done = total, 0
        self._on_progress, self._cancelled = on_progress, cancelled

    def __call__(self, settled: int) -> None:
        """Say that `settled` more scenarios are done."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled(f"cancelled after {self._done} of {self._total} scenarios")
        self._done += settled
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)

    def reopen(self, count: int) -> None:
        """Take back `count` scenarios that turned out unsettled."""
        self._done -= count

    def restart(self) -> None:
        """Take back all of them."""
        self._done = 0


def choose_backend(pool: Pool, device: Device, backend: Backend) -> tuple[str, str]:
    """(`compiled`, `torch` or `cuda`; the device torch is to use).

    `auto` takes the CUDA kernel where a GPU is asked for or there, torch where a GPU is asked for that numba cannot
    use, else the compiled search, which needs neither. Raises `InvalidInput` for what this machine or the pool cannot
    do, `GpuUnusable` for a cuda backend that cannot run.
    """
    if device not in {"auto", "cpu", "cuda"} or backend not in {"auto", "compiled", "torch", "cuda"}:
        raise InvalidInput(
            f"device {device!r}, backend {backend!r}: use auto, cpu or cuda; auto, compiled, torch or cuda"
        )
    if backend == "cuda" and device == "cpu":
        raise InvalidInput("backend 'cuda' needs a GPU but device is 'cpu'; use device auto or cuda")
    if backend == "compiled" or (
        backend == "auto" and (device == "cpu" or not (device == "cuda" or _has_driver()))
    ):
        return "compiled", "cpu"
    if backend == "cuda":
        _require_kernel(pool)
    elif backend == "torch" or not _has_kernel(pool):
        by_torch = backend == "torch" or device == "cuda"
        return _torch_or_compiled(pool, device, required=backend == "torch") if by_torch else ("compiled", "cpu")
    return "cuda", "cuda"


def _torch_or_compiled(pool: Pool, device: Device, *, required: bool) -> tuple[str, str]:
    from models.device import resolve_device
    from models.lineups import batch_torch

    if batch_torch.holds(pool):
        return "torch", str(resolve_device(device))
    if required:
        raise InvalidInput("backend 'torch' does not model this pool's rules; use backend 'auto' or 'compiled'")
    return "compiled", "cpu"


def _has_kernel(pool: Pool) -> bool:
    """Whether a real GPU can run the kernel for this pool; says in the log why not, unless it is the pool."""
    from models.lineups import batch_cuda

    if not batch_cuda.holds(pool) or batch_cuda.SIMULATED:
        return False
    reason = batch_cuda.why_not()
    if reason:
        logger.warning("a GPU is there or asked for, but no CUDA kernel", extra={"reason": reason})
    return reason is None


def _require_kernel(pool: Pool) -> None:
    from models.lineups import batch_cuda

    if not batch_cuda.holds(pool):
        raise InvalidInput("backend 'cuda' does not model this pool's rules; use backend 'auto' or 'compiled'")
    reason = batch_cuda.why_not()
    if reason:
        raise batch_cuda.GpuUnusable(f"backend 'cuda' cannot run: {reason}")


def _has_driver() -> bool:
    """Whether an NVIDIA driver is installed, asked of the system itself: numba's CUDA target takes longer to import."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _by_kernel(
    pool: Pool, whole: Floats, strict: float, rows: NDArray[np.int32], count: Progress, *, required: bool
) -> tuple[str, NDArray[np.bool_]]:
    """Solve with the CUDA kernel into `rows`: (who did it, proven (S,)); `compiled` and nothing proven where the GPU
    fails and is not `required`."""
    from models.lineups import batch_cuda

    try:
        found, proven = batch_cuda.solve(pool, whole, strict, step=count)
    except batch_cuda.GpuUnusable as error:
        if required:
            raise
        logger.warning("the GPU fails, the CPU takes over", extra={"reason": str(error)})
        count.restart()
        return "compiled", np.zeros(len(whole), dtype=np.bool_)
    rows[proven] = found[proven]
    count.reopen(int((~proven).sum()))
    return "cuda", proven


def grid_step(scores: NDArray[Any]) -> float:
    """The widest grid all scores lie on, 0 when none of `GRIDS` does."""
    few = scores[:4]
    for step in GRIDS:
        for part in (few, scores):
            units = part / step
            if np.abs(units - np.rint(units)).max(initial=0.0) > OFF_GRID:
                break
        else:
            return step
    return 0.0


def _by_highs(pool: Pool, whole: Floats, left: NDArray[np.int64], rows: NDArray[np.int32], count: Progress) -> int:
    """Solve scenarios `left` with HiGHS into `rows`; return how many it could not prove."""
    if not len(left):
        return 0
    from models.lineups.milp import RosterModel, seat

    unproven = 0
    for scenario in left.tolist():
        scored = replace(pool, score=whole[scenario], projection=whole[scenario])
        solved = RosterModel(scored).solve()
        if solved is None:
            raise no_lineup(pool)
        found = seat(pool, solved)
        rows[scenario] = found.rows
        unproven += found.bound - found.projection > PROVEN * max(1.0, abs(found.bound))
        count(1)
    if unproven:
        logger.warning("scenarios not proven optimal", extra={"unproven": unproven, "scenarios": len(whole)})
    return unproven


def no_lineup(pool: Pool) -> Infeasible:
    """What to raise when no scenario can have a lineup."""
    return Infeasible(
        f"no legal lineup exists among the {int((~pool.excluded).sum())} players allowed; relax the rules "
        "(`optimize` with the same rules names those that clash)"
    )
