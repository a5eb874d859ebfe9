"""Contest simulation: exact payouts, speed against plain sorting, the field, the choice of entries, ownership.

    python benchmarks/bench_contests.py [--out benchmarks/results/contests.json] [--scenarios 10000] [--field 10000]
        [--candidates 5000] [--worlds 4] [--data DIR] [--ownership]
        [--sections payouts world ownership]

payouts: the same contest by our kernel and by a plain simulation (matrix product, sort, two binary searches a score;
numpy and torch), equal prizes required. world: 150 entries chosen by simulation against the 150 of best projection,
judged out of sample where the truth is not what was chosen on (`True world`). ownership: the model fitted to real
contests, each judged by weights fitted to the others (needs `--data`). `--sections` measures these anew and keeps the
rest of the file at `--out`, with the time each was taken. In `world`, "believed" is what the simulation expects of its
own entries and of the best projections where its own beliefs are the truth, on scenarios it did not choose by. Times
are wall and CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.contests import Contest, load_contest
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.payouts import Payouts, preset_payouts
from features.sources.player_names import normalize_name
from features.sources.projections_file import read_projections
from features.sources.salaries import read_salaries
from features.sources.standings import read_standings
from models.lineups.batch import optimal_by_scenario, row_scores
from models.lineups.compile import compile_pool, compile_slate
from models.lineups.draft import candidates
from models.lineups.pool import Pool
from models.lineups.rules import LineupRules
from models.lineups.scenarios import outcomes_of, sample_scenarios
from models.lineups.simulation.contest_run import simulate_contest
from models.lineups.simulation.field import Field, sample_field
from models.lineups.simulation.payoff import ScoreGrid, play_alone, play_together, score_grid
from models.lineups.simulation.proposals import projection_only, rows_of
from models.lineups.simulation.request import SimulationRequest
from models.lineups.simulation.result import portfolio_figures
from models.ownership.fit import Example, fit_weights, judge, leave_one_out
from models.ownership.model import project_ownership
from models.projection.slate import AVERAGE_SD_BASE, AVERAGE_SD_SHARE, SlateProjections, project_slate

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("FANTASY_DATA", ROOT.parent / "shared" / "data"))
ENTRIES = 150
SECTIONS = ("payouts", "world", "ownership")
#: Standard deviation of an opponent's own log-normal error about the crowd's beliefs, uniform between these.
SKILL = (0.05, 0.25)


# --- the made-up slate and its true world ---


@dataclass(frozen=True)
class World:
    """A slate, what is projected of it, and what is true: scenarios nobody chose on, against a field of its own.

    True means follow salary with a log-normal spread (sd .14). We and the crowd each see them with an error (log sd
    .10, crowd .08) and project the posterior mean, as a calibrated model does. Points are gamma variables around the
    true mean (spread as of real season means) with a shock per team (sd .05) and one per game (sd .07) multiplied in,
    where the simulation believes in a Gaussian copula of its own marginals; one in 40 does not play at all. Every
    opponent plays the exact best lineup of the crowd's projections times an error of his own (log-normal, sd uniform
    .05 to .25: ownership as top-heavy as in a real seven-game contest); the simulation knows nothing of that and
    projects the field by the ownership model.
    """

    slate: Slate
    projections: SlateProjections
    truth: NDArray[np.float32]
    crowd: NDArray[np.float64]


def made_up(seed: int, scenarios: int, players: int = 280) -> World:
    """World number `seed`: 18 teams, nine games, DraftKings NBA salaries."""
    rng = np.random.default_rng(seed)
    contest = load_contest("draftkings")
    assert contest.salary_cap_usd is not None
    mean_usd = contest.salary_cap_usd / contest.lineup_size
    scale = 0.48 + rng.exponential(1 / 2.2, players)
    salary = np.round(mean_usd * np.minimum(scale, 1.9) / 100).astype(int) * 100
    usual = salary / mean_usd * 29
    spread = rng.normal(0, 0.14, players)
    true_mean = usual * np.exp(spread)
    mean, crowd = (np.round(usual * np.exp(posterior(spread, sd, rng)), 2) for sd in (0.10, 0.08))
    team = np.arange(players) % 18
    names = ("PG", "SG", "SF", "PF", "C")
    rows = []
    for i in range(players):
        second = names[int(rng.integers(4))] if rng.random() < 0.4 else names[i % 5]
        positions = tuple(dict.fromkeys((names[i % 5], second)))
        other = int(team[i]) ^ 1
        rows.append(
            SlatePlayer(
                f"{i}", f"Player {i}", positions, int(salary[i]), f"T{team[i]:02d}", f"T{other:02d}", team[i] % 2 == 1,
                float(mean[i]),
            )
        )  # fmt: skip
    games = tuple(SlateGame(f"T{g:02d}", f"T{g + 1:02d}", None) for g in range(0, 18, 2))
    lock = datetime(2026, 11, 1, 23, tzinfo=UTC)
    slate = Slate(f"made-up-{seed}", "draftkings", "nba", "classic", lock, games, tuple(rows), "simulated")
    projections = project_slate(slate, None, {}, pl.DataFrame())
    frame = projections.frame.with_columns(basis=pl.lit("user"))
    shock = rng.gamma(400, 1 / 400, (scenarios, 18)) * np.repeat(
        rng.gamma(200, 1 / 200, (scenarios, 9)), 2, axis=1
    )
    shape = (true_mean / (AVERAGE_SD_BASE + AVERAGE_SD_SHARE * true_mean)) ** 2
    points = rng.gamma(shape, true_mean / shape, (scenarios, players)) * shock[:, team]
    points[rng.random((scenarios, players)) < 1 / 40] = 0
    truth = (np.round(points * 4) / 4).astype(np.float32)
    return World(slate, replace(projections, frame=frame, warnings=()), truth, crowd)


def posterior(spread: NDArray[np.float64], sd: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Log of what somebody projects over the usual who sees `spread` (prior sd .14) with an error of sd `sd`."""
    seen = spread + rng.normal(0, sd, len(spread))
    share = 0.14**2 / (0.14**2 + sd**2)
    return share * seen + (1 - share) * 0.14**2 / 2


