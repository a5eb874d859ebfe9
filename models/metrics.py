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
    order, edges = calibration_edges(p, bins)
    gaps = [abs(p[order[a:b]].sum() - y[order[a:b]].sum()) for a, b in pairwise(edges)]
    return float(np.sum(gaps) / p.size)


def calibration_edges(probability: ArrayLike, bins: int = ECE_BINS) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order of the rows by claimed probability, and where each of at most `bins` bins of equal mass begins and ends
    in that order (bins + 1 positions)."""
    p = _floats(probability)
    order = np.argsort(p, kind="stable")
    return order, np.linspace(0, p.size, min(bins, max(p.size, 1)) + 1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class BrierParts:
    """Murphy's (1973) parts over bins of equal mass: Brier = reliability - resolution + uncertainty + within.

    `within` is what the spread of claims inside the bins adds (Stephenson, Coelho & Jolliffe 2008).
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(probability: ArrayLike, label: ArrayLike, bins: int = ECE_BINS) -> BrierParts:
    """The parts of the Brier score; NaN without rows."""
    p, y = _floats(probability), _floats(label)
    if p.size == 0:
        return BrierParts(*(float("nan"),) * 4)
    order, edges = calibration_edges(p, bins)
    base = float(y.mean())
    reliability = resolution = 0.0
    for a, b in pairwise(edges):
        claimed, observed = p[order[a:b]].mean(), y[order[a:b]].mean()
        reliability += (b - a) / p.size * float((claimed - observed) ** 2)
        resolution += (b - a) / p.size * float((observed - base) ** 2)
    uncertainty = base * (1 - base)
    within = float(squared_errors(p, y).mean()) - (reliability - resolution + uncertainty)
    return BrierParts(reliability, resolution, uncertainty, within)


class Blocks:
    """Resamples of whole blocks (game dates), drawn once for every figure on the same n rows.

    Intervals are percentile intervals at level 1 - `alpha` over `n_boot` resamples.
    """

    def __init__(
        self,
        blocks: Sequence[Any] | NDArray[Any],
        *,
        n_boot: int = 2000,
        alpha: float = 0.05,
        seed: int = 0,
    ) -> None:
        names, self._block = np.unique(np.asarray(blocks), return_inverse=True)
        self.count, self.alpha = int(names.size), alpha
        even = np.full(self.count, 1 / max(self.count, 1))
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(self.count, even, size=n_boot) if self.count else np.zeros((n_boot, 0))
        self._draws = drawn.astype(np.float64)

    def sums(self, values: ArrayLike) -> Array:
        """Sum of `values` (n,) in every block."""
        return np.bincount(self._block, weights=_floats(values), minlength=self.count).astype(np.float64)

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike) -> Interval:
        """Σnumerator / Σdenominator; rows that do not take part carry 0 in both. NaN when nothing takes part."""
        tops, bottoms = self.sums(numerator), self.sums(denominator)
        if self.count == 0 or bottoms.sum() == 0:
            return Interval(float("nan"), float("nan"), float("nan"), self.count)
        drawn = self._draws @ bottoms
        sample = (self._draws @ tops)[drawn > 0] / drawn[drawn > 0]
        return self._interval(float(tops.sum() / bottoms.sum()), sample)

    def mean(self, values: ArrayLike) -> Interval:
        """Mean of `values`."""
        data = _floats(values)
        return self.ratio(data, np.ones_like(data))

    def calibration_error(
        self, probability: ArrayLike, label: ArrayLike, bins: int = ECE_BINS
    ) -> tuple[Interval, float]:
        """ECE with its interval, and the ECE that noise alone gives.

        The second figure is the mean size of the bins' gaps around their own values over the resamples: a perfectly
        calibrated model would show about that much on as many dates, and an ECE at its level is none.
        """
        p, y = _floats(probability), _floats(label)
        if p.size == 0:
            return Interval(float("nan"), float("nan"), float("nan"), self.count), float("nan")
        order, edges = calibration_edges(p, bins)
        bin_of = np.empty(p.size, dtype=np.intp)
        for number, (a, b) in enumerate(pairwise(edges)):
            bin_of[order[a:b]] = number
        gaps = np.stack([self.sums(np.where(bin_of == k, p - y, 0.0)) for k in range(edges.size - 1)], axis=1)
        drawn = (self._draws @ self.sums(np.ones_like(p)))[:, None]
        resampled = (self._draws @ gaps) / drawn
        actual = gaps.sum(axis=0) / p.size
        value, sample = float(np.abs(actual).sum()), np.abs(resampled).sum(axis=1)
        # Noise only adds to a sum of sizes, so resamples lie above the value: moved down by that much.
        interval = self._interval(value, np.maximum(sample - (sample.mean() - value), 0.0))
        return interval, float(np.abs(resampled - actual).sum(axis=1).mean())

    def _interval(self, value: float, sample: Array) -> Interval:
        low, high = np.quantile(sample, [self.alpha / 2, 1 - self.alpha / 2])
        return Interval(value, float(low), float(high), self.count)


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
    return Blocks(blocks, n_boot=n_boot, alpha=alpha, seed=seed).ratio(numerator, denominator)


def mean_interval(
    values: ArrayLike,
    blocks: Sequence[Any] | NDArray[Any],
    *,
    n_boot: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with its date-block bootstrap interval."""
    return Blocks(blocks, n_boot=n_boot, alpha=alpha, seed=seed).mean(values)
