"""How good answers are, told the same way everywhere: rows, dates, the ungated figure, baselines, intervals.

A report is a dict of plain numbers; every figure with an interval is {value, low, high, blocks}, where blocks are
game dates. A figure that does not exist, such as the accuracy of no answers, is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from models.answers import BASELINE, Answers
from models.calibration import adaptive_intervals
from models.metrics import (
    Array,
    Blocks,
    absolute_errors,
    brier_parts,
    crps_losses,
    inside,
    log_losses,
    mean_interval,
    squared_errors,
)
from models.projection.config import LEVELS
from models.selective import (
    GATE,
    accuracy_at,
    answered,
    gated_figures,
    generalised_risk_area,
    hits,
    risk_area,
)

#: The interval users see as floor and ceiling.
INTERVAL: Final = (0.10, 0.90)
#: Prefixes of columns with what a baseline's distribution costs (CRPS per row), or the distribution itself.
CRPS: Final = "crps_"
QUANTILES: Final = "quantiles_"
#: Probabilities are kept this far off 0 when their logarithm is taken.
LEAST_PROBABILITY: Final = 1e-7
Figures = dict[str, Any]


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

    def blocks(self, dates: pl.Series) -> Blocks:
        """Resamples of `dates`, drawn once for all figures on their rows."""
        return Blocks(dates.to_numpy(), n_boot=self.n_boot, alpha=self.alpha, seed=self.seed)


def gate_of(params: Mapping[str, Any]) -> float:
    """The claimed probability from which an answer is given (`evaluate.gate`)."""
    return float(params.get("evaluate", {}).get("gate", GATE))


def span(dates: pl.Series) -> Figures:
    """First and last game date, and how many distinct ones."""
    return {"first_date": str(dates.min()), "last_date": str(dates.max()), "dates": dates.n_unique()}


def headline(answers: Answers, *, gate: float, bootstrap: Bootstrap) -> Figures:
    """The few figures of a slice: n and dates, the ungated figure first, the gate, and the primary baseline."""
    return _told(answers, gate, bootstrap, (answers.primary,), full=False)


def figures(answers: Answers, *, gate: float, bootstrap: Bootstrap) -> Figures:
    """Every figure of answers to one target, beside all of its baselines.

    A baseline with gaps is compared on its own rows, with its n beside it; `saved` is its loss minus the model's on
    those rows (above 0 the model is better), with a paired date-block interval.
    """
    return _told(answers, gate, bootstrap, answers.baselines, full=True)


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


def baseline_crps(answers: Answers, name: str) -> Array | None:
    """CRPS (n,) of the baseline's distribution, NaN where it has none; None when it is a point only."""
    if f"{CRPS}{name}" in answers.rows.columns:
        return answers.rows[f"{CRPS}{name}"].fill_null(float("nan")).to_numpy()
    if f"{QUANTILES}{name}" not in answers.rows.columns:
        return None
    column = answers.rows[f"{QUANTILES}{name}"]
    known = column.is_not_null().to_numpy()
    losses = np.full(len(column), np.nan)
    if known.any():
        losses[known] = crps_losses(matrix(column.drop_nulls()), LEVELS, _label(answers)[known])
    return losses


def matrix(column: pl.Series) -> Array:
    """A column of equally long lists without nulls as (n, length)."""
    width = len(column[0])
    return np.asarray(column.cast(pl.Array(pl.Float64, width)).to_numpy(), dtype=np.float64).reshape(-1, width)


def class_losses(classes: Array, label: Array) -> Array:
    """Log loss (n,) in nats of class probabilities (n, C) for class numbers (n,)."""
    chosen = classes[np.arange(label.size), label.astype(np.intp)]
    return np.asarray(-np.log(np.maximum(chosen, LEAST_PROBABILITY)))


