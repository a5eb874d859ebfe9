"""Rules survive a round trip through JSON, and what is wrong in a document is named by its path."""

from __future__ import annotations

import json
import random

import pytest

from features.errors import InvalidInput
from models.lineups.rules import LineupRules, TeamStack
from models.lineups.rules_json import parse_rules, rules_as_json
from tests.unit.models.rule_cases import ROSTERS, contest_of, players_of, rules_of


@pytest.mark.parametrize("sport", ROSTERS)
def test_rules_come_back_equal(sport: str) -> None:
    for seed in range(40):
        rng = random.Random(seed)
        contest, players = contest_of(rng, sport), players_of(rng, sport, 24)
        rules = rules_of(rng, sport, contest, players)
        assert parse_rules(json.loads(json.dumps(rules_as_json(rules)))) == rules


def test_what_is_left_out_keeps_its_default() -> None:
    assert parse_rules({}) == LineupRules()
    rules = parse_rules({"n": 20, "stacks": [{"size": 4, "roles": [[["QB"], 1]]}], "fixed": {"2": "77"}})
    assert rules == LineupRules(n=20, stacks=(TeamStack(4, roles=((frozenset({"QB"}), 1),)),), fixed={2: "77"})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"nn": 3}, r"rules\.nn is no rule; rules may have .*min_unique"),
        ({"stacks": [{"size": 3}, {"size": 2, "team": "BOS"}]}, r"rules\.stacks\[1\]\.team is no rule"),
        ({"objective": {"measures": "mean"}}, r"rules\.objective\.measures is no rule"),
        ({"spacing": {"width": 3}}, r"rules\.spacing\.width is no rule"),
        ({"n": "many"}, r"rules\.n is 'many'.*valid integer"),
        ({"stacks": [{"teams": ["BOS"]}]}, r"rules\.stacks\[0\].*"),
        ({"groups": [{"name": "a", "players": "77"}]}, r"rules\.groups\[0\]\.players is '77'"),
        ({"objective": {"measure": "median"}}, r"rules\.objective\.measure is 'median'.*'mean'"),
        ({"fixed": {"first": "77"}}, r"rules\.fixed\.first"),
        ({"player_max_exposure": {"77": "half"}}, r"rules\.player_max_exposure\.77 is 'half'"),
        ({"player_min_exposure": {"77": True}}, r"rules\.player_min_exposure\.77 is true"),
        ({"max_exposure": True}, r"rules\.max_exposure is true"),
        ({"n": True}, r"rules\.n is true"),
        (
            {"groups": [{"name": "a", "players": ["7"], "at_least": False}]},
            r"rules\.groups\[0\]\.at_least is false",
        ),
    ],
)
def test_a_wrong_field_is_named(document: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_rules(document)


@pytest.mark.parametrize(
    "document",
    [
        {"n": "9" * 5000},
        {"locked": "x" * 5000},
        {"x" * 5000: 1},
        {"player_min_exposure": {"x" * 5000: "half"}},
        {"groups": [{"name": ["a" * 5000], "players": ["7"]}]},
    ],
)
def test_a_message_quotes_no_more_than_a_line_of_what_was_sent(document: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_rules(document)
    assert "..." in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_list_is_no_document() -> None:
    with pytest.raises(InvalidInput, match="rules are list"):
        parse_rules([{"n": 3}])  # type: ignore[arg-type]
