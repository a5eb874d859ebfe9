"""Prizes of simulated contests against a plain count of who is ahead and who is tied."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import InvalidInput
from features.sources.payouts import Payouts, preset_payouts
from models.errors import Cancelled
from models.lineups.simulation.field import Field
from models.lineups.simulation.payoff import CHUNK, Match, ScoreGrid, play_alone, play_together, score_grid

ROWS, SIZE = 24, 5


def lineups(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.array([rng.choice(ROWS, SIZE, replace=False) for _ in range(count)], dtype=np.int32)


def by_hand(grid: ScoreGrid, field: Field, mine: np.ndarray, payouts: Payouts, together: bool) -> np.ndarray:
    """Prize (C, S) of each lineup, from places counted one by one."""
    points = grid.points.astype(np.int64)
    theirs = np.repeat(points[field.rows].sum(axis=1), field.count, axis=0)
    ours = points[mine].sum(axis=1)
    won = np.zeros(ours.shape)
    for s in range(grid.scenarios):
        for c in range(len(mine)):
            rivals = np.concatenate([theirs[:, s], np.delete(ours[:, s], c) if together else []])
            ahead, level = int((rivals > ours[c, s]).sum()), int((rivals == ours[c, s]).sum())
            won[c, s] = payouts.prize_usd(ahead + 1, level + 1)
    return won


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.parametrize("seed", range(8))
def test_prizes_equal_a_plain_count_whatever_the_ties(seed: int, together: bool) -> None:
    rng = np.random.default_rng(seed)
    # One value of points in three makes nearly every score a tie; negative points happen (turnovers, goals against).
    most = int(rng.choice([2, 3, 60]))
    grid = score_grid(rng.integers(-2, most, (rng.integers(1, 90), ROWS)).astype(np.float32) / 2, 0.5, SIZE)
    field = Field(lineups(rng, int(rng.integers(1, 50))), np.zeros(0, dtype=np.int64))
    field = Field(field.rows, rng.integers(1, 4, len(field.rows)))
    mine = lineups(rng, 6)
    mine[1] = mine[0]
    preset = ("gpp", "double_up", "fifty_fifty", "winner_take_all")[seed % 4]
    payouts = preset_payouts(preset, field_size=field.entries + len(mine))
    played = (play_together if together else play_alone)(grid, field, mine, payouts, keep_prizes=True)
    expected = by_hand(grid, field, mine, payouts, together)
    assert played.prize_usd is not None
    np.testing.assert_allclose(played.prize_usd, expected, rtol=1e-5)
    np.testing.assert_allclose(played.mean_usd, expected.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(played.sum_usd, expected.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(played.cash, (expected > 0).mean(axis=1))


def test_places_are_counted_with_ties_as_shared_first() -> None:
    points = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]], dtype=np.float32)
    grid = score_grid(points, 1.0, 1)
    field = Field(np.array([[0], [1]], dtype=np.int32), np.array([1, 1]))
    played = play_together(grid, field, np.array([[2], [3]], dtype=np.int32), preset_payouts("gpp", field_size=4))
    # Scenario 1: fourth and third last; 2: second and first; 3: all tied for first.
    np.testing.assert_allclose(played.win, [1 / 3, 2 / 3])
    assert played.any_first.tolist() == [False, True, True]
    assert played.any_top10.all()


def test_prizes_paid_never_exceed_the_pool() -> None:
    rng = np.random.default_rng(5)
    grid = score_grid(rng.integers(0, 4, (40, ROWS)).astype(np.float32), 1.0, SIZE)
    everybody = lineups(rng, 30)
    payouts = preset_payouts("gpp", field_size=31)
    played = play_together(grid, Field(lineups(rng, 1), np.array([1])), everybody, payouts)
    assert (played.sum_usd <= payouts.pool_usd + 1e-3).all()


def test_each_match_meets_its_own_field() -> None:
    rng = np.random.default_rng(9)
    scenarios = CHUNK + 70
    grid = score_grid(rng.integers(0, 30, (scenarios, ROWS)).astype(np.float32), 1.0, SIZE)
    first, second = (Field(lineups(rng, 20), np.ones(20, dtype=np.int64)) for _ in range(2))
    mine, payouts = lineups(rng, 4), preset_payouts("gpp", field_size=24)
    split = play_alone(grid, [Match(0, 33, first), Match(33, scenarios, second)], mine, payouts, keep_prizes=True)
    one, two = (play_alone(grid, field, mine, payouts, keep_prizes=True).prize_usd for field in (first, second))
    assert split.prize_usd is not None and one is not None and two is not None
    np.testing.assert_array_equal(split.prize_usd, np.concatenate([one[:, :33], two[:, 33:]], axis=1))


def test_captains_halves_stay_exact_and_large_scores_do_not_overflow() -> None:
    grid = score_grid(np.array([[10.25 * 1.5, 10.25]], dtype=np.float32), 0.25, 6)
    assert grid.step == 0.125
    assert (grid.points.ravel() * grid.step).tolist() == [15.375, 10.25]
    large = score_grid(np.array([[9_000.0]], dtype=np.float32), 0.25, 6)
    assert large.points.dtype == np.int32


@pytest.mark.parametrize("points", [np.nan, 0.1])
def test_points_off_the_grid_or_missing_are_refused(points: float) -> None:
    with pytest.raises(InvalidInput, match="scenario points"):
        score_grid(np.full((1, 3), points, dtype=np.float32), 0.25, 3)


def test_an_empty_field_is_refused() -> None:
    grid = score_grid(np.ones((3, ROWS), dtype=np.float32), 1.0, SIZE)
    empty = Field(np.zeros((0, SIZE), dtype=np.int32), np.zeros(0, dtype=np.int64))
    with pytest.raises(InvalidInput, match="field is empty"):
        play_alone(grid, empty, lineups(np.random.default_rng(1), 1), preset_payouts("gpp"))


def test_cancelling_stops_the_play() -> None:
    rng = np.random.default_rng(2)
    grid = score_grid(rng.integers(0, 9, (CHUNK * 4, ROWS)).astype(np.float32), 1.0, SIZE)
    field = Field(lineups(rng, 9), np.ones(9, dtype=np.int64))
    with pytest.raises(Cancelled):
        play_alone(grid, field, lineups(rng, 2), preset_payouts("gpp"), cancelled=lambda: True)
