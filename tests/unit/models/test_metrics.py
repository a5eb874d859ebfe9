"""Scores against figures worked out by hand or known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from models.metrics import (
    crps_losses,
    expected_calibration_error,
    inside,
    log_losses,
    mean_interval,
    pinball_losses,
    ratio_interval,
    squared_errors,
)
from models.projection.config import LEVELS
from models.selective import gated_report, generalised_risk_area, risk_coverage


def test_brier_and_log_loss_by_hand() -> None:
    assert squared_errors([0.8, 0.4], [1, 0]).tolist() == pytest.approx([0.04, 0.16])
    assert log_losses([0.8], [1])[0] == pytest.approx(-np.log(0.8))
    assert np.isfinite(log_losses([0.0, 1.0], [1, 0])).all()


def test_pinball_by_hand() -> None:
    # Label 10 against quantile 8: missed from below, costs level x 2; against 13: costs (1 - level) x 3.
    assert pinball_losses([[8.0, 13.0]], [0.25, 0.75], [10.0])[0].tolist() == pytest.approx([0.5, 0.75])


def test_crps_of_a_normal_matches_the_closed_form() -> None:
    levels = np.array(LEVELS)
    grid = norm.ppf(levels)[None].repeat(3, axis=0)
    label = np.array([0.0, 0.7, -1.5])
    exact = label * (2 * norm.cdf(label) - 1) + 2 * norm.pdf(label) - 1 / np.sqrt(np.pi)
    assert crps_losses(grid, levels, label) == pytest.approx(exact, abs=0.02)


def test_crps_rewards_the_narrower_of_two_centred_forecasts() -> None:
    levels, label = np.array(LEVELS), np.random.default_rng(0).normal(size=2000)
    right = norm.ppf(levels)[None].repeat(2000, axis=0)
    assert crps_losses(right, levels, label).mean() < crps_losses(3 * right, levels, label).mean()


def test_calibration_error_is_zero_when_honest_and_the_gap_when_not() -> None:
    rng = np.random.default_rng(1)
    claimed = rng.uniform(0.05, 0.95, 40_000)
    happened = rng.random(40_000) < claimed
    assert expected_calibration_error(claimed, happened) < 0.01
    assert expected_calibration_error(np.full(1000, 0.9), np.zeros(1000)) == pytest.approx(0.9)


def test_interval_is_wider_when_rows_of_a_date_move_together() -> None:
    rng = np.random.default_rng(2)
    dates = np.repeat(np.arange(100), 20)
    together = rng.normal(size=100)[dates] + 0.1 * rng.normal(size=2000)
    apart = rng.normal(size=2000)
    joint, free = mean_interval(together, dates), mean_interval(apart, dates)
    assert joint.high - joint.low > 2.5 * (free.high - free.low)
    assert joint.low < together.mean() < joint.high


def test_interval_covers_the_truth_about_as_often_as_it_claims() -> None:
    rng = np.random.default_rng(3)
    dates = np.repeat(np.arange(60), 8)
    covered = 0
    for trial in range(200):
        values = rng.normal(size=60)[dates] + rng.normal(size=480)
        found = mean_interval(values, dates, n_boot=300, seed=trial)
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_ratio_interval_without_a_denominator_is_nan() -> None:
    assert np.isnan(ratio_interval([0.0], [0.0], ["2024-01-01"]).value)


def test_inside_counts_both_ends() -> None:
    assert inside([1, 1, 1], [3, 3, 3], [1, 3, 4]).tolist() == [1, 1, 0]


def test_gate_reports_what_passed_and_how_honest_it_was() -> None:
    probability = np.array([0.9, 0.2, 0.6, 0.75])
    label = np.array([1, 0, 1, 0])
    found = gated_report(probability, label, np.arange(4), n_boot=50)
    assert found["n"] == 3
    assert found["coverage"]["value"] == pytest.approx(0.75)
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["honesty"]["value"] == pytest.approx((0.9 + 0.8 + 0.75 - 2) / 3)


def test_risk_falls_with_coverage_when_confidence_is_informative() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(size=5000)
    y = rng.random(5000) < p
    coverage, risk = risk_coverage(p, y)
    assert coverage[-1] == 1
    assert risk[len(risk) // 5] < risk[-1]
    assert generalised_risk_area(p, y) < generalised_risk_area(rng.permutation(p), y)
