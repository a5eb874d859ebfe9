"""Curves of a result as plain numbers: reliability, risk and coverage, PIT, and error over the time of the game."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.answers import BASELINE, Answers
from models.evaluation import class_losses, finite, matrix
from models.metrics import Array, absolute_errors, calibration_edges, squared_errors
from models.projection.config import LEVELS
from models.selective import hits, risk_coverage

#: Points on the risk-coverage curve.
COVERAGE_POINTS: Final = 50
#: Length of a stretch of game time in the error curve, in seconds; overtime is one stretch.
STRETCH_S: Final = 240
REGULATION_S: Final = 2880
#: Bins of claimed probability in the reliability surface: fixed edges, so that stretches can be compared.
SURFACE_EDGES: Final = tuple(round(0.1 * k, 1) for k in range(11))
#: Fewest answers in a cell of the surface, and in a stretch of the curve.
LEAST_CELL: Final = 30
Curve = list[dict[str, Any]]


def curves(answers: Answers) -> dict[str, Any]:
    """The curves that the kind of answer has."""
    label = answers.rows["label"].cast(pl.Float64).to_numpy()
    if answers.probability is not None:
        return {
            "reliability": reliability(answers.probability, label),
            "risk_coverage": risk_curve(answers.probability, label),
        }
    if answers.quantiles is not None:
        return {"pit": pit_histogram(answers.quantiles, label)}
    if answers.classes is not None:
        names = range(answers.classes.shape[1])
        return {
            "reliability_by_class": [
                reliability(answers.classes[:, k], (label == k).astype(np.float64)) for k in names
            ]
        }
    return {}


def reliability(probability: Array, label: Array) -> Curve:
    """Claimed and observed frequency in ten bins of equal mass."""
    order, edges = calibration_edges(probability)
    return [
        {"claimed": float(probability[order[a:b]].mean()), "observed": float(label[order[a:b]].mean()), "n": int(b - a)}
        for a, b in pairwise(edges)
        if b > a
    ]  # fmt: skip


def risk_curve(probability: Array, label: Array) -> Curve:
    """Error rate among the most confident answers, at COVERAGE_POINTS shares of them."""
    coverage, risk = risk_coverage(probability, label)
    if not coverage.size:
        return []
    at = np.unique(np.ceil(np.linspace(1 / COVERAGE_POINTS, 1, COVERAGE_POINTS) * coverage.size).astype(int) - 1)
    return [{"coverage": float(coverage[k]), "error": float(risk[k])} for k in at]


def pit_histogram(quantiles: Array, label: Array) -> list[float]:
    """Share of labels between neighbouring levels, from below the lowest to above the highest: flat when calibrated.

    A label equal to several quantiles counts in equal parts on each of the intervals it touches.
    """
    below = (quantiles < label[:, None]).sum(axis=1)
    touched = (quantiles <= label[:, None]).sum(axis=1)
    counts = np.zeros(len(LEVELS) + 1)
    for k in range(counts.size):
        inside = (below <= k) & (k <= touched)
        counts[k] = float((inside / (touched - below + 1)).sum())
    return [float(share) for share in counts / max(label.size, 1)]


def over_time(answers: Answers) -> dict[str, Any]:
    """Loss and primary baseline's loss per stretch of game time, and for probabilities the reliability surface."""
    elapsed = answers.rows["elapsed_s"].cast(pl.Float64).to_numpy()
    own, rival = _losses(answers)
    edges = [*range(0, REGULATION_S + 1, STRETCH_S), np.inf]
    points: Curve = []
    surface: Curve = []
    for start, end in pairwise(edges):
        inside = (elapsed >= start) & (elapsed < end)
        if inside.sum() < LEAST_CELL:
            continue
        points.append({
            "from_s": start, "to_s": end, "n": int(inside.sum()), "loss": float(own[inside].mean()),
            "baseline": None if rival is None else float(rival[inside].mean()), **_more(answers, inside),
        })  # fmt: skip
        surface += _surface(answers, inside, start)
    loss = {"probability": "Brier score", "points": "mean absolute error", "classes": "log loss"}[answers.kind]
    result: dict[str, Any] = finite(
        {"loss": loss, "n": int(elapsed.size), "primary": answers.primary, "stretches": points, "surface": surface}
    )
    return result


def _losses(answers: Answers) -> tuple[Array, Array | None]:
    label = answers.rows["label"].cast(pl.Float64).to_numpy()
    name = f"{BASELINE}{answers.primary}"
    if answers.classes is not None:
        known = name in answers.rows.columns and not answers.rows[name].null_count()
        rival = class_losses(matrix(answers.rows[name]), label) if known else None
        return class_losses(answers.classes, label), rival
    baseline = answers.rows[name].cast(pl.Float64).to_numpy() if name in answers.rows.columns else None
    if answers.probability is not None:
        return (
            squared_errors(answers.probability, label),
            None if baseline is None else squared_errors(baseline, label),
        )
    mean = np.asarray(answers.mean, dtype=np.float64)
    return absolute_errors(mean, label), None if baseline is None else absolute_errors(baseline, label)


def _more(answers: Answers, inside: NDArray[np.bool_]) -> dict[str, float]:
    if answers.probability is None:
        return {}
    label = answers.rows["label"].cast(pl.Float64).to_numpy()
    return {"accuracy": float(hits(answers.probability[inside], label[inside]).mean())}


def _surface(answers: Answers, inside: NDArray[np.bool_], start: float) -> Curve:
    if answers.probability is None:
        return []
    p, y = answers.probability[inside], answers.rows["label"].cast(pl.Float64).to_numpy()[inside]
    cell = np.clip(np.searchsorted(SURFACE_EDGES, p, side="right") - 1, 0, len(SURFACE_EDGES) - 2)
    return [
        {"from_s": start, "claimed": float(p[cell == k].mean()), "observed": float(y[cell == k].mean()),
         "n": int((cell == k).sum())}
        for k in range(len(SURFACE_EDGES) - 1)
        if (cell == k).sum() >= LEAST_CELL
    ]  # fmt: skip
