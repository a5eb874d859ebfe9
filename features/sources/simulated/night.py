"""One night's game before the tip: who dresses, who starts, minutes planned, and tonight's rates.

Invariant: night k of a season depends on (seed, season, k, replay) only; `replay` 0 is the game that happened,
other replays draw the night's form and luck again from the same latent strengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.sources.simulated import floor as at
from features.sources.simulated.availability import availability
from features.sources.simulated.floor import Floor
from features.sources.simulated.league import TEAM_COUNT, league
from features.sources.simulated.schedule import SEASON_DAYS, schedule

#: Minutes by rank in the rotation, set so that starters' and reserves' averages match the recorded seasons 2022-25.
PLAN: Final = np.array([35.0, 33.2, 31.4, 29.6, 27.4, 24.4, 20.8, 17.0, 13.0, 7.0, 1.2, 0.0, 0.0])
DRESSED: Final = len(PLAN)
FEWEST: Final = 8
MOST_MINUTES: Final = 39.5
HOME_EDGE: Final = 0.056
TIRED_EDGE: Final = 0.028
#: Standard deviation between coaches, in logits of every shot at either end.
COACH: Final = 0.066
#: Standard deviations of one night's luck.
NIGHT_SCORE, NIGHT_PLAN, NIGHT_USE, NIGHT_SHOT, NIGHT_WEIGHT = 0.30, 0.13, 0.21, 0.115, 0.23
NIGHT_TEAM, NIGHT_TEMPO = 0.020, 0.015


@dataclass(frozen=True, slots=True)
class Season:
    """Slow-moving state of a season by week: role, usage and shooting of players, defence and tempo of teams."""

    role: NDArray[np.float64]  # (weeks, n) in units of talent
    usage: NDArray[np.float64]  # (weeks, n) log
    touch: NDArray[np.float64]  # (weeks, n) logits
    attack: NDArray[np.float64]  # (weeks, 30) logits, the coach's effect on every shot
    scheme: NDArray[np.float64]  # (weeks, 30) logits, on every opponent's shot
    tempo: NDArray[np.float64]  # (30,) relative
    tired: NDArray[np.bool_]  # (30, days) second night of a back-to-back


def _drift(rng: np.random.Generator, n: int, sd: float, memory: float) -> NDArray[np.float64]:
    """(weeks, n) autoregressive paths with stationary deviation `sd` and weekly correlation `memory`."""
    weeks = SEASON_DAYS // 7 + 1
    path = np.empty((weeks, n))
    path[0] = rng.normal(0, sd, n)
    for week in range(1, weeks):
        path[week] = memory * path[week - 1] + rng.normal(0, sd * np.sqrt(1 - memory**2), n)
    return path


@lru_cache(maxsize=8)
def season_state(seed: int, season: int) -> Season:
    """The slow state of `season`."""
    rng = np.random.default_rng([seed, season, 5])
    n, games = len(league(seed, season).talent), schedule(seed, season)
    playing = np.zeros((TEAM_COUNT, SEASON_DAYS), dtype=np.bool_)
    playing[games.home, games.days] = playing[games.away, games.days] = True
    tired = np.zeros_like(playing)
    tired[:, 1:] = playing[:, 1:] & playing[:, :-1]
    coach = np.random.default_rng([seed, 0, 8]).normal(0, COACH, (2, TEAM_COUNT))
    coach += rng.normal(0, 0.7 * COACH, (2, TEAM_COUNT))
    slow = [coach[side] + _drift(rng, TEAM_COUNT, 0.03, 0.95) for side in range(2)]
    return Season(
        _drift(rng, n, 0.50, 0.92), _drift(rng, n, 0.13, 0.90), _drift(rng, n, 0.05, 0.85), slow[0], slow[1],
        np.exp(rng.normal(0, 0.022, TEAM_COUNT)), tired,
    )  # fmt: skip


def _starters(score: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]) -> list[int]:
    """Five places, one per position: the best player, less 0.8 talent for each position out of place."""
    taken: list[int] = []
    for position in (4, 0, 3, 1, 2):
        apart = np.minimum(np.abs(first - position), np.abs(second - position) + 0.2)
        value = score - 0.8 * apart
        value[taken] = -np.inf
        taken.append(int(value.argmax()))
    return taken


def _plan(score: NDArray[np.float64], starts: NDArray[np.bool_], luck: NDArray[np.float64]) -> NDArray[np.float64]:
    """Planned minutes, 240 in all: ranked by score with starters first among equals; stars play longer."""
    order = np.argsort(-(score + 0.55 * starts), kind="stable")
    minutes = np.zeros(len(score))
    minutes[order] = PLAN[: len(score)]
    minutes *= np.exp(0.035 * (score - score.mean()) + luck)
    for _ in range(4):
        minutes = np.minimum(minutes * 240 / minutes.sum(), MOST_MINUTES)
    return minutes


@dataclass(frozen=True, slots=True)
class Night:
    """`rows` (2, SIDE) are rows of the league's arrays, -1 where nobody dresses; `floor` is ready to play."""

    rows: NDArray[np.int64]
    floor: Floor