def true_field(world: World, pool: Pool, opponents: int, seed: int) -> Field:
    """Every opponent plays the best lineup of beliefs of his own, sharp ones near the crowd's and others far off."""
    rng = np.random.default_rng((seed, 1))
    crowd = world.crowd[[int(pool.candidates[i].id) for i in pool.source]]
    off = rng.uniform(*SKILL, (opponents, 1))
    beliefs = crowd * np.exp(off * rng.standard_normal((opponents, len(crowd))))
    rows = optimal_by_scenario(pool, beliefs.astype(np.float32)).rows
    return Field(np.ascontiguousarray(rows, dtype=np.int32), np.ones(len(rows), dtype=np.int64))


def play_world(seed: int, scenarios: int, field_size: int, proposals: int, objective: str) -> dict[str, Any]:
    """Choose 150 entries by simulation and by projection, then play both in the true world."""
    contest, rules = load_contest("draftkings"), LineupRules(max_exposure=0.5)
    world = made_up(seed, scenarios)
    payouts = preset_payouts("gpp", field_size=field_size, entry_fee_usd=20.0)
    wanted = SimulationRequest(
        entries=ENTRIES, scenarios=scenarios, field_size=field_size, candidates=proposals, payouts=payouts, seed=seed,
        objective=objective,  # type: ignore[arg-type]
    )  # fmt: skip
    result = simulate_contest(world.slate, world.projections, contest, rules, wanted)
    players = candidates(world.slate, world.projections.frame, contest)
    slate = compile_slate(players, contest)
    pool = compile_pool(slate, contest, LineupRules())
    truth = score_grid(world.truth[:, [int(pool.candidates[i].id) for i in pool.source]], 0.25, pool.size)
    opponents = true_field(world, pool, field_size - ENTRIES, seed + 1_000)
    plain = projection_only(slate, contest, replace(rules, n=ENTRIES), ENTRIES)
    played = {
        name: portfolio_figures(play_together(truth, opponents, rows_of(pool, lineups), payouts), 20.0)
        for name, lineups in (("simulation", result.lineups), ("projection", plain))
    }
    believed = {"believed": result.portfolio, "believed_projection": result.baseline}
    return {**played, **believed, "timings_ms": result.timings_ms, "warnings": result.warnings}


