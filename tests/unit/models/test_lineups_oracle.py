"""Random requests against an assignment MILP solved by HiGHS (through scipy), judged by an independent checker.

Ties are everywhere in the cases, so objective values are compared, each given the lineups that came before.
"""

from __future__ import annotations

import random

import pytest

from models.errors import Infeasible
from models.lineups.compile import compile_pool
from models.lineups.core import ExactSearch
from models.lineups.optimize import optimize
from models.lineups.portfolio import Portfolio, fill
from tests.unit.models.lineup_cases import (
    assert_portfolio,
    contest_of,
    oracle,
    players_of,
    rules_of,
)

BLOCK = 50


def check(seed: int, most: int, *, every_rank: bool) -> None:
    """One random request: every rank (or one) is optimal given the earlier ones, and no lineup was missed."""
    rng = random.Random(seed)
    contest = contest_of(rng)
    players = players_of(rng, contest, most)
    rules = rules_of(rng, players, contest)
    try:
        lineups = optimize(players, contest, rules).lineups
    except Infeasible as error:
        if "cannot be met" in str(error):
            pool = compile_pool(players, contest, rules)
            portfolio = Portfolio(pool, rules.min_unique)
            fill(portfolio, rules.n, ExactSearch(pool, rules.min_unique))
            assert len(portfolio.chosen) < rules.n
        else:
            assert oracle(players, contest, rules, []) is None
        return
    assert_portfolio(lineups, players, contest, rules)
    ranks = range(len(lineups)) if every_rank else [rng.randrange(len(lineups))]
    for rank in ranks:
        best = oracle(players, contest, rules, lineups[:rank])
        assert best == pytest.approx(lineups[rank].projection, abs=1e-5), f"seed {seed} rank {rank}"
        assert lineups[rank].bound >= best - 1e-5
    if len(lineups) < rules.n:
        assert oracle(players, contest, rules, lineups) is None, f"seed {seed} missed a lineup"


@pytest.mark.parametrize("block", range(10))
def test_every_lineup_is_optimal_on_random_requests(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        check(seed, 18, every_rank=False)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("block", range(20))
def test_every_rank_is_optimal_on_ten_thousand_requests(block: int) -> None:
    for seed in range(100_000 + block * 500, 100_000 + (block + 1) * 500):
        check(seed, 22 if seed % 10 else 60, every_rank=seed % 10 == 0)
