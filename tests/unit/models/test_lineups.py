"""What a player may ask of the optimizer, and what he is told when he asks for the impossible."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.contests import Contest, load_contest
from features.errors import InvalidInput
from models.errors import Infeasible
from models.lineups.compile import compile_pool, compile_slate
from models.lineups.core import ExactSearch
from models.lineups.legality import check_rules
from models.lineups.milp import MilpSearch
from models.lineups.optimize import optimize, warm
from models.lineups.portfolio import Portfolio, fill
from models.lineups.problem import Candidate
from models.lineups.rules import (
    BattingOrderSpacing,
    Condition,
    GameStack,
    Group,
    LineupRules,
    Objective,
    OpposingLimit,
    OwnershipLimit,
    SameTeamLimit,
    TeamExposure,
    TeamStack,
)
from tests.unit.models.lineup_cases import SITES, assert_portfolio

TEAMS = [("BOS", "NYK"), ("LAL", "GSW"), ("DEN", "PHX"), ("MIA", "CHI")]


def slate(site: str = "draftkings", players: int = 120, seed: int = 0) -> list[Candidate]:
    """A plausible NBA slate of four games: stars cost more, value plays exist, 40 % have two positions."""
    rng = random.Random(seed)
    contest = load_contest(site)
    mean_usd = contest.salary_cap_usd / contest.lineup_size
    pool = []
    for row in range(players):
        home, away = TEAMS[row % 4]
        first = ("PG", "SG", "SF", "PF", "C")[row % 5]
        second = rng.choice(("PG", "SG", "SF", "PF")) if rng.random() < 0.4 else first
        step = contest.salary_step_usd
        salary = round(mean_usd * rng.uniform(0.5, 1.8) / step) * step
        points = round(max(0.5, salary / mean_usd * 32 * rng.uniform(0.7, 1.25)), 2)
        positions = tuple(dict.fromkeys((first, second)))
        pool.append(
            Candidate(
                f"{row}", f"Player {row}", positions, rng.choice((home, away)), f"{away}@{home}", salary, points
            )
        )
    return pool


@pytest.fixture
def dk() -> Contest:
    return load_contest("draftkings")


@pytest.mark.parametrize("site", SITES)
def test_each_site_gets_150_distinct_legal_lineups_under_half_exposure(site: str) -> None:
    contest, pool, rules = load_contest(site), slate(site), LineupRules(n=150, max_exposure=0.5)
    result = optimize(pool, contest, rules)
    assert len(result.lineups) == 150
    assert_portfolio(result.lineups, pool, contest, rules)
    assert all(lineup.gap == pytest.approx(0, abs=1e-9) for lineup in result.lineups)
    assert result.warnings == ()
    assert result.solve_ms > 0


@pytest.mark.parametrize("site", SITES)
def test_the_core_and_highs_agree_lineup_by_lineup(site: str) -> None:
    contest, pool = load_contest(site), slate(site, 60, seed=3)
    rules = LineupRules(n=6, max_exposure=0.5, min_unique=2, locked=frozenset({"4"}), excluded=frozenset({"7"}))
    arrays = compile_pool(pool, contest, rules)
    totals = []
    for search in (ExactSearch(arrays, 2), MilpSearch(arrays, 2)):
        portfolio = Portfolio(arrays, 2)
        fill(portfolio, rules.n, search)
        totals.append([found.projection for found in portfolio.chosen])
    assert totals[0] == pytest.approx(totals[1], abs=1e-5)


def test_highs_takes_over_when_the_core_runs_out_of_steps_and_stays_exact(dk: Contest) -> None:
    rules = LineupRules(n=3)
    arrays = compile_pool(slate(players=50), dk, rules)
    portfolio = Portfolio(arrays, 1)
    search = ExactSearch(arrays, 1, max_steps=20)
    fill(portfolio, 3, search)
    assert search.fallback
    best = optimize(slate(players=50), dk, rules)
    assert [found.projection for found in portfolio.chosen] == pytest.approx(
        [lineup.projection for lineup in best.lineups], abs=1e-5
    )


def test_salaries_without_a_common_unit_still_solve(dk: Contest) -> None:
    contest = replace(dk, salary_cap_usd=5_000_000)
    pool = [replace(c, salary_usd=c.salary_usd * 100 + int(c.id)) for c in slate(players=50)]
    rules = LineupRules(n=2)
    assert_portfolio(optimize(pool, contest, rules).lineups, pool, contest, rules)


def test_locks_exclusions_and_salary_limits_hold(dk: Contest) -> None:
    pool = slate()
    rules = LineupRules(
        n=20,
        locked=frozenset({"3", "50"}),
        excluded=frozenset({"0", "1", "2"}),
        player_max_exposure={"60": 0.1, "61": 0.1},
        max_exposure=0.6,
        min_salary_usd=48_000,
        max_salary_usd=49_500,
        min_unique=2,
    )
    result = optimize(pool, dk, rules)
    assert len(result.lineups) == 20
    assert_portfolio(result.lineups, pool, dk, rules)
    assert "locked players are in every lineup" in result.warnings[0]


def test_a_floor_above_what_points_alone_would_spend_binds(dk: Contest) -> None:
    cheap_is_good = [replace(c, projection=60 - c.salary_usd / 1000) for c in slate()]
    rules = LineupRules(n=5, min_salary_usd=45_000)
    result = optimize(cheap_is_good, dk, rules)
    assert_portfolio(result.lineups, cheap_is_good, dk, rules)
    assert result.lineups[0].salary == 45_000


def test_two_positions_of_one_player_never_make_two_lineups(dk: Contest) -> None:
    pool = [replace(c, positions=("PG", "SG", "SF", "PF", "C")) for c in slate(players=10)]
    result = optimize(pool, replace(dk, salary_cap_usd=500_000), LineupRules(n=150))
    assert len(result.lineups) == 45  # 8 of 10 players
    assert result.warnings == ("150 lineups were asked for; only 45 distinct legal lineups exist",)


def test_asking_for_more_than_exist_returns_those_and_says_so(dk: Contest) -> None:
    pool = [replace(c, positions=("PG", "SG", "SF", "PF", "C"), salary_usd=5000) for c in slate(players=8)]
    extra = replace(pool[0], id="x", positions=("C",))
    result = optimize([*pool, extra], dk, LineupRules(n=150))
    assert len(result.lineups) == 9
    assert "only 9 distinct" in result.warnings[0]


def test_a_pool_of_five_thousand_players_solves(dk: Contest) -> None:
    pool = slate(players=5000)
    rules = LineupRules(n=20, max_exposure=0.5)
    result = optimize(pool, dk, rules)
    assert len(result.lineups) == 20
    assert_portfolio(result.lineups, pool, dk, rules)


def test_one_lineup_may_use_a_player_whatever_the_exposure(dk: Contest) -> None:
    pool = slate()
    assert (
        optimize(pool, dk, LineupRules(n=1, max_exposure=0.5)).lineups == optimize(pool, dk, LineupRules()).lineups
    )


def test_the_same_request_gives_the_same_answer(dk: Contest) -> None:
    rules = LineupRules(n=20, max_exposure=0.5)
    assert optimize(slate(), dk, rules).lineups == optimize(slate(), dk, rules).lineups


def test_a_lineup_prints_as_json(dk: Contest) -> None:
    line = json.loads(json.dumps(optimize(slate(), dk, LineupRules()).lineups[0].as_json()))
    assert [p["slot"] for p in line["players"]] == ["PG", "SG", "SF", "PF", "C", "G", "F", "UTIL"]
    assert line["gap"] == 0
    assert line["bound"] == line["projection"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"projection": float("nan")}, "projection of Player 5"),
        ({"projection": float("inf")}, "projection of Player 5"),
        ({"projection": -1.0}, "is -1.0"),
        ({"projection": None}, "is None"),
        ({"salary_usd": -100}, "salary_usd of Player 5"),
        ({"salary_usd": 5000.5}, "whole"),
        ({"id": "6"}, "appears twice"),
        ({"team": ""}, "needs id, team and game"),
    ],
)
def test_a_bad_player_row_is_named(dk: Contest, change: dict[str, object], says: str) -> None:
    pool = slate()
    pool[5] = replace(pool[5], **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=says):
        optimize(pool, dk, LineupRules())


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (LineupRules(n=0), "n is 0"),
        (LineupRules(n=151), "1 to 150"),
        (LineupRules(max_exposure=0.0), "max_exposure is 0.0"),
        (LineupRules(max_exposure=1.01), "at most 1"),
        (LineupRules(max_exposure=float("nan")), "max_exposure is nan"),
        (LineupRules(player_max_exposure={"5": -0.1}), "player_max_exposure of 5"),
        (LineupRules(locked=frozenset({"nobody"})), "locked names nobody"),
        (LineupRules(excluded=frozenset({"nobody"})), "excluded names nobody"),
        (LineupRules(player_max_exposure={"nobody": 0.5}), "player_max_exposure names nobody"),
        (LineupRules(min_unique=0), "min_unique is 0"),
        (LineupRules(min_unique=9), "1 to 8"),
        (LineupRules(min_salary_usd=-1), "min_salary_usd is -1"),
        (LineupRules(max_salary_usd=0), "max_salary_usd is 0"),
    ],
)
def test_a_bad_rule_is_named(dk: Contest, rules: LineupRules, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        optimize(slate(), dk, rules)


A = frozenset({"PG"})


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (LineupRules(groups=(Group("g", frozenset({"nobody"})),)), "group 'g' names nobody"),
        (LineupRules(groups=(Group("g", frozenset()),)), "players is empty"),
        (LineupRules(groups=(Group("g", frozenset({"1", "2"}), 2, 1),)), "contradicts itself"),
        (LineupRules(groups=(Group("g", frozenset({"1", "2"}), 3),)), "at_least is 3 of only 2"),
        (LineupRules(groups=(Group("g", frozenset({"1"})), Group("g", frozenset({"2"})))), "used twice"),
        (LineupRules(groups=(Group("g", frozenset({"1"}), 0, 1, 0.6, 0.5),)), "below its min_exposure"),
        (LineupRules(conditions=(Condition(frozenset(), frozenset({"1"})),)), "when is empty"),
        (LineupRules(conditions=(Condition(frozenset({"1"}), frozenset({"no"})),)), "condition then names no"),
        (LineupRules(stacks=(TeamStack(9),)), "stack of 9 players"),
        (LineupRules(stacks=(TeamStack(5), TeamStack(4))), "need 9 players"),
        (LineupRules(stacks=(TeamStack(2, frozenset({"XXX"})),)), "stack teams names XXX"),
        (LineupRules(stacks=(TeamStack(2, positions=frozenset({"QB"})),)), "stack positions names QB"),
        (LineupRules(game_stacks=(GameStack(3, 1, frozenset({"A@B"})),)), "game stack games names A@B"),
        (LineupRules(game_stacks=(GameStack(3, 5),)), "per_team is 5"),
        (LineupRules(opposing=(OpposingLimit(A, frozenset({"QB"})),)), "opposing names QB"),
        (LineupRules(same_team=(SameTeamLimit(A, -1),)), "at_most -1"),
        (LineupRules(team_exposures=(TeamExposure("XXX"),)), "team_exposures names XXX"),
        (LineupRules(team_exposures=(TeamExposure("BOS", 0),)), "players is 0"),
        (LineupRules(spacing=BattingOrderSpacing(0)), "spacing span is 0"),
        (LineupRules(ownership=OwnershipLimit(1.0, 2.0)), "min_total 2.0 is above max_total"),
        (LineupRules(ownership=OwnershipLimit(1.0)), r"ownership of Player 0 \(0\) is missing"),
        (LineupRules(objective=Objective("ceiling")), "ceiling of Player 0"),
        (LineupRules(objective=Objective("blend", -0.5)), "floor of Player 0"),
        (LineupRules(objective=Objective(leverage=5.0)), "ownership of Player 0"),
        (LineupRules(objective=Objective("median")), "measure is 'median'"),  # type: ignore[arg-type]
        (LineupRules(objective=Objective(randomness=1.5)), "randomness is 1.5"),
        (LineupRules(player_min_exposure={"5": 0.6}, player_max_exposure={"5": 0.5}), "below its min_exposure"),
        (LineupRules(player_min_exposure={"5": float("nan")}), "min_exposure of player 5 is nan"),
        (LineupRules(max_repeating=8), "max_repeating is 8"),
        (LineupRules(max_per_team=0), "max_per_team is 0"),
        (LineupRules(fixed={8: "5"}), "fixed seat 8"),
        (LineupRules(fixed={0: "5", 1: "5"}), "fixed seats 5 twice"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(dk: Contest, rules: LineupRules, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        optimize(slate(), dk, rules)


def test_fixed_players_keep_their_seats_whatever_else_is_asked(dk: Contest) -> None:
    pool = slate()
    center = next(c for c in pool if c.positions == ("C",))
    rules = LineupRules(n=5, fixed={0: center.id, 7: "1"}, excluded=frozenset({"1"}), max_exposure=0.5)
    result = optimize(pool, dk, rules)
    assert check_rules(result.lineups, pool, dk, rules) == ()
    assert {(line.players[0].id, line.players[7].id) for line in result.lineups} == {(center.id, "1")}


def test_a_slate_is_compiled_once_for_equal_candidates(dk: Contest) -> None:
    pool = slate()
    first = compile_slate(pool, dk)
    assert compile_slate(slate(), dk) is first
    assert compile_slate(first, dk) is first
    pool[3] = replace(pool[3], projection=99.0)
    assert compile_slate(pool, dk).mean[3] == 99.0


def test_every_kind_of_rule_is_named_when_it_clashes(dk: Contest) -> None:
    pool = slate()
    boston = frozenset(c.id for c in pool if c.team == "BOS")
    only = Group("celtics", boston, 5)
    named = clash(pool, dk, LineupRules(groups=(only,), max_per_team=4))
    assert named[0] == "max_per_team 4" and named[1].startswith("group 'celtics': at least 5 of")
    spread = SameTeamLimit(dk.positions, 2)
    named = clash(pool, dk, LineupRules(stacks=(TeamStack(3, frozenset({"LAL"})),), same_team=(spread,)))
    assert named[0].startswith("3-stack of LAL") or named[1].startswith("3-stack of LAL")
    assert len(named) == 2 and any(rule.startswith("at most 2") for rule in named)
    never = Condition(frozenset({"4"}), frozenset({"9"}))
    rules = LineupRules(locked=frozenset({"4"}), excluded=frozenset({"9"}), conditions=(never,))
    assert set(clash(pool, dk, rules)) == {
        "lock Player 4 (4)", "1 excluded players", "if Player 4 (4) then at least 1 of Player 9 (9)",
    }  # fmt: skip


def test_an_empty_pool_is_refused(dk: Contest) -> None:
    with pytest.raises(InvalidInput, match="player pool is empty"):
        optimize([], dk, LineupRules())


def clash(pool: list[Candidate], contest: Contest, rules: LineupRules) -> tuple[str, ...]:
    with pytest.raises(Infeasible) as caught:
        optimize(pool, contest, rules)
    assert all(rule in str(caught.value) for rule in caught.value.rules if rule != "player pool")
    return caught.value.rules


def test_clashing_rules_are_named_and_nothing_else(dk: Contest) -> None:
    pool = slate()
    assert clash(pool[:6], dk, LineupRules()) == ("player pool",)
    locked = LineupRules(locked=frozenset({"9"}), excluded=frozenset({"9", "20"}))
    assert set(clash(pool, dk, locked)) == {"2 excluded players", "lock Player 9 (9)"}
    floor = LineupRules(min_salary_usd=50_001)
    assert set(clash(pool, dk, floor)) == {"salary cap 50,000", "min salary 50,001"}
    both = LineupRules(min_salary_usd=47_000, max_salary_usd=46_000)
    assert set(clash(pool, dk, both)) == {"max salary 46,000", "min salary 47,000"}
    one_team = [replace(c, team="BOS") for c in pool]
    fanduel = load_contest("fanduel")
    assert len(clash(one_team, fanduel, LineupRules())) == 1
    one_game = [replace(c, game="A@B") for c in pool]
    assert clash(one_game, dk, LineupRules()) == ("at least 2 games",)


def test_locks_that_cannot_go_together_are_named(dk: Contest) -> None:
    pool = slate()
    centers = [c.id for c in pool if c.positions == ("C",)][:3]
    names = clash(pool, dk, LineupRules(locked=frozenset(centers)))
    assert {f"lock Player {i} ({i})" for i in centers} < set(names)
    assert any(name.startswith("roster positions") for name in names)
    dear = sorted(pool, key=lambda c: -c.salary_usd)[:8]
    flexible = [replace(c, positions=("PG", "SG", "SF", "PF", "C")) if c in dear else c for c in pool]
    names = clash(flexible, dk, LineupRules(locked=frozenset(c.id for c in dear)))
    assert "salary cap 50,000" in names
    nine = LineupRules(locked=frozenset(str(i) for i in range(9)))
    assert "8 roster slots" in clash([replace(c, salary_usd=100) for c in flexible], dk, nine)


def test_exposures_that_cannot_be_met_are_refused(dk: Contest) -> None:
    pool = slate(players=40)
    assert "max exposure 10% (2 of 20)" in clash(pool, dk, LineupRules(n=20, max_exposure=0.1))
    locked = LineupRules(n=20, locked=frozenset({"5"}), player_max_exposure={"5": 0.5})
    assert clash(pool, dk, locked) == ("lock Player 5 (5)", "max exposure 50% of Player 5 (5)")
    two_centers = [c for c in pool if "C" not in c.positions] + [c for c in pool if c.positions == ("C",)][:2]
    assert "roster slots C" in clash(two_centers, dk, LineupRules(n=20, max_exposure=0.4))


def test_every_exposure_count_is_rounded_down(dk: Contest) -> None:
    rules = LineupRules(n=7, max_exposure=0.5)
    pool = slate()
    assert compile_pool(pool, dk, rules).limit.max() == 3
    assert compile_pool(pool, dk, LineupRules(n=10, max_exposure=0.3)).limit.max() == 3


def test_warm_compiles_and_solve_imports_nothing_heavy(repository: Path) -> None:
    warm()
    code = (
        "import sys, models.lineups.optimize as o; early = 'numba' in sys.modules; o.warm(); "
        "print(early, *[m for m in ('torch', 'lightning', 'mlflow', 'prefect', 'fastapi') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]


def test_projections_may_be_any_float_dtype_value(dk: Contest) -> None:
    pool = [replace(c, projection=float(np.float32(c.projection))) for c in slate()]
    rules = LineupRules(n=10)
    assert_portfolio(optimize(pool, dk, rules).lineups, pool, dk, rules)
