"""Sticky assignment of units to the arms of an experiment by hash, never by request and never by chance.

The hash is GrowthBook's version 2 (`fnv32a` twice over seed + unit): its version 1 correlated parallel tests.
Arms own fixed ranges of buckets; a ramp fills each range from its start, so raising it moves nobody.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from features.errors import InvalidInput

BUCKETS: Final = 10_000
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms with their shares (summing to 1) of the `ramp` (0..1) of all units that takes part.

    `bucket_version` is raised to deal everybody out anew, for example after a faulty exposure.
    Raises `InvalidInput` for shares or a ramp that make no sense.
    """

    name: str
    arms: Mapping[str, float]
    ramp: float = 1.0
    bucket_version: int = 1

    def __post_init__(self) -> None:
        if not self.arms or min(self.arms.values()) < 0 or not math.isclose(sum(self.arms.values()), 1.0):
            raise InvalidInput(f"experiment {self.name!r}: shares {dict(self.arms)} must be >= 0 and sum to 1")
        if not 0 <= self.ramp <= 1:
            raise InvalidInput(f"experiment {self.name!r}: ramp {self.ramp} must lie between 0 and 1")

    def bucket(self, unit: str) -> int:
        """Bucket 0..9999 of a unit; independent of arms and ramp."""
        return bucket(unit, f"{self.name}/{self.bucket_version}")

    def arm(self, unit: str) -> str | None:
        """The unit's arm, None while the ramp leaves it out."""
        place = self.bucket(unit)
        start = 0.0
        for arm, share in self.arms.items():
            if start * BUCKETS <= place < (start + share * self.ramp) * BUCKETS:
                return arm
            start += share
        return None


def fnv32a(text: str) -> int:
    """32-bit FNV-1a of the text's UTF-8 bytes."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def bucket(unit: str, seed: str) -> int:
    """Bucket 0..9999: `fnv32a(str(fnv32a(seed + unit))) % 10000`."""
    return fnv32a(str(fnv32a(seed + unit))) % BUCKETS


def unit_hash(unit: str) -> str:
    """What may be stored of a unit: 16 hex digits of SHA-256, never the account itself."""
    return hashlib.sha256(unit.encode()).hexdigest()[:16]
