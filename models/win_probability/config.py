"""What a win-probability network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WinProbabilityConfig:
    """Inputs and size. `announced` are features known only once line-ups are published (none by default)."""

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...] = ()
    hidden: int = 16
    layers: int = 1
    dropout: float = 0.1
    announced_hidden: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WinProbabilityConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**plain)
