"""Every rule a player may add, on random requests: legal by the checker, optimal by an oracle of its own."""

from __future__ import annotations

import random

import pytest

from models.errors import Infeasible
from models.lineups.legality import check_rules
from models.lineups.optimize import optimize
from tests.unit.models.rule_cases import ROSTERS, Oracle, contest_of, players_of, rules_of, score_of


def check(seed: int, sport: str) -> str:
    """One random request; returns what came of it."""
    rng = random.Random(f"{seed} {sport}")
    contest = contest_of(rng, sport)
    players = players_of(rng, sport, 5 * contest.lineup_size + rng.randint(0, 12))
    rules = rules_of(rng, sport, contest, players)
    oracle = Oracle(players, contest, rules)
    try:
        lineups = optimize(players, contest, rules).lineups
    except Infeasible as error:
        assert "cannot be met" in str(error) or oracle.best([]) is None, f"{sport} {seed}: {error}"
        return "infeasible"
    assert check_rules(lineups, players, contest, rules) == (), f"{sport} {seed}"
    rank = rng.randrange(len(lineups))
    best = oracle.best(lineups[:rank])
    assert best == pytest.approx(score_of(lineups[rank], players, contest, rules), abs=1e-5), f"{sport} {seed}"
    if len(lineups) < rules.n:
        assert oracle.best(lineups) is None, f"{sport} {seed} missed a lineup"
    return "solved"


@pytest.mark.parametrize("sport", ROSTERS)
def test_random_rules_are_kept_and_every_lineup_is_the_best_left(sport: str) -> None:
    outcomes = [check(seed, sport) for seed in range(30)]
    assert outcomes.count("solved") >= 15


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("sport", ROSTERS)
def test_two_thousand_random_rules_a_roster(sport: str) -> None:
    outcomes = [check(seed, sport) for seed in range(1_000, 3_000)]
    assert outcomes.count("solved") >= 1_000
