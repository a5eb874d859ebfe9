"""What a partition's owner says of itself: alarms and latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from features.stream.metrics import Latencies, Metrics, quantiles_ms


def test_lag_beyond_half_of_what_is_kept_is_an_alarm() -> None:
    metrics = Metrics("me", 100)
    metrics.lag = 50
    assert metrics.snapshot(1.0, 0)["alarm"] == ""
    metrics.lag = 51
    assert "51%" in metrics.snapshot(2.0, 0)["alarm"]


def test_latencies_are_counted_to_the_bucket() -> None:
    latencies = Latencies()
    created: Sequence[int] = [10**9 - int(ms * 1e6) for ms in (*(98 * [1.0]), 4.0, 20_000.0)]
    latencies.record(np.array(created), 10**9)
    recent = latencies.recent()
    assert recent["p50_ms"] == pytest.approx(1.05) and recent["p99_ms"] == pytest.approx(4.05)
    assert recent["p999_ms"] == pytest.approx(10_000.0) and latencies.recent()["p50_ms"] is None
    assert sum(latencies.histogram().values()) == 100
    assert quantiles_ms(np.zeros(5, np.int64)) == {"p50_ms": None, "p99_ms": None, "p999_ms": None}
