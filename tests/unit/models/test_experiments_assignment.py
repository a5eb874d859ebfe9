"""Sticky assignment and the sample-ratio check."""

from __future__ import annotations

from collections import Counter

import pytest

from features.errors import InvalidInput
from models.experiments.assignment import Experiment, bucket, fnv32a, unit_hash
from models.experiments.srm import sample_ratio

HALVES = {"control": 0.5, "treatment": 0.5}


@pytest.fixture(scope="module")
def units() -> list[str]:
    return [f"u{i}" for i in range(100_000)]


@pytest.mark.parametrize(("text", "value"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_the_hash_is_fnv_1a(text: str, value: int) -> None:
    assert fnv32a(text) == value


@pytest.mark.parametrize(
    ("unit", "seed", "share"),
    [
        ("a", "seed", 0.0505),
        ("b", "seed", 0.2696),
        ("ab", "foo", 0.2575),
        ("def", "foo", 0.2019),
        ("8952klfjas09ujkasdf", "89123klj", 0.124),
        ("123", "90850943850283058242805", 0.7516),
    ],
)
def test_buckets_are_growthbooks_version_two(unit: str, seed: str, share: float) -> None:
    # Published in growthbook/growthbook, packages/sdk-js/test/cases.json.
    assert bucket(unit, seed) / 10_000 == share


def test_an_even_split_of_many_units_passes_and_a_skewed_one_fails(units: list[str]) -> None:
    counts = Counter(Experiment("ratio", HALVES).arm(unit) for unit in units)
    assert set(counts) == set(HALVES)
    fair = sample_ratio({arm: counts[arm] for arm in HALVES}, HALVES)
    assert fair.healthy is True
    skewed = Counter(Experiment("ratio", {"control": 0.52, "treatment": 0.48}).arm(unit) for unit in units)
    broken = sample_ratio({arm: skewed[arm] for arm in HALVES}, HALVES)
    assert broken.healthy is False
    assert broken.p_value < 0.001


def test_raising_the_ramp_moves_nobody_between_arms(units: list[str]) -> None:
    tenth, half = Experiment("ramp", HALVES, ramp=0.1), Experiment("ramp", HALVES, ramp=0.5)
    before = {unit: tenth.arm(unit) for unit in units}
    assert sum(arm is not None for arm in before.values()) / len(units) == pytest.approx(0.1, abs=0.005)
    assert all(half.arm(unit) == arm for unit, arm in before.items() if arm is not None)
    assert sum(half.arm(unit) is not None for unit in units) / len(units) == pytest.approx(0.5, abs=0.01)


def test_parallel_experiments_are_independent(units: list[str]) -> None:
    one, other = Experiment("one", HALVES), Experiment("other", HALVES)
    both = Counter((one.arm(unit), other.arm(unit)) for unit in units)
    joint = {f"{a}/{b}": n for (a, b), n in both.items()}
    assert sample_ratio(joint, dict.fromkeys(joint, 0.25)).healthy is True


def test_a_new_bucket_version_deals_out_anew(units: list[str]) -> None:
    old, new = Experiment("deal", HALVES), Experiment("deal", HALVES, bucket_version=2)
    stayed = sum(old.arm(unit) == new.arm(unit) for unit in units) / len(units)
    assert stayed == pytest.approx(0.5, abs=0.01)


def test_few_units_are_not_judged() -> None:
    assert sample_ratio({"control": 3, "treatment": 0}, HALVES).healthy is None
    assert sample_ratio({"control": 100, "treatment": 0}, HALVES).healthy is False


def test_units_are_stored_only_hashed() -> None:
    assert "joe" not in unit_hash("joe@example.org")
    assert unit_hash("joe@example.org") == unit_hash("joe@example.org") != unit_hash("jane@example.org")


@pytest.mark.parametrize("arms", [{}, {"a": 0.5, "b": 0.6}, {"a": -0.5, "b": 1.5}])
def test_shares_must_make_sense(arms: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="sum to 1"):
        Experiment("bad", arms)


def test_a_ramp_must_be_a_share() -> None:
    with pytest.raises(InvalidInput, match="ramp"):
        Experiment("bad", HALVES, ramp=50)


def test_counts_need_the_same_arms_as_shares() -> None:
    with pytest.raises(InvalidInput, match="same two or more arms"):
        sample_ratio({"control": 10}, HALVES)