def worlds(count: int, scenarios: int, field_size: int, proposals: int, objective: str) -> dict[str, Any]:
    """Means over worlds, and the ratio of the chances of any first place."""
    played = [play_world(seed, scenarios, field_size, proposals, objective) for seed in range(1, count + 1)]
    figures = {
        side: {
            name: round(float(np.mean([one[side][name] for one in played])), 5)
            for name in ("roi", "p_profit", "p_any_first", "p_any_top10", "cash")
        }
        for side in ("simulation", "projection", "believed", "believed_projection")
    }
    first, expected = (
        [(one[ours]["p_any_first"], one[plain]["p_any_first"]) for one in played]
        for ours, plain in (("simulation", "projection"), ("believed", "believed_projection"))
    )
    return {
        "world": World.__doc__,
        "objective": objective,
        "worlds": count,
        "scenarios": scenarios,
        "field_size": field_size,
        "candidates": proposals,
        **figures,
        "p_any_first_ratio": ratio(first),
        "p_any_first_ratio_believed": ratio(expected),
        "p_any_first_by_world": [[round(a, 5), round(b, 5)] for a, b in first],
        "worlds_won": sum(a > b for a, b in first),
        "timings_ms": {k: round(v, 1) for k, v in played[-1]["timings_ms"].items()},
        "warnings": list(played[-1]["warnings"]),
    }


def ratio(pairs: list[tuple[float, float]]) -> float:
    """How much larger the first of the pairs are, all added up."""
    return round(sum(a for a, _ in pairs) / max(sum(b for _, b in pairs), 1e-9), 3)


# --- exact payouts and speed ---


def timed(work: Callable[[], Any], repeats: int = 3) -> tuple[Any, dict[str, float]]:
    """The result, and the median wall and CPU milliseconds of repeated calls after one warm-up."""
    result, wall, cpu = work(), [], []
    for _ in range(repeats):
        wall_0, cpu_0 = time.perf_counter(), time.process_time()
        result = work()
        wall.append((time.perf_counter() - wall_0) * 1e3)
        cpu.append((time.process_time() - cpu_0) * 1e3)
    return result, {"wall_ms": round(float(np.median(wall)), 1), "cpu_ms": round(float(np.median(cpu)), 1)}


def by_sorting(grid: ScoreGrid, field: Field, mine: NDArray[np.int32], payouts: Payouts, torch_too: bool) -> Any:
    """Mean prize per lineup by matrix product, sort and two binary searches, scenario by scenario block."""
    paid = payouts.cumulative_usd(field.entries + 1)
    points = grid.points.astype(np.float32)
    opponents = np.repeat(field.rows, field.count, axis=0)
    theirs, ours = (np.zeros((len(rows), len(points)), np.float32) for rows in (opponents, mine))
    for rows, held in ((opponents, theirs), (mine, ours)):
        np.put_along_axis(held, rows.astype(np.int64), 1.0, axis=1)
    total = np.zeros(len(mine))
    for first in range(0, grid.scenarios, 256):
        block = np.ascontiguousarray(points[:, first : first + 256])
        if torch_too:
            import torch

            a = torch.sort((torch.from_numpy(theirs) @ torch.from_numpy(block)).T.contiguous(), dim=1).values
            b = (torch.from_numpy(ours) @ torch.from_numpy(block)).T.contiguous()
            below, upto = (torch.searchsorted(a, b, right=right).numpy() for right in (False, True))
        else:
            a, b = np.sort((theirs @ block).T, axis=1), (ours @ block).T
            below = np.array([np.searchsorted(x, y, side="left") for x, y in zip(a, b, strict=True)])
            upto = np.array([np.searchsorted(x, y, side="right") for x, y in zip(a, b, strict=True)])
        better, tied = field.entries - upto, upto - below + 1
        total += ((paid[better + tied] - paid[better]) / tied).sum(axis=0)
    return total / grid.scenarios


