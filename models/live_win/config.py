"""What an in-game winner network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from models.projection.config import LEVELS

#: Share of training rows from which the announced features are hidden. A game in progress has nearly always had its
#: inactives published; a feed may still lack them.
ANNOUNCED_HIDDEN: Final = 0.1
#: Inputs that the answers are built on: log-odds, expected final margin and its deviation in points.
ANCHORS: Final = ("anchor_logit", "margin_anchor", "margin_unit")
#: Share of regulation left: decides which calibration applies.
CLOCK: Final = "share_left"
#: Upper ends of the shares of regulation left that are calibrated together: overtime and the last three minutes, to
#: nine minutes, then by quarters.
BUCKETS: Final = (0.0625, 0.1875, 0.375, 0.625, 0.875)


@dataclass(frozen=True, slots=True)
class LiveWinConfig:
    """Inputs and size. `announced` are groups of features known only once the inactives are published."""

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...] = ()
    hidden: int = 32
    layers: int = 2
    dropout: float = 0.1
    levels: tuple[float, ...] = LEVELS
    announced_hidden: float = ANNOUNCED_HIDDEN

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {**asdict(self), "announced": [list(group) for group in self.announced]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LiveWinConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["announced"] = tuple(tuple(group) for group in data["announced"])
        return cls(**plain)
