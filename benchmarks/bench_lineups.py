"""Exact lineups against every other optimizer: same slates, same projections, same rules, one run, equal optima.

    python benchmarks/bench_lineups.py [--data DIR] [--out FILE] [--slates real|synthetic|all] [--only TEXT]
        [--peers PYTHON | --no-peers] [--budget 150] [--sizes 1,20,150] [--long TEXT]

Asked for: 1 lineup, and 20 and 150 distinct ones with nobody in more than half of them. Ours: CPU time of the one
solving thread, median and p99 over many repeats. "ours" is the whole request from player rows to lineups, every time
with projections not seen before; "ours_again" the same with a slate that was compiled before; "search" the exact
search alone on compiled arrays. The others run in their own virtual environment (`make bench-peers`): CPU time of the
whole process and its children, from their own player objects to the last lineup. A tool that does not end within
--budget wall seconds is reported as not run; nothing is extrapolated. --long names the slates for which the others
build 150 as well, which takes them minutes each.

Exits with 1 if an exact tool found another optimum than ours. With every tool and --budget 150 it takes about an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROOT, machine, parser, timed, write
from rivals import TOLERANCE, TOOLS, Lineups, compare, row_key, run_peer
from rivals import problem_of as peer_problem
from slates import BenchSlate, real_slates, synthetic_slates

from models.lineups.compile import compile_pool
from models.lineups.core import MAX_STEPS
from models.lineups.legality import check_rules
from models.lineups.milp import MilpSearch
from models.lineups.optimize import optimize, warm
from models.lineups.portfolio import Portfolio
from models.lineups.problem import LineupResult

PEERS = ROOT / ".venv-bench" / "bin" / "python"
MAX_EXPOSURE = 0.5
#: Repeats of ours and of a peer, by lineups asked for.
REPEATS = {1: (200, 5), 20: (50, 1), 150: (20, 1)}
#: From so many lineups on the others take minutes.
LONG = 100
SCENARIOS = 300
#: Log-normal spread of a scenario's projections.
NOISE = 0.25


def measure(
    slate: BenchSlate, sizes: list[int], peers: Path | None, budget_s: float, longest: int
) -> dict[str, Any]:
    """All figures of one slate; the others build up to `longest` lineups."""
    row: dict[str, Any] = {
        "players": len(slate.candidates),
        "contest": slate.contest.name,
        "search_1": search_only(slate, 0.0),
        "search_1_noisy": search_only(slate, NOISE),
        "requests": {},
    }
    for n in sizes:
        exposure = 1.0 if n == 1 else MAX_EXPOSURE
        row["requests"][str(n)] = measure_request(slate, n, exposure, peers if n <= longest else None, budget_s)
    return row


def measure_request(
    slate: BenchSlate, n: int, exposure: float, peers: Path | None, budget_s: float
) -> dict[str, Any]:
    """Ours, and every peer on the same request."""
    repeats, peer_repeats = REPEATS.get(n, (20, 1))
    rules = slate.rules(n, exposure)
    problem, keys = peer_problem(slate, n, exposure)
    result = optimize(slate.candidates, slate.contest, rules)
    if broken := check_rules(result.lineups, slate.candidates, slate.contest, rules):
        sys.exit(f"{slate.name}, {n} lineups: {broken[:3]}")
    lineups = keyed(result, slate)
    ours = timed(anew(slate, n, exposure, repeats), repeats) | {
        "total_projection": round(sum(lineup.projection for lineup in result.lineups), 4),
        "distinct": len(set(lineups)),
        "max_gap": round(max(lineup.gap for lineup in result.lineups), 9),
        "warnings": list(result.warnings),
    }
    again = timed(lambda: optimize(slate.candidates, slate.contest, rules), repeats)
    request: dict[str, Any] = {"max_exposure": exposure, "ours": ours, "ours_again": again, "peers": {}}
    request["highs_on_our_model"] = oracle(slate, n, exposure) if n == 1 else None
    for tool in TOOLS:
        if peers is None:
            break
        answer = run_peer(peers, tool, problem, repeats=peer_repeats, budget_s=budget_s)
        found = compare(tool, answer, lineups, problem, keys)
        if found["status"] == "done":
            found["ratio"] = round(found["cpu_ms_p50"] / ours["cpu_ms_p50"], 1)
        request["peers"][tool] = found
        print(f"    {n:3} {tool:20} {words(found)}", flush=True)
    return request


def keyed(result: LineupResult, slate: BenchSlate) -> Lineups:
    """Our lineups by row key."""
    times = {slot.name: slot.points_multiplier for slot in slate.contest.slots}
    return [frozenset(row_key(p.id, times[p.slot]) for p in lineup.players) for lineup in result.lineups]


def anew(slate: BenchSlate, n: int, exposure: float, repeats: int) -> Callable[[], LineupResult]:
    """Requests that all differ in one projection, by too little to change a lineup, so that nothing is remembered."""
    *others, last = sorted(slate.candidates, key=lambda c: -c.projection)
    lists = iter(
        [[*others, replace(last, projection=last.projection + at * 1e-10)] for at in range(1, repeats + 1)]
    )
    rules = slate.rules(n, exposure)
    return lambda: optimize(next(lists), slate.contest, rules)


def search_only(slate: BenchSlate, noise: float) -> dict[str, float]:
    """One exact lineup for each of many projections of the slate (log-normal around the file's), search call alone.

    Every call gets scratch of its own, so that none starts where the last one ended. `unproven` counts those that ran
    out of steps, which a request would hand to HiGHS.
    """
    from models.lineups.arrays import open_rows, problem_of, workspace
    from models.lineups.search import FOUND, best_of

    pool = compile_pool(slate.candidates, slate.contest, slate.rules(1))
    problem, allowed = problem_of(pool), open_rows(pool, ~pool.excluded)
    factors = np.random.default_rng(11).lognormal(0, noise, (SCENARIOS, len(slate.candidates)))[:, pool.source]
    scores, scratch = pool.score * factors, [workspace(problem) for _ in factors]
    statuses: list[int] = []

    def solve() -> None:
        at = len(statuses)
        statuses.append(best_of(problem, problem.upper, allowed, scores[at], MAX_STEPS, scratch[at])[0])

    return timed(solve, SCENARIOS) | {"unproven": sum(status != FOUND for status in statuses)}


def oracle(slate: BenchSlate, n: int, exposure: float) -> dict[str, float]:
    """HiGHS on the model that is our own fallback: needs no other environment, must give the same value."""
    rules = slate.rules(n, exposure)
    started = time.process_time()
    pool = compile_pool(slate.candidates, slate.contest, rules)
    found = MilpSearch(pool, 1)(Portfolio(pool, 1), 1)[0]
    cpu_ms = (time.process_time() - started) * 1e3
    best = optimize(slate.candidates, slate.contest, rules).lineups[0]
    return {"cpu_ms": round(cpu_ms, 2), "difference": round(abs(found.projection - best.projection), 9)}


def words(found: dict[str, Any]) -> str:
    """One peer's figures on a line."""
    if found["status"] != "done":
        return str(found["status"])
    return (
        f"{found['cpu_ms_p50'] / 1e3:9.3f} s CPU  {found['ratio']:10,.0f}x  "
        f"total {found['total_projection']:.2f}  {found['agreement']}"
    )


def spoken(timing: dict[str, float]) -> str:
    """Median and 99th percentile in words."""
    return f"p50 {timing['cpu_ms_p50']:.3f} ms, p99 {timing['cpu_ms_p99']:.3f} ms"


def quarrels(report: dict[str, Any]) -> Iterator[str]:
    """Every optimum that differs."""
    for name, slate in report["slates"].items():
        for n, request in slate["requests"].items():
            checked = request["highs_on_our_model"]
            if checked and checked["difference"] > TOLERANCE:
                yield f"{name}, {n} lineups: HiGHS on our model differs by {checked['difference']} points"
            for tool, found in request["peers"].items():
                if "better" in found.get("agreement", ""):
                    yield f"{name}, {n} lineups: {tool}: {found['agreement']} by {found['by_points']} points"


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, "lineups.json")
    made.add_argument("--slates", choices=("real", "synthetic", "all"), help="default: real where data is")
    made.add_argument("--only", default="", help="slates whose name holds this text")
    made.add_argument("--peers", type=Path, default=PEERS if PEERS.exists() else None, help="their Python")
    made.add_argument("--no-peers", action="store_const", const=None, dest="peers")
    made.add_argument("--budget", type=float, default=150.0, help="wall seconds per tool and request")
    made.add_argument("--sizes", default="1,20,150")
    made.add_argument("--long", default="", help="slates whose name holds this text: the others build 150 as well")
    return made.parse_args()


