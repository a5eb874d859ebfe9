"""Drawn box lines keep each stat's own distribution, the ties between stats, and the rules of scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import norm

from features.errors import InvalidInput
from features.labels import BOX_LINE
from features.scoring import SITES, fantasy_points
from models.families import family_of
from models.projection.config import LEVELS, ProjectionConfig
from models.projection.data import spread_counts
from models.projection.joint import (
    chance_of_double,
    fantasy_points_of,
    fit_copula,
    sample_lines,
    summary,
    tens_of,
)
from models.projection.network import ProjectionNetwork

STATS = tuple(BOX_LINE)
MEANS = np.array([30.0, 20.0, 8.0, 6.0, 1.2, 0.7, 2.5, 2.0])
SPREADS = np.array([5.0, 7.0, 3.0, 2.5, 1.0, 0.8, 1.4, 1.3])


def _correlation(tie: float) -> list[list[float]]:
    return (tie + (1 - tie) * np.eye(len(STATS))).tolist()


def _answer(players: int, tie: float = 0.4) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    grid = MEANS[:, None] + SPREADS[:, None] * norm.ppf(np.array(LEVELS))
    output = {"stat_quantiles": np.repeat(grid[None], players, axis=0), "announced": np.arange(players) % 2 * 1.0}
    calibration = {
        "announced": {"copula": {"correlation": _correlation(tie)}},
        "unannounced": {"copula": {"correlation": _correlation(0.0)}},
    }
    return output, {"stats": list(STATS), "levels": list(LEVELS)}, calibration


def test_lines_keep_margins_and_ties() -> None:
    lines = sample_lines(*_answer(4), 20_000, seed=1)
    assert lines.shape == (4, 20_000, len(STATS)) and (lines >= 0).all()
    assert lines[0, :, :4].mean(axis=0) == pytest.approx(MEANS[:4], abs=0.1)
    assert np.quantile(lines[2, :, 0], [0.1, 0.5, 0.9]) == pytest.approx(norm.ppf([0.1, 0.5, 0.9], 30, 5), abs=0.2)
    assert (lines[..., 1:] == np.rint(lines[..., 1:])).all() and (lines[..., 0] != np.rint(lines[..., 0])).any()
    assert (3 * lines[..., STATS.index("threes")] <= lines[..., 1]).all()
    # Odd players are announced, and only their stats are tied.
    tie = [np.corrcoef(lines[player, :, 0], lines[player, :, 1])[0, 1] for player in (1, 0)]
    assert tie == pytest.approx([0.4, 0.0], abs=0.03)
    assert (lines == sample_lines(*_answer(4), 20_000, seed=1)).all()


def test_points_follow_the_sites_rules() -> None:
    lines = sample_lines(*_answer(1), 500, seed=2)
    frame = pl.DataFrame(lines[0], schema=[BOX_LINE[stat] for stat in STATS])
    for site in SITES:
        expected = frame.select(fantasy_points(site)).to_series().to_numpy()
        assert fantasy_points_of(lines, STATS, site)[0] == pytest.approx(expected)
    mean, quantiles = summary(fantasy_points_of(lines, STATS, "yahoo"), LEVELS)
    assert mean.shape == (1,) and quantiles.shape == (1, len(LEVELS)) and (np.diff(quantiles) >= 0).all()


def test_ten_in_two_columns_is_a_double_double() -> None:
    line = np.array(
        [[[30, 10, 10, 9, 0, 0, 1, 2], [30, 12, 9, 9, 0, 0, 1, 0], [40, 22, 11, 10, 1, 0, 3, 1]]], float
    )
    assert tens_of(line, STATS).tolist() == [[2, 1, 3]]
    assert chance_of_double(line, STATS) == pytest.approx([2 / 3])
    assert chance_of_double(line, STATS, tens=3) == pytest.approx([1 / 3])


def test_the_copula_is_learned_from_ranks_given_the_grids() -> None:
    rng = np.random.default_rng(3)
    n, tie = 6000, 0.6
    scores = rng.multivariate_normal([0, 0], [[1, tie], [tie, 1]], n)
    level = rng.uniform(10, 30, n)
    # Stats that share nothing but the player's level: what the grids know already is no tie.
    label = np.stack([level + 4 * scores[:, 0], np.exp(0.3 * scores[:, 1]) * level], axis=1)
    spread = norm.ppf(np.array(LEVELS))
    grids = np.stack([level[:, None] + 4 * spread, np.exp(0.3 * spread) * level[:, None]], axis=1)
    label[0, 0] = np.nan
    found = np.array(fit_copula(grids, LEVELS, label).correlation)
    assert found[0, 1] == pytest.approx(tie, abs=0.03) and np.diag(found) == pytest.approx([1, 1])
    assert np.corrcoef(label[1:].T)[0, 1] > tie + 0.05


def test_a_stat_that_never_happens_leaves_a_copula_to_draw_from() -> None:
    label = np.zeros((400, 2))
    label[:, 0] = np.random.default_rng(4).normal(size=400)
    grids = np.repeat(norm.ppf(np.array(LEVELS))[None, None], 400, axis=0).repeat(2, axis=1)
    assert np.isfinite(fit_copula(grids, LEVELS, label).root()).all()


def test_bundles_from_before_the_box_line_say_so() -> None:
    with pytest.raises(InvalidInput, match="train it again"):
        sample_lines({"mean": np.zeros((1, 3))}, {"stats": []}, {"announced": {}}, 10, seed=0)


def test_a_network_with_stats_calibrates_and_answers_the_line() -> None:
    torch.manual_seed(0)
    config = ProjectionConfig(("a", "b"), (("b",),), hidden=8, layers=1, stats=STATS)
    network = ProjectionNetwork(config).eval()
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(800, 2)).astype(np.float32)
    stats = np.maximum(np.rint(MEANS + SPREADS * rng.normal(size=(800, len(STATS)))), 0)
    labels = np.concatenate([np.repeat(stats[:, 1:2] * 1.8, 3, axis=1), stats], axis=1).astype(np.float32)
    network.fit_scales(inputs, labels)
    family = family_of("projection")
    calibration = family.calibrate(network, inputs, labels)
    answer = family.outputs(network, inputs, calibration)
    assert answer["mean"].shape == (800, 3) and answer["stat_quantiles"].shape == (800, len(STATS), len(LEVELS))
    low, high = answer["stat_quantiles"][:, :, 1], answer["stat_quantiles"][:, :, -2]
    spread = spread_counts(labels.astype(np.float64), config)[:, 3:]
    covered = ((spread >= low) & (spread <= high)).mean(axis=0)
    assert covered == pytest.approx(np.full(len(STATS), 0.8), abs=0.01)
    names = [series.name for series in family.columns(answer, config.as_json())]
    assert {"draftkings_q90", "points_mean", "minutes_q50", "blocks_q10"} <= set(names)
    lines = sample_lines(answer, config.as_json(), calibration, 2000, seed=0)
    # A network that knows nothing yet has only its few levels to tell a mean by.
    assert lines.mean(axis=(0, 1)) == pytest.approx(stats.mean(axis=0), rel=0.1)
    assert ProjectionConfig.from_json(config.as_json()) == config


def test_half_a_count_of_noise_rounds_back_to_the_count() -> None:
    config = ProjectionConfig(("a",), (), stats=STATS)
    labels = np.tile(np.arange(11.0), (50, 1))
    noisy = spread_counts(labels, config)
    assert (np.rint(noisy) == labels).all()
    assert (noisy[:, :4] == labels[:, :4]).all() and (noisy[:, 4:] != labels[:, 4:]).all()
