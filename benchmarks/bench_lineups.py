"""Exact lineups: the compiled core against HiGHS direct, same slates, same projections, one run, equal optima.

    python benchmarks/bench_lineups.py [--data DIR] [--out benchmarks/results/lineups.json] [--highs-lineups 5]

Times are CPU time of the one solving thread (`time.thread_time`) unless named wall: a shared machine stretches wall
time, not CPU time. "optimize" is the whole request from player rows to lineups; "search" is the compiled call alone.
HiGHS re-solves one warm model with a no-good cut per lineup, as the optimizers players use do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from features.contests import Contest, load_contest
from features.sources.salaries import read_salaries
from models.lineups.compile import compile_pool
from models.lineups.core import ExactSearch
from models.lineups.draft import game_key
from models.lineups.milp import MilpSearch
from models.lineups.optimize import optimize, warm
from models.lineups.portfolio import Portfolio, Solved
from models.lineups.problem import Candidate, LineupRules

ROOT = Path(__file__).resolve().parent.parent
REAL = {
    "dk_nba 2024-12-15 (6 games)": ("draftkings", "draftkings/nba/salaries/2024-12-15_classic_6g_d762ae.csv"),
    "dk_nba 2024-10-23 (10 games)": ("draftkings", "draftkings/nba/salaries/2024-10-23_classic_10g_b53188.csv"),
    "fd_nba 2026-01-08 (4 games)": ("fanduel", "fanduel/nba/salaries/c2026-01-08_4g_211529.csv"),
    "fd_nba 2026-01-01 (4 games)": ("fanduel", "fanduel/nba/salaries/c2026-01-01_4g_38eb3a.csv"),
}


def synthetic(site: str, players: int, seed: int) -> list[Candidate]:
    """A made-up NBA slate of nine games on the site's salary scale, 40 % of players with two positions."""
    rng = random.Random(seed)
    contest = load_contest(site)
    mean_usd, step = contest.salary_cap_usd / contest.lineup_size, contest.salary_step_usd
    pool = []
    for row in range(players):
        first = ("PG", "SG", "SF", "PF", "C")[row % 5]
        second = rng.choice(("PG", "SG", "SF", "PF")) if rng.random() < 0.4 else first
        salary = round(mean_usd * min(1.9, 0.48 + rng.expovariate(2.2)) / step) * step
        points = round(salary / mean_usd * 32 * rng.lognormvariate(-0.03, 0.22), 2)
        team = row % 18
        positions = tuple(dict.fromkeys((first, second)))
        pool.append(Candidate(f"{row}", f"Player {row}", positions, f"T{team}", f"G{team // 2}", salary, points))
    return pool


def real(site: str, path: Path) -> list[Candidate]:
    """Players of a real salary file, projected by the file's own average points."""
    slate = read_salaries(path)
    return [
        Candidate(p.site_id, p.name, p.positions, p.team, game_key(p), p.salary_usd, p.average_points)
        for p in slate.players
        if p.average_points > 0 and p.injury_status != "O"
    ]


def slates(data: Path) -> dict[str, tuple[str, list[Candidate]]]:
    """Every slate this machine can offer."""
    found = {f"{site} synthetic": (site, synthetic(site, 280, 7)) for site in ("draftkings", "fanduel", "yahoo")}
    for name, (site, path) in REAL.items():
        if (data / "dfs" / path).is_file():
            found[name] = (site, real(site, data / "dfs" / path))
    return found


