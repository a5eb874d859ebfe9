"""Asymptotic confidence sequence: an interval that may be looked at every day and stopped on at any time.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, *Time-uniform central limit theory and asymptotic confidence
sequences* (arXiv 2103.06476), Theorem 2.2; the same form as in GrowthBook. After t values with running standard
deviation s and a tuning constant r:

    half-width   s * sqrt( 2 (t r^2 + 1) / (t r)^2 * log( sqrt(t r^2 + 1) / alpha ) )
    r            sqrt( (-2 log alpha + log(-2 log alpha + 1)) / t* ),   t* = when we expect to decide
    p-value      min(1, 1/e),  e = exp( r^2 S^2 / (2 (t r^2 + 1)) ) / sqrt(t r^2 + 1),  S = sum / s
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.errors import InvalidInput

Array = NDArray[np.float64]
#: Game dates in one regular season: when a comparison is expected to be decided.
SEASON_DATES: Final = 160
#: The theorem is asymptotic: no claim is made on fewer values.
START: Final = 20


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Arrays over time (last axis): after value t the true mean lies in `low[t]..high[t]` for all t at once with
    probability 1 - alpha. Before `START` values the interval is unbounded and the p-value 1."""

    mean: Array
    low: Array
    high: Array
    p_value: Array

    @property
    def excludes_zero(self) -> NDArray[np.bool_]:
        """Where the interval lies wholly on one side of zero."""
        return (self.low > 0) | (self.high < 0)


def confidence_sequence(
    values: ArrayLike, *, alpha: float = 0.05, decide_at: int = SEASON_DATES, start: int = START
) -> ConfidenceSequence:
    """Confidence sequence of the mean of block means (..., t), two-sided. Several streams go on leading axes.

    Raises `InvalidInput` for values that are not finite, or `alpha` outside (0, 1).
    """
    x = np.asarray(values, dtype=np.float64)
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha is {alpha}: choose a value between 0 and 1, such as 0.05")
    if x.ndim == 0 or not np.isfinite(x).all():
        raise InvalidInput("a confidence sequence needs finite values along its last axis; drop the others")
    t = np.arange(1, x.shape[-1] + 1, dtype=np.float64)
    mean = np.cumsum(x, axis=-1) / t
    # Centred first: a running variance from raw squares cancels badly when the mean is far from zero.
    centred = x - x.mean(axis=-1, keepdims=True)
    moment = np.cumsum(centred, axis=-1)
    spread = np.sqrt(np.maximum((np.cumsum(centred**2, axis=-1) - moment**2 / t) / t, 0.0))
    log_alpha = np.log(alpha)
    rho2 = (-2 * log_alpha + np.log(-2 * log_alpha + 1)) / decide_at
    grow = t * rho2 + 1
    half = spread * np.sqrt(2 * grow / (t**2 * rho2) * (0.5 * np.log(grow) - log_alpha))
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(spread > 0, mean * t / spread, np.where(mean == 0, 0.0, np.inf))
    log_e = rho2 * total**2 / (2 * grow) - 0.5 * np.log(grow)
    open_ = t < start
    return ConfidenceSequence(
        mean,
        np.where(open_, -np.inf, mean - half),
        np.where(open_, np.inf, mean + half),
        np.where(open_, 1.0, np.exp(-np.maximum(log_e, 0.0))),
    )
