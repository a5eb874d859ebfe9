"""One player's points as a table: the inverse distribution at evenly spaced normal scores, on the site's grid.

Between the quantiles given it is linear in the normal score, beyond them it goes on at the last slope, upwards ever
steeper (points are skewed), downwards never below the smaller of 0 and the lowest quantile. The mean always wins:
values are stretched until the table's own mean is the projected one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

#: Normal scores reach this far; beyond lie 7 in a million outcomes, which take the outermost value.
REACH: Final = 4.5
CELLS: Final = 2048
#: How much steeper than a straight line the upper tail is, per 10 %-to-50 % distance of normal scores. Measured on NBA
#: box scores 2015-16..2024-25 (benchmarks/measure_correlations.py): the 99, 99.9 and 99.99 % quantiles of points lie at
#: 1.93, 2.7 and 3.35 times the 90 % quantile's distance from the median; a normal's lie at 1.82, 2.41 and 2.90.
TAIL: Final = 0.08
TENTH: Final = 1.2815515655446004
#: Spread where nothing tells it: standard deviation = BASE + SHARE x mean, as models.projection.slate has it for file
#: averages (NBA season means, DraftKings points).
SD_BASE: Final = 8.0
SD_SHARE: Final = 0.10
_EDGES: Final = np.linspace(-REACH, REACH, CELLS + 1)


def cell_scores() -> Floats:
    """Normal score (CELLS,) at the middle of every cell."""
    return np.asarray((_EDGES[:-1] + _EDGES[1:]) / 2)


def cell_weights() -> Floats:
    """Probability (CELLS,) of every cell; the outer ones take all that lies beyond."""
    below = ndtr(_EDGES)
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


def played_knots(
    quantiles: Floats, levels: Floats, p_play: float, mean: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normal scores and points of the distribution given that the player plays, from quantiles with P(plays) mixed in.

    Quantiles at the lump of zeros say nothing and are left out; where fewer than two remain, a normal around the mean
    given that he plays stands in.
    """
    sits_out = 1.0 - p_play
    if sits_out > 0:
        level = np.where(quantiles < 0, levels, levels - sits_out) / p_play
        use = (quantiles != 0) & (level > 0) & (level < 1)
        levels, quantiles = level[use], quantiles[use]
    if len(levels) < 2:
        played = mean / p_play
        sd = SD_BASE + SD_SHARE * abs(played)
        return np.array([-TENTH, TENTH]), np.array([max(0.0, played - sd * TENTH), played + sd * TENTH])
    return ndtri(levels), quantiles


def points_table(quantiles: Floats, levels: Floats, p_play: float, mean: float, step: float) -> NDArray[np.int16]:
    """Units of `step` points (CELLS,) at `cell_scores` for a player who plays; `mean` has P(plays) mixed in."""
    if p_play == 0 or mean == 0:
        return np.zeros(CELLS, dtype=np.int16)
    score, points = played_knots(quantiles, levels, p_play, mean)
    at = cell_scores()
    value = np.interp(at, score, points)
    up, down = at - score[-1], score[0] - at
    rise = (points[-1] - points[-2]) / (score[-1] - score[-2])
    fall = (points[1] - points[0]) / (score[1] - score[0])
    value = np.where(up > 0, points[-1] + rise * up * (1 + TAIL * at / TENTH), value)
    value = np.where(down > 0, np.maximum(points[0] - fall * down, min(0.0, points[0])), value)
    value = _with_mean(value, mean / p_play)
    # Rounding to the grid moves the mean by a sliver; one more stretch of the unrounded values takes it back.
    weights = cell_weights()
    off = float(np.rint(value / step) @ weights) * step - mean / p_play
    value = _with_mean(value, mean / p_play - off)
    return np.clip(np.rint(value / step), -32_768, 32_767).astype(np.int16)


def _with_mean(value: Floats, wanted: float) -> Floats:
    """Values whose weighted mean is `wanted`: stretched where that is possible, else moved."""
    found = float(value @ cell_weights())
    if wanted > 0 and found > 0:
        return value * (wanted / found)
    return value + (wanted - found)
