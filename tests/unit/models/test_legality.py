"""The checker finds every way to break a rule: each case breaks one in a lineup that was legal before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.contests import Contest, load_contest
from features.contests.contest import TeamLimit
from models.lineups.legality import check_rules
from models.lineups.problem import Candidate, Lineup, RosteredPlayer
from models.lineups.rules import (
    BattingOrderSpacing,
    Condition,
    GameStack,
    Group,
    LineupRules,
    OpposingLimit,
    OwnershipLimit,
    SameTeamLimit,
    TeamExposure,
    TeamStack,
)
from tests.unit.models.rule_cases import slots_of

CONTEST = replace(
    load_contest("draftkings"), slots=slots_of("P H H H CPT*1.5*2:H"), salary_cap_usd=50_000, min_games=2
)
PLAYERS = [
    Candidate("p", "P", ("P",), "A", "A@B", 9000, 20.0, ownership=0.5),
    Candidate("a1", "A1", ("H",), "A", "A@B", 5000, 10.0, ownership=0.2, batting_order=1),
    Candidate("a2", "A2", ("H",), "A", "A@B", 5000, 9.0, ownership=0.2, batting_order=9),
    Candidate("b1", "B1", ("H",), "B", "A@B", 4000, 8.0, ownership=0.1, batting_order=1),
    Candidate("c1", "C1", ("H",), "C", "C@D", 6000, 12.0, ownership=0.3, batting_order=4),
    Candidate("c1x", "C1", ("H",), "C", "C@D", 6000, 12.0, person="c1"),
    Candidate("d1", "D1", ("H",), "D", "C@D", 3000, 5.0, ownership=0.1),
]


def lineup(*ids: str, contest: Contest = CONTEST) -> Lineup:
    by_id = {c.id: c for c in PLAYERS}
    seats = tuple(
        RosteredPlayer(
            i, by_id[i].name, slot.name, by_id[i].team, int(by_id[i].salary_usd * slot.salary_multiplier),
            by_id[i].projection * slot.points_multiplier,
        )
        for i, slot in zip(ids, contest.slots, strict=True)
    )  # fmt: skip
    points = sum(s.projection for s in seats)
    return Lineup(seats, sum(s.salary for s in seats), points, points, 0.0)


LEGAL = lineup("p", "a1", "a2", "b1", "c1")
KEPT = LineupRules(
    locked=frozenset({"a1"}),
    excluded=frozenset({"d1"}),
    min_salary_usd=30_000,
    max_salary_usd=36_000,
    max_per_team=3,
    groups=(Group("g", frozenset({"a1", "a2", "c1"}), 1, 3),),
    conditions=(Condition(frozenset({"a1"}), frozenset({"a2", "d1"}), 1, 1),),
    stacks=(TeamStack(2, positions=frozenset({"H"}), roles=((frozenset({"P"}), 1),), bring_back=1), TeamStack(1)),
    game_stacks=(GameStack(4, 1),),
    opposing=(OpposingLimit(frozenset({"P"}), frozenset({"H"}), 1),),
    same_team=(SameTeamLimit(frozenset({"H"}), 2),),
    team_exposures=(TeamExposure("A", 2, 1.0, 1.0),),
    spacing=BattingOrderSpacing(2),
    ownership=OwnershipLimit(1.35, 1.25),
    fixed={4: "c1"},
)


def test_a_lineup_that_keeps_every_rule_passes() -> None:
    assert check_rules([LEGAL], PLAYERS, CONTEST, KEPT) == ()


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"locked": frozenset({"d1"})}, "lacks locked"),
        ({"excluded": frozenset({"b1"})}, "holds excluded"),
        ({"min_salary_usd": 36_000}, "below min_salary_usd"),
        ({"max_salary_usd": 34_000}, "above max_salary_usd"),
        ({"max_per_team": 2}, "3 players of A"),
        ({"groups": (Group("g", frozenset({"a1", "a2"}), 0, 1),)}, "2 of group 'g'"),
        ({"groups": (Group("g", frozenset({"d1", "a2"}), 2),)}, "1 of group 'g'"),
        ({"conditions": (Condition(frozenset({"a1"}), frozenset({"d1"})),)}, "beside"),
        ({"conditions": (Condition(frozenset({"a1"}), frozenset({"a2"}), 0, 0),)}, "beside"),
        ({"stacks": (TeamStack(2, frozenset({"B"})),)}, "stacks"),
        ({"stacks": (TeamStack(2), TeamStack(2))}, "stacks"),
        ({"stacks": (TeamStack(2, bring_back=2),)}, "stacks"),
        ({"stacks": (TeamStack(2, roles=((frozenset({"H"}), 3),)),)}, "stacks"),
        ({"game_stacks": (GameStack(2, 1, frozenset({"C@D"})),)}, "game stacks"),
        ({"game_stacks": (GameStack(4, 2),)}, "game stacks"),
        ({"opposing": (OpposingLimit(frozenset({"P"}), frozenset({"H"})),)}, "opponents of P"),
        ({"same_team": (SameTeamLimit(frozenset({"H"}), 1, frozenset({"A"})),)}, "more than 1"),
        ({"team_exposures": (TeamExposure("D", 1, 0.5),)}, "0 of 1 lineups hold 1 of D"),
        ({"spacing": BattingOrderSpacing(1)}, "hitters of A bat"),
        ({"ownership": OwnershipLimit(1.2)}, "ownership sums"),
        ({"ownership": OwnershipLimit(None, 1.4)}, "ownership sums"),
        ({"fixed": {1: "b1"}}, "fixed is b1"),
        ({"player_min_exposure": {"d1": 0.1}}, "hold d1"),
    ],
)
def test_each_broken_rule_is_found(rules: dict[str, object], says: str) -> None:
    problems = check_rules([LEGAL], PLAYERS, CONTEST, replace(LineupRules(), **rules))  # type: ignore[arg-type]
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(
    ("contest", "says"),
    [
        ({"salary_cap_usd": 34_000}, "above the cap"),
        ({"max_per_team": 2}, "3 players of A"),
        ({"min_teams": 4}, "3 teams"),
        ({"min_games": 3}, "2 games"),
        ({"max_per_game": 3}, "4 players of game A@B"),
        ({"team_limits": (TeamLimit(frozenset({"H"}), 1),)}, "more than 1"),
    ],
)
def test_each_broken_contest_rule_is_found(contest: dict[str, object], says: str) -> None:
    tight = replace(CONTEST, **contest)  # type: ignore[arg-type]
    problems = check_rules([LEGAL], PLAYERS, tight, LineupRules())
    assert problems and all(says in problem for problem in problems)


def test_seats_persons_and_carried_numbers_are_checked() -> None:
    rules = LineupRules()
    assert any(
        "c1 is used 2" in p for p in check_rules([lineup("p", "a1", "a2", "c1x", "c1")], PLAYERS, CONTEST, rules)
    )
    assert any(
        "cannot fill P" in p for p in check_rules([lineup("a1", "b1", "a2", "d1", "c1")], PLAYERS, CONTEST, rules)
    )
    assert any("carries salary" in p for p in check_rules([replace(LEGAL, salary=1)], PLAYERS, CONTEST, rules))
    assert any("is below its" in p for p in check_rules([replace(LEGAL, bound=1.0)], PLAYERS, CONTEST, rules))
    unmultiplied = replace(LEGAL.players[4], projection=12.0)
    wrong = replace(LEGAL, players=(*LEGAL.players[:4], unmultiplied))
    assert any("as CPT" in p for p in check_rules([wrong], PLAYERS, CONTEST, rules))


def test_lists_are_checked_for_likeness_and_exposure() -> None:
    other = lineup("p", "a1", "a2", "d1", "c1")
    assert check_rules([LEGAL, other], PLAYERS, CONTEST, LineupRules(n=2)) == ()
    assert "share 5 players" in check_rules([LEGAL, LEGAL], PLAYERS, CONTEST, LineupRules(n=2))[0]
    assert "share 4 players" in check_rules([LEGAL, other], PLAYERS, CONTEST, LineupRules(n=2, min_unique=2))[0]
    assert "share 4 players" in check_rules([LEGAL, other], PLAYERS, CONTEST, LineupRules(n=2, max_repeating=3))[0]
    capped = check_rules([LEGAL, other], PLAYERS, CONTEST, LineupRules(n=2, max_exposure=0.5))
    assert {problem.split(" hold ")[1].split(",")[0] for problem in capped} == {"p", "a1", "a2", "c1"}
    moved = lineup("p", "c1", "a2", "b1", "a1")  # another captain is another lineup
    assert check_rules([LEGAL, moved], PLAYERS, CONTEST, LineupRules(n=2)) == ()
