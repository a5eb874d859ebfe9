"""Rules and own projections of a request: what is taken, and what is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from features.errors import FantasyError, InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from features.stores.slates import StoredSlate
from models.lineups.rules import Group, LineupRules
from models.projection.slate import SCHEMA, SlateProjections
from serving.predictor import Projected
from serving.routes.lineups import LineupRequest
from serving.routes.rules_body import OwnProjection, parsed_rules, with_own

LOCK = datetime(2024, 12, 15, 23, tzinfo=UTC)


@pytest.fixture
def projected() -> Projected:
    """Three players, 10, 20 and 30 points."""
    players = tuple(SlatePlayer(str(n), f"P{n}", ("PG",), 5000, "BOS", "WAS", False, 10.0 * n) for n in (1, 2, 3))
    slate = Slate("s", "draftkings", "nba", "classic", LOCK, (SlateGame("BOS", "WAS", LOCK),), players)
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": ["PG"], "salary": 5000, "player_id": None,
         "mean": p.average_points, "q10": p.average_points - 5, "q50": p.average_points,
         "q90": p.average_points + 8, "p_play": 0.9, "basis": "champion"}
        for p in players
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=SCHEMA)
    given = SlateProjections(frame, "m", "7", False, LOCK, ("careful",))
    return Projected(StoredSlate("nba", slate), given, (), None, "q", {}, 1.0)


def request(**body: Any) -> LineupRequest:
    """The request as a route gets it."""
    return LineupRequest.model_validate({"slate_id": "s", **body})


def test_every_rule_is_read_from_the_document() -> None:
    asked = request(
        rules={
            "n": 20,
            "locked": ["1"],
            "groups": [{"name": "bigs", "players": ["2", "3"], "at_least": 1, "at_most": 1}],
            "stacks": [{"size": 3, "roles": [[["QB"], 1], [["WR", "TE"], 2]], "bring_back": 1}],
            "objective": {"measure": "ceiling", "randomness": 0.2},
            "player_max_exposure": {"1": 0.4},
        }
    ).every_rule()
    assert (asked.n, asked.locked) == (20, frozenset({"1"}))
    assert asked.groups == (Group("bigs", frozenset({"2", "3"}), 1, 1),)
    assert asked.stacks[0].roles == ((frozenset({"QB"}), 1), (frozenset({"WR", "TE"}), 2))
    assert (asked.objective.measure, asked.player_max_exposure) == ("ceiling", {"1": 0.4})


def test_short_forms_count_where_they_are_given_and_only_there() -> None:
    asked = request(
        rules={"n": 9, "max_exposure": 0.5, "min_salary_usd": 100}, n=3, min_salary=49_000, excluded=["2"]
    )
    rules = asked.every_rule()
    assert (rules.n, rules.max_exposure, rules.min_salary_usd) == (3, 0.5, 49_000)
    assert rules.excluded == frozenset({"2"})
    assert request().every_rule() == LineupRules()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"n": 151}, ("rules.n", "151", "150")),
        ({"stack": []}, ("stack",)),
        ({"stacks": [{"size": "many"}]}, ("stacks", "size", "many")),
        ({"groups": [{"name": "g", "players": ["1"], "atleast": 1}]}, ("groups", "atleast")),
        ({"groups": [{"name": str(n), "players": ["1"]} for n in range(201)]}, ("rules.groups", "201", "200")),
        ({"locked": [str(n) for n in range(5001)]}, ("rules.locked", "5001", "5000")),
        ({"objective": {"measure": "median"}}, ("measure", "median")),
        ({"max_exposure": float("nan")}, ("max_exposure", "nan")),
        ({"player_max_exposure": {"1": float("inf")}}, ("player_max_exposure.1", "inf")),
        ({"same_team": [{"positions": ["P"], "at_most": 10**30}]}, ("rules.same_team.0.at_most", "1e+30")),
        (["n"], ("rules", "object")),
    ],
)
def test_a_wrong_rule_is_refused_by_its_name(rules: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        parsed_rules(rules)
    assert all(word in str(refused.value) for word in words), refused.value


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="lokced"):
        request(lokced=["1"])
    with pytest.raises(FantasyError, match="lokced"):
        request(rules={"lokced": ["1"]})


def test_own_points_replace_the_models_and_who_is_not_named_has_none(projected: Projected) -> None:
    moved = with_own(projected, request(projections={"1": 12, "2": {"mean": 25.5}}).projections)
    rows = {row["site_id"]: row for row in moved.projections.frame.to_dicts()}
    assert [rows[n]["mean"] for n in ("1", "2", "3")] == [12, 25.5, 0]
    assert (rows["1"]["q10"], rows["1"]["q90"]) == (7, 20)
    assert moved.projections.model_name == "your projections"
    assert any("1 of 3" in warning for warning in moved.projections.warnings)
    assert with_own(projected, None) is projected


def test_own_floor_ceiling_and_ownership_are_taken(projected: Projected) -> None:
    own = {"1": OwnProjection(mean=12, floor=4, ceiling=40, ownership=0.3), "2": OwnProjection(mean=-1)}
    rows = {row["site_id"]: row for row in with_own(projected, own).projections.frame.to_dicts()}
    assert (rows["1"]["q10"], rows["1"]["q90"], rows["1"]["ownership"]) == (4, 40, 0.3)
    assert rows["2"]["ownership"] is None
    assert rows["2"]["q10"] <= rows["2"]["mean"] <= rows["2"]["q90"]
    assert all(row["q10"] <= row["q50"] <= row["q90"] for row in rows.values())


@pytest.mark.parametrize(
    "given",
    [
        {"1": "many"},
        {"1": True},
        {"1": float("nan")},
        {"1": 1e9},
        {"1": {"mean": 5, "ownership": 2}},
        {"1": {"mean": 5, "floor": 9}},
        {"1": {"mean": 5, "ceiling": 3}},
        {"1": {"points": 5}},
        {},
    ],
)
def test_impossible_projections_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="projections"):
        request(projections=given)


def test_projections_of_nobody_on_the_slate_are_refused(projected: Projected) -> None:
    with pytest.raises(InvalidInput, match="'99'"):
        with_own(projected, {"99": OwnProjection(mean=5)})
