"""Calibration of class probabilities: a temperature and one shift per class, fitted later than the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from models.metrics import Array

#: Standard deviations of log-temperature, of a class's shift and of the shift per point before any data.
TEMPERATURE_PRIOR, SHIFT_PRIOR, TILT_PRIOR = 0.15, 0.05, 0.02


@dataclass(frozen=True, slots=True)
class ClassScaling:
    """`softmax(logits / temperature + shifts)` (vector scaling with one scale; Guo et al. 2017)."""

    temperature: float
    shifts: tuple[float, ...]

    def apply(self, logits: Array) -> Array:
        """Calibrated probabilities (n, C) of `logits` (n, C)."""
        return np.asarray(softmax(logits / self.temperature + np.asarray(self.shifts), axis=1))

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {"temperature": self.temperature, "shifts": list(self.shifts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None, classes: int) -> ClassScaling:
        """Back from `as_json`; without data, what leaves `classes` probabilities as they are."""
        if data is None:
            return cls(1.0, (0.0,) * classes)
        return cls(float(data["temperature"]), tuple(map(float, data["shifts"])))


def fit_vector(logits: Array, label: NDArray[np.int64]) -> ClassScaling:
    """Temperature and a shift per class of maximal posterior density; labels (n,) are class numbers."""
    return _fitted(logits, label, np.eye(logits.shape[1]), SHIFT_PRIOR)


def fit_tilt(logits: Array, label: NDArray[np.int64]) -> ClassScaling:
    """Temperature and one shift per point: the classes are counts 0, 1, 2 and so on."""
    return _fitted(logits, label, np.arange(logits.shape[1], dtype=np.float64)[None], TILT_PRIOR)


def _fitted(logits: Array, label: NDArray[np.int64], basis: Array, prior: float) -> ClassScaling:
    from scipy.optimize import minimize  # only training needs it

    rows = np.arange(label.size)
    hits = np.zeros_like(logits)
    hits[rows, label] = 1.0

    def negative_log_posterior(theta: Array) -> tuple[float, Array]:
        scaled = logits * np.exp(-theta[0])
        told = log_softmax(scaled + theta[1:] @ basis, axis=1)
        gap = np.exp(told) - hits
        loss = -told[rows, label].sum() + 0.5 * (theta[0] / TEMPERATURE_PRIOR) ** 2
        loss += 0.5 * float(np.sum((theta[1:] / prior) ** 2))
        slope = np.concatenate([[-(gap * scaled).sum() + theta[0] / TEMPERATURE_PRIOR**2],
                                basis @ gap.sum(axis=0) + theta[1:] / prior**2])  # fmt: skip
        return float(loss), slope

    best = minimize(negative_log_posterior, np.zeros(1 + basis.shape[0]), jac=True, method="L-BFGS-B").x
    return ClassScaling(float(np.exp(best[0])), tuple(float(v) for v in best[1:] @ basis))