def payouts_and_speed(scenarios: int, field_size: int, proposals: int) -> dict[str, Any]:
    """One contest by kernel, numpy and torch on the made-up slate: equal mean prizes and the times."""
    contest = load_contest("draftkings")
    world = made_up(1, scenarios)
    pool = compile_pool(candidates(world.slate, world.projections.frame, contest), contest, LineupRules())
    drawn = sample_scenarios(outcomes_of(world.slate, world.projections.frame), n=scenarios, seed=1)
    scores = row_scores(pool, drawn)
    grid = score_grid(scores, drawn.step, pool.size)
    ownership = project_ownership(pool.candidates, contest, basis="informed")

    def optima(beliefs: NDArray[np.float32]) -> NDArray[np.int32]:
        return optimal_by_scenario(pool, beliefs).rows

    (field, notes), field_ms = timed(lambda: sample_field(pool, ownership, field_size, optima=optima))
    (_, _), drawn_ms = timed(lambda: sample_field(pool, ownership, field_size))
    best = optimal_by_scenario(pool, scores[:proposals])
    payouts = preset_payouts("gpp", field_size=field_size)
    ours, kernel_ms = timed(lambda: play_alone(grid, field, best.rows, payouts))
    _, kept_ms = timed(lambda: play_alone(grid, field, best.rows, payouts, keep_prizes=True), 1)
    peers = {}
    for name, torch_too in (("numpy", False), ("torch", True)):
        theirs, took = timed(lambda torch_too=torch_too: by_sorting(grid, field, best.rows, payouts, torch_too), 1)
        worst = float(np.abs(theirs - ours.mean_usd).max())
        if worst > 1e-4 * max(float(theirs.max()), 1.0):
            raise SystemExit(f"mean prizes differ by ${worst}")
        peers[name] = {
            **took,
            "cpu_ratio": round(took["cpu_ms"] / kernel_ms["cpu_ms"], 1),
            "largest_difference_usd": worst,
        }
    missed = np.abs(field.ownership(pool) - ownership)[np.argsort(-ownership)] * 100
    return {
        "scenarios": scenarios, "field": field.entries, "candidates": len(best.rows),
        "kernel": kernel_ms, "kernel_keeping_every_prize": kept_ms, "sorting": peers,
        "field_sampling": {"mixed": field_ms, "drawn_only": drawn_ms, "warnings": list(notes)},
        "field_ownership_error_points": {
            "top20_mean": round(float(missed[:20].mean()), 3), "top20_max": round(float(missed[:20].max()), 3),
            "top50_mean": round(float(missed[:50].mean()), 3),
        },
        "field_unique_share": round(field.unique_share, 3),
    }  # fmt: skip


# --- ownership against real contests ---


def real_contests(data: Path) -> dict[str, list[Example]]:
    """Final DraftKings NBA contests with their slates: by season averages and by a third party's numbers, if any."""
    manifest = pl.read_csv(data / "dfs" / "manifest.csv", infer_schema=False)
    finals = manifest.filter(kind="contest_final", site="draftkings", sport="nba", slate_cov="1.0").sort("date")
    contest = load_contest("draftkings")
    found: dict[str, list[Example]] = {"averages": [], "informed": []}
    for day, file, slate_file in finals.select("date", "file", "slate_file").iter_rows():
        slate = read_salaries(data / "dfs" / slate_file)
        site_ids = {normalize_name(p.name): p.site_id for p in slate.players}
        drafted: dict[str, float] = {}
        for name, share in read_standings(data / "dfs" / file).players.select("name", "drafted").iter_rows():
            site_id = site_ids.get(normalize_name(name))
            if site_id is not None:
                drafted[site_id] = drafted.get(site_id, 0.0) + share
        third = data / "dfs" / "draftkings" / "nba" / "projections" / f"{day}_third_party.csv"
        for basis, examples in found.items():
            if basis == "averages":
                numbers = {p.site_id: p.average_points for p in slate.players}
            elif third.is_file():
                numbers = read_projections(third, slate)
            else:
                continue
            examples.append(_example(day, slate, numbers, drafted, contest))
    return found