def _told(answers: Answers, gate: float, bootstrap: Bootstrap, names: tuple[str, ...], *, full: bool) -> Figures:
    blocks = bootstrap.blocks(answers.rows["game_date"])
    told: dict[str, Callable[..., Figures]] = {
        "probability": _probability, "points": _points, "classes": _classes,
    }  # fmt: skip
    rivals: dict[str, Callable[..., Figures]] = {
        "probability": _probability_rival, "points": _points_rival, "classes": _classes_rival,
    }  # fmt: skip
    report = {"n": answers.rows.height, **span(answers.rows["game_date"])}
    report |= told[answers.kind](answers, blocks, gate, full)
    compared = {}
    for name in names:
        if f"{BASELINE}{name}" in answers.rows.columns:
            known = answers.where(pl.col(f"{BASELINE}{name}").is_not_null())
            if known.rows.height:
                same = known.rows.height == answers.rows.height
                drawn = blocks if same else bootstrap.blocks(known.rows["game_date"])
                compared[name] = {"n": known.rows.height, **rivals[answers.kind](known, name, drawn, gate)}
    plain: Figures = finite({**report, "primary": answers.primary, "baselines": compared})
    return plain


def _probability(answers: Answers, blocks: Blocks, gate: float, full: bool) -> Figures:
    p, y = _given(answers.probability), _label(answers)
    ece, noise = blocks.calibration_error(p, y)
    report: Figures = {
        "base_rate": float(y.mean()),
        "majority_accuracy": float(max(y.mean(), 1 - y.mean())),
        "accuracy": blocks.mean(hits(p, y)).as_json(),
        "brier": blocks.mean(squared_errors(p, y)).as_json(),
        "ece": ece.as_json(),
        "ece_of_noise": noise,
        "gated": gated_figures(p, y, blocks, gate=gate),
    }
    if full:
        parts = brier_parts(p, y)
        report |= {
            "log_loss": blocks.mean(log_losses(p, y)).as_json(),
            "reliability": parts.reliability, "resolution": parts.resolution,
            "uncertainty": parts.uncertainty, "within_bins": parts.within,
            "accuracy_at_coverage": accuracy_at(p, y, blocks),
            "aurc": risk_area(p, y), "augrc": generalised_risk_area(p, y),
        }  # fmt: skip
    return report


def _probability_rival(answers: Answers, name: str, blocks: Blocks, gate: float) -> Figures:
    p, y, q = _given(answers.probability), _label(answers), _baseline(answers, name)
    own, rival, sure = squared_errors(p, y), squared_errors(q, y), answered(q, gate)
    return {
        "accuracy": float(hits(q, y).mean()),
        "brier": float(rival.mean()),
        "log_loss": float(log_losses(q, y).mean()),
        "gated_accuracy": float(hits(q, y)[sure].mean()) if sure.any() else None,
        "gated_coverage": float(sure.mean()),
        "saved": blocks.mean(rival - own).as_json(),
    }


def _points(answers: Answers, blocks: Blocks, gate: float, full: bool) -> Figures:
    mean, grid, y = _given(answers.mean), _given(answers.quantiles), _label(answers)
    low, middle, high = (LEVELS.index(level) for level in (INTERVAL[0], 0.5, INTERVAL[1]))
    report: Figures = {
        "mae": blocks.mean(absolute_errors(mean, y)).as_json(),
        "mae_of_median": blocks.mean(absolute_errors(grid[:, middle], y)).as_json(),
        "crps": blocks.mean(crps_losses(grid, LEVELS, y)).as_json(),
        "bias": blocks.mean(mean - y).as_json(),
        "interval_80_coverage": blocks.mean(inside(grid[:, low], grid[:, high], y)).as_json(),
        "interval_80_width": float(np.mean(grid[:, high] - grid[:, low])),
    }
    if full:
        ends = adaptive_intervals(grid, LEVELS, y, answers.rows["game_date"].to_numpy())
        report |= {
            "rmse": float(np.sqrt(np.mean((mean - y) ** 2))),
            "r2": float(1 - np.sum((mean - y) ** 2) / max(float(np.sum((y - y.mean()) ** 2)), 1e-12)),
            "adaptive_80_coverage": blocks.mean(inside(*ends, y)).as_json(),
            "adaptive_80_width": float(np.mean(ends[1] - ends[0])),
            "worst_month_80": _worst_month(answers, inside(grid[:, low], grid[:, high], y)),
            "adaptive_worst_month_80": _worst_month(answers, inside(*ends, y)),
        }
    return report