def timed(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """CPU and wall milliseconds of repeated calls."""
    cpu, wall = [], []
    for _ in range(repeats):
        cpu_0, wall_0 = time.thread_time(), time.perf_counter()
        work()
        cpu.append((time.thread_time() - cpu_0) * 1e3)
        wall.append((time.perf_counter() - wall_0) * 1e3)
    return {
        "cpu_ms_p50": round(float(np.median(cpu)), 4),
        "cpu_ms_p99": round(float(np.quantile(cpu, 0.99)), 4),
        "wall_ms_p50": round(float(np.median(wall)), 4),
        "wall_ms_p99": round(float(np.quantile(wall, 0.99)), 4),
        "repeats": repeats,
    }


def search_only(pool: list[Candidate], contest: Contest, seed: int, scenarios: int) -> dict[str, float]:
    """One exact lineup for each of many noisy projections of the slate (25 % log-normal), search call alone."""
    rng = np.random.default_rng(seed)
    arrays = compile_pool(pool, contest, LineupRules())
    noisy = [
        ExactSearch(replace(arrays, projection=arrays.projection * rng.lognormal(0, 0.25, len(pool))), 1)
        for _ in range(scenarios)
    ]
    empty, queue = Portfolio(arrays, 1), iter(noisy)
    return timed(lambda: next(queue)(empty, 1), scenarios)


def highs(pool: list[Candidate], contest: Contest, rules: LineupRules) -> dict[str, Any]:
    """HiGHS alone on each rank of our portfolio, given our earlier lineups: a tie at one rank may lead to different
    players, and so to other values further down, without either being wrong."""
    lineups = optimize(pool, contest, rules).lineups
    row_of = {c.id: row for row, c in enumerate(pool)}
    started = time.process_time()
    arrays = compile_pool(pool, contest, rules)
    portfolio, search = Portfolio(arrays, rules.min_unique), MilpSearch(arrays, rules.min_unique)
    worst = 0.0
    for lineup in lineups:
        worst = max(worst, abs(search(portfolio, 1)[0].projection - lineup.projection))
        rows = tuple(row_of[p.id] for p in lineup.players)
        if not portfolio.accept(Solved(rows, lineup.projection, lineup.bound)):
            raise SystemExit(f"a lineup broke its own rules: {lineup}")
    cpu_ms = (time.process_time() - started) * 1e3
    mine = timed(lambda: optimize(pool, contest, rules), 20)["cpu_ms_p50"]
    if worst > 1e-4:
        raise SystemExit(f"optima differ by {worst} points")
    ratio = round(cpu_ms / mine, 1)
    return {"cpu_ms": round(cpu_ms, 2), "ours_cpu_ms": mine, "ratio": ratio, "largest_difference": round(worst, 9)}


def measure(site: str, pool: list[Candidate], highs_lineups: int) -> dict[str, Any]:
    """All figures of one slate."""
    contest = load_contest(site)
    row: dict[str, Any] = {"players": len(pool), "contest": contest.name}
    for label, rules, repeats in (
        ("optimize_1", LineupRules(), 200),
        ("optimize_20_at_50", LineupRules(n=20, max_exposure=0.5), 20),
        ("optimize_150_at_50", LineupRules(n=150, max_exposure=0.5), 7),
        ("optimize_150", LineupRules(n=150), 7),
    ):
        result = optimize(pool, contest, rules)
        row[label] = timed(lambda rules=rules: optimize(pool, contest, rules), repeats)
        row[label]["total_projection"] = round(sum(x.projection for x in result.lineups), 4)
        row[label]["distinct"] = len({frozenset(p.id for p in x.players) for x in result.lineups})
        row[label]["max_gap"] = max(x.gap for x in result.lineups)
    row["search_1_noisy"] = search_only(pool, contest, 11, 300)
    for n in (1, highs_lineups):
        row[f"highs_{n}"] = highs(pool, contest, LineupRules(n=n, max_exposure=0.5))
    return row


def hardware() -> dict[str, Any]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return {"cpu": model, "cores": os.cpu_count(), "load_1min": os.getloadavg()[0], "machine": platform.platform()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("FANTASY_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "lineups.json")
    parser.add_argument("--highs-lineups", type=int, default=5)
    args = parser.parse_args()
    started = time.process_time()
    warm()
    report: dict[str, Any] = {
        "hardware": hardware(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numba", "numpy", "highspy")},
        "warm_cpu_s": round(time.process_time() - started, 2),
        "slates": {},
    }
    for name, (site, pool) in slates(args.data).items():
        row = report["slates"][name] = measure(site, pool, args.highs_lineups)
        print(
            f"{name:32} {row['players']:4} players  1: {row['optimize_1']['cpu_ms_p50']:.3f} ms "
            f"(p99 {row['optimize_1']['cpu_ms_p99']:.3f})  20@50%: {row['optimize_20_at_50']['cpu_ms_p50']:.2f}  "
            f"150@50%: {row['optimize_150_at_50']['cpu_ms_p50']:.1f}  search p50/p99 "
            f"{row['search_1_noisy']['cpu_ms_p50']:.3f}/{row['search_1_noisy']['cpu_ms_p99']:.3f}  "
            f"HiGHS 1: {row['highs_1']['cpu_ms']:.0f} ms ({row['highs_1']['ratio']}x), "
            f"{args.highs_lineups}: {row[f'highs_{args.highs_lineups}']['cpu_ms']:.0f} ms "
            f"({row[f'highs_{args.highs_lineups}']['ratio']}x)",
            flush=True,
        )
    report["hardware"]["load_1min_end"] = os.getloadavg()[0]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
