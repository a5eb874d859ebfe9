"""Reasons sum to the answer, are shared fairly, and cover every feature."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import InvalidInput
from features.views import GAME_FEATURES, PLAYER_FEATURES
from features.views.entities import player_directory
from features.views.groups import FEATURE_GROUPS, LINE_UPS
from flows.explaining import home_win, player_reasons, points_on
from models.bundle import load_bundle
from models.explanation import explain, shapley
from models.projection.slate import project_slate
from models.win_probability.slate import slate_game_rows
from tests.fixtures.serving import SimulatedDay


def test_shapley_values_are_mean_gains_over_all_orders() -> None:
    worth = np.random.default_rng(3).normal(size=16)
    gains = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        coalition = 0
        for player in order:
            gains[player] += worth[coalition | 1 << player] - worth[coalition]
            coalition |= 1 << player
    np.testing.assert_allclose(shapley(worth), gains / len(orders))
    assert shapley(worth).sum() == pytest.approx(worth[-1] - worth[0])


def test_every_feature_is_in_a_group() -> None:
    assert set(FEATURE_GROUPS["projection"]) == set(PLAYER_FEATURES)
    assert set(FEATURE_GROUPS["win_probability"]) == set(GAME_FEATURES)
    assert {len(set(groups.values())) for groups in FEATURE_GROUPS.values()} == {7}


def test_a_projections_reasons_sum_to_what_the_slate_says(
    simulated_day: SimulatedDay, trained: dict[str, Path]
) -> None:
    model, slate = load_bundle(trained["projection"]), simulated_day.draftkings
    projections = project_slate(slate, model, simulated_day.views, player_directory(simulated_day.tables))
    for row in projections.frame.filter(pl.col("basis") == "champion").head(5).iter_rows(named=True):
        found = player_reasons(slate, projections, model, row["site_id"])
        assert found.explanation is not None
        assert found.answer == pytest.approx(row["mean"], abs=1e-4)
        total = found.base + sum(each.amount for each in found.explanation.contributions)
        assert total == pytest.approx(found.answer, abs=1e-9)
    out = projections.frame.filter(pl.col("basis") == "out")
    for row in out.iter_rows(named=True):
        ruled_out = player_reasons(slate, projections, model, row["site_id"])
        assert ruled_out.explanation is None and ruled_out.base == ruled_out.answer == 0.0


def test_the_group_whose_inputs_change_gets_the_change(
    simulated_day: SimulatedDay, trained: dict[str, Path]
) -> None:
    model = load_bundle(trained["win_probability"])
    row = slate_game_rows(simulated_day.draftkings, simulated_day.views).head(1)
    names = [name for name, group in FEATURE_GROUPS["win_probability"].items() if group == "rest and travel"]
    found = explain(model, row, home_win)
    rested = explain(model, row.with_columns(pl.lit(3.0, pl.Float32).alias(name) for name in names), home_win)
    amounts = [{each.group: each.amount for each in one.contributions} for one in (found, rested)]
    assert abs(amounts[1]["rest and travel"] - amounts[0]["rest and travel"]) > 1e-6
    assert 0 < found.base < 1 and 0 < found.answer < 1
    # Nobody's line-up is known of a slate without injury marks: nothing can be due to it.
    hidden = row.with_columns(
        pl.lit(None, pl.Float32).alias(name)
        for name, group in FEATURE_GROUPS["win_probability"].items()
        if group == LINE_UPS
    )
    unknown = {each.group: each for each in explain(model, hidden, home_win).contributions}[LINE_UPS]
    assert unknown.amount == 0.0 and unknown.inputs == ()


def test_only_one_row_is_explained(simulated_day: SimulatedDay, trained: dict[str, Path]) -> None:
    model = load_bundle(trained["projection"])
    with pytest.raises(InvalidInput, match="one row"):
        explain(model, pl.DataFrame({"a": [1, 2]}), points_on(model, "draftkings"))
