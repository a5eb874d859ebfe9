"""The gate: answer only when the claimed probability is high enough, and say how honest that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics import Array, Blocks

#: An answer is given when the likelier outcome is claimed with at least this probability; fixed in advance.
GATE: Final = 0.70
#: Shares of the questions, the most confident first, at which accuracy is told; fixed in advance.
COVERAGES: Final = (0.1, 0.25, 0.5, 0.75, 1.0)


def confidence(probability: ArrayLike) -> Array:
    """Claimed probability of the likelier of two outcomes, in [.5, 1]."""
    p = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.maximum(p, 1 - p))


def answered(probability: ArrayLike, gate: float = GATE) -> NDArray[np.bool_]:
    """True where the gate lets the answer through."""
    return np.asarray(confidence(probability) >= gate)


def hits(probability: ArrayLike, label: ArrayLike) -> Array:
    """1 where the likelier outcome happened (a tie at .5 counts as a call of 1), else 0."""
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(label, dtype=np.float64)
    return np.asarray((p >= 0.5) == (y >= 0.5), dtype=np.float64)


def gated_report(
    probability: ArrayLike,
    label: ArrayLike,
    blocks: Sequence[Any] | NDArray[Any],
    *,
    gate: float = GATE,
    n_boot: int = 2000,
    alpha: float = 0.05,
    seed: int = 0,
) -> dict[str, Any]:
    """`gated_figures` with resamples of `blocks` (game dates) drawn for them alone."""
    drawn = Blocks(blocks, n_boot=n_boot, alpha=alpha, seed=seed)
    return gated_figures(probability, label, drawn, gate=gate)


def gated_figures(
    probability: ArrayLike, label: ArrayLike, blocks: Blocks, *, gate: float = GATE
) -> dict[str, Any]:
    """Accuracy, claimed probability and coverage at or above the gate, with date-block intervals.

    `honesty` is claimed minus hit: positive when the model claims more than it delivers.
    """
    sure, hit = confidence(probability), hits(probability, label)
    mask = answered(probability, gate).astype(np.float64)
    return {
        "gate": gate,
        "n": int(mask.sum()),
        "coverage": blocks.mean(mask).as_json(),
        "accuracy": blocks.ratio(hit * mask, mask).as_json(),
        "claimed": blocks.ratio(sure * mask, mask).as_json(),
        "honesty": blocks.ratio((sure - hit) * mask, mask).as_json(),
    }


def accuracy_at(
    probability: ArrayLike, label: ArrayLike, blocks: Blocks, coverage: Sequence[float] = COVERAGES
) -> dict[str, dict[str, float | int]]:
    """Accuracy of the most confident share of the answers, per share of `coverage`."""
    sure, hit = confidence(probability), hits(probability, label)
    rank = np.empty(sure.size, dtype=np.intp)
    rank[np.argsort(-sure, kind="stable")] = np.arange(sure.size)
    found = {}
    for share in coverage:
        kept = (rank < max(1, round(share * sure.size))).astype(np.float64)
        found[f"{share:g}"] = blocks.ratio(hit * kept, kept).as_json()
    return found


def risk_coverage(probability: ArrayLike, label: ArrayLike) -> tuple[Array, Array]:
    """Coverage (n,) ascending and the error rate (n,) among that share of the most confident answers."""
    order = np.argsort(-confidence(probability), kind="stable")
    errors = 1 - hits(probability, label)[order]
    counts = np.arange(1, errors.size + 1)
    return counts / max(errors.size, 1), np.cumsum(errors) / counts


def generalised_risk_area(probability: ArrayLike, label: ArrayLike) -> float:
    """AUGRC (Traub et al. 2024, arXiv 2407.01032): mean of error rate times coverage; 0 is perfect."""
    coverage, risk = risk_coverage(probability, label)
    return float(np.mean(coverage * risk)) if coverage.size else float("nan")


def risk_area(probability: ArrayLike, label: ArrayLike) -> float:
    """AURC: mean error rate over all coverages. It weighs the few most confident answers heavily, which is why the
    AUGRC stands beside it (Traub et al. 2024)."""
    _, risk = risk_coverage(probability, label)
    return float(np.mean(risk)) if risk.size else float("nan")
