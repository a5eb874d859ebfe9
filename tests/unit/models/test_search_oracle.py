"""The compiled search against HiGHS on random pools that use its whole contract; ties are everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from models.lineups.arrays import open_rows, problem_of, workspace
from models.lineups.core import ExactSearch
from models.lineups.milp import RosterModel
from models.lineups.portfolio import Portfolio, Solved
from tests.unit.models.pool_cases import assert_valid, random_pool

BLOCK = 60


def check_best(seed: int, most: int) -> None:
    """The best lineup is valid and as good as HiGHS says, or neither finds one."""
    pool = random_pool(seed, most)
    found = ExactSearch(pool, 1)(Portfolio(pool, 1), 1)
    oracle = RosterModel(pool).solve()
    if oracle is None:
        assert not found, f"seed {seed}"
        return
    assert found, f"seed {seed} missed {oracle}"
    assert_valid(pool, found[0].rows)
    assert found[0].projection == pytest.approx(float(pool.score[list(found[0].rows)].sum()), abs=1e-9)
    assert found[0].projection == pytest.approx(oracle.projection, rel=1e-6, abs=1e-6), f"seed {seed}"
    assert found[0].bound >= oracle.projection - 1e-6


def check_list(seed: int, most: int, wanted: int, min_unique: int) -> None:
    """Every rank of the list is what HiGHS finds once the earlier ones are cut off, and the list ends where it must."""
    pool = random_pool(seed, most)
    portfolio, model = Portfolio(pool, min_unique), RosterModel(pool)
    search = ExactSearch(pool, min_unique)
    while len(portfolio.chosen) < wanted:
        found = search(portfolio, wanted - len(portfolio.chosen))
        taken: list[Solved] = [lineup for lineup in found if portfolio.accept(lineup)]
        for lineup in taken:
            assert_valid(pool, lineup.rows)
            best = model.solve()
            assert best is not None, f"seed {seed}"
            assert lineup.projection == pytest.approx(best.projection, rel=1e-6, abs=1e-6), f"seed {seed}"
            model.cut(lineup.rows, min_unique)
        if not found:
            assert model.solve() is None, f"seed {seed} missed a lineup"
            return
        assert taken, f"seed {seed} offered only what is refused"


def check_tightened(seed: int, most: int) -> None:
    """With rows closed and upper bounds lowered, as full exposures do, the optimum is still HiGHS's."""
    pool = random_pool(seed, most)
    rng = np.random.default_rng(seed)
    portfolio, model = Portfolio(pool, 1), RosterModel(pool)
    search = ExactSearch(pool, 1)
    for _ in range(3):
        portfolio.allowed &= rng.random(len(pool.score)) < 0.95
        portfolio.upper -= (rng.random(len(portfolio.upper)) < 0.3).astype(np.int64)
        for row in np.flatnonzero(~portfolio.allowed):
            model.ban(int(row))
        model.tighten(portfolio.upper)
        found, oracle = search(portfolio, 1), model.solve()
        assert bool(found) == (oracle is not None), f"seed {seed}"
        if oracle is None:
            return
        assert_valid(pool, found[0].rows, portfolio.upper)
        assert found[0].projection == pytest.approx(oracle.projection, rel=1e-6, abs=1e-6), f"seed {seed}"


@pytest.mark.parametrize("block", range(8))
def test_the_best_lineup_of_a_random_pool_is_highs(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        check_best(seed, 30)


def test_lists_are_complete_down_to_their_last() -> None:
    for seed in range(50_000, 50_025):
        check_list(seed, 22, 6, 1 + seed % 2)


def test_closed_rows_and_lowered_bounds_are_kept() -> None:
    for seed in range(60_000, 60_040):
        check_tightened(seed, 26)


def test_one_workspace_serves_many_score_vectors() -> None:
    from models.lineups.search import FOUND, INFEASIBLE, best_of

    for seed in range(70_000, 70_012):
        pool = random_pool(seed, 30)
        problem = problem_of(pool)
        work, allowed = workspace(problem), open_rows(pool, ~pool.excluded)
        for draw in range(4):
            score = pool.score * np.random.default_rng(draw).lognormal(0, 0.3, len(pool.score))
            first = best_of(problem, problem.upper, allowed, score, 10**7, work)
            fresh = best_of(problem, problem.upper, allowed, score, 10**7, workspace(problem))
            assert first[0] == fresh[0] in (FOUND, INFEASIBLE)
            if first[0] == FOUND:
                assert first[1] == pytest.approx(fresh[1], abs=1e-6)
                assert_valid(pool, first[2].tolist())


def test_running_out_of_steps_is_said() -> None:
    from models.lineups.search import OUT_OF_STEPS, k_best

    pool = random_pool(3)
    problem = problem_of(pool)
    answer = k_best(
        problem, problem.upper, open_rows(pool, ~pool.excluded), pool.score, np.zeros((0, pool.size), np.int64),
        1, 20, 100, workspace(problem),
    )  # fmt: skip
    assert answer[0] == OUT_OF_STEPS
    assert len(answer[3]) == 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("block", range(20))
def test_ten_thousand_random_pools(block: int) -> None:
    for seed in range(200_000 + block * 500, 200_000 + (block + 1) * 500):
        check_best(seed, 60 if seed % 5 == 0 else 30)
        if seed % 10 == 0:
            check_list(seed, 26, 8, 1 + seed % 3)
            check_tightened(seed, 30)
