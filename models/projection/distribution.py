"""Reading a grid of quantiles: the chance to pass a line. Shapes: n rows, K levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from models.metrics import Array

#: Two quantiles are never taken as closer than this (points): a line between equal ones has no slope.
LEAST_STEP = 1e-6


def probability_over(quantiles: ArrayLike, levels: ArrayLike, line: ArrayLike) -> Array:
    """P(value > line) (n,) of the distributions with `quantiles` (n, K) at `levels` (K,), for `line` (n,).

    Between two quantiles the normal score is linear; beyond the grid it goes on at the outer slope. NaN lines give
    NaN.
    """
    grid, at = np.asarray(quantiles, dtype=np.float64), np.asarray(line, dtype=np.float64)
    scores = ndtri(np.asarray(levels, dtype=np.float64))
    left = np.clip((grid <= at[:, None]).sum(axis=1) - 1, 0, grid.shape[1] - 2)
    rows = np.arange(len(grid))
    low, high = grid[rows, left], grid[rows, left + 1]
    share = (at - low) / np.maximum(high - low, LEAST_STEP)
    found = scores[left] + share * (scores[left + 1] - scores[left])
    return np.asarray(ndtr(-np.clip(found, -8.0, 8.0)))
