"""How good answers are, told the same way everywhere: rows, dates, the ungated figure, baselines, intervals.

A report is a dict of plain numbers; every figure with an interval is {value, low, high, blocks}, where blocks are
game dates. `losses` per row are kept apart, for paired comparisons of two models on the same games.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from models.metrics import (
    Array,
    absolute_errors,
    crps_losses,
    expected_calibration_error,
    inside,
    log_losses,
    mean_interval,
    squared_errors,
)
from models.selective import GATE, gated_report, generalised_risk_area, hits

#: The interval users see as floor and ceiling.
INTERVAL: Final = (0.10, 0.90)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn: resamples of whole game dates."""

    n_boot: int = 2000
    alpha: float = 0.05
    seed: int = 0

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> Bootstrap:
        """From all parameters (`evaluate.bootstrap`, `evaluate.alpha`), with the defaults where absent."""
        section = params.get("evaluate", {})
        return cls(int(section.get("bootstrap", 2000)), float(section.get("alpha", 0.05)))

    def mean(self, values: ArrayLike, dates: NDArray[Any]) -> dict[str, float | int]:
        """Mean with its interval."""
        interval = mean_interval(values, dates, n_boot=self.n_boot, alpha=self.alpha, seed=self.seed)
        return interval.as_json()


def span(dates: pl.Series) -> dict[str, Any]:
    """First and last game date, and how many distinct ones."""
    return {"first_date": str(dates.min()), "last_date": str(dates.max()), "dates": dates.n_unique()}


def winner_report(
    probability: ArrayLike,
    label: ArrayLike,
    dates: pl.Series,
    baselines: Mapping[str, ArrayLike],
    *,
    gate: float = GATE,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Accuracy, Brier, log loss, ECE and the gate for n answers; `baselines` are probabilities (NaN = no answer).

    A baseline with gaps is scored on its own rows, with its n beside it.
    """
    p, y, day = np.asarray(probability, np.float64), np.asarray(label, np.float64), dates.to_numpy()
    report: dict[str, Any] = {
        "n": int(p.size), **span(dates),
        "accuracy": bootstrap.mean(hits(p, y), day),
        "brier": bootstrap.mean(squared_errors(p, y), day),
        "log_loss": bootstrap.mean(log_losses(p, y), day),
        "ece": expected_calibration_error(p, y),
        "base_rate": float(y.mean()),
        "gated": gated_report(p, y, day, gate=gate, n_boot=bootstrap.n_boot, alpha=bootstrap.alpha),
        "augrc": generalised_risk_area(p, y),
        "baselines": {"majority": {"accuracy": float(max(y.mean(), 1 - y.mean()))}},
    }  # fmt: skip
    for name, answers in baselines.items():
        q = np.asarray(answers, np.float64)
        known = np.isfinite(q)
        if known.any():
            gated = gated_report(q[known], y[known], day[known], gate=gate, n_boot=bootstrap.n_boot)
            report["baselines"][name] = {
                "n": int(known.sum()),
                "accuracy": float(hits(q[known], y[known]).mean()),
                "brier": float(squared_errors(q[known], y[known]).mean()),
                # None when it never claims enough to answer: JSON has no NaN.
                "gated_accuracy": gated["accuracy"]["value"] if gated["n"] else None,
                "gated_coverage": gated["coverage"]["value"],
            }
    return report


def points_report(
    mean: ArrayLike,
    quantiles: Array,
    levels: ArrayLike,
    label: ArrayLike,
    dates: pl.Series,
    baselines: Mapping[str, tuple[ArrayLike, Array | None]],
    *,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """MAE, RMSE, R², CRPS and 80 % interval coverage of n projected distributions (quantiles n x levels).

    `baselines` are points with, where there is one, a distribution; all must answer every row.
    """
    m, y, day = np.asarray(mean, np.float64), np.asarray(label, np.float64), dates.to_numpy()
    tau = np.asarray(levels, np.float64)
    low, middle, high = (int(np.argmin(np.abs(tau - level))) for level in (INTERVAL[0], 0.5, INTERVAL[1]))
    crps = crps_losses(quantiles, tau, y)
    report: dict[str, Any] = {
        "n": int(y.size), **span(dates),
        "mae": bootstrap.mean(absolute_errors(m, y), day),
        "mae_of_median": bootstrap.mean(absolute_errors(quantiles[:, middle], y), day),
        "rmse": float(np.sqrt(np.mean((m - y) ** 2))),
        "r2": float(1 - np.sum((m - y) ** 2) / max(np.sum((y - y.mean()) ** 2), 1e-12)),
        "bias": bootstrap.mean(m - y, day),
        "crps": bootstrap.mean(crps, day),
        "interval_80_coverage": bootstrap.mean(inside(quantiles[:, low], quantiles[:, high], y), day),
        "interval_80_width": float(np.mean(quantiles[:, high] - quantiles[:, low])),
        "baselines": {},
    }  # fmt: skip
    for name, (point, spread) in baselines.items():
        found: dict[str, Any] = {"mae": float(absolute_errors(point, y).mean())}
        if spread is not None:
            rival = crps_losses(spread, tau, y)
            found["crps"] = float(rival.mean())
            found["crps_skill"] = float(1 - crps.mean() / rival.mean())
            found["crps_saved"] = bootstrap.mean(rival - crps, day)
        report["baselines"][name] = found
    return report


def flat(report: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Finite numbers of a nested report under joined names: {"mae": {"value": 7.4}} becomes {"mae": 7.4}."""
    numbers: dict[str, float] = {}
    for key, value in report.items():
        name = prefix if key == "value" else f"{prefix}_{key}" if prefix else key
        if isinstance(value, Mapping):
            numbers |= flat(value, name)
        elif isinstance(value, int | float) and np.isfinite(value):
            numbers[name] = float(value)
    return numbers
