"""Small pure parts of serving: comparison of two projections, and what lies in the projection cache."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from models.projection.slate import SCHEMA, SlateProjections
from serving import projection_cache
from serving.routes.answers import PlayerProjection
from serving.routes.projections import outscores
from serving.settings import ServingSettings


def player(q10: float, q50: float, q90: float) -> PlayerProjection:
    """A player with these quantiles."""
    return PlayerProjection(
        id="1", prediction_id=uuid4(), name="A", team="T", positions=["PG"], salary=5000, player_id=1, mean=q50,
        q10=q10, q50=q50, q90=q90, p_play=1.0, basis="champion",
    )  # fmt: skip


quantiles = st.tuples(*[st.floats(0, 60)] * 3).map(sorted)


@given(quantiles, quantiles)
def test_one_of_two_outscores_the_other(one: list[float], other: list[float]) -> None:
    first, second = player(*one), player(*other)
    assert outscores(first, second) + outscores(second, first) == pytest.approx(1.0, abs=2e-4)
    assert outscores(first, first) == pytest.approx(0.5, abs=1e-4)


def test_outscoring_agrees_with_drawing_scores() -> None:
    rng = np.random.default_rng(1)
    z = 1.2815515594
    one, other = rng.normal(30, 8, 200_000), rng.normal(24, 10, 200_000)
    found = outscores(player(30 - 8 * z, 30, 30 + 8 * z), player(24 - 10 * z, 24, 24 + 10 * z))
    assert found == pytest.approx(float(np.mean(one > other)), abs=0.02)


@pytest.mark.parametrize("correlation", [-0.4, 0.3])
def test_outscoring_of_players_who_move_together_agrees_with_drawing_them(correlation: float) -> None:
    z = 1.2815515594
    drawn = np.random.default_rng(2).multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 200_000)
    one, other = 30 + 8 * drawn[:, 0], 24 + 10 * drawn[:, 1]
    first, second = player(30 - 8 * z, 30, 30 + 8 * z), player(24 - 10 * z, 24, 24 + 10 * z)
    assert outscores(first, second, correlation) == pytest.approx(float(np.mean(one > other)), abs=0.02)
    assert abs(outscores(first, second, correlation) - outscores(first, second)) > 0.01


@given(st.lists(st.floats(0, 90), min_size=1, max_size=5))
def test_cached_projections_come_back_to_the_last_bit(means: list[float]) -> None:
    rows = [
        {"site_id": str(n), "name": "Ö", "team": "T", "positions": ["PG", "C"], "salary": 5000, "player_id": None,
         "mean": m, "q10": m / 3, "q50": m, "q90": m * 1.7, "p_play": 0.9, "basis": "champion"}
        for n, m in enumerate(means)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=SCHEMA)
    given_ = SlateProjections(frame, "m", "7", False, datetime(2024, 1, 2, 3, tzinfo=UTC), ("careful",))
    lines = pl.DataFrame(
        {"player_id": pl.Series([7], dtype=pl.Int32), "points_mean": [1 / 3], "double_double": [0.1]}
    )
    found, unmatched, told = projection_cache.decode(projection_cache.encode(given_, ("Nobody",), lines))
    assert_frame_equal(found.frame, frame, check_exact=True)
    assert unmatched == ("Nobody",)
    assert told is not None
    assert_frame_equal(told, lines, check_exact=True)
    assert projection_cache.decode(projection_cache.encode(given_, (), None))[2] is None
    assert (found.model_version, found.fallback, found.data_timestamp, found.warnings) == (
        "7", False, given_.data_timestamp, ("careful",),
    )  # fmt: skip


def test_a_champion_is_looked_up_often_enough() -> None:
    assert ServingSettings().champion_poll_s <= 5
    with pytest.raises(ValidationError, match="champion_poll_s"):
        ServingSettings(champion_poll_s=30)
