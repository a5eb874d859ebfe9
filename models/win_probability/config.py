"""What a win-probability network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from models.projection.config import LEVELS

#: Share of training rows from which the announced features are hidden.
ANNOUNCED_HIDDEN: Final = 0.3


@dataclass(frozen=True, slots=True)
class WinProbabilityConfig:
    """Inputs and size.

    `announced` are groups of features known only once the inactives are published: each is hidden from training
    rows at random, so that one network answers before the news and after. `points` are targets in points answered
    as distributions beside P(home win); empty in bundles from before they were. `anchors` names for each the feature it
    is answered as a difference from, "" for none: the league's scoring drifts faster than a network can be refitted.
    """

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...] = ()
    hidden: int = 16
    layers: int = 1
    dropout: float = 0.1
    announced_hidden: float = ANNOUNCED_HIDDEN
    points: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    levels: tuple[float, ...] = LEVELS

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {**asdict(self), "announced": [list(group) for group in self.announced]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WinProbabilityConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["announced"] = tuple(tuple(group) for group in data["announced"])
        return cls(**plain)
