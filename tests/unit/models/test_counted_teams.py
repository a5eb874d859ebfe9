"""Where only some positions' teams count towards `min_teams` (DraftKings hockey: no goalies), every search knows."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.contests import Contest, load_contest
from features.sources.salaries import read_salaries
from models.errors import Infeasible
from models.lineups.batch import optimal_by_scenario
from models.lineups.compile import compile_pool
from models.lineups.draft import game_key
from models.lineups.legality import check_rules
from models.lineups.milp import RosterModel
from models.lineups.optimize import optimize
from models.lineups.problem import Candidate, Lineup, RosteredPlayer
from models.lineups.rules import LineupRules
from tests.unit.models.rule_cases import slots_of

SKATERS = frozenset({"C", "W"})


@pytest.fixture
def hockey() -> Contest:
    """Two centers, two wings and a goalie; skaters of three teams, the goalie's not counted."""
    nhl = load_contest("draftkings", "nhl", "classic")
    return replace(
        nhl, slots=slots_of("C C W W G"), salary_cap_usd=30_000, min_teams_positions=SKATERS, max_per_team=3
    )


def small(seed: int) -> list[Candidate]:
    """Sixteen players of four teams; two teams' skaters outscore the rest."""
    rng = random.Random(seed)
    return [
        Candidate(
            f"p{i}", f"P {i}", (("C",), ("W",), ("G",))[i % 3], f"T{i % 4}", f"G{i % 4 // 2}",
            rng.randrange(30, 80) * 100, round(rng.uniform(5, 20) + 15 * (i % 4 < 2), 1),
        )
        for i in range(16)
    ]  # fmt: skip


def best_by_hand(players: list[Candidate], contest: Contest, rules: LineupRules) -> float:
    """The best total of every seating that `check_rules` finds legal."""
    fits = [[c for c in players if slot.accepts(c.positions)] for slot in contest.slots]
    best = -1.0
    for chosen in itertools.product(*fits):
        ids = [c.id for c in chosen]
        points = sum(c.projection for c in chosen)
        if points <= best or len(set(ids)) < len(ids) or ids[0] > ids[1] or ids[2] > ids[3]:
            continue
        seats = tuple(
            RosteredPlayer(c.id, c.name, slot.name, c.team, c.salary_usd, c.projection)
            for c, slot in zip(chosen, contest.slots, strict=True)
        )
        lineup = Lineup(seats, sum(c.salary_usd for c in chosen), points, points, 0.0)
        if not check_rules([lineup], players, contest, rules):
            best = points
    return best


def test_every_search_finds_the_best_of_three_skaters_teams(hockey: Contest) -> None:
    bound = 0
    for seed in range(12):
        players, rules = small(seed), LineupRules(max_per_team=2 + seed % 2)
        wanted = best_by_hand(players, hockey, rules)
        result = optimize(players, hockey, rules)
        assert result.lineups[0].projection == pytest.approx(wanted)
        assert check_rules(result.lineups, players, hockey, rules) == ()
        pool = compile_pool(players, hockey, rules)
        solved = RosterModel(pool).solve()
        assert solved is not None
        assert solved.projection == pytest.approx(wanted)
        for backend in ("compiled", "torch"):
            batch = optimal_by_scenario(
                pool, pool.score[None, :].astype(np.float32), device="cpu", backend=backend
            )
            assert float(batch.score[0]) == pytest.approx(wanted, rel=1e-5)
        anyones = replace(hockey, min_teams_positions=None)
        bound += optimize(players, anyones, rules).lineups[0].projection > wanted + 1e-9
    assert bound >= 3


def test_goalies_of_a_third_team_are_no_third_team(hockey: Contest) -> None:
    players = [c for c in small(0) if c.positions == ("G",) or c.team in {"T0", "T1"}]
    with pytest.raises(Infeasible, match=r"at least 3 teams of skaters \(C/W\)") as refused:
        optimize(players, hockey, LineupRules())
    assert "at least 3 teams of skaters (C/W)" in refused.value.rules
    assert optimize(players, replace(hockey, min_teams_positions=None), LineupRules()).lineups


def test_a_goalie_counts_towards_the_most_of_one_team(hockey: Contest) -> None:
    players = [replace(c, projection=c.projection + 50 * (c.team == "T0")) for c in small(1)]
    lineup = optimize(players, hockey, LineupRules(max_per_team=2)).lineups[0]
    assert max(sum(p.team == team for p in lineup.players) for team in {p.team for p in lineup.players}) == 2


@pytest.mark.real_data
def test_a_real_hockey_slate_gives_lineups_that_all_spread_their_skaters(fantasy_data: Path) -> None:
    contest = load_contest("draftkings", "nhl", "classic")
    files = sorted((fantasy_data / "dfs" / "draftkings" / "nhl" / "salaries").glob("*.csv"))
    assert files
    for path in files[:2]:
        slate = read_salaries(path)
        # Salaries in twos of teams: unless told otherwise, the best lineups are stacks of two teams and a goalie.
        dear = sorted({p.team for p in slate.players})[:2]
        players = [
            Candidate(
                p.site_id, p.name, p.positions, p.team, game_key(p), p.salary_usd,
                p.salary_usd / 500 + 4 * (p.team in dear),
            )
            for p in slate.players
            if contest.positions & set(p.positions)
        ]  # fmt: skip
        rules = LineupRules(n=150, max_exposure=0.9)
        result = optimize(players, contest, rules)
        assert len(result.lineups) == 150
        assert check_rules(result.lineups, players, contest, rules) == ()
