"""The exact best lineup of every simulated slate: compiled search, torch on a CPU (and a GPU), CUDA kernel, HiGHS.

    python benchmarks/bench_batch.py [--data DIR] [--out FILE] [--slates real|synthetic|all] [--only TEXT]
        [--scenarios 10000] [--torch 1000] [--highs 20]

Score vectors are correlated scenarios of the slate (`models.lineups.scenarios`), the same for every path. CPU time is
the whole process's, all threads; wall time beside it. torch and HiGHS solve the first scenarios only; their optima must
equal ours to 1e-3 points, else the run ends with 1. HiGHS is given a warm model of the roster and only new scores.
The CUDA kernel solves them all, wall time being what counts; without a GPU the report says "not run: no CUDA device".
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import highspy
import numpy as np
from measure import machine, parser, write
from numpy.typing import NDArray
from slates import BenchSlate, real_slates, synthetic_slates

from models.lineups.batch import WHOLE_STRICT, BatchResult, grid_step, optimal_by_scenario, row_scores
from models.lineups.compile import compile_pool
from models.lineups.milp import RosterModel
from models.lineups.pool import Pool
from models.lineups.scenarios import outcomes_of_candidates, sample_scenarios

SEED = 7
TOLERANCE = 1e-3


def timed(work: Callable[[], Any], count: int) -> tuple[Any, dict[str, float]]:
    """What `work` returns; its CPU and wall seconds, and CPU microseconds per scenario."""
    cpu_0, wall_0 = time.process_time(), time.perf_counter()
    found = work()
    cpu, wall = time.process_time() - cpu_0, time.perf_counter() - wall_0
    return found, {
        "scenarios": count,
        "cpu_s": round(cpu, 4),
        "wall_s": round(wall, 4),
        "cpu_us_per_scenario": round(cpu / max(1, count) * 1e6, 1),
    }


def by_highs(pool: Pool, scores: NDArray[np.float32]) -> list[float]:
    """HiGHS on each score vector, one model re-solved with new costs."""
    model = RosterModel(pool)
    columns = np.arange(len(pool.mask), dtype=np.int32)
    found = []
    for score in scores.astype(np.float64):
        model._highs.changeColsCost(len(columns), columns, score)
        model._highs.run()
        if model._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            sys.exit("HiGHS did not finish a scenario")
        chosen = np.asarray(model._highs.getSolution().col_value)[: len(columns)] > 0.5
        found.append(float(score[chosen].sum()))
    return found


def check(name: str, ours: BatchResult, other: Any) -> float:
    """The largest difference from our optima; ends the run where it is one."""
    values = np.asarray(other.score if isinstance(other, BatchResult) else other)
    worst = float(np.abs(values - ours.score[: len(values)]).max(initial=0.0))
    if worst > TOLERANCE:
        sys.exit(f"{name}: optima differ by {worst} points")
    return worst


def by_kernel(name: str, pool: Pool, scores: NDArray[np.float32], ours: BatchResult) -> Any:
    """The CUDA kernel's figures for all scenarios, compiled and warm; what it left unproven the compiled search did."""
    from models.lineups import batch_cuda

    if not batch_cuda.holds(pool):
        return "not run: rules the kernel does not model"
    if batch_cuda.SIMULATED or batch_cuda.why_not():
        return "not run: no CUDA device"
    optimal_by_scenario(pool, scores[:300], backend="cuda")
    found, took = timed(lambda: optimal_by_scenario(pool, scores, backend="cuda"), len(scores))
    whole = np.ascontiguousarray(np.rint(scores / (grid_step(scores) or 1.0)), dtype=np.float64)
    (_, proven), alone = timed(lambda: batch_cuda.solve(pool, whole, WHOLE_STRICT), len(scores))
    return took | {
        "worst_difference": check(name, ours, found),
        "left_to_compiled": int((~proven).sum()),
        "kernel_wall_s": alone["wall_s"],
    }


def measure(slate: BenchSlate, scenarios: int, portable: int, oracle: int) -> dict[str, Any]:
    """All figures of one slate."""
    import torch

    # A file's average says nothing of floor and ceiling: the default spread stands in.
    players = [replace(c, floor=None, ceiling=None) for c in slate.candidates]
    pool = compile_pool(players, slate.contest, slate.rules(1))
    outcomes = outcomes_of_candidates(players, site=slate.contest.site, sport=slate.contest.sport)
    drawn, sampling = timed(lambda: sample_scenarios(outcomes, n=scenarios, seed=SEED), scenarios)
    scores = row_scores(pool, drawn)
    optimal_by_scenario(pool, scores[:2], device="cpu")  # loads the compiled search
    ours, compiled = timed(lambda: optimal_by_scenario(pool, scores, device="cpu"), scenarios)
    row: dict[str, Any] = {
        "contest": slate.contest.name, "players": len(players), "rows": len(pool.mask), "sample": sampling,
        "compiled": compiled | {"unproven": ours.unproven, "by_highs": ours.by_highs},
        "distinct_lineups": len(np.unique(np.sort(ours.rows, axis=1), axis=0)),
    }  # fmt: skip
    from models.lineups import batch_torch

    if batch_torch.holds(pool):
        for device in ("cpu", *(("cuda",) if torch.cuda.is_available() else ())):
            part = scores[: portable if device == "cpu" else scenarios]

            def work(part: NDArray[np.float32] = part, device: Any = device) -> BatchResult:
                return optimal_by_scenario(pool, part, device=device, backend="torch")

            work(part[:300])
            found, took = timed(work, len(part))
            row[f"torch_{device}"] = took | {"worst_difference": check(slate.name, ours, found)}
    row["cuda"] = by_kernel(slate.name, pool, scores, ours)
    values, took = timed(lambda: by_highs(pool, scores[:oracle]), oracle)
    took["worst_difference"] = check(slate.name, ours, values)
    took["ratio_to_compiled"] = round(took["cpu_us_per_scenario"] / compiled["cpu_us_per_scenario"], 1)
    row["highs"] = took
    return row


def main() -> None:
    """Measure every slate asked for and write the report."""
    asked = parser(__doc__, "batch.json")
    asked.add_argument("--slates", choices=("real", "synthetic", "all"), default="all")
    asked.add_argument("--only", default="", help="slates whose name holds this")
    asked.add_argument("--scenarios", type=int, default=10_000)
    asked.add_argument("--torch", type=int, default=1_000)
    asked.add_argument("--highs", type=int, default=20)
    args = asked.parse_args()
    slates = [] if args.slates == "synthetic" else list(real_slates(args.data))
    if args.slates != "real":
        slates += synthetic_slates()
    report = machine(["numba", "numpy", "torch", "highspy"]) | {"seed": SEED, "slates": {}}
    for slate in slates:
        if args.only in slate.name:
            row = measure(slate, args.scenarios, args.torch, args.highs)
            report["slates"][slate.name] = row
            print(slate.name, row["compiled"], row.get("torch_cpu"), row["cuda"], row["highs"], flush=True)
    write(report, args.out)


if __name__ == "__main__":
    main()
