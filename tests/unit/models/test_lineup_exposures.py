"""Minimum exposures are guaranteed, jointly with maxima, uniqueness and distinctness, and the bound is a bound.

The oracle lists every legal lineup of a small slate by brute force and lets HiGHS choose among all of them.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from benchmarks.slates import synthetic
from features.contests import Contest, load_contest
from models.errors import Cancelled, Infeasible, SearchUnfinished
from models.lineups.average import clashing
from models.lineups.budget import Budget
from models.lineups.columns import asks_of
from models.lineups.compile import compile_pool, compile_slate
from models.lineups.joint import choose
from models.lineups.legality import check_rules
from models.lineups.optimize import lineups_of, optimize
from models.lineups.problem import Candidate, Lineup, RosteredPlayer
from models.lineups.rules import (
    Group,
    LineupRules,
    Objective,
    OwnershipLimit,
    TeamExposure,
    TeamStack,
)
from tests.unit.models.rule_cases import slots_of
from tests.unit.models.test_lineups import slate


@pytest.fixture
def dk() -> Contest:
    return load_contest("draftkings")


def small(seed: int) -> tuple[list[Candidate], Contest]:
    """Ten players of four teams for four slots: at most 210 lineups."""
    rng = random.Random(seed)
    contest = replace(
        load_contest("draftkings"), slots=slots_of("A A:A,B B U:A,B"), salary_cap_usd=22_000, min_games=1
    )
    players = [
        Candidate(
            f"p{i}", f"P {i}", ("A",) if i % 2 else ("B",), f"T{i % 4}", f"G{i % 4 // 2}",
            rng.randrange(30, 80) * 100, round(rng.uniform(5, 40), 1), floor=1.0, ceiling=60.0,
        )
        for i in range(10)
    ]  # fmt: skip
    return players, contest


def legal(players: list[Candidate], contest: Contest, rules: LineupRules) -> list[frozenset[int]]:
    """Every legal set of players, exposures aside."""
    alone = replace(
        rules, n=1, max_exposure=1.0, player_min_exposure={}, player_max_exposure={}, team_exposures=(), min_unique=1,
        groups=tuple(replace(g, min_exposure=0.0) for g in rules.groups),
        stacks=tuple(replace(s, min_exposure=0.0) for s in rules.stacks),
    )  # fmt: skip
    found = []
    for chosen in itertools.combinations(range(len(players)), contest.lineup_size):
        for order in itertools.permutations(chosen):
            if not all(s.accepts(players[i].positions) for i, s in zip(order, contest.slots, strict=True)):
                continue
            seats = tuple(
                RosteredPlayer(players[i].id, "", slot.name, "", players[i].salary_usd, players[i].projection)
                for i, slot in zip(order, contest.slots, strict=True)
            )
            points = sum(seat.projection for seat in seats)
            lineup = Lineup(seats, sum(seat.salary for seat in seats), points, points, 0.0)
            if not check_rules([lineup], players, contest, alone):
                found.append(frozenset(chosen))
            break
    return found


def best_total(players: list[Candidate], lineups: list[frozenset[int]], rules: LineupRules) -> float | None:
    """Best total of `rules.n` of the lineups that keeps every exposure and min_unique."""
    n, rows, low, high = rules.n, [np.ones(len(lineups))], [float(rules.n)], [float(rules.n)]

    def ask(members: set[int], threshold: int, least: float, most: float) -> None:
        rows.append(np.array([float(len(members & lineup) >= threshold) for lineup in lineups]))
        low.append(float(-(-round(least * 1000) * n // 1000)))
        high.append(float(max(1, low[-1], round(most * 1000) * n // 1000)))

    for i, p in enumerate(players):
        least = rules.player_min_exposure.get(p.id, 0.0)
        ask({i}, 1, least, rules.player_max_exposure.get(p.id, max(least, rules.max_exposure)))
    for group in rules.groups:
        members = {i for i, p in enumerate(players) if p.id in group.players}
        ask(members, 1, group.min_exposure, group.max_exposure)
    for team in rules.team_exposures:
        members = {i for i, p in enumerate(players) if p.team == team.team}
        ask(members, team.players, team.min_exposure, team.max_exposure)
    for stack in rules.stacks:
        for name in stack.teams or {p.team for p in players}:
            members = {i for i, p in enumerate(players) if p.team == name}
            ask(members, stack.size, stack.min_exposure, stack.max_exposure)
    for a, b in itertools.combinations(range(len(lineups)), 2):
        if rules.min_unique > 1 and len(lineups[a] - lineups[b]) < rules.min_unique:
            pair = np.zeros(len(lineups))
            pair[[a, b]] = 1.0
            rows.append(pair)
            low.append(0.0)
            high.append(1.0)
    value = np.array([sum(players[i].projection for i in lineup) for lineup in lineups])
    answer = milp(
        -value, constraints=LinearConstraint(np.array(rows), np.array(low), np.array(high)),
        integrality=np.ones(len(lineups)), bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    return None if answer.x is None else -float(answer.fun)


def request(seed: int) -> LineupRules:
    """Minimum exposures of players, teams, stacks or a group, with maxima around them."""
    rng = random.Random(seed)
    ids = [f"p{i}" for i in rng.sample(range(10), 4)]
    rules = LineupRules(
        n=rng.choice((3, 5, 8)),
        max_exposure=rng.choice((1.0, 0.7, 0.6)),
        player_min_exposure={i: rng.choice((0.2, 0.5)) for i in ids[: rng.choice((0, 1, 2))]},
        player_max_exposure={ids[2]: 0.4} if rng.random() < 0.5 else {},
        min_unique=rng.choice((1, 1, 1, 2)),
    )
    kind = rng.choice(("team", "stack", "group", "player"))
    if kind == "team":
        return replace(rules, team_exposures=(TeamExposure("T1", 2, 0.4, rng.choice((1.0, 0.5))),))
    if kind == "stack":
        return replace(rules, stacks=(TeamStack(2, min_exposure=rng.choice((0.1, 0.2)), max_exposure=0.7),))
    if kind == "group":
        return replace(rules, groups=(Group("rare", frozenset(ids), 0, 2, 0.6, 1.0),))
    return replace(rules, player_min_exposure={ids[0]: 0.5, ids[1]: 0.3})


def test_joint_lineups_keep_every_exposure_and_meet_the_best_of_all_selections() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(40):
        players, contest = small(seed)
        rules = request(seed)
        listed = legal(players, contest, rules)
        best = best_total(players, listed, rules) if listed else None
        try:
            result = optimize(players, contest, rules)
        except Infeasible as error:
            assert best is None, f"seed {seed}: {error}"
            outcomes["infeasible"] += 1
            continue
        if len(result.lineups) < rules.n:
            assert len(listed) == len(result.lineups)
            outcomes["short"] += 1
            continue
        assert best is not None
        assert check_rules(result.lineups, players, contest, rules) == (), f"seed {seed}"
        total = sum(lineup.projection for lineup in result.lineups)
        assert result.bound is not None and result.gap is not None
        assert total <= best + 1e-6 <= result.bound + 2e-6, f"seed {seed}"
        assert result.gap == pytest.approx((result.bound - total) / result.bound)
        assert all(count.least <= count.count <= count.most for count in result.exposures)
        outcomes["solved" if total >= best - 2e-3 * best else "short of the best"] += 1
    assert outcomes["solved"] >= 15
    assert outcomes["infeasible"] >= 3
    assert outcomes["short of the best"] == 0


@pytest.mark.parametrize("n", [20, 150])
def test_a_full_slate_keeps_minima_within_a_thousandth_of_the_bound(dk: Contest, n: int) -> None:
    pool = slate(players=250, seed=4)
    plain = optimize(pool, dk, LineupRules(n=n, max_exposure=0.5))
    used = Counter(p.id for lineup in plain.lineups for p in lineup.players)
    rare = [c.id for c in sorted(pool, key=lambda c: -c.projection) if used[c.id] < n // 20][:3]
    rules = LineupRules(
        n=n,
        max_exposure=0.5,
        player_min_exposure=dict.fromkeys(rare, 0.3),
        team_exposures=(TeamExposure("MIA", 3, 0.25, 0.6),),
        groups=(Group("two of them", frozenset(rare[:2]), 0, 1),),
    )
    result = optimize(pool, dk, rules)
    assert check_rules(result.lineups, pool, dk, rules) == ()
    assert result.gap is not None and result.gap <= 1e-3
    assert result.warnings == ()
    assert {count.label for count in result.exposures} >= {"3 or more of MIA"}


def test_minima_that_clash_are_named(dk: Contest) -> None:
    pool = slate()
    centers = [c for c in pool if c.positions == ("C",)][:4]
    rules = LineupRules(n=10, player_min_exposure={c.id: 0.7 for c in centers} | {"0": 0.1})
    with pytest.raises(Infeasible) as caught:
        optimize(pool, dk, rules)
    named = [rule for rule in caught.value.rules if rule.startswith("min exposure")]
    assert 3 <= len(named) <= 4
    assert all("7 of 10" in rule for rule in named)
    assert not any("Player 0 (0)" in rule for rule in named)


def test_minima_of_the_best_are_refused_or_kept_at_every_share(dk: Contest) -> None:
    """Nine stars that no lineup can pay for."""
    pool = synthetic(dk, 7)
    best = sorted(pool, key=lambda c: -c.projection)[:9]
    for share, stars in ((1.0, 9), (1.0, 8), (0.8, 9), (0.6, 9), (0.4, 9)):
        wanted = {c.id: share for c in best[:stars]}
        with pytest.raises(Infeasible, match="min exposure") as caught:
            optimize(pool, dk, LineupRules(n=10, player_min_exposure=wanted))
        named = {c.id for c in best for rule in caught.value.rules if f"({c.id})" in rule}
        assert len(caught.value.rules) == len(named) + 1
        for id_ in named:  # irreducible: without any one of them one average lineup is left
            rules = LineupRules(n=10, player_min_exposure=dict.fromkeys(named - {id_}, share))
            compiled = compile_pool(pool, dk, rules)
            assert clashing(compiled, asks_of(compiled, 10, "max exposure", {})) == []


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4])
def test_tight_minima_of_one_position_are_met(dk: Contest, share: float) -> None:
    pool = synthetic(dk, 7)
    centers = sorted((c for c in pool if c.positions == ("C",)), key=lambda c: -c.projection)[:5]
    rules = LineupRules(n=10, player_min_exposure={c.id: share for c in centers})
    result = optimize(pool, dk, rules)
    assert check_rules(result.lineups, pool, dk, rules) == ()
    assert result.gap is not None and result.gap <= 1e-3
    with pytest.raises(Infeasible, match="5 of 10"):
        optimize(pool, dk, replace(rules, player_min_exposure={c.id: 0.5 for c in centers}))


def test_minima_against_maxima_are_refused(dk: Contest) -> None:
    pool = slate()
    points = sorted(pool, key=lambda c: -c.projection)
    team = points[0].team
    rules = LineupRules(
        n=20, player_min_exposure={points[0].id: 0.6}, team_exposures=(TeamExposure(team, 1, 0.0, 0.3),)
    )
    with pytest.raises(Infeasible) as caught:
        optimize(pool, dk, rules)
    assert caught.value.rules == (
        f"min exposure 12 of 20 of {points[0].name} ({points[0].id})",
        team,
        "20 lineups",
    )


def test_asks_that_few_lineups_may_miss_have_to_fit_into_one(dk: Contest) -> None:
    """Half a lineup of each of two that exclude one another averages out, more than half of both does not."""
    pool = slate()
    pair = frozenset({"3", "4"})
    group = Group("one of them", pair, 0, 1)
    fine = LineupRules(n=10, groups=(group,), player_min_exposure={"3": 0.5, "4": 0.5})
    assert check_rules(optimize(pool, dk, fine).lineups, pool, dk, fine) == ()
    with pytest.raises(Infeasible) as caught:
        optimize(pool, dk, replace(fine, player_min_exposure={"3": 0.5, "4": 0.6}))
    assert len(caught.value.rules) == 3


def test_past_its_budget_a_selection_is_returned_with_its_gap_or_said_to_be_missing(dk: Contest) -> None:
    pool = slate(players=120)
    rules = LineupRules(
        n=20,
        player_min_exposure={"7": 0.4},
        stacks=(TeamStack(3, teams=frozenset({"MIA"}), min_exposure=0.5),),
    )
    outcomes = set()
    for ticks in (2, 6, 12, 20, 40, 80, 400):
        clock = itertools.count()
        budget = Budget(float(ticks), lambda: float(next(clock)))  # noqa: B023 - called within this round
        compiled = compile_slate(pool, dk)
        try:
            found = choose(compiled, compile_pool(compiled, dk, rules), rules, budget=budget)
        except SearchUnfinished:
            outcomes.add("missing")
            continue
        lineups = lineups_of(found.portfolio.pool, found.portfolio.chosen)
        assert check_rules(lineups, pool, dk, rules) == ()
        total = sum(lineup.projection for lineup in lineups)
        assert total <= found.bound + 1e-6
        assert found.gap == pytest.approx(max(0.0, found.bound - total) / found.bound, abs=1e-9)
        outcomes.add("warned" if found.warnings else "solved")
        assert bool(found.warnings) <= (found.gap > 0)
    assert {"missing", "solved"} <= outcomes


def test_a_minimum_no_lineup_can_hold_says_what_stands_against_it(dk: Contest) -> None:
    pool = slate()
    rules = LineupRules(n=5, excluded=frozenset({"7"}), player_min_exposure={"7": 0.2})
    with pytest.raises(Infeasible, match="excluded") as caught:
        optimize(pool, dk, rules)
    assert any("min exposure" in rule and "Player 7" in rule for rule in caught.value.rules)


def test_a_closed_quota_holds_in_order(dk: Contest) -> None:
    pool = slate(players=60)
    base = optimize(pool, dk, LineupRules(n=10))
    teams = Counter(p.team for lineup in base.lineups for p in lineup.players)
    team = teams.most_common(1)[0][0]
    rules = LineupRules(
        n=10,
        team_exposures=(TeamExposure(team, 2, 0.0, 0.3),),
        groups=(Group("stars", frozenset(p.id for p in base.lineups[0].players[:3]), 0, None, 0.0, 0.4),),
    )
    result = optimize(pool, dk, rules)
    assert len(result.lineups) == 10
    assert check_rules(result.lineups, pool, dk, rules) == ()
    assert [(count.label, count.most) for count in result.exposures] == [
        ("group stars", 4),
        (f"2 or more of {team}", 3),
    ]
    assert max(count.count for count in result.exposures) <= 4


def test_fewer_lineups_than_asked_still_keep_minima() -> None:
    players, contest = small(3)
    rules = LineupRules(n=150, player_min_exposure={"p0": 0.01})
    result = optimize(players, contest, rules)
    assert len(result.lineups) == len(legal(players, contest, rules)) < 150
    assert "only" in result.warnings[0]


def test_draws_move_lineups_and_keep_exposures(dk: Contest) -> None:
    pool = slate()
    draws = np.random.default_rng(0).normal([c.projection for c in pool], 8.0, (20, len(pool)))
    rules = LineupRules(n=20, max_exposure=0.5, objective=Objective(randomness=0.5), min_unique=2)
    result = optimize(pool, dk, rules, draws=draws)
    assert check_rules(result.lineups, pool, dk, rules) == ()
    assert len(result.lineups) == 20
    best = optimize(pool, dk, LineupRules()).lineups[0]
    assert all(lineup.projection <= best.projection + 1e-9 for lineup in result.lineups)
    first = optimize(
        [
            replace(c, projection=max(0.0, 0.5 * c.projection + 0.5 * d))
            for c, d in zip(pool, draws[0], strict=True)
        ],
        dk,
        LineupRules(),
    )
    assert {p.id for p in result.lineups[0].players} == {p.id for p in first.lineups[0].players}
    minima = replace(rules, player_min_exposure={"7": 0.4, "12": 0.25}, min_unique=1)
    kept = optimize(pool, dk, minima, draws=draws)
    assert check_rules(kept.lineups, pool, dk, minima) == ()
    assert len({frozenset(p.id for p in lineup.players) for lineup in kept.lineups}) == 20


def test_no_randomness_ignores_draws_and_randomness_without_draws_is_refused(dk: Contest) -> None:
    pool = slate(players=60)
    draws = np.zeros((3, len(pool)))
    assert optimize(pool, dk, LineupRules(), draws=draws).lineups == optimize(pool, dk, LineupRules()).lineups
    rules = LineupRules(objective=Objective(randomness=0.2))
    for bad in (None, np.zeros((3, 5)), np.full((1, len(pool)), np.nan)):
        with pytest.raises(Exception, match="draws"):
            optimize(pool, dk, rules, draws=bad)


@pytest.mark.parametrize("minima", [{}, {"7": 0.4}])
def test_a_cancelled_request_stops(dk: Contest, minima: dict[str, float]) -> None:
    pool, asked = slate(), []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    rules = LineupRules(n=150, max_exposure=0.3, min_unique=3, player_min_exposure=minima)
    with pytest.raises(Cancelled):
        optimize(pool, dk, rules, cancelled=cancelled)
    assert len(asked) == 3


def test_ownership_limits_hold_with_minima(dk: Contest) -> None:
    pool = [replace(c, ownership=min(0.6, c.projection / 100)) for c in slate()]
    total = sum(sorted((c.ownership or 0 for c in pool), reverse=True)[:8])
    rules = LineupRules(
        n=10, ownership=OwnershipLimit(max_total=0.7 * total), player_min_exposure={"7": 0.3}, max_exposure=0.6
    )
    result = optimize(pool, dk, rules)
    assert check_rules(result.lineups, pool, dk, rules) == ()
