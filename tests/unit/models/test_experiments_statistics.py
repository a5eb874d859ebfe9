"""Self-tests with known answers (TARGETS §2): what the statistics promise, measured on simulated seasons."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.experiments.confidence import START, confidence_sequence
from models.experiments.paired import block_means, paired_bootstrap

SEASONS = 1500
DATES = 160


def aa_seasons(seed: int) -> NDArray[np.float64]:
    """Daily mean loss differences (season, date) of two equal models: heavy-tailed, mean zero."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(5, size=(SEASONS, DATES)) * 0.01


def naive_z_fires(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A two-sided z-test at 5 % looked at every day from `START` on."""
    t = np.arange(1, values.shape[-1] + 1)
    mean = np.cumsum(values, axis=-1) / t
    spread = np.sqrt(np.cumsum(values**2, axis=-1) / t - mean**2)
    return np.asarray((np.abs(mean) > 1.96 * spread / np.sqrt(t))[:, START:].any(axis=-1))


def test_daily_peeking_fools_a_z_test_but_not_the_confidence_sequence() -> None:
    seasons = aa_seasons(1)
    ours = confidence_sequence(seasons)
    assert 0.25 < naive_z_fires(seasons).mean() < 0.45
    assert ours.excludes_zero.any(axis=-1).mean() <= 0.05
    assert (ours.p_value < 0.05).any(axis=-1).mean() <= 0.05


def test_the_confidence_sequence_has_power_and_covers_the_truth() -> None:
    truth = 0.004
    found = confidence_sequence(aa_seasons(2) + truth)
    covered = ((found.low <= truth) & (truth <= found.high)).all(axis=-1)
    assert covered.mean() >= 0.95
    assert found.excludes_zero[:, -1].mean() > 0.6
    assert (found.high[:, -1] < 0).mean() < 0.001


def test_interval_and_p_value_agree_and_match_the_published_formula() -> None:
    values = np.random.default_rng(3).normal(0.2, 1.0, size=100)
    found = confidence_sequence(values, alpha=0.05, decide_at=160)
    assert np.array_equal(found.excludes_zero, found.p_value < 0.05)
    t, spread = 100, values.std()
    rho = np.sqrt((-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / 160)
    half = spread * np.sqrt(2 * (t * rho**2 + 1) / (t * rho) ** 2 * np.log(np.sqrt(t * rho**2 + 1) / 0.05))
    assert found.high[-1] - found.mean[-1] == pytest.approx(half)
    e = np.exp(rho**2 * (values.sum() / spread) ** 2 / (2 * (t * rho**2 + 1))) / np.sqrt(t * rho**2 + 1)
    assert found.p_value[-1] == pytest.approx(min(1, 1 / e))


def test_no_claim_is_made_on_fewer_dates_than_the_theorem_needs() -> None:
    found = confidence_sequence(np.full(START + 1, 5.0) + np.arange(START + 1) * 1e-3)
    assert not found.excludes_zero[: START - 1].any()
    assert (found.p_value[: START - 1] == 1).all()
    assert found.excludes_zero[START - 1 :].all()


def test_identical_models_never_differ() -> None:
    found = confidence_sequence(np.zeros(60))
    assert not found.excludes_zero.any()
    assert (found.p_value == 1).all()


@pytest.mark.parametrize("values", [[1.0, np.nan], 3.0])
def test_the_confidence_sequence_refuses_what_it_cannot_read(values: object) -> None:
    with pytest.raises(InvalidInput):
        confidence_sequence(values)  # type: ignore[arg-type]


def snapshots(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Loss differences of an A/A test over 100 dates x 6 games x 10 snapshots that share their game's luck.

    Variances of date, game and snapshot make the true standard error 2.6 times the naive one, as measured.
    """
    date_luck, game_luck = rng.normal(0, 0.03**0.5, (100, 1, 1)), rng.normal(0, 0.443**0.5, (100, 6, 1))
    rows = date_luck + game_luck + rng.normal(0, 0.527**0.5, (100, 6, 10))
    return rows.ravel(), np.repeat(np.arange(100), 60)


def test_snapshots_taken_as_independent_raise_false_alarms_that_date_blocks_do_not() -> None:
    rng = np.random.default_rng(4)
    runs = 500
    iid, blocked = 0, 0
    for run in range(runs):
        rows, dates = snapshots(rng)
        iid += abs(rows.mean()) > 1.96 * rows.std() / np.sqrt(len(rows))
        found = paired_bootstrap(rows, np.zeros_like(rows), dates, n_boot=400, seed=run)
        blocked += not found.low <= 0 <= found.high
    assert 0.38 < iid / runs < 0.52
    assert blocked / runs <= 0.06


def test_estimate_is_the_mean_over_rows_and_the_seed_decides_the_interval() -> None:
    rng = np.random.default_rng(5)
    champion, challenger = rng.gamma(2, 1, 300), rng.gamma(2, 0.9, 300)
    dates = np.repeat(np.arange(30), 10)
    dates[:9] = 1
    one = paired_bootstrap(champion, challenger, dates, seed=7)
    assert one.estimate == pytest.approx((champion - challenger).mean())
    assert (one.n, one.blocks) == (300, 30)
    assert one == paired_bootstrap(champion, challenger, dates, seed=7)
    assert one != paired_bootstrap(champion, challenger, dates, seed=8)


def test_swapping_the_models_flips_the_sign() -> None:
    rng = np.random.default_rng(6)
    worse = rng.gamma(2, 1, 400)
    better = worse - 0.2
    dates = [f"2025-01-{day:02d}" for day in np.repeat(np.arange(1, 21), 20)]
    one, other = paired_bootstrap(worse, better, dates), paired_bootstrap(better, worse, dates)
    assert one.low > 0
    assert other.high < 0
    assert one.estimate == pytest.approx(-other.estimate)


@pytest.mark.parametrize(
    ("champion", "challenger", "blocks", "says"),
    [
        ([1.0, 2.0], [1.0], [1, 2], "same questions"),
        ([1.0, 2.0], [1.0, 2.0], [1], "same questions"),
        ([1.0, np.nan], [1.0, 2.0], [1, 2], "1 of 2 losses of the champion"),
        ([1.0, 2.0], [1.0, np.inf], [1, 2], "of the challenger"),
        ([1.0, 2.0], [1.0, 2.0], [1, 1], "two blocks"),
    ],
)
def test_losses_that_cannot_be_paired_are_named(
    champion: list[float], challenger: list[float], blocks: list[int], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        paired_bootstrap(champion, challenger, blocks)


def test_block_means_come_in_date_order() -> None:
    assert block_means([4.0, 1.0, 3.0], ["b", "a", "a"]).tolist() == [2.0, 4.0]
