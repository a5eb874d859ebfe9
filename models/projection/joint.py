"""Whole box lines drawn for a player: the stats' own distributions tied by a Gaussian copula.

From a line every site's fantasy points, double-doubles and lines over a stat follow by the rules of scoring. Shapes:
n players, D draws, M stats, K quantile levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from features.errors import InvalidInput
from features.labels import BOX_LINE
from features.scoring import DOUBLE_DOUBLE, TRIPLE_DOUBLE, WEIGHTS, Site
from models.announced import CASES
from models.metrics import Array
from models.projection.distribution import LEAST_STEP, probability_over

#: Categories of ten that make a double-double.
TENS: Final = ("points", "rebounds", "assists", "steals", "blocks")
#: Eigenvalues of the correlation are kept above this: duplicated stats would leave nothing to draw from.
LEAST_EIGENVALUE: Final = 1e-6
_STAT_OF: Final = {column: stat for stat, column in BOX_LINE.items()}


@dataclass(frozen=True, slots=True)
class Copula:
    """Correlation (M, M) of the stats' normal scores, given what is known before the game."""

    correlation: tuple[tuple[float, ...], ...]

    def root(self) -> Array:
        """Lower triangle (M, M) that gives independent normals this correlation."""
        return np.linalg.cholesky(np.asarray(self.correlation))

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {"correlation": [list(row) for row in self.correlation]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Copula:
        """Back from `as_json`."""
        return cls(tuple(tuple(map(float, row)) for row in data["correlation"]))


def fit_copula(quantiles: Array, levels: ArrayLike, label: Array) -> Copula:
    """The copula of labels (n, M) given their calibrated grids (n, M, K); rows with a missing label are left out."""
    known = np.isfinite(label).all(axis=1)
    scores = [
        _rank_scores(-probability_over(quantiles[known, stat], levels, label[known, stat]))
        for stat in range(label.shape[1])
    ]
    correlation = np.atleast_2d(np.corrcoef(np.stack(scores)))
    values, vectors = np.linalg.eigh(np.nan_to_num(correlation) + np.diag(np.isnan(np.diag(correlation))))
    safe = vectors @ np.diag(np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(safe))
    return Copula(tuple(tuple(map(float, row)) for row in safe / np.outer(scale, scale)))


def sample_lines(
    output: Mapping[str, NDArray[Any]],
    config: Mapping[str, Any],
    calibration: Mapping[str, Any],
    n: int,
    seed: int,
) -> Array:
    """`n` box lines (n_players, n, M) in the order of `config["stats"]`, given that each player plays.

    Players are drawn independently. Counts are whole numbers, minutes are not; no line has more threes than its
    points allow. Raises `InvalidInput` for a model that does not answer the box line.
    """
    if "stat_quantiles" not in output or not any("copula" in calibration.get(case, {}) for case in CASES):
        raise InvalidInput("the model does not answer the box line (no stats in its bundle); train it again")
    grid = np.asarray(output["stat_quantiles"], dtype=np.float64)
    roots = np.stack([Copula.from_json(calibration[case]["copula"]).root() for case in CASES])
    case_of = np.where(np.asarray(output["announced"]) > 0, 0, 1)
    free = np.random.default_rng(seed).standard_normal((len(grid), n, grid.shape[1]))
    scores = free @ roots[case_of].transpose(0, 2, 1)
    lines = np.empty(scores.shape)
    for index, stat in enumerate(config["stats"]):
        drawn = _values(grid[:, index], np.asarray(config["levels"]), scores[..., index])
        lines[..., index] = np.maximum(drawn if stat == "minutes" else np.rint(drawn), 0.0)
    stats = list(config["stats"])
    if {"points", "threes"} <= set(stats):
        points, threes = lines[..., stats.index("points")], lines[..., stats.index("threes")]
        np.minimum(threes, points // 3, out=threes)
    return lines


def fantasy_points_of(lines: Array, stats: Sequence[str], site: Site) -> Array:
    """Fantasy points (n, D) of box lines (n, D, M) under the site's rules."""
    at = {stat: index for index, stat in enumerate(stats)}
    weights = np.zeros(lines.shape[-1])
    for column, weight in WEIGHTS[site].items():
        weights[at[_STAT_OF[column]]] = weight
    total: Array = lines @ weights
    if site == "draftkings":
        tens = tens_of(lines, stats)
        total = total + DOUBLE_DOUBLE * (tens >= 2) + TRIPLE_DOUBLE * (tens >= 3)
    return total


def tens_of(lines: Array, stats: Sequence[str]) -> NDArray[np.int64]:
    """How many categories of TENS reach ten in each line (n, D): two make a double-double."""
    return np.asarray((lines[..., [stats.index(stat) for stat in TENS]] >= 10).sum(axis=-1))


def chance_of_double(lines: Array, stats: Sequence[str], *, tens: int = 2) -> Array:
    """Share (n,) of the drawn lines with a double-double (`tens` = 3: a triple-double)."""
    return np.asarray((tens_of(lines, stats) >= tens).mean(axis=-1))


def summary(draws: Array, levels: Sequence[float]) -> tuple[Array, Array]:
    """Mean (n,) and quantiles (n, K) of draws (n, D)."""
    return draws.mean(axis=1), np.asarray(np.quantile(draws, levels, axis=1).T)


def _rank_scores(values: Array) -> Array:
    """Normal scores of ranks (n,), so that each margin is exactly normal."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(ndtri((ranks + 0.5) / len(values)))


def _values(grid: Array, levels: Array, scores: Array) -> Array:
    """Values (n, D) at normal `scores` (n, D) of grids (n, K): linear between knots, at the outer slope beyond."""
    knots = ndtri(levels)
    left = np.clip(np.searchsorted(knots, scores, side="right") - 1, 0, len(knots) - 2)
    low, high = np.take_along_axis(grid, left, axis=1), np.take_along_axis(grid, left + 1, axis=1)
    share = (scores - knots[left]) / np.maximum(knots[left + 1] - knots[left], LEAST_STEP)
    return np.asarray(low + share * (high - low))
