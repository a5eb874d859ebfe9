"""The CUDA kernel: simulated on tiny slates against an independent oracle, compiled for a CPU on real-sized ones
against the compiled search, and on a GPU where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.contests import load_contest
from features.errors import InvalidInput
from features.sources.salaries import OUT_STATUSES, read_salaries
from models.lineups import batch, batch_cuda, batch_torch
from models.lineups.batch import grid_step, optimal_by_scenario, row_scores
from models.lineups.compile import compile_pool
from models.lineups.cuda_layout import CODE, GAME_AT, MASK_AT, PERSON, SIDE_AT, TEAM_AT, slate_of
from models.lineups.cuda_prices import hint_of
from models.lineups.draft import candidates
from models.lineups.pool import Pool
from models.lineups.rules import LineupRules, TeamStack
from models.lineups.scenarios import outcomes_of_candidates, sample_scenarios
from tests.unit.models import cuda_cases
from tests.unit.models.test_batch import CASES, assert_legal, case, simulated

SIMULATED = (*(each.name for each in cuda_cases.cases()), "too few steps")


@pytest.fixture(scope="module")
def simulation(repository: Path) -> dict[str, Any]:
    """What the kernel found in the simulator, which must be switched on before numba is imported."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.models.cuda_cases"],
        cwd=repository,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", SIMULATED)
def test_the_simulated_kernel_agrees_with_the_independent_oracle(simulation: dict[str, Any], name: str) -> None:
    found = simulation[name]
    for score, wanted in zip(found["score"], found["wanted"], strict=True):
        assert (score is None) == (wanted is None)
        assert score is None or score == pytest.approx(wanted, abs=1e-6)
    if found["rows"]:
        assert found["backend"] == "cuda"
        known = {each.name: each for each in cuda_cases.cases()}[name if name in SIMULATED[:-1] else "draftkings"]
        assert_legal(compile_pool(known.players, known.contest, LineupRules()), np.array(found["rows"]))


def test_the_simulated_kernel_proves_what_it_has_steps_for(simulation: dict[str, Any]) -> None:
    feasible = [found for name, found in simulation.items() if found["rows"] and name != "too few steps"]
    assert len(feasible) >= 8
    assert np.mean([np.mean(found["proven"]) for found in feasible]) > 0.9
    assert not any(simulation["too few steps"]["proven"])


def real_slate(data: Path) -> tuple[Pool, Any]:
    """A DraftKings NBA slate and 200 correlated scenarios of it."""
    contest = load_contest("draftkings")
    file = data / "dfs" / "draftkings" / "nba" / "salaries" / "2024-10-23_classic_10g_b53188.csv"
    slate = read_salaries(file, sport="nba")
    means = [0.0 if p.injury_status in OUT_STATUSES else p.average_points for p in slate.players]
    numbers = pl.DataFrame(
        {"site_id": [p.site_id for p in slate.players], "mean": means, "q10": means, "q90": means},
        schema={"site_id": pl.String, "mean": pl.Float64, "q10": pl.Float64, "q90": pl.Float64},
    )
    # A file's average says nothing of floor and ceiling: the default spread stands in.
    players = [replace(c, floor=None, ceiling=None) for c in candidates(slate, numbers, contest)]
    pool = compile_pool(players, contest, LineupRules())
    outcomes = outcomes_of_candidates(players, site="draftkings", sport="nba")
    return pool, row_scores(pool, sample_scenarios(outcomes, n=200, seed=7))


