"""P(final amount over a line), read from a grid of quantiles and made honest on the calibration slice.

Shapes: n rows, T targets, K quantile levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from models.live_line.network import FALLING
from models.metrics import Array
from models.projection import distribution

#: Claims are kept this far from certainty while the amount is still open.
LEAST_DOUBT: Final = 1e-4
#: A grid narrower than this (in units of the target) has no spread: the player is finished.
NO_SPREAD: Final = 1e-9


def probability_over(quantiles: Array, levels: ArrayLike, mean: ArrayLike, line: ArrayLike) -> Array:
    """P(value > line) (n,) of distributions with `quantiles` (n, K) at `levels` (K,) and `mean` (n,).

    The normal score is linear between quantiles and beyond them; where the quantiles do not differ the mean decides.
    NaN lines give NaN.
    """
    grid, at, centre = (np.asarray(values, dtype=np.float64) for values in (quantiles, line, mean))
    found = np.clip(distribution.probability_over(grid, levels, at), LEAST_DOUBT, 1 - LEAST_DOUBT)
    known = np.where(grid[:, -1] - grid[:, 0] < NO_SPREAD, (centre > at).astype(np.float64), found)
    return np.asarray(np.where(np.isfinite(at), known, np.nan))


def over_line(
    output: Mapping[str, NDArray[Any]], config: Mapping[str, Any], target: str, line: ArrayLike
) -> NDArray[np.float64]:
    """Recalibrated P(final `target` > line) (n,) from the family's `outputs`; NaN where `line` (n,) is.

    Counts are whole: over 25 and over 25.5 are the same question.
    """
    index = list(config["targets"]).index(target)
    raw = probability_over(
        output["quantiles"][:, index], config["levels"], output["mean"][:, index], asked_line(target, line)
    )
    return recalibrated(raw, output["temperature"][:, index])


def asked_line(target: str, line: ArrayLike) -> Array:
    """The line where it is to be read from a continuous distribution."""
    at = np.asarray(line, dtype=np.float64)
    return at if target.startswith(FALLING) else np.asarray(np.floor(at) + 0.5)


def recalibrated(probability: Array, temperature: ArrayLike) -> Array:
    """Log-odds divided by `temperature`, which may differ by row; 0 and 1 stay."""
    return np.asarray(expit(logit(probability) / np.asarray(temperature, dtype=np.float64)))
