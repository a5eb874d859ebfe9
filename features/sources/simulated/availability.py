"""Who is hurt, scratched or rested on which day, drawn for a whole season before a game is played."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.sources.simulated.league import league
from features.sources.simulated.schedule import SEASON_DAYS, schedule

#: Days an injury lasts: lognormal, so many short absences and a few lost seasons.
MEDIAN_DAYS: Final = 6.0
SPREAD: Final = 1.15
#: Share of injuries that happen during a game: the player leaves it early.
IN_GAME: Final = 0.5
#: Chance of a late scratch (illness, personal) per player and day, and of resting a star on a back-to-back.
P_SCRATCH: Final = 0.012
P_REST: Final = 0.10
#: Share of late scratches listed as questionable, and of fit players listed so.
SCRATCH_LISTED: Final = 0.6
FIT_LISTED: Final = 0.02


@dataclass(frozen=True, slots=True)
class Availability:
    """(n players, SEASON_DAYS) arrays; `leaves` is the share of the game played before an injury, NaN if none."""

    injured: NDArray[np.bool_]
    scratched: NDArray[np.bool_]
    questionable: NDArray[np.bool_]
    leaves: NDArray[np.float64]

    def out(self, day: int) -> NDArray[np.bool_]:
        """(n,) who does not play on `day`."""
        return self.injured[:, day] | self.scratched[:, day]

    def status(self, k: int, day: int) -> str:
        """What a salary file would list before lock: `O` out, `Q` questionable or nothing."""
        if self.injured[k, day]:
            return "O"
        return "Q" if self.questionable[k, day] else ""


@lru_cache(maxsize=8)
def availability(seed: int, season: int) -> Availability:
    """The absences of `season`."""
    rng = np.random.default_rng([seed, season, 4])
    people, games = league(seed, season), schedule(seed, season)
    n = len(people.talent)
    injured = np.zeros((n, SEASON_DAYS), dtype=np.bool_)
    leaves = np.full((n, SEASON_DAYS), np.nan)
    for k, count in enumerate(rng.poisson(people.frailty)):
        for start in rng.integers(-20, SEASON_DAYS, count):
            length = int(np.ceil(rng.lognormal(np.log(MEDIAN_DAYS), SPREAD)))
            hurt = rng.random(2)
            in_game = int(start >= 0 and hurt[0] < IN_GAME and not injured[k, start])
            if in_game:
                leaves[k, start] = hurt[1]
            injured[k, max(start + in_game, 0) : max(start + in_game + length, 0)] = True
    playing = np.zeros((30, SEASON_DAYS), dtype=np.bool_)
    playing[games.home, games.days] = playing[games.away, games.days] = True
    second_night = np.zeros_like(playing)
    second_night[:, 1:] = playing[:, 1:] & playing[:, :-1]
    tired = second_night[people.team[0]] & (people.talent > 1.0)[:, None]
    scratched = rng.random((n, SEASON_DAYS)) < np.where(tired, P_REST, P_SCRATCH)
    listed = np.where(scratched, SCRATCH_LISTED, FIT_LISTED)
    questionable = rng.random((n, SEASON_DAYS)) < listed
    return Availability(injured, scratched, questionable, leaves)
