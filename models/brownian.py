"""The home margin as a Brownian motion with drift (Stern 1994, JASA 89:1128): the plainest model of a game in progress.

With share `s` of a game left, lead `l` and an expected margin `d` of a whole game, the final margin is normal with mean
l + d·s and variance sd²·s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtr, ndtri

from features.play.moments import REGULATION_S
from models.errors import TrainingError
from models.metrics import Array

#: Least share of a game taken as left: a game in question is not over, and a share of 0 has no distribution.
LEAST_SHARE: Final = 1.0 / REGULATION_S


@dataclass(frozen=True, slots=True)
class Brownian:
    """`intercept` and `slope` turn a strength (any number that rises with the home side's) into an expected margin of
    a whole game in points; `sd` is the deviation of a whole game's margin around it."""

    intercept: float
    slope: float
    sd: float

    def drift(self, strength: ArrayLike) -> Array:
        """Expected margin (n,) of a whole game in points."""
        return np.asarray(self.intercept + self.slope * np.asarray(strength, dtype=np.float64))

    def probability(self, lead: ArrayLike, strength: ArrayLike, share: ArrayLike) -> Array:
        """P(home wins) (n,): `lead` in points, `share` of regulation left (0 to 1)."""
        return np.asarray(ndtr(self._standing(lead, strength, share)))

    def logit(self, lead: ArrayLike, strength: ArrayLike, share: ArrayLike) -> Array:
        """log(p / (1 - p)) of `probability`, exact in the tails."""
        z = self._standing(lead, strength, share)
        return np.asarray(log_ndtr(z) - log_ndtr(-z))

    def margin_quantiles(self, lead: ArrayLike, strength: ArrayLike, share: ArrayLike, levels: ArrayLike) -> Array:
        """Quantiles (n, K) of the final margin."""
        s = np.maximum(np.asarray(share, dtype=np.float64), LEAST_SHARE)
        mean = np.asarray(lead, dtype=np.float64) + self.drift(strength) * s
        spread = self.sd * np.sqrt(s)[:, None] * ndtri(np.asarray(levels, dtype=np.float64))[None, :]
        return np.asarray(mean[:, None] + spread)

    def _standing(self, lead: ArrayLike, strength: ArrayLike, share: ArrayLike) -> Array:
        """Expected final margin in its own standard deviations."""
        s = np.maximum(np.asarray(share, dtype=np.float64), LEAST_SHARE)
        expected = np.asarray(lead, dtype=np.float64) + self.drift(strength) * s
        return np.asarray(expected / (self.sd * np.sqrt(s)))

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for a report."""
        return {"intercept": self.intercept, "slope": self.slope, "sd": self.sd}


def fit_brownian(lead: ArrayLike, strength: ArrayLike, share: ArrayLike, final_margin: ArrayLike) -> Brownian:
    """Least squares on past moments, each weighted by what is left: (final - lead) = drift·s + sd·sqrt(s)·noise.

    Arrays (n,); rows with a NaN are left out. Raises `TrainingError` below 30 rows.
    """
    columns = [np.asarray(v, dtype=np.float64) for v in (lead, strength, share, final_margin)]
    known = np.logical_and.reduce([np.isfinite(column) for column in columns])
    now, power, s, final = (column[known] for column in columns)
    if now.size < 30:
        raise TrainingError(f"{now.size} past moments are too few to fit a Brownian margin; give 30 or more")
    root = np.sqrt(np.maximum(s, LEAST_SHARE))
    noise = (final - now) / root
    design = np.column_stack([root, root * power])
    (intercept, slope), *_ = np.linalg.lstsq(design, noise, rcond=None)
    spread = float(np.sqrt(np.mean((noise - design @ np.array([intercept, slope])) ** 2)))
    return Brownian(float(intercept), float(slope), max(spread, 1e-6))
