"""The gate: answer only when the claimed probability is high enough, and say how honest that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics import Array, ratio_interval

#: An answer is given when the likelier outcome is claimed with at least this probability; fixed in advance.
GATE: Final = 0.70


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
    """Accuracy, claimed probability and coverage at or above the gate, with date-block intervals.

    `honesty` is claimed minus hit: positive when the model claims more than it delivers.
    """
    sure, hit = confidence(probability), hits(probability, label)
    mask = answered(probability, gate).astype(np.float64)
    boot: dict[str, Any] = {"n_boot": n_boot, "alpha": alpha, "seed": seed}
    return {
        "gate": gate,
        "n": int(mask.sum()),
        "coverage": ratio_interval(mask, np.ones_like(mask), blocks, **boot).as_json(),
        "accuracy": ratio_interval(hit * mask, mask, blocks, **boot).as_json(),
        "claimed": ratio_interval(sure * mask, mask, blocks, **boot).as_json(),
        "honesty": ratio_interval((sure - hit) * mask, mask, blocks, **boot).as_json(),
    }


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
