"""Calibration, fitted later than the network: a temperature for probabilities, offsets for quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from models.metrics import Array, inside, log_losses

#: Standard deviation of log-temperature before any data: a calibration slice of a few hundred
#: games has a standard error of about this size, so an unshrunk temperature would mostly fit noise.
TEMPERATURE_PRIOR: Final = 0.15
#: How far adaptive intervals move after a date whose share of misses was off by 1 (gamma of Gibbs & Candès 2021).
ADAPTIVE_RATE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Temperature:
    """`probability = expit(logit / temperature)`; below 1 sharpens, above 1 softens."""

    temperature: float = 1.0

    def apply(self, logits: ArrayLike) -> Array:
        """Calibrated probabilities (n,) of `logits` (n,)."""
        return np.asarray(expit(np.asarray(logits, dtype=np.float64) / self.temperature))


def fit_temperature(logits: ArrayLike, label: ArrayLike, prior: float = TEMPERATURE_PRIOR) -> Temperature:
    """The temperature of maximal posterior density under log T ~ N(0, `prior`²)."""
    from scipy.optimize import minimize_scalar  # only training needs it

    z, y = np.asarray(logits, dtype=np.float64), np.asarray(label, dtype=np.float64)

    def negative_log_posterior(log_t: float) -> float:
        return float(log_losses(expit(z / np.exp(log_t)), y).sum() + 0.5 * (log_t / prior) ** 2)

    best = minimize_scalar(negative_log_posterior, bounds=(-1.5, 1.5), method="bounded")
    return Temperature(float(np.exp(best.x)))


@dataclass(frozen=True, slots=True)
class ConformalOffsets:
    """Per-level shifts of predicted quantiles, in units of each row's own predicted spread.

    `offsets` has one row per site and one column per level; `low`/`high` index the levels whose distance is the
    spread. Quantiles are sorted afterwards, so they stay monotone.
    """

    offsets: tuple[tuple[float, ...], ...]
    low: int
    high: int

    def apply(self, quantiles: Array) -> Array:
        """Calibrated quantiles (n, sites, levels)."""
        spread = quantiles[:, :, self.high] - quantiles[:, :, self.low]
        moved = quantiles + spread[:, :, None] * np.asarray(self.offsets)[None]
        return np.sort(moved, axis=2)

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {"offsets": [list(row) for row in self.offsets], "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ConformalOffsets:
        """Back from `as_json`."""
        return cls(tuple(tuple(float(v) for v in row) for row in data["offsets"]), data["low"], data["high"])


def fit_offsets(quantiles: Array, levels: ArrayLike, label: Array) -> ConformalOffsets:
    """Offsets that make each level hold on this slice (conformalised quantile regression, one-sided per level;
    Romano et al. 2019, with residuals scaled by the predicted interquartile range).

    quantiles (n, sites, levels), label (n, sites). NaN labels are left out.
    """
    tau = np.asarray(levels, dtype=np.float64)
    low, high = int(np.argmin(np.abs(tau - 0.25))), int(np.argmin(np.abs(tau - 0.75)))
    spread = np.maximum(quantiles[:, :, high] - quantiles[:, :, low], 1e-6)
    rows: list[tuple[float, ...]] = []
    for site in range(quantiles.shape[1]):
        known = np.isfinite(label[:, site])
        residual = (label[known, site, None] - quantiles[known, site]) / spread[known, site, None]
        rows.append(tuple(float(np.quantile(residual[:, k], tau[k])) for k in range(tau.size)))
    return ConformalOffsets(tuple(rows), low, high)


@dataclass(frozen=True, slots=True)
class ResidualSpread:
    """Quantiles of (label - point) per band of the point: turns a point projection into a distribution.

    `edges` (b-1,) split the points into b bands; `residuals` is (b, levels).
    """

    edges: tuple[float, ...]
    levels: tuple[float, ...]
    residuals: tuple[tuple[float, ...], ...]

    def quantiles(self, point: ArrayLike) -> Array:
        """Quantiles (n, levels) around `point` (n,)."""
        p = np.asarray(point, dtype=np.float64)
        return np.asarray(p[:, None] + np.asarray(self.residuals)[np.searchsorted(self.edges, p)])

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {
            "edges": list(self.edges),
            "levels": list(self.levels),
            "residuals": [list(r) for r in self.residuals],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ResidualSpread:
        """Back from `as_json`."""
        return cls(tuple(data["edges"]), tuple(data["levels"]), tuple(tuple(r) for r in data["residuals"]))


def fit_residual_spread(point: ArrayLike, label: ArrayLike, levels: ArrayLike, bands: int = 10) -> ResidualSpread:
    """Residual quantiles in `bands` bands of equal mass (fewer when rows are few: at least 30 rows a band)."""
    p, y = np.asarray(point, dtype=np.float64), np.asarray(label, dtype=np.float64)
    tau = np.asarray(levels, dtype=np.float64)
    bands = max(1, min(bands, p.size // 30))
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bands + 1)[1:-1])) if bands > 1 else np.empty(0)
    band = np.searchsorted(edges, p)
    overall = np.quantile(y - p, tau)
    rows = [np.quantile((y - p)[band == b], tau) if np.any(band == b) else overall for b in range(edges.size + 1)]
    return ResidualSpread(
        tuple(float(e) for e in edges), tuple(float(t) for t in tau), tuple(tuple(map(float, r)) for r in rows)
    )


@dataclass(frozen=True, slots=True)
class AdaptiveCoverage:
    """Adaptive conformal inference (Gibbs & Candès 2021, arXiv 2106.00170) around predicted quantiles.

    `missed` is the share of outcomes intervals are to miss, `aim` the share the next interval is drawn for: it falls
    after a date with too many misses and rises after one with too few, so coverage holds under drift.
    """

    missed: float = 0.20
    aim: float = 0.20
    rate: float = ADAPTIVE_RATE

    def interval(self, quantiles: Array, levels: ArrayLike) -> tuple[Array, Array]:
        """Ends (n,), (n,) of central intervals that are to miss `aim`, from `quantiles` (n, K) at `levels` (K,).

        Beyond the outermost levels the ends move on in steps as wide as between the two outermost.
        """
        tau = np.asarray(levels, dtype=np.float64)
        return _at_level(quantiles, tau, self.aim / 2), _at_level(quantiles, tau, 1 - self.aim / 2)

    def after(self, missed: float) -> AdaptiveCoverage:
        """The next state, once the share `missed` of a date's outcomes is known."""
        aim = self.aim + self.rate * (self.missed - missed)
        return AdaptiveCoverage(self.missed, float(np.clip(aim, 0.0, 1.0)), self.rate)