def assert_same_optima(pool: Pool, scores: Any, least_proven: float) -> None:
    """The kernel's functions, compiled for a CPU, find the compiled search's optima; lanes only share out the work."""
    step = grid_step(scores)
    whole = np.ascontiguousarray(np.rint(scores / step) if step else scores, dtype=np.float64)
    strict = 0.5 if step else 1e-9 * np.abs(whole).max() * pool.size
    best = optimal_by_scenario(pool, scores, device="cpu", backend="compiled").score
    for lanes in (32, 5):
        rows, proven = batch_cuda.solve(pool, whole, strict, on="cpu", lanes=lanes)
        assert proven.mean() >= least_proven
        assert (rows[~proven] == -1).all()
        assert_legal(pool, rows[proven])
        value = np.take_along_axis(whole, rows.astype(np.int64), 1).sum(1) * (step or 1.0)
        assert value[proven] == pytest.approx(best[proven], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_compiled_for_a_cpu_agrees_with_the_compiled_search(name: str) -> None:
    pool, scores = simulated(name, 100)
    assert_same_optima(pool, scores, 0.95)


@pytest.mark.slow
def test_scores_off_any_grid_and_below_zero_are_solved_too() -> None:
    pool, _ = simulated("draftkings", 1)
    scores = pool.projection + np.random.default_rng(3).normal(0, 12, (20, len(pool.mask)))
    assert grid_step(scores) == 0
    assert_same_optima(pool, scores, 0.95)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_kernel_compiled_for_a_cpu_agrees_on_a_real_slate(fantasy_data: Path) -> None:
    pool, scores = real_slate(fantasy_data)
    assert len(pool.mask) > 250
    assert_same_optima(pool, scores, 0.95)


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_compiled_search() -> None:
    if batch_cuda.why_not():
        pytest.skip(str(batch_cuda.why_not()))
    for name in CASES:
        pool, scores = simulated(name, 10_000)
        found = optimal_by_scenario(pool, scores, backend="cuda")
        assert (found.backend, found.unproven) == ("cuda", 0)
        assert_legal(pool, found.rows)
        assert found.score == pytest.approx(optimal_by_scenario(pool, scores, device="cpu").score, abs=1e-6)
        again = optimal_by_scenario(pool, scores, backend="cuda")
        assert (again.rows == found.rows).all()


def test_the_kernel_holds_the_pools_that_torch_holds() -> None:
    held = [compile_pool(*case(name), LineupRules()) for name in CASES]
    players, contest = case("fanduel")
    locked = compile_pool(players, contest, LineupRules(locked=frozenset({players[0].id})))
    stacked = compile_pool(*case("nfl"), LineupRules(stacks=(TeamStack(3),)))
    for pool in held:
        assert batch_cuda.holds(pool)
        assert batch_torch.holds(pool)
    for pool in (locked, stacked):
        assert not batch_cuda.holds(pool)
        assert not batch_torch.holds(pool)
    assert not batch_cuda.holds(replace(held[0], person=held[0].person + PERSON))
    assert not batch_cuda.holds(replace(held[0], game=held[0].game + CODE))
    with pytest.raises(InvalidInput, match="backend 'cuda' does not model"):
        optimal_by_scenario(locked, np.ones((1, len(locked.mask))), backend="cuda")


def test_the_slate_keeps_every_fact_of_its_rows() -> None:
    pool = compile_pool(*case("fanduel"), LineupRules())
    allowed = np.arange(3, len(pool.mask))
    slate, source = slate_of(pool, allowed, 0.5, 10)
    assert sorted(source) == allowed.tolist()
    for at, row in enumerate(source):
        traits = int(slate.traits[at])
        assert traits & PERSON == pool.person[row]
        assert traits >> TEAM_AT & CODE == pool.team[row]
        assert traits >> GAME_AT & CODE == pool.game[row]
        assert traits >> SIDE_AT & CODE == pool.counted_team[row] + 1
        assert traits >> MASK_AT == pool.mask[row] == slate.facts[1, at]
        assert slate.facts[0, at] == pool.salary[row]
    for first, last in zip(slate.kinds[0], slate.kinds[0][1:], strict=False):
        assert len(set(slate.facts[1, first:last])) == 1
    slots = slate.order[0]
    for k in range(1, pool.size):
        equal = ((pool.mask[source] >> slots[k] & 1) == (pool.mask[source] >> slots[k - 1] & 1)).all()
        assert slate.order[1, k] == equal


def test_the_first_guess_of_the_salary_price_is_where_the_cap_binds() -> None:
    score, salary = np.array([10.0, 8.0, 3.0]), np.array([10, 5, 1])
    price = hint_of(score, salary, np.ones(3, dtype=np.int64), 1, 7)
    assert price == pytest.approx(0.4, abs=0.01)  # 10 - 10p = 8 - 5p
    assert hint_of(score, salary, np.ones(3, dtype=np.int64), 1, 10) == 0.0


def test_without_a_gpu_the_cuda_backend_says_what_to_install() -> None:
    if batch_cuda.why_not() is None:
        pytest.skip("a GPU is here")
    pool, scores = simulated("fanduel", 2)
    with pytest.raises(batch_cuda.GpuUnusable, match=r"fantasy-ai\[gpu\]"):
        optimal_by_scenario(pool, scores, backend="cuda")
    with pytest.raises(batch_cuda.GpuUnusable, match="toolkit"):
        batch_cuda.solve(pool, scores.astype(np.float64), 0.5)
    with pytest.raises(InvalidInput, match="device is 'cpu'"):
        optimal_by_scenario(pool, scores, device="cpu", backend="cuda")


def test_a_driver_without_a_toolkit_falls_back_to_the_cpu_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if batch_cuda.why_not() is None:
        pytest.skip("a GPU is here")
    pool, scores = simulated("fanduel", 2)
    monkeypatch.setattr(batch, "_has_driver", lambda: True)
    with caplog.at_level("WARNING"):
        found = optimal_by_scenario(pool, scores)
    assert found.backend == "compiled"
    assert [vars(record)["reason"] for record in caplog.records] == [batch_cuda.why_not()]
