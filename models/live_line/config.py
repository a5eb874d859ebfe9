"""What a live-line network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from features.play.player_rows import AMOUNTS
from models.projection.config import LEVELS

#: What is predicted: the final amounts of a player's line, fantasy points of every site first.
TARGETS: Final[tuple[str, ...]] = tuple(AMOUNTS)


@dataclass(frozen=True, slots=True)
class LiveLineConfig:
    """Inputs, size and output grid. Among `features` is `{target}_so_far` of every target, and `seconds_left`.

    Nothing is announced during a game that was not before it: `announced` is empty.
    """

    features: tuple[str, ...]
    hidden: int = 96
    layers: int = 2
    dropout: float = 0.1
    targets: tuple[str, ...] = TARGETS
    levels: tuple[float, ...] = LEVELS
    announced: tuple[tuple[str, ...], ...] = ()
    announced_hidden: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {**asdict(self), "announced": [list(group) for group in self.announced]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LiveLineConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["announced"] = tuple(tuple(group) for group in data["announced"])
        return cls(**plain)
