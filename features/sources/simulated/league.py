"""Who plays: a pool of players with latent skill that ages, moves and retires from season to season.

Invariant: the league of a season depends on the seed and that season only, whatever was asked before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.sources.simulated import floor as at
from features.sources.simulated.names import player_names

FIRST_SEASON: Final = 2012
LAST_SEASON: Final = 2060
TEAM_COUNT: Final = 30
#: Rostered players per team: fifteen and a two-way contract.
ROSTER: Final = 16
#: Simulated ids start far above NBA.com person ids (below 2,000,000).
FIRST_PLAYER_ID: Final = 90_000_000
POSITIONS: Final = ("PG", "SG", "SF", "PF", "C")
NAMES: Final = 17_280
STYLES: Final = 14
#: Nobody is better than this for long.
BEST_TALENT: Final = 3.1
#: Trades on deadline day, each swapping two players of the same position.
DEADLINE_TRADES: Final = 14

#: Means by position PG..C of: three-point share, two-point logit, assist, offensive and defensive rebound, steal,
#: block and foul weights, share of assisted makes.
_BY_POSITION: Final = np.array([
    [0.43, 0.47, 0.48, 0.38, 0.14],
    [0.03, 0.04, 0.10, 0.21, 0.44],
    [1.95, 1.00, 0.80, 0.68, 0.75],
    [0.42, 0.50, 0.78, 1.25, 2.25],
    [0.72, 0.75, 0.92, 1.18, 1.62],
    [1.15, 1.12, 1.05, 0.92, 0.80],
    [0.42, 0.55, 0.80, 1.25, 2.20],
    [0.86, 0.90, 0.97, 1.08, 1.25],
    [0.72, 0.95, 1.05, 1.12, 1.22],
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class League:
    """Players of one season; row k of every array is one player.

    `team` is (2, n): before and after the trade deadline. `rates` is (n, PLAYER_COLUMNS) without what belongs to
    one night (minutes target, starter, leaving time). `talent` has league mean 0 and standard deviation about 1.
    """

    season: int
    player_id: NDArray[np.int32]
    name: tuple[str, ...]
    talent: NDArray[np.float64]
    position: NDArray[np.int64]
    second: NDArray[np.int64]  # second eligible position, or the first again
    frailty: NDArray[np.float64]  # injuries a season
    team: NDArray[np.int64]
    rates: NDArray[np.float64]

    def positions(self, k: int) -> tuple[str, ...]:
        """Eligible positions of player `k`, the natural one first."""
        first, second = int(self.position[k]), int(self.second[k])
        return (POSITIONS[first],) if first == second else (POSITIONS[first], POSITIONS[second])


@dataclass(slots=True)
class _Pool:
    number: NDArray[np.int64]
    talent: NDArray[np.float64]
    age: NDArray[np.float64]
    position: NDArray[np.int64]
    second: NDArray[np.int64]
    frailty: NDArray[np.float64]
    style: NDArray[np.float64]


def _talent(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Skewed to the right: many role players, a few stars."""
    return rng.normal(0, 0.8, count) + rng.exponential(0.55, count) - 0.55


def _first_pool(rng: np.random.Generator) -> _Pool:
    n = TEAM_COUNT * ROSTER
    position = np.tile(np.append(np.tile(np.arange(5), 3), 0), TEAM_COUNT)
    position[ROSTER - 1 :: ROSTER] = rng.integers(0, 5, TEAM_COUNT)
    return _Pool(
        np.arange(n), _talent(rng, n), rng.uniform(19, 34, n), position, _second(rng, position),
        rng.gamma(6, 0.55, n), rng.normal(0, 1, (n, STYLES)),
    )  # fmt: skip


def _second(rng: np.random.Generator, position: NDArray[np.int64]) -> NDArray[np.int64]:
    """A neighbouring position for about six players in ten, else the same one."""
    step = rng.choice([-1, 0, 1], len(position), p=[0.25, 0.42, 0.33])
    return np.asarray(np.clip(position + step, 0, 4))


def _age_a_year(rng: np.random.Generator, pool: _Pool, next_number: int) -> int:
    """Drift talent and style, move a fifth of the players, replace those who retire; returns the next number."""
    n = len(pool.number)
    pool.age += 1
    pool.talent += 0.05 * (27.5 - pool.age) / 3 + rng.normal(0, 0.28, n)
    pool.style = 0.96 * pool.style + rng.normal(0, 0.28, pool.style.shape)
    pool.talent = np.minimum(pool.talent, BEST_TALENT)
    leaving = (pool.age > rng.normal(36, 2, n)) | (pool.talent < rng.normal(-1.9, 0.4, n))
    count = int(leaving.sum())
    pool.number[leaving] = next_number + np.arange(count)
    pool.talent[leaving] = _talent(rng, count) - 0.35
    pool.age[leaving] = rng.uniform(19, 23, count)
    pool.second[leaving] = _second(rng, pool.position[leaving])
    pool.frailty[leaving] = rng.gamma(6, 0.55, count)
    pool.style[leaving] = rng.normal(0, 1, (count, STYLES))
    for _ in range(45):
        _swap(pool, *_same_position(rng, pool.position))
    return next_number + count


