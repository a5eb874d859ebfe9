"""Drift and staleness."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats

from features.errors import InvalidInput
from models.monitoring import drift_report, kolmogorov_smirnov, model_staleness, population_stability

NOW = datetime(2025, 2, 10, 5, tzinfo=UTC)


def frame(seed: int, n: int = 800, shift: float = 0.0, missing: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    minutes = rng.normal(24 + shift, 8, n)
    gone = rng.random(n) < missing
    return pl.DataFrame(
        {
            "minutes": pl.Series(minutes, dtype=pl.Float32),
            "rest": rng.integers(1, 4, n),
            "usage": [None if hole else value for hole, value in zip(gone, rng.random(n), strict=True)],
        }
    )


def levels(current: pl.DataFrame) -> dict[str, str]:
    report = drift_report(frame(1, 5000), current, ["minutes", "rest", "usage"])
    return {each.column: each.level for each in report.columns}


def test_the_same_world_is_quiet() -> None:
    quiet = [set(levels(frame(seed)).values()) == {"ok"} for seed in range(2, 42)]
    assert sum(quiet) >= 39


def test_small_samples_are_quiet_too() -> None:
    quiet = [set(levels(frame(seed, 60)).values()) == {"ok"} for seed in range(2, 42)]
    assert sum(quiet) >= 36


@pytest.mark.parametrize(("shift", "level"), [(3.5, "watch"), (8.0, "alert")])
def test_a_moved_feature_is_seen_and_listed_first(shift: float, level: str) -> None:
    report = drift_report(frame(1, 5000), frame(2, 2000, shift=shift), ["rest", "usage", "minutes"])
    assert report.columns[0].column == "minutes"
    assert report.columns[0].level == report.level == level
    assert {each.level for each in report.columns[1:]} == {"ok"}


def test_values_that_go_missing_are_seen() -> None:
    assert levels(frame(2, missing=0.1))["usage"] == "watch"
    assert levels(frame(2, missing=0.5))["usage"] == "alert"
    assert levels(frame(2, missing=1.0))["usage"] == "alert"


def test_a_column_of_few_values_is_compared_value_by_value() -> None:
    other = frame(2).with_columns(pl.lit(1).alias("rest"))
    assert levels(other)["rest"] == "alert"


def test_too_few_rows_say_nothing() -> None:
    assert set(levels(frame(2, 20)).values()) == {"unknown"}


def test_the_statistic_is_scipys() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=700), rng.normal(0.1, 1.1, size=500).round(1)
    expected = stats.ks_2samp(one, other, method="asymp")
    distance, p_value = kolmogorov_smirnov(one, other)
    assert distance == pytest.approx(expected.statistic)
    assert p_value == pytest.approx(expected.pvalue, rel=0.1)


def test_population_stability_of_a_known_shift() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=400_000), rng.normal(0.5, 1, size=400_000)
    # Ten bins lose a little of the symmetrised divergence of two normals, which is shift squared.
    assert population_stability(one, other) == pytest.approx(0.25, abs=0.02)
    assert population_stability(one, rng.normal(size=400_000)) < 1e-3


@pytest.mark.parametrize(("through", "level"), [(date(2025, 2, 9), "ok"), (date(2025, 1, 20), "watch"),
                                                (date(2024, 10, 1), "alert")])  # fmt: skip
def test_age_has_levels_and_counts_in_the_report(through: date, level: str) -> None:
    age = model_staleness(through, NOW)
    report = drift_report(frame(1, 5000), frame(2), ["minutes"], staleness=age)
    assert age.age_days == (NOW.date() - through).days
    assert report.level == level
    assert json.loads(json.dumps(report.as_json()))["staleness"]["trained_through"] == through.isoformat()


def test_missing_columns_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"current rows lack columns \['minutes'\]"):
        drift_report(frame(1), frame(2).drop("minutes"), ["minutes"])
