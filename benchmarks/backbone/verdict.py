"""Which model is kept: the simplest whose loss is not significantly above the lowest on the same questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.experiments.paired import paired_bootstrap

#: Fixed before any figure of the test was seen.
RULE: Final = (
    "models in order of simplicity; kept is the first whose mean loss is not significantly above the lowest: the 95 % "
    "interval of the paired difference, game dates resampled, reaches 0"
)
Array = NDArray[np.float64]


def verdict(
    losses: Mapping[str, Array], dates: NDArray[Any], *, shipped: str, seed: int, n_boot: int = 2000
) -> dict[str, Any]:
    """Mean losses and paired differences of models in order of simplicity; which is best and which is kept.

    `losses` (n,) per model and `dates` (n,) are of the same questions. `above_best` is a model's loss minus the lowest
    (above 0 worse), `saved` the loss of `shipped` minus a model's (above 0 better than what ships).
    """
    best = min(losses, key=lambda name: float(losses[name].mean()))
    told: dict[str, dict[str, Any]] = {}
    kept = None
    for name, own in losses.items():
        entry: dict[str, Any] = {"loss": float(own.mean())}
        if name != best:
            above = paired_bootstrap(own, losses[best], dates, seed=seed, n_boot=n_boot)
            entry["above_best"] = _interval(above.estimate, above.low, above.high)
        if kept is None and (name == best or entry["above_best"]["low"] <= 0):
            kept = name
        if name != shipped:
            saved = paired_bootstrap(losses[shipped], own, dates, seed=seed, n_boot=n_boot)
            entry["saved"] = _interval(saved.estimate, saved.low, saved.high)
        told[name] = entry
    return {
        "n": len(dates), "dates": len(np.unique(dates)), "shipped": shipped, "best": best, "kept": kept, "models": told,
    }  # fmt: skip


def _interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}