def adaptive_intervals(
    quantiles: Array,
    levels: ArrayLike,
    label: ArrayLike,
    dates: Sequence[Any] | NDArray[Any],
    start: AdaptiveCoverage = AdaptiveCoverage(),
) -> tuple[Array, Array]:
    """Ends (n,), (n,) of adaptive intervals over game dates in order: each uses the outcomes of earlier dates only."""
    y = np.asarray(label, dtype=np.float64)
    low, high = np.empty(y.size), np.empty(y.size)
    state, (_, date_of) = start, np.unique(np.asarray(dates), return_inverse=True)
    for number in range(int(date_of.max(initial=-1)) + 1):
        rows = np.flatnonzero(date_of == number)
        low[rows], high[rows] = state.interval(quantiles[rows], levels)
        state = state.after(1 - float(inside(low[rows], high[rows], y[rows]).mean()))
    return low, high


def _at_level(quantiles: Array, levels: Array, level: float) -> Array:
    """Quantiles (n,) at one level, linear between the levels and beyond them."""
    at = int(np.clip(np.searchsorted(levels, level, side="right") - 1, 0, levels.size - 2))
    share = (level - levels[at]) / (levels[at + 1] - levels[at])
    return np.asarray(quantiles[:, at] + share * (quantiles[:, at + 1] - quantiles[:, at]))
