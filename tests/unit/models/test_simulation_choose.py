"""Joint choice of entries: greedy values by hand, exposure limits, minimum exposures."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from features.contests import load_contest
from models.errors import Cancelled
from models.lineups.compile import compile_pool
from models.lineups.pool import Pool, Quota
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from models.lineups.simulation.choose import Objective, choose

SIZE = 8


def pool_of(players: int = 40, n: int = 10, **rules: object) -> Pool:
    listed = [
        Candidate(f"{i}", f"P{i}", ("PG", "SG", "SF", "PF", "C"), f"T{i % 6}", f"G{i % 3}", 5_000, 20.0)
        for i in range(players)
    ]
    return compile_pool(listed, load_contest("draftkings"), LineupRules(n=n, **rules))  # type: ignore[arg-type]


def candidates(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = np.array([rng.choice(40, SIZE, replace=False) for _ in range(count)], dtype=np.int32)
    prize = rng.gamma(0.2, 40, (count, 300)) * (rng.random((count, 300)) < 0.2)
    return rows, prize.astype(np.float32)


def test_log_utility_is_the_plain_greedy() -> None:
    rows, prize = candidates(60)
    stake = 10 * 5.0
    found = choose(prize, rows, pool_of(), 10, stake).index
    wealth, chosen = np.full(300, stake), []
    for _ in range(10):
        gains = np.log1p(prize / wealth).sum(axis=1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        wealth += prize[chosen[-1]]
    assert list(found) == chosen


def test_roi_takes_the_best_means_and_win_covers_scenarios() -> None:
    rows, prize = candidates(50)
    assert (
        list(choose(prize, rows, pool_of(), 6, 30.0, objective="roi").index)
        == np.argsort(-prize.mean(axis=1))[:6].tolist()
    )
    prize[:] = 0
    prize[3, :50], prize[4, :49], prize[5, 50:80] = 1, 1, 1
    # Candidate 4 wins often, but only where 3 has won already.
    assert list(choose(prize, rows, pool_of(), 2, 30.0, objective="win").index) == [3, 5]


@pytest.mark.parametrize("seed", range(5))
def test_win_reaches_the_bound_of_greedy_coverage(seed: int) -> None:
    rows, _ = candidates(12, seed)
    chance = (np.random.default_rng(seed).random((12, 60)) < 0.15).astype(np.float32)
    covered = [bool(row.any()) for row in chance]
    best = max(chance[list(three)].max(axis=0).sum() for three in combinations(range(12), 3))
    found = chance[list(choose(chance, rows, pool_of(), 3, 15.0, objective="win").index)].max(axis=0).sum()
    assert all(covered) and (1 - 1 / np.e) * best <= found <= best


@pytest.mark.parametrize("objective", ["log_utility", "roi", "win"])
def test_a_shorter_choice_begins_a_longer_one(objective: Objective) -> None:
    rows, prize = candidates(80)
    prize /= prize.max()  # chances, for `win`
    few, many = (choose(prize, rows, pool_of(), n, 50.0, objective=objective).index for n in (4, 9))
    assert many[:4] == few and many == choose(prize, rows, pool_of(), 9, 50.0, objective=objective).index


def test_exposure_and_uniqueness_hold() -> None:
    rows, prize = candidates(400)
    pool = pool_of(n=10, max_exposure=0.3)
    found = choose(prize, rows, pool, 10, 50.0, min_unique=5)
    chosen = rows[list(found.index)]
    assert len(chosen) == 10
    assert np.bincount(chosen.ravel()).max() <= 3
    for at, one in enumerate(chosen):
        assert all(len(set(one) & set(other)) <= SIZE - 5 for other in chosen[:at])


def test_minimum_exposures_are_met_or_named() -> None:
    rows, prize = candidates(300)
    members = np.zeros(40, dtype=bool)
    members[7] = True
    held = [at for at, row in enumerate(rows) if 7 in row]
    prize[held] = 0  # nobody would take them for their prizes
    pool = replace(pool_of(), quotas=(Quota("player 7", members, 1, 4, 10),))
    found = choose(prize, rows, pool, 10, 50.0)
    assert sum(at in held for at in found.index) == 4 and found.warnings == ()
    starved = choose(prize[~np.isin(np.arange(300), held)], rows[~np.isin(np.arange(300), held)], pool, 10, 50.0)
    assert len(starved.index) == 10
    assert "player 7: 0 of the 10" in starved.warnings[0]


def test_fewer_candidates_than_wanted_and_copies() -> None:
    rows, prize = candidates(5)
    rows[1] = rows[0][::-1]
    assert len(choose(prize, rows, pool_of(), 10, 50.0).index) == 4


def test_cancelling_stops_the_choice() -> None:
    rows, prize = candidates(400)
    prize[:] = prize[0] + 1  # equal gains: every candidate is looked at again and again
    with pytest.raises(Cancelled):
        choose(prize, rows, pool_of(), 10, 50.0, cancelled=lambda: True)