def _dress(seed: int, season: int, side_team: int, day: int, score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the players who dress, at most DRESSED; the least hurt fill in when fewer than FEWEST are fit."""
    people = league(seed, season)
    traded = int(day >= schedule(seed, season).deadline)
    rows = np.flatnonzero(people.team[traded] == side_team)
    out = availability(seed, season).out(day)[rows]
    fit = rows[~out]
    if len(fit) < FEWEST:
        fit = np.concatenate([fit, rows[out][: FEWEST - len(fit)]])
    return np.sort(fit[np.argsort(-score[fit], kind="stable")][:DRESSED])


def night(seed: int, season: int, k: int, *, replay: int = 0, luck: float = 1.0) -> Night:
    """Game `k` of `season` before the tip; `luck` 0 gives the expected night (no form, nobody gets hurt)."""
    games, people, state = schedule(seed, season), league(seed, season), season_state(seed, season)
    rng = np.random.default_rng([seed, season, 3, k, replay])
    day, week = int(games.days[k]), int(games.days[k]) // 7
    f = empty_floor(int(rng.integers(2**63)))
    rows = np.full((2, at.SIDE), -1)
    for side, team in enumerate((int(games.home[k]), int(games.away[k]))):
        draw = rng.normal(0, luck, (DRESSED, 6))
        score = people.talent + state.role[week]
        mine = _dress(seed, season, team, day, score)
        n = len(mine)
        rows[side, :n], f.size[side], draw = mine, n, draw[:n]
        score = score[mine] + NIGHT_SCORE * draw[:, 0]
        starts = np.zeros(n, dtype=np.bool_)
        starts[_starters(score, people.position[mine], people.second[mine])] = True
        p = f.players[side, :n]
        p[:] = people.rates[mine]
        p[:, at.STARTS] = starts
        p[:, at.TARGET] = 600 * _plan(score, starts, NIGHT_PLAN * draw[:, 1])
        p[:, at.USE] *= np.exp(state.usage[week, mine] + NIGHT_USE * draw[:, 2])
        p[:, [at.TWO_LOGIT, at.THREE_LOGIT]] += (state.touch[week, mine] + NIGHT_SHOT * draw[:, 3])[:, None]
        p[:, [at.OREB_W, at.DREB_W]] *= np.exp(NIGHT_WEIGHT * draw[:, 4])[:, None]
        p[:, at.PASS] *= np.exp(NIGHT_WEIGHT * draw[:, 5])
        hurt = availability(seed, season).leaves[mine, day]
        p[:, at.LEAVES] = np.where(np.isnan(hurt) | (luck == 0), 1e9, 600 + 27000 * np.nan_to_num(hurt))
        edge = state.attack[week, team] + (0.5 - side) * HOME_EDGE - TIRED_EDGE * state.tired[team, day]
        form = rng.normal(0, luck, 3)
        f.teams[side, at.EDGE] = edge + NIGHT_TEAM * form[0]
        f.teams[side, at.SCHEME] = state.scheme[week, team] + NIGHT_TEAM * form[1]
        f.teams[side, at.TEMPO] = state.tempo[team] * np.exp(NIGHT_TEMPO * form[2])
    return Night(rows, f)


def empty_floor(random_state: int) -> Floor:
    """Arrays of one game, all zero but the random state."""
    return Floor(
        np.zeros((2, at.SIDE, at.PLAYER_COLUMNS)), np.zeros((2, 3)), np.zeros(2, np.int64),
        np.array([random_state], np.uint64), np.zeros(at.STATE_SIZE, np.int64), np.zeros((2, 5), np.int64),
        np.zeros((at.MAX_EVENTS, at.EVENT_COLUMNS), np.int32), np.zeros((2, at.SIDE, at.BOX_COLUMNS), np.int32),
    )  # fmt: skip
