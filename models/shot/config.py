"""What a shot network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from features.play.shots import KINDS

#: What is known as the ball leaves the hand: the shot, the moment, the shooter's record and the defence's.
FEATURES: Final[tuple[str, ...]] = (
    *(f"kind_{name}" for name in KINDS),
    "type_rate", "type_logit", "value", "distance", "distance_squared", "in_rim", "in_short", "in_mid",
    "shooter_rate", "recent_rate", "shooter_free", "shooter_three", "shooter_mid", "log_tries", "allowed_rate",
    "game_attempts", "game_edge", "zone_attempts", "zone_edge",
    "since_s", "after_own", "after_turnover", "after_rebound", "quick_after_own",
    "clock_s", "last_seconds", "period", "elapsed_s", "margin", "late", "at_home", "playoffs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShotConfig:
    """Inputs and size; nothing about a shot is announced later than the rest.

    `hidden` 0 is a logistic model: on 2021-22 and 2022-23 neither hidden layers nor boosted trees did better.
    """

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...] = ()
    hidden: int = 0
    layers: int = 2
    dropout: float = 0.1
    announced_hidden: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {**asdict(self), "features": list(self.features), "announced": []}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShotConfig:
        """Back from `as_json`."""
        return cls(**{**data, "features": tuple(data["features"]), "announced": ()})
