"""Sample-ratio mismatch: do the arms hold as many units as their shares promise?

A mismatch means that assignment or logging is broken, and that no comparison of the arms may be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from features.errors import InvalidInput

#: Below this p-value the split is called broken; below this many units an arm is not judged (GrowthBook's values).
ALPHA: Final = 0.001
MIN_UNITS: Final = 8


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Chi-square test of the arms' counts; `healthy` is None when too few units were seen to say."""

    p_value: float
    healthy: bool | None


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float], *, alpha: float = ALPHA) -> SampleRatio:
    """Compare units per arm with the arms' shares. Raises `InvalidInput` when the arms differ or have no share."""
    from scipy.special import chdtrc

    if set(counts) != set(shares) or len(shares) < 2 or min(shares.values()) <= 0:
        raise InvalidInput(f"counts of {sorted(counts)} need a share above 0 for the same two or more arms")
    total, whole = sum(counts.values()), sum(shares.values())
    if min(counts.values()) < MIN_UNITS and total * min(shares.values()) / whole < MIN_UNITS:
        return SampleRatio(1.0, None)
    statistic = 0.0
    for arm, share in shares.items():
        expected = total * share / whole
        statistic += (counts[arm] - expected) ** 2 / expected
    p_value = float(chdtrc(len(shares) - 1, statistic))
    return SampleRatio(p_value, p_value >= alpha)