def _same_position(rng: np.random.Generator, position: NDArray[np.int64]) -> tuple[int, int]:
    first = int(rng.integers(len(position)))
    return first, int(rng.choice(np.flatnonzero(position == position[first])))


def _swap(pool: _Pool, a: int, b: int) -> None:
    """Exchange two players' places; a place (row) belongs to a team."""
    for column in (pool.number, pool.talent, pool.age, pool.second, pool.frailty, pool.style):
        column[[a, b]] = column[[b, a]]


def _rates(pool: _Pool) -> NDArray[np.float64]:
    z, s, p = pool.talent, pool.style, pool.position
    three, two, assist, oreb, dreb, steal, block, foul, fed = _BY_POSITION[:, p]
    rates = np.zeros((len(z), at.PLAYER_COLUMNS))
    rates[:, at.USE] = np.exp(0.185 * z + 0.17 * s[:, 0])
    rates[:, at.THREE] = np.clip(three + 0.11 * s[:, 1] - 0.02 * z, 0.01, 0.85)
    rates[:, at.TWO_LOGIT] = two - 0.09 + 0.055 * z + 0.10 * s[:, 2] - 0.04 * s[:, 0]
    rates[:, at.THREE_LOGIT] = -0.635 + 0.035 * z + 0.10 * s[:, 3] + 0.9 * (rates[:, at.THREE] - 0.38)
    rates[:, at.FREE] = 1 / (1 + np.exp(-(1.33 + 0.05 * z + 0.38 * s[:, 4] + 1.0 * (rates[:, at.THREE] - 0.38))))
    rates[:, at.DRAW] = np.exp(0.10 * z + 0.30 * s[:, 5] - 0.05)
    rates[:, at.LOSE] = np.clip(0.125 * np.exp(0.20 * s[:, 6] + 0.10 * s[:, 7] - 0.05 * z), 0.04, 0.25)
    rates[:, at.PASS] = assist * np.exp(0.29 * z + 0.34 * s[:, 7])
    rates[:, at.OREB_W] = oreb * np.exp(0.28 * s[:, 8])
    rates[:, at.DREB_W] = dreb * np.exp(0.15 * z + 0.22 * s[:, 8] + 0.08 * s[:, 9])
    rates[:, at.STEAL_W] = steal * np.exp(0.05 * z + 0.28 * s[:, 10])
    rates[:, at.BLOCK_W] = block * np.exp(0.04 * z + 0.42 * s[:, 11])
    rates[:, at.FOUL_W] = foul * np.exp(0.22 * s[:, 12] - 0.08 * z)
    rates[:, at.GUARD] = 0.035 * z + 0.055 * s[:, 13]
    rates[:, at.FED] = fed * np.exp(-0.06 * z - 0.08 * s[:, 7])
    rates[:, at.POSITION] = p
    return rates


@lru_cache(maxsize=8)
def league(seed: int, season: int) -> League:
    """The league of `season` (start year). Raises `InvalidInput` outside FIRST_SEASON..LAST_SEASON."""
    if not FIRST_SEASON <= season <= LAST_SEASON:
        raise InvalidInput(
            f"seasons: {season} is outside the simulated league; use start years {FIRST_SEASON} to {LAST_SEASON}"
        )
    pool = _first_pool(np.random.default_rng([seed, FIRST_SEASON, 0]))
    number = len(pool.number)
    for year in range(FIRST_SEASON + 1, season + 1):
        number = _age_a_year(np.random.default_rng([seed, year, 0]), pool, number)
    pool.talent -= pool.talent.mean()
    team = np.tile(np.repeat(np.arange(TEAM_COUNT), ROSTER), (2, 1))
    rng = np.random.default_rng([seed, season, 1])
    for _ in range(DEADLINE_TRADES):
        a, b = _same_position(rng, pool.position)
        team[1, [a, b]] = team[1, [b, a]]
    names = player_names(np.random.default_rng([seed, 0]), NAMES)
    return League(
        season, (FIRST_PLAYER_ID + pool.number).astype(np.int32), tuple(names[k % NAMES] for k in pool.number),
        pool.talent, pool.position, pool.second, pool.frailty, team, _rates(pool),
    )  # fmt: skip
