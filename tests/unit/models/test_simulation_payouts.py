"""Payout tables: presets, scaling to another field, what looks wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.errors import InvalidInput
from features.sources.payouts import Payouts, Preset, preset_payouts, read_payouts

TABLE = Payouts(((1, 1, 100.0), (2, 3, 40.0), (4, 10, 10.0)), 100, 4.0)


def test_sums_of_the_best_prizes_split_ties_as_differences() -> None:
    paid = TABLE.cumulative_usd(12)
    assert paid.tolist()[:5] == [0.0, 100.0, 140.0, 180.0, 190.0]
    assert paid[12] == TABLE.pool_usd == 250.0
    assert (paid[5] - paid[1]) / 4 == TABLE.prize_usd(2, tied=4)


@pytest.mark.parametrize("preset", ["gpp", "double_up", "fifty_fifty", "winner_take_all"])
@pytest.mark.parametrize("size", [2, 57, 1_000, 20_808])
def test_presets_pay_out_the_fees_less_the_rake(preset: Preset, size: int) -> None:
    payouts = preset_payouts(preset, field_size=size, entry_fee_usd=4.0, rake=0.15)
    # Whole prizes in a tiny double-up can keep most of a pool back; cents are rounded down elsewhere.
    room = 8.0 if preset == "double_up" else 0.01 * size
    wanted = max(size * 4.0 * 0.85, 8.0 if preset == "double_up" else 0.0)
    assert wanted - room - 1e-6 <= payouts.pool_usd <= wanted + 1e-6
    prizes = np.diff(payouts.cumulative_usd(size))
    assert (np.diff(prizes) <= 1e-9).all()
    assert payouts.paid_places <= size


def test_a_top_heavy_preset_resembles_the_real_ones() -> None:
    payouts = preset_payouts("gpp", field_size=20_808)
    assert payouts.prize_usd(1) == pytest.approx(0.1 * payouts.pool_usd, rel=0.01)
    assert payouts.prize_usd(payouts.paid_places) == 6.0
    assert payouts.paid_places == 5_202


@pytest.mark.parametrize("size", [20, 99, 1_000, 54_321])
def test_scaling_keeps_rake_and_last_prize_and_moves_the_first(size: int) -> None:
    scaled = TABLE.scaled(size)
    assert scaled.field_size == size
    assert scaled.rake == pytest.approx(TABLE.rake, abs=0.002 + 0.01 / size)
    prizes = np.diff(scaled.cumulative_usd(scaled.paid_places))
    assert (np.diff(prizes) <= 1e-9).all()
    assert (prizes[0] > 100) == (size > 100)
    if size > 100:
        assert prizes[-1] == 10.0


def test_scaling_a_flat_table_changes_places_not_prizes() -> None:
    flat = Payouts(((1, 40, 8.0),), 100, 4.0)
    assert flat.scaled(1_000).tiers == ((1, 400, 8.0),)
    alone = Payouts(((1, 1, 340.0),), 100, 4.0)
    assert alone.scaled(1_000).tiers == ((1, 1, 3400.0),)
    assert TABLE.scaled(100) == TABLE


def test_prizes_above_the_fees_and_too_many_places_are_named() -> None:
    assert TABLE.problems() == ()
    generous = Payouts(((1, 200, 10.0),), 100, 4.0)
    assert "exceed the fees" in generous.problems()[0]
    assert "200 places are paid but only 100" in generous.problems()[1]


@pytest.mark.parametrize(
    ("field_size", "fee", "rake"), [(1, 4.0, 0.1), (10, 0.0, 0.1), (10, 4.0, 1.0), (10, float("nan"), 0.1)]
)
def test_impossible_presets_are_refused(field_size: int, fee: float, rake: float) -> None:
    with pytest.raises(InvalidInput, match="rake"):
        preset_payouts("gpp", field_size=field_size, entry_fee_usd=fee, rake=rake)


def test_unknown_presets_and_empty_fields_are_refused() -> None:
    with pytest.raises(InvalidInput, match="not known"):
        preset_payouts("jackpot")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="field_size is 0"):
        TABLE.scaled(0)


@pytest.mark.real_data
def test_a_real_table_scaled_to_a_larger_contest_resembles_that_contest(fantasy_data: Path) -> None:
    folder = fantasy_data / "dfs" / "draftkings" / "nba" / "payouts"
    small, large = (read_payouts(folder / f"{name}_Four_Point_Play.csv") for name in ("15K", "70K"))
    scaled = small.scaled(large.field_size)
    assert scaled.pool_usd == pytest.approx(large.pool_usd, rel=0.01)
    assert scaled.paid_places == pytest.approx(large.paid_places, rel=0.05)
    for place in (1, 2, 5, 50, 200, 2_000, 5_000):
        assert scaled.prize_usd(place) == pytest.approx(large.prize_usd(place), rel=0.35)
