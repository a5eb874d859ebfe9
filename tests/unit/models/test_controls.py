"""The leak controls themselves: they pass on an honest league and fail where a leak is built in."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from features.tables import Tables
from features.views import Views, compute_views
from models.training import controls
from models.training.controls import inflated
from tests.fixtures.invented import invented_league

FAMILIES = ("win_probability", "projection")


@pytest.fixture(scope="module")
def found(small_params: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Controls of both macro families on an invented league."""
    result = controls.controls(
        invented_league(dates=75), params=small_params, families=FAMILIES, league="simulated"
    )
    assert len(result["controls"]) == 8
    return {(each["control"], each["family"]): each for each in result["controls"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_random_labels_teach_nothing(found: dict[tuple[str, str], dict[str, Any]], family: str) -> None:
    control = found["random labels", family]
    assert control["passed"] and control["values"]["saved"] < 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_a_box_edit_moves_none_of_its_own_features(
    found: dict[tuple[str, str], dict[str, Any]], family: str
) -> None:
    control = found["10^6 added to a box score", family]
    assert control["passed"] and control["values"]["own"] == 0 and control["values"]["later"] > 10


def test_features_of_the_next_game_look_too_good(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert found["features shifted one game ahead", "projection"]["values"]["saved"] > 0.10


def test_a_built_in_leak_is_found(
    small_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch, league: Tables
) -> None:
    """Views that say after each game what its box score will say: the edited game's own features move."""

    def leaking(tables: Tables) -> Views:
        early = {name: (pl.col(name) - pl.duration(days=1)).alias(name) for name in ("event_time", "known_time")}
        return {name: view.with_columns(*early.values()) for name, view in compute_views(tables).items()}

    monkeypatch.setattr("models.training.controls.compute_views", leaking)
    result = controls.controls(league, params=small_params, families=["projection"], league="simulated")
    failed = {each["control"] for each in result["controls"] if not each["passed"]}
    assert "10^6 added to a box score" in failed and not result["passed"]


def test_an_edit_touches_one_game(league: Tables) -> None:
    game = league.games["game_id"][7]
    moved = inflated(league, game)
    changed = moved.box["pts"].cast(pl.Int64) - league.box["pts"].cast(pl.Int64)
    assert set(moved.box.filter(changed == 1_000_000)["game_id"]) == {game}
    assert set(changed.unique()) == {0, 1_000_000}
