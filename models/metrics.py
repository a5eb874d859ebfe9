"""Scores of probabilities and of projected distributions, as pure functions of arrays.

Shapes: n answers, k quantile levels. Intervals resample game dates (blocks), never single rows: rows of one
night share games, so they are not independent (shared/research/mlops.md, finding 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
#: Bins of equal mass in which claimed and observed frequencies are compared.
ECE_BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the ends of its confidence interval and the number of blocks it was resampled from."""

    value: float
    low: float
    high: float
    blocks: int

    def as_json(self) -> dict[str, float | int]:
        """Plain numbers for a report."""
        return {"value": self.value, "low": self.low, "high": self.high, "blocks": self.blocks}


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)


def absolute_errors(mean: ArrayLike, label: ArrayLike) -> Array:
    """|mean - label| per row, in the label's unit."""
    return np.abs(_floats(mean) - _floats(label))


def squared_errors(probability: ArrayLike, label: ArrayLike) -> Array:
    """(probability - label)² per row; its mean is the Brier score."""
    return (_floats(probability) - _floats(label)) ** 2


def log_losses(probability: ArrayLike, label: ArrayLike) -> Array:
    """Negative log-likelihood per row in nats; probabilities are kept off 0 and 1 by 1e-7."""
    p = np.clip(_floats(probability), 1e-7, 1 - 1e-7)
    y = _floats(label)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def pinball_losses(quantiles: ArrayLike, levels: ArrayLike, label: ArrayLike) -> Array:
    """Pinball loss (n, k) of quantile forecasts (n, k) at `levels` (k,)."""
    gap = _floats(label)[:, None] - _floats(quantiles)
    tau = _floats(levels)[None, :]
    return np.maximum(tau * gap, (tau - 1) * gap)


def crps_losses(quantiles: ArrayLike, levels: ArrayLike, label: ArrayLike) -> Array:
    """CRPS per row (n,), as twice the integral of the pinball loss over the level (Gneiting & Raftery 2007).

    The integral is the trapezoid rule over `levels`, with the loss taken as 0 at levels 0 and 1.
    """
    loss = pinball_losses(quantiles, levels, label)
    tau = np.concatenate([[0.0], _floats(levels), [1.0]])
    padded = np.pad(loss, ((0, 0), (1, 1)))
    return np.asarray(2 * np.trapezoid(padded, tau, axis=1))


def inside(low: ArrayLike, high: ArrayLike, label: ArrayLike) -> Array:
    """1 where the label lies in [low, high], else 0; its mean is the interval coverage."""
    y = _floats(label)
    return ((y >= _floats(low)) & (y <= _floats(high))).astype(np.float64)


def expected_calibration_error(probability: ArrayLike, label: ArrayLike, bins: int = ECE_BINS) -> float:
    """Mass-weighted mean |claimed - observed| over `bins` equal-mass bins; NaN without rows."""
    p, y = _floats(probability), _floats(label)
    if p.size == 0:
        return float("nan")
    order = np.argsort(p, kind="stable")
    edges = np.linspace(0, p.size, min(bins, p.size) + 1).astype(int)
    gaps = [abs(p[order[a:b]].sum() - y[order[a:b]].sum()) for a, b in pairwise(edges)]
    return float(np.sum(gaps) / p.size)


def ratio_interval(
    numerator: ArrayLike,
    denominator: ArrayLike,
    blocks: Sequence[Any] | NDArray[Any],
    *,
    n_boot: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> Interval:
    """Σnumerator / Σdenominator with a percentile interval from resampling whole `blocks` (game dates).

    Rows that do not take part carry 0 in both. NaN ends when no block has a denominator.
    """
    top, bottom = _floats(numerator), _floats(denominator)
    names, block = np.unique(np.asarray(blocks), return_inverse=True)
    tops = np.bincount(block, weights=top, minlength=names.size)
    bottoms = np.bincount(block, weights=bottom, minlength=names.size)
    if names.size == 0 or bottoms.sum() == 0:
        return Interval(float("nan"), float("nan"), float("nan"), int(names.size))
    draws = np.random.default_rng(seed).multinomial(names.size, np.full(names.size, 1 / names.size), size=n_boot)
    drawn = draws @ bottoms
    sample = (draws @ tops)[drawn > 0] / drawn[drawn > 0]
    low, high = np.quantile(sample, [alpha / 2, 1 - alpha / 2])
    return Interval(float(tops.sum() / bottoms.sum()), float(low), float(high), int(names.size))


def mean_interval(
    values: ArrayLike,
    blocks: Sequence[Any] | NDArray[Any],
    *,
    n_boot: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with its date-block bootstrap interval."""
    data = _floats(values)
    return ratio_interval(data, np.ones_like(data), blocks, n_boot=n_boot, alpha=alpha, seed=seed)
