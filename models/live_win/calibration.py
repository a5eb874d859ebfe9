"""Calibration of the in-game winner by the clock, on plain arrays: it needs no torch, so live workers can do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import ConformalOffsets, Temperature
from models.live_win.config import BUCKETS, CLOCK


def buckets(inputs: NDArray[np.float32], features: Sequence[str]) -> NDArray[np.int64]:
    """Number of the bucket (n,) that each row's share of regulation left falls in; an unknown one counts as whole."""
    share = np.nan_to_num(inputs[:, list(features).index(CLOCK)].astype(np.float64), nan=1.0)
    return np.searchsorted(np.asarray(BUCKETS), share, side="left").astype(np.int64)


def calibrated(
    logits: NDArray[np.float64],
    location: NDArray[np.float64],
    quantiles: NDArray[np.float64],
    bucket: NDArray[np.int64],
    calibration: Mapping[str, Any],
) -> dict[str, NDArray[Any]]:
    """`home_win_probability` (n,), `margin_mean` (n,) and `margin_quantiles` (n, K; ascending) of raw logits (n,),
    locations (n,) and quantiles (n, K)."""
    probability, moved = Temperature().apply(logits), np.array(quantiles)
    for number, temperature in enumerate(calibration.get("temperatures", [])):
        own = bucket == number
        probability[own] = Temperature(float(temperature)).apply(logits[own])
    for number, offsets in enumerate(calibration.get("offsets", [])):
        own = bucket == number
        if offsets is not None and own.any():
            moved[own] = ConformalOffsets.from_json(offsets).apply(quantiles[own, None, :])[:, 0]
    return {"home_win_probability": probability, "margin_mean": location, "margin_quantiles": moved}
