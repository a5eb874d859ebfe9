"""What-ifs: changed inputs are those the rows would have had, and answers are the model's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.errors import InvalidInput
from models import what_if
from models.live_win.rows import FEATURES
from tests.unit.serving.tiers_models import MOMENTS, features_of, inputs_of, rows


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ({"margin": 7}, {"lead": 7}),
        ({"left_s": 95.0}, {"left_s": 95.0}),
        ({"left_s": 0.0, "margin": -3}, {"left_s": 0, "lead": -3}),
        ({"ball": -1, "run_4min": 9}, {"ball": -1, "run_4min": 9}),
        ({"margin": 0, "left_s": 2880.0, "ball": 0}, {"lead": 0, "left_s": 2880, "ball": 0}),
    ],
)
def test_changed_inputs_are_what_the_rows_of_such_a_game_hold(
    state: dict[str, Any], changes: dict[str, float]
) -> None:
    before, after = rows(), inputs_of(rows(**state))
    for number in range(MOMENTS):
        (made,) = what_if.changed_rows(features_of(before, number), [what_if.check_changes(changes)])
        np.testing.assert_allclose(made, after[number], rtol=2e-4, atol=2e-4, err_msg=str(number))


def test_no_change_gives_the_inputs_as_they_were() -> None:
    frame = rows()
    for number in range(MOMENTS):
        same = features_of(frame, number)
        own = inputs_of(frame)[number]
        np.testing.assert_array_equal(what_if.changed_rows(same, [{}])[0], own)
        again = what_if.changed_rows(same, [{"lead": same["lead"] or 0.0}])[0]
        np.testing.assert_allclose(again, own, rtol=2e-4, atol=2e-4)


def test_strength_changes_what_depends_on_it() -> None:
    before = features_of(rows(), 5)
    stronger = what_if.changed(before, {"expected_margin": 20.0})
    assert stronger["margin_anchor"] > before["margin_anchor"]
    moved = {name for name in FEATURES if stronger[name] != pytest.approx(before[name], rel=1e-5, abs=1e-5)}
    assert moved == {"margin_anchor", "anchor_logit", "expected_margin_left"}


def test_the_brownian_answer_follows_lead_and_clock() -> None:
    before = features_of(rows(), 2)
    leads = [
        what_if.brownian_answer(what_if.changed(before, {"lead": lead, "left_s": 300})) for lead in (-9, 0, 9)
    ]
    chances = [each["home_win_probability"] for each in leads]
    assert chances == sorted(chances) and 0 < chances[0] < chances[2] < 1
    for each in leads:
        margin = each["home_margin"]
        assert margin["q10"] < margin["q50"] < margin["q90"] and margin["q50"] == pytest.approx(margin["mean"])
    late = what_if.brownian_answer(what_if.from_standing(9.0, 10.0))["home_win_probability"]
    assert late > what_if.brownian_answer(what_if.from_standing(9.0, 2000.0))["home_win_probability"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weather": 1}, "weather"),
        ({"lead": 1e9}, "lead is 1000000000.0; give a number from -150 to 150"),
        ({"lead": float("nan")}, "lead is nan"),
        ({"lead": "5"}, "lead is '5'"),
        ({"lead": True}, "lead is True"),
        ({"left_s": -1}, "left_s"),
        ({"expected_margin": float("inf")}, "expected_margin"),
    ],
)
def test_changes_that_make_no_sense_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        what_if.check_changes(changes)
    assert words in str(caught.value)


def test_inputs_without_lead_or_clock_are_refused() -> None:
    with pytest.raises(InvalidInput, match="feature share_left is None"):
        what_if.changed({"lead": 1.0, "margin_unit": 3.0}, {"lead": 2.0})
