"""What a possession network is made of; everything needed to rebuild it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from features.play.possessions import BEGAN

#: Means of a side's five on the floor, from their earlier games.
FIVE: Final = (
    "shooting", "scoring", "usage", "threes", "free_throws", "rebounds", "steals_blocks", "dk_per_min", "plus_minus",
)  # fmt: skip
#: Seconds before a period's end from which a feature rises to 1: a shot clock or less is a game of its own.
WITHIN: Final = (2, 4, 8, 14, 24, 40)
#: What follows from who has the ball, clock, score and fouls: the part that `remainder` moves forward.
STATE: Final[tuple[str, ...]] = (
    "has_ball", *(f"began_{name}" for name in BEGAN), "age_s", "clock_s", "elapsed_s",
    *(f"within_{s}" for s in WITHIN), "window_s",
    "fourth", "overtime", "late", "margin", "margin_late", "ahead_late", "behind_late", "fouling_late", "bonus",
    "opp_bonus", "team_fouls", "opp_fouls", "efficiency_so_far", "opp_efficiency_so_far", "pace_so_far",
)  # fmt: skip
#: What does not change while the five stay.
STRENGTH: Final[tuple[str, ...]] = (
    "at_home", "playoffs", "team_off_rating15", "team_off_rating40", "team_def_rating15", "opp_off_rating15",
    "opp_def_rating15", "opp_def_rating40", "pace8", "pace25", "elo_difference", "power_difference",
    *(f"{side}_{name}" for side in ("five", "opp_five") for name in FIVE),
)  # fmt: skip
FEATURES: Final = (*STATE, *STRENGTH)
#: Hidden from a share of training rows, so that the network answers for the few games without line-ups too.
LINE_UPS: Final = tuple(f"{side}_{name}" for side in ("five", "opp_five") for name in FIVE)
LINE_UPS_HIDDEN: Final = 0.05
#: Points of a possession: 0, 1, 2, and 3 for three or more.
CLASSES: Final = 4
#: Points of one side in two minutes: 0 ... 15, the last for more.
MOST_POINTS: Final = 15
#: Upper ends of the bands of a possession's length, seconds; the last band has none.
SECONDS: Final[tuple[float, ...]] = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 30)


@dataclass(frozen=True, slots=True)
class PossessionConfig:
    """Inputs and size. `announced` are groups of features that may be unknown: here the line-ups."""

    features: tuple[str, ...]
    announced: tuple[tuple[str, ...], ...] = (LINE_UPS,)
    hidden: int = 48
    layers: int = 2
    dropout: float = 0.1
    seconds: tuple[float, ...] = SECONDS
    most_points: int = MOST_POINTS
    announced_hidden: float = LINE_UPS_HIDDEN

    def as_json(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        groups = [list(group) for group in self.announced]
        return {
            **asdict(self),
            "features": list(self.features),
            "announced": groups,
            "seconds": list(self.seconds),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PossessionConfig:
        """Back from `as_json`."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        plain["announced"] = tuple(tuple(group) for group in data["announced"])
        return cls(**plain)
