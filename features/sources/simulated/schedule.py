"""When they play: 82 games a team in the NBA's shape, with rest days, back-to-backs and an all-star break.

The counts per opponent follow the NBA: 4 against each of 4 division rivals, 4 or 3 against the other 10 of the
conference, 2 against the 15 of the other conference; 41 at home (nba.com, "How the NBA schedule is made").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.sources.simulated.league import TEAM_COUNT
from features.sources.simulated.names import TEAMS

SEASON_DAYS: Final = 174
MOST_GAMES_A_DAY: Final = 15
#: Games per weekday, Monday first.
_PER_WEEKDAY: Final = (8, 6, 11, 4, 10, 8, 7)
_TIME_ZONE: Final = np.array([hours for _, hours in TEAMS.values()])


@dataclass(frozen=True, slots=True)
class Schedule:
    """Games of one season in order of tip-off; row k is the k-th game (number k + 1 in its id)."""

    season: int
    days: NDArray[np.int64]  # days since `opening`
    tip_et_min: NDArray[np.int16]
    home: NDArray[np.int64]
    away: NDArray[np.int64]
    opening: date
    deadline: int  # first day (since opening) after the trades

    def game_id(self, k: int) -> str:
        """Ten characters that no NBA id has: `S0` + season yy + six digits."""
        return f"S0{self.season % 100:02d}{k + 1:06d}"

    def day(self, k: int) -> date:
        """US Eastern date of game `k`."""
        return self.opening + timedelta(days=int(self.days[k]))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def opening_day(season: int) -> date:
    """The Tuesday in 18..24 October."""
    return date(season, 10, 18) + timedelta(days=(1 - date(season, 10, 18).weekday()) % 7)


def _matchups(season: int) -> NDArray[np.int64]:
    """(1230, 2) home and away team numbers."""
    games: list[tuple[int, int]] = []
    for a, b in combinations(range(TEAM_COUNT), 2):
        if a // 15 != b // 15:
            at_a, at_b = 1, 1
        elif a // 5 == b // 5:
            at_a, at_b = 2, 2
        else:
            turn = (b - a + season) % 5
            at_a, at_b = (2, 1) if turn == 3 else (1, 2) if turn == 4 else (2, 2)
        games += [(a, b)] * at_a + [(b, a)] * at_b
    return np.array(games)


def _capacity(season: int) -> NDArray[np.int64]:
    """Games wanted per day: none around Thanksgiving, Christmas Eve and the all-star weekend."""
    opening = opening_day(season)
    days = [opening + timedelta(days=k) for k in range(SEASON_DAYS)]
    star = _nth_weekday(season + 1, 2, 6, 3)
    dark = {_nth_weekday(season, 11, 3, 4), date(season, 12, 24)}
    dark |= {star + timedelta(days=k) for k in range(-2, 4)}
    return np.array([0 if day in dark else _PER_WEEKDAY[day.weekday()] for day in days])


def _assign_days(
    rng: np.random.Generator, games: NDArray[np.int64], capacity: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A day for each game: both teams free, few back-to-backs, never three days running while avoidable."""
    wide = SEASON_DAYS + 6
    busy = np.zeros((TEAM_COUNT, wide))
    met = np.zeros((TEAM_COUNT, TEAM_COUNT, wide))
    load = np.zeros(SEASON_DAYS)
    chosen = np.zeros(len(games), dtype=np.int64)
    inside = slice(3, 3 + SEASON_DAYS)
    for k in rng.permutation(len(games)):
        cost = 6.0 * np.maximum(load - capacity, 0) + 2.0 * load / np.maximum(capacity, 1)
        cost += 1e6 * ((capacity == 0) | (load >= MOST_GAMES_A_DAY)) + rng.uniform(0, 1.0, SEASON_DAYS)
        for team in games[k]:
            b = busy[team]
            one, two = b[2:-4] + b[4:-2], b[1:-5] + b[5:-1]
            three = (b[2:-4] * b[1:-5]) + (b[4:-2] * b[5:-1]) + (b[2:-4] * b[4:-2])
            near = one + two + b[0:-6] + b[6:]
            cost += 1e6 * b[inside] + 3.2 * one + 0.7 * two + 60.0 * three + 4.0 * np.maximum(near - 2, 0)
        home, away = games[k]
        cost += 3.0 * met[min(home, away), max(home, away), inside]
        day = int(cost.argmin())
        chosen[k] = day
        load[day] += 1
        busy[home, day + 3] = busy[away, day + 3] = 1
        met[min(home, away), max(home, away), max(0, day - 4) : day + 11] += 1
    return chosen


def _tips(
    rng: np.random.Generator, days: NDArray[np.int64], home: NDArray[np.int64], opening: date
) -> NDArray[np.int64]:
    """Minutes since midnight Eastern: about 19:00 to 20:00 local, some weekend afternoons."""
    local = rng.choice([1140, 1170, 1200], len(days), p=[0.5, 0.35, 0.15])
    weekday = (opening.weekday() + days) % 7
    afternoon = (weekday >= 5) & (rng.random(len(days)) < 0.22)
    local = np.where(afternoon, rng.choice([780, 900, 1020, 1080], len(days)), local)
    return np.asarray(np.minimum(local + 60 * _TIME_ZONE[home], 1350))


@lru_cache(maxsize=8)
def schedule(seed: int, season: int) -> Schedule:
    """The 1,230 games of `season`."""
    rng = np.random.default_rng([seed, season, 2])
    opening, games = opening_day(season), _matchups(season)
    days = _assign_days(rng, games, _capacity(season))
    tips = _tips(rng, days, games[:, 0], opening)
    order = np.lexsort((games[:, 0], tips, days))
    deadline = (_nth_weekday(season + 1, 2, 3, 1) - opening).days + 1
    return Schedule(
        season, days[order], tips[order].astype(np.int16), games[order, 0], games[order, 1], opening, deadline
    )
