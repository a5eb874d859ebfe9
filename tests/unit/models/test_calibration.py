"""Calibrators recover a known distortion and leave an honest forecast alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from models.calibration import (
    ConformalOffsets,
    ResidualSpread,
    fit_offsets,
    fit_residual_spread,
    fit_temperature,
)
from models.projection.config import LEVELS


@pytest.mark.parametrize("distortion", [0.5, 1.0, 2.0])
def test_temperature_recovers_the_distortion(distortion: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, 20_000)
    label = rng.random(20_000) < expit(logits)
    assert fit_temperature(logits * distortion, label).temperature == pytest.approx(distortion, rel=0.05)


def test_temperature_of_few_games_stays_near_one() -> None:
    assert fit_temperature([3.0, -3.0, 2.0], [0, 1, 0]).temperature == pytest.approx(1.0, abs=0.25)


def test_offsets_restore_coverage_and_order() -> None:
    rng = np.random.default_rng(1)
    scale = rng.uniform(2, 8, 6000)
    label = (20 + scale * rng.normal(size=6000))[:, None]
    narrow = 22 + 0.5 * scale[:, None, None] * norm.ppf(np.array(LEVELS))[None, None]
    fitted = fit_offsets(narrow[:3000], LEVELS, label[:3000])
    moved = fitted.apply(narrow[3000:])[:, 0]
    late = label[3000:, 0]
    assert np.mean((late >= moved[:, 1]) & (late <= moved[:, 17])) == pytest.approx(0.80, abs=0.03)
    assert (np.diff(moved, axis=1) >= 0).all()


def test_offsets_survive_json() -> None:
    rng = np.random.default_rng(2)
    grid = np.sort(rng.normal(size=(50, 2, 19)), axis=2)
    fitted = fit_offsets(grid, LEVELS, rng.normal(size=(50, 2)))
    again = ConformalOffsets.from_json(json.loads(json.dumps(fitted.as_json())))
    assert np.array_equal(again.apply(grid), fitted.apply(grid))


def test_residual_spread_follows_the_band() -> None:
    rng = np.random.default_rng(3)
    point = rng.uniform(5, 50, 20_000)
    spread = fit_residual_spread(point, point + rng.normal(size=20_000) * point / 5, LEVELS)
    low, high = spread.quantiles([8.0, 45.0])[:, [1, 17]].T
    assert (high - low)[1] > 3 * (high - low)[0]
    again = ResidualSpread.from_json(json.loads(json.dumps(spread.as_json())))
    assert np.array_equal(again.quantiles([8.0]), spread.quantiles([8.0]))


def test_residual_spread_of_few_rows_uses_one_band() -> None:
    assert fit_residual_spread([10.0, 20.0, 30.0], [12.0, 18.0, 33.0], LEVELS).edges == ()
