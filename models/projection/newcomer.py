"""The prior for a player nobody has seen play, when not even the salary file has an average for him.

Position and draft place tell too little to be used: what is known of such a player is how other players' first games
went, and that few of those listed get into the game at all.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.scoring import Site
from models.metrics import Array

#: Share of unknown players with a file average of 0, not marked out, who played that evening: 73 of 855 in the 112
#: DraftKings and FanDuel salary files of 2015-10-27 to 2022-03-09 at hand.
PLAYS: Final = 0.085
#: Fantasy points of the first three games of players new to the league, given that they play: 2,234 player-games of
#: the regular seasons 2016-17 to 2022-23. Site -> mean, then quantiles at LEVELS.
LEVELS: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
POINTS: Final[dict[Site, tuple[float, tuple[float, ...]]]] = {
    "draftkings": (8.1, (0.0, 0.0, 1.25, 4.75, 12.25, 20.5, 27.0)),
    "fanduel": (8.1, (0.0, 0.0, 1.2, 4.7, 12.1, 21.0, 27.4)),
    "yahoo": (8.1, (0.0, 0.0, 1.2, 4.7, 12.1, 21.0, 27.4)),
}


def newcomer(site: Site) -> tuple[float, Array]:
    """Mean and quantiles (7,) at LEVELS of a newcomer's fantasy points on `site`, given that he plays."""
    mean, quantiles = POINTS[site]
    return mean, np.asarray(quantiles)