def chosen(args: argparse.Namespace) -> list[BenchSlate]:
    """The slates asked for."""
    real = [] if args.slates == "synthetic" else list(real_slates(args.data))
    made_up = args.slates in ("synthetic", "all") or (args.slates is None and not real)
    return [s for s in (*real, *(synthetic_slates() if made_up else ())) if args.only.lower() in s.name.lower()]


def main() -> None:
    """Measure, print a table, write JSON."""
    args = options()
    started = time.process_time()
    warm()
    report = machine(("numba", "numpy", "highspy"))
    report |= {"warm_cpu_s": round(time.process_time() - started, 2), "budget_s": args.budget, "slates": {}}
    for slate in chosen(args):
        print(f"{slate.name}: {len(slate.candidates)} players", flush=True)
        sizes = [int(n) for n in args.sizes.split(",")]
        longest = max(sizes) if args.long.lower() in slate.name.lower() else LONG - 1
        row = measure(slate, sizes, args.peers, args.budget, longest)
        report["slates"][slate.name] = row
        for n, request in row["requests"].items():
            ours = request["ours"]
            print(f"    {n:>3} ours: {spoken(ours)}; slate known: {spoken(request['ours_again'])}; "
                  f"total {ours['total_projection']:.2f}")  # fmt: skip
        print(f"    search alone: {spoken(row['search_1'])}; noisy: {spoken(row['search_1_noisy'])}")
        write(report, args.out)
    found = list(quarrels(report))
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
