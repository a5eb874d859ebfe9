"""What a projection network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from features.scoring import SITES

#: Levels of the predicted quantile grid.
LEVELS: Final = tuple(round(0.05 * k, 2) for k in range(1, 20))
#: Quantiles shown to users, by column suffix.
SHOWN: Final[dict[str, float]] = {
    "q05": 0.05, "q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90, "q95": 0.95,
}  # fmt: skip
#: Share of training rows from which a group of announced features is hidden: one network serves before and after
#: the news.
ANNOUNCED_HIDDEN: Final = 0.3


@dataclass(frozen=True, slots=True)
class ProjectionConfig:
    """Inputs, size and output grid.

    `announced` are groups of features known only shortly before tip-off, line-ups first: each group is hidden
    from training rows at random on its own, so either may be missing when a slate is asked about. `stats` are the
    columns of the box line answered beside the sites' fantasy points (names of `features.labels.BOX_LINE`); empty
    in bundles from before they were.
    """

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...]
    hidden: int = 96
    layers: int = 2
    dropout: float = 0.1
    sites: tuple[str, ...] = SITES
    levels: tuple[float, ...] = LEVELS
    announced_hidden: float = ANNOUNCED_HIDDEN
    stats: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """What the heads answer, in order: sites, then stats."""
        return (*self.sites, *self.stats)

    @property
    def counts(self) -> tuple[str, ...]:
        """The stats that are whole numbers."""
        return tuple(name for name in self.stats if name != "minutes")

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {**asdict(self), "announced": [list(group) for group in self.announced]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProjectionConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["announced"] = tuple(tuple(group) for group in data["announced"])
        return cls(**plain)
