"""Calibration of final lines by moment of the game and role: quantile shifts, mean shifts and temperatures.

Shapes: n rows, T targets, K quantile levels, C cells (time of the game x usual production).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from models.calibration import fit_temperature
from models.live_line.over import asked_line, probability_over
from models.metrics import Array

#: Seconds since tip-off at which one cell ends and the next begins: around the ends of quarters.
TIME_EDGES_S: Final = (360.0, 1080.0, 1800.0, 2520.0)
#: Expected points (DraftKings) from which a player's spread is that of the rotation.
ROLE_EDGE: Final = 20.0
CELLS: Final = 2 * (len(TIME_EDGES_S) + 1)
#: Fewest rows of a cell; smaller cells use all rows.
LEAST_CELL: Final = 400
#: Shifts are in units of a row's predicted interquartile range, which counts as at least this much of the target.
LEAST_SPREAD: Final = 0.5


@dataclass(frozen=True, slots=True)
class CellCalibration:
    """offsets (C, T, K) and mean_shifts (C, T) in units of each row's spread, temperatures (C, T)."""

    offsets: Array
    mean_shifts: Array
    temperatures: Array
    low: int
    high: int

    def apply(
        self, mean: Array, quantiles: Array, cell: NDArray[np.intp], open_rows: NDArray[np.bool_]
    ) -> tuple[Array, Array]:
        """Calibrated mean (n, T) and quantiles (n, T, K); rows of players who are finished stay."""
        unit = np.where(open_rows[:, None], spread(quantiles, self.low, self.high), 0.0)
        moved = quantiles + unit[:, :, None] * self.offsets[cell]
        return mean + unit * self.mean_shifts[cell], np.sort(moved, axis=2)

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {
            "offsets": self.offsets.tolist(), "mean_shifts": self.mean_shifts.tolist(),
            "temperatures": self.temperatures.tolist(), "low": self.low, "high": self.high,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellCalibration:
        """Back from `as_json`."""
        offsets, shifts, temperatures = (
            np.asarray(data[name], dtype=np.float64) for name in ("offsets", "mean_shifts", "temperatures")
        )
        return cls(offsets, shifts, temperatures, int(data["low"]), int(data["high"]))


def cells(elapsed_s: Array, expected: Array) -> NDArray[np.intp]:
    """Cell (n,) of rows by seconds since tip-off and expected points; what is not known counts as 0."""
    time = np.searchsorted(TIME_EDGES_S, np.nan_to_num(elapsed_s, nan=0.0), side="right")
    return np.asarray(2 * time + (np.nan_to_num(expected, nan=0.0) >= ROLE_EDGE), dtype=np.intp)


def spread(quantiles: Array, low: int, high: int) -> Array:
    """Interquartile range (n, T), at least LEAST_SPREAD."""
    return np.maximum(quantiles[:, :, high] - quantiles[:, :, low], LEAST_SPREAD)


def fit_cells(
    mean: Array, quantiles: Array, label: Array, cell: NDArray[np.intp], levels: Sequence[float]
) -> CellCalibration:
    """Shifts that make every level and the mean hold in each cell (conformalised quantile regression, one-sided per
    level; Romano et al. 2019). Temperatures are 1 until `fit_temperatures`.

    mean and label (n, T), quantiles (n, T, K): players who are not finished. NaN labels are left out.
    """
    tau = np.asarray(levels, dtype=np.float64)
    low, high = int(np.argmin(np.abs(tau - 0.25))), int(np.argmin(np.abs(tau - 0.75)))
    n_targets = label.shape[1]
    unit = spread(quantiles, low, high)
    offsets, shifts = np.zeros((CELLS, n_targets, tau.size)), np.zeros((CELLS, n_targets))
    for target in range(n_targets):
        known = np.isfinite(label[:, target])
        residual = (label[:, target, None] - quantiles[:, target]) / unit[:, target, None]
        centred = (label[:, target] - mean[:, target]) / unit[:, target]
        for number in range(CELLS):
            rows = _rows_of(cell, number, known)
            if rows.any():
                at = residual[rows]
                offsets[number, target] = [np.quantile(at[:, k], tau[k]) for k in range(tau.size)]
                weight = unit[rows, target]
                shifts[number, target] = float((centred[rows] * weight).sum() / weight.sum())
    return CellCalibration(offsets, shifts, np.ones((CELLS, n_targets)), low, high)


def fit_temperatures(
    mean: Array,
    quantiles: Array,
    label: Array,
    lines: Mapping[str, Sequence[Array]],
    cell: NDArray[np.intp],
    targets: Sequence[str],
    levels: Sequence[float],
) -> Array:
    """Temperatures (C, T) of P(final > line) from the calibrated distributions; targets without `lines` (n,) get 1."""
    found = np.ones((CELLS, len(targets)))
    for index, target in enumerate(targets):
        asked = lines.get(target, ())
        if not asked:
            continue
        claimed = np.concatenate(
            [
                probability_over(quantiles[:, index], levels, mean[:, index], asked_line(target, line))
                for line in asked
            ]
        )
        over = np.concatenate([(label[:, index] > line).astype(np.float64) for line in asked])
        known = np.isfinite(claimed) & np.isfinite(np.tile(label[:, index], len(asked)))
        of_cell = np.tile(cell, len(asked))
        for number in range(CELLS):
            rows = _rows_of(of_cell, number, known)
            if rows.any():
                found[number, index] = fit_temperature(logit(claimed[rows]), over[rows]).temperature
    return found


def _rows_of(cell: NDArray[np.intp], number: int, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    mine = known & (cell == number)
    return mine if mine.sum() >= LEAST_CELL else known