def _example(
    day: str, slate: Slate, numbers: dict[str, float], drafted: dict[str, float], contest: Contest
) -> Example:
    projections = project_slate(slate, None, {}, pl.DataFrame()).frame
    mean = pl.col("site_id").replace_strict(numbers, default=0.0, return_dtype=pl.Float64).clip(0)
    spread = AVERAGE_SD_BASE + AVERAGE_SD_SHARE * mean
    frame = projections.with_columns(
        mean=mean, q10=(mean - 1.2816 * spread).clip(0), q50=mean, q90=mean + 1.2816 * spread, p_play=pl.lit(1.0)
    )
    players = tuple(candidates(slate, frame, contest))
    pool = compile_pool(players, contest, LineupRules())
    scores = row_scores(pool, sample_scenarios(outcomes_of(slate, frame), n=1_000, seed=1))
    share = optimal_by_scenario(pool, scores).optimal_share(pool)
    return Example(day, players, contest, np.array([drafted.get(c.id, 0.0) for c in players]), share)


def ownership(data: Path) -> dict[str, Any]:
    """Fitted weights and leave-one-contest-out errors, in points, beside plain baselines."""
    result: dict[str, Any] = {}
    for basis, examples in real_contests(data).items():
        for name, chosen in (
            (basis, examples), (f"{basis}_value_only", [replace(e, optimal_share=None) for e in examples]),
        ):  # fmt: skip
            judged = leave_one_out(chosen)
            weights = fit_weights(chosen)
            alone = [judge(e, e.optimal_share) for e in examples if e.optimal_share is not None]
            result[name] = {
                "contests": len(chosen), "days": [e.day for e in chosen], "players": sum(j.n for j in judged),
                "weights": {"value": weights.value, "optimal": weights.optimal, "points": weights.points},
                "mae_points": round(100 * float(np.mean([j.error for j in judged])), 2),
                "top20_mae_points": round(100 * float(np.mean([j.top_error for j in judged])), 2),
                "optimal_share_alone_mae_points": round(100 * float(np.mean([j.error for j in alone])), 2),
                "optimal_share_alone_top20": round(100 * float(np.mean([j.top_error for j in alone])), 2),
            }  # fmt: skip
    return result


def main() -> None:
    """Run all sections and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "contests.json")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--scenarios", type=int, default=10_000)
    parser.add_argument("--field", type=int, default=10_000)
    parser.add_argument("--candidates", type=int, default=5_000)
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument(
        "--ownership", action="store_true", help="fit and judge the ownership model only, and print it"
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    wanted = parser.parse_args()
    if wanted.ownership:
        print(json.dumps(ownership(wanted.data), indent=1))
        return
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "payouts": lambda: payouts_and_speed(wanted.scenarios, wanted.field, wanted.candidates),
        "world": lambda: {
            objective: worlds(wanted.worlds, wanted.scenarios, wanted.field, wanted.candidates, objective)
            for objective in ("log_utility", "win")
        },
        "ownership": lambda: ownership(wanted.data),
    }
    if not (wanted.data / "dfs" / "manifest.csv").is_file():
        del work["ownership"]
    kept = set(wanted.sections) != set(SECTIONS)
    result: dict[str, Any] = json.loads(wanted.out.read_text(encoding="utf-8")) if kept else {"section_taken": {}}
    result["hardware"] = {
        "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()
    }  # fmt: skip
    taken = {name: result["taken"] for name in SECTIONS if name in result} if "taken" in result else {}
    taken |= result.get("section_taken", {})
    for name in wanted.sections:
        if name in work:
            result[name] = work[name]()
            taken[name] = datetime.now(UTC).isoformat(timespec="seconds")
    result |= {"taken": max(taken.values()), "section_taken": taken}
    wanted.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