def _worst_month(answers: Answers, covered: Array) -> float:
    """Coverage of the month farthest from what was claimed."""
    month = pl.col("game_date").dt.strftime("%Y-%m")
    months = answers.rows.select(month, pl.Series("covered", covered)).group_by("game_date").agg(
        pl.col("covered").mean()
    )["covered"]  # fmt: skip
    shares = months.to_numpy()
    return float(shares[np.argmax(np.abs(shares - (INTERVAL[1] - INTERVAL[0])))])


def _points_rival(answers: Answers, name: str, blocks: Blocks, gate: float) -> Figures:
    y, point = _label(answers), _baseline(answers, name)
    own, rival = absolute_errors(_given(answers.mean), y), absolute_errors(point, y)
    report: Figures = {"mae": float(rival.mean()), "saved": blocks.mean(rival - own).as_json()}
    spread = baseline_crps(answers, name)
    if spread is not None and np.isfinite(spread).all():
        losses = crps_losses(_given(answers.quantiles), LEVELS, y)
        report |= {
            "crps": float(spread.mean()),
            "crps_skill": blocks.ratio(spread - losses, spread).as_json(),
        }
    return report


def _classes(answers: Answers, blocks: Blocks, gate: float, full: bool) -> Figures:
    shares, y = _given(answers.classes), _label(answers)
    best, names = shares.max(axis=1), np.arange(shares.shape[1])
    hit = (shares.argmax(axis=1) == y).astype(np.float64)
    sure = (best >= gate).astype(np.float64)
    errors = [blocks.calibration_error(shares[:, k], (y == k).astype(np.float64)) for k in names]
    worst = int(np.argmax([interval.value for interval, _ in errors]))
    report: Figures = {
        "base_rates": [float((y == k).mean()) for k in names],
        "majority_accuracy": float(max((y == k).mean() for k in names)),
        "accuracy": blocks.mean(hit).as_json(),
        "log_loss": blocks.mean(class_losses(shares, y)).as_json(),
        "ece": errors[worst][0].as_json(),
        "ece_of_noise": errors[worst][1],
        "ece_class": worst,
        "gated": {
            "gate": gate, "n": int(sure.sum()),
            "coverage": blocks.mean(sure).as_json(),
            "accuracy": blocks.ratio(hit * sure, sure).as_json(),
            "claimed": blocks.ratio(best * sure, sure).as_json(),
            "honesty": blocks.ratio((best - hit) * sure, sure).as_json(),
        },
    }  # fmt: skip
    return report


def _classes_rival(answers: Answers, name: str, blocks: Blocks, gate: float) -> Figures:
    y = _label(answers)
    shares = matrix(answers.rows[f"{BASELINE}{name}"])
    own, rival = class_losses(_given(answers.classes), y), class_losses(shares, y)
    return {
        "accuracy": float((shares.argmax(axis=1) == y).mean()),
        "log_loss": float(rival.mean()),
        "saved": blocks.mean(rival - own).as_json(),
        "skill": blocks.ratio(rival - own, rival).as_json(),
    }


def _label(answers: Answers) -> Array:
    return answers.rows["label"].cast(pl.Float64).to_numpy()


def _baseline(answers: Answers, name: str) -> Array:
    return answers.rows[f"{BASELINE}{name}"].cast(pl.Float64).to_numpy()


def _given(values: Array | None) -> Array:
    """Arrays that the kind of the answers promises."""
    assert values is not None  # noqa: S101 - `Answers.kind` says which arrays are there
    return np.asarray(values, dtype=np.float64)


def finite(value: Any) -> Any:
    """The same figures with None for NaN, which JSON has not."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
