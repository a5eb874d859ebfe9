"""One game, possession by possession, compiled with numba: latent rates in, events and box lines out.

Invariant: every number of a box line is the count of rows in `events`; the last row carries the final score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import numpy as np
from numba import njit

from features.sources.simulated import floor as at
from features.sources.simulated.court import (
    FAST,
    advance,
    compiled,
    dead_ball,
    emit,
    five,
    pick,
    score,
    shot,
    substitute,
    turn_over,
    uniform,
)
from features.sources.simulated.floor import Floor
from features.sources.simulated.revision import revision

#: League-wide rates, tuned so that the marginals match published averages (tests/unit/features).
BONUS_FOULS: Final = 5
P_COMMON_FOUL: Final = 0.064
P_SHOOTING_FOUL_2, P_SHOOTING_FOUL_3 = 0.131, 0.016
P_BLOCK_2, P_BLOCK_3 = 0.175, 0.013
P_ASSIST_2, P_ASSIST_3 = 0.515, 0.815
P_RIM: Final = 0.56
RIM_LOGIT, MID_LOGIT = 0.50, -0.55
AND_ONE_FACTOR: Final = 0.46
P_TEAM_REBOUND: Final = 0.11
OREB_SCALE: Final = 0.36
#: A leader plays a little worse and a trailer better: logits per point of margin.
COMEBACK_LOGIT: Final = 0.0075


@compiled
def _rebound(f: Floor, scale: float) -> None:
    """A live miss by the side with the ball; `scale` lowers the offence's chance (after free throws)."""
    off = f.state[at.BALL]
    advance(f, 10 + 10 * int(uniform(f) * 2))
    if uniform(f) < P_TEAM_REBOUND:
        kept = uniform(f) < 0.6 * scale
        side = off if kept else 1 - off
        emit(f, at.REBOUND, at.OFFENSIVE + (2 if kept else 3), side, at.NOBODY, at.NOBODY)
    else:
        ours = five(f, off, at.OREB_W) * OREB_SCALE * scale
        kept = uniform(f) < ours / (ours + five(f, 1 - off, at.DREB_W))
        side = off if kept else 1 - off
        i = pick(f, side, at.OREB_W if kept else at.DREB_W, at.NOBODY)
        f.box[side, i, at.OREB if kept else at.DREB] += 1
        emit(f, at.REBOUND, at.OFFENSIVE + (0 if kept else 1), side, side * at.SIDE + i, at.NOBODY)
    if kept:
        f.state[at.FRESH] = 0
    else:
        turn_over(f)


@compiled
def _free_throws(f: Floor, side: int, i: int, shots: int) -> None:
    made = False
    for k in range(shots):
        made = uniform(f) < f.players[side, i, at.FREE]
        f.box[side, i, at.FTA] += 1
        f.box[side, i, at.FTM] += int(made)
        f.box[side, i, at.PTS] += int(made)
        score(f, side, int(made))
        emit(f, at.FT, at.FT_CODES[shots] + k, side, side * at.SIDE + i, at.NOBODY)
        shot(f, int(made), at.ZERO, at.NOBODY, at.NOBODY)
        if not made and k < shots - 1:
            emit(f, at.REBOUND, at.OFFENSIVE + 2, side, at.NOBODY, at.NOBODY)
    if made:
        turn_over(f)
        dead_ball(f)
    else:
        _rebound(f, 0.42)


@compiled
def _defensive_foul(f: Floor, subtype: int, fouled: int) -> None:
    off = f.state[at.BALL]
    i = pick(f, 1 - off, at.FOUL_W, at.NOBODY)
    f.box[1 - off, i, at.PF] += 1
    f.state[at.FOULS + 1 - off] += 1
    if f.state[at.CLOCK] <= 1200:
        f.state[at.LATE + 1 - off] += 1
    emit(f, at.FOUL, subtype, 1 - off, (1 - off) * at.SIDE + i, off * at.SIDE + fouled)
    if f.box[1 - off, i, at.PF] >= 6:
        substitute(f, 1 - off, 1e8, at.ON_RECORD)


@compiled
def _turnover(f: Floor, i: int) -> None:
    off, u = f.state[at.BALL], uniform(f)
    me = off * at.SIDE + i
    if u < 0.03:
        emit(f, at.TURNOVER, at.BAD_PASS + 5, off, at.NOBODY, at.NOBODY)
        dead_ball(f)
    else:
        f.box[off, i, at.TOV] += 1
        if u < 0.61:
            j = pick(f, 1 - off, at.STEAL_W, at.NOBODY)
            f.box[1 - off, j, at.STL] += 1
            kind = at.BAD_PASS if u < 0.4 else at.LOST_BALL
            emit(f, at.TURNOVER, kind, off, me, (1 - off) * at.SIDE + j)
        elif u < 0.72:
            f.box[off, i, at.PF] += 1
            emit(f, at.FOUL, at.OFF_FOUL, off, me, at.NOBODY)
            emit(f, at.TURNOVER, at.BAD_PASS + 4, off, me, at.NOBODY)
            dead_ball(f)
        else:
            emit(f, at.TURNOVER, at.BAD_PASS + (2 if u < 0.86 else 3), off, me, at.NOBODY)
            dead_ball(f)
    turn_over(f)


@compiled
def _try(f: Floor, i: int) -> tuple[int, int, int, float]:
    """Choose the shot: (value, feet, subtype, make probability)."""
    off = f.state[at.BALL]
    lead = f.state[at.HOME + off] - f.state[at.AWAY - off]
    logit = (
        f.teams[off, at.EDGE]
        - f.teams[1 - off, at.SCHEME]
        - five(f, 1 - off, at.GUARD) / 5.0
        - COMEBACK_LOGIT * lead
    )
    three = f.players[off, i, at.THREE]
    if f.state[at.PERIOD] >= 4 and f.state[at.CLOCK] < 400 and lead <= -3:
        three += 0.35
    if uniform(f) < three:
        feet = 23 + int(6 * uniform(f) ** 1.5)
        logit += f.players[off, i, at.THREE_LOGIT] - 0.03 * (feet - 25)
        return 3, feet, at.JUMPER + int(3 * uniform(f)), 1.0 / (1.0 + np.exp(-logit))
    if uniform(f) < P_RIM:
        feet, subtype = int(5 * uniform(f)), at.LAYUP + int(3 * uniform(f))
        logit += f.players[off, i, at.TWO_LOGIT] + RIM_LOGIT
    else:
        feet, subtype = 5 + int(16 * uniform(f) ** 1.3), at.LAYUP + 3 + int(4 * uniform(f))
        logit += f.players[off, i, at.TWO_LOGIT] + MID_LOGIT
    return 2, feet, subtype, 1.0 / (1.0 + np.exp(-logit))


@compiled
def _attempt(f: Floor, i: int, value: int, made: int) -> None:
    line = f.box[f.state[at.BALL], i]
    line[at.FGA] += 1
    line[at.FGM] += made
    line[at.PTS] += made * value
    if value == 3:
        line[at.FG3A] += 1
        line[at.FG3M] += made
    score(f, f.state[at.BALL], made * value)


@compiled
def _make(f: Floor, i: int, value: int, feet: int, subtype: int) -> None:
    off, passer = f.state[at.BALL], -1
    base = P_ASSIST_3 if value == 3 else P_ASSIST_2
    if uniform(f) < min(0.97, base * f.players[off, i, at.FED] * (0.8 + 0.04 * five(f, off, at.PASS))):
        passer = pick(f, off, at.PASS, i)
        f.box[off, passer, at.AST] += 1
        passer += off * at.SIDE
    _attempt(f, i, value, at.ONE)
    emit(f, at.MADE, subtype, off, off * at.SIDE + i, passer)
    shot(f, value, value, feet, at.NOBODY)


@compiled
def _miss(f: Floor, i: int, value: int, feet: int, subtype: int) -> None:
    off, blocker = f.state[at.BALL], -1
    p = (P_BLOCK_3 if value == 3 else P_BLOCK_2) * five(f, 1 - off, at.BLOCK_W) / 5.0
    if uniform(f) < p:
        j = pick(f, 1 - off, at.BLOCK_W, at.NOBODY)
        f.box[1 - off, j, at.BLK] += 1
        blocker = (1 - off) * at.SIDE + j
    _attempt(f, i, value, at.ZERO)
    emit(f, at.MISSED, subtype, off, off * at.SIDE + i, at.NOBODY)
    shot(f, at.ZERO, value, feet, blocker)
    _rebound(f, 1.0)


@compiled
def _shoot(f: Floor, i: int) -> None:
    off = f.state[at.BALL]
    value, feet, subtype, p = _try(f, i)
    p_foul = P_SHOOTING_FOUL_3 if value == 3 else P_SHOOTING_FOUL_2
    if uniform(f) < p_foul * f.players[off, i, at.DRAW]:
        made = uniform(f) < AND_ONE_FACTOR * p
        if made:
            _make(f, i, value, feet, subtype)
        _defensive_foul(f, at.S_FOUL, i)
        _free_throws(f, off, i, 1 if made else value)
    elif uniform(f) < p:
        _make(f, i, value, feet, subtype)
        turn_over(f)
        if uniform(f) < 0.06:
            emit(f, at.TIMEOUT, at.REGULAR, f.state[at.BALL], at.NOBODY, at.NOBODY)
            dead_ball(f)
    else:
        _miss(f, i, value, feet, subtype)


@compiled
def _seconds(f: Floor, hurried: bool) -> int:
    """Deciseconds the next chance takes; whole seconds until the period's last minute."""
    off, clock = f.state[at.BALL], f.state[at.CLOCK]
    u = uniform(f)
    if hurried:
        ds = 10 + int(50 * u)
    elif f.state[at.FRESH] == 0:
        ds = 20 + int(110 * u)
    elif uniform(f) < 0.2:
        ds = 25 + int(60 * u)
    else:
        ds = 80 + int(143 * u)
    ds = int(ds * 0.5 * (f.teams[off, at.TEMPO] + f.teams[1 - off, at.TEMPO]))
    if ds >= clock:
        return int(clock - 1 - int(14 * uniform(f)) if clock > 20 and uniform(f) < 0.6 else clock)
    return max(10, ds // 10 * 10) if clock - ds >= 600 else ds


@compiled
def _chance(f: Floor) -> None:
    """One play of the side with the ball: a foul, a turnover or a shot."""
    off = f.state[at.BALL]
    lead = f.state[at.HOME + off] - f.state[at.AWAY - off]
    last = f.state[at.PERIOD] >= 4 and f.state[at.CLOCK] <= 400
    chased = last and 1 <= lead <= 8
    advance(f, _seconds(f, last and (chased or lead <= -4)))
    if f.state[at.CLOCK] == 0:
        return
    i = pick(f, off, at.USE, at.NOBODY)
    if uniform(f) < (0.75 if chased else P_COMMON_FOUL):
        _defensive_foul(f, at.P_FOUL, i)
        limit = 4 if f.state[at.PERIOD] > 4 else BONUS_FOULS
        if f.state[at.FOULS + 1 - off] >= limit or f.state[at.LATE + 1 - off] >= 2:
            _free_throws(f, off, i, at.PAIR)
        else:
            f.state[at.FRESH] = 0
            dead_ball(f)
    elif uniform(f) < f.players[off, i, at.LOSE]:
        _turnover(f, i)
    else:
        _shoot(f, i)


@compiled
def _open_period(f: Floor) -> None:
    period = f.state[at.PERIOD]
    f.state[at.CLOCK] = 7200 if period <= 4 else 3000
    f.state[at.FOULS], f.state[at.FOULS + 1], f.state[at.LATE], f.state[at.FRESH] = 0, 0, 0, 1
    for side in range(2):
        if period in (1, 3):
            k, f.state[at.MASK + side] = 0, 0
            for i in range(f.size[side]):
                if f.players[side, i, at.STARTS] > 0 and k < 5:
                    f.court[side, k] = i
                    f.state[at.MASK + side] |= 1 << i
                    k += 1
        substitute(f, side, 1e6 if period in (1, 3) else 600.0, at.OFF_RECORD)
    emit(f, at.START, at.PLAIN, at.NOBODY, at.NOBODY, at.NOBODY)
    if period == 1 or period > 4:
        winner = int(uniform(f) * 2)
        if period == 1:
            f.state[at.TIP] = winner
        f.state[at.BALL] = winner
        jumpers = (pick(f, at.HOST, at.DREB_W, at.NOBODY), at.SIDE + pick(f, at.GUEST, at.DREB_W, at.NOBODY))
        taker = winner * at.SIDE + pick(f, winner, at.PASS, jumpers[winner] - winner * at.SIDE)
        emit(f, at.JUMP, at.PLAIN, winner, jumpers[0], jumpers[1])
        f.events[f.state[at.ROWS] - 1, 10] = taker
    else:
        f.state[at.BALL] = f.state[at.TIP] if period == 4 else 1 - f.state[at.TIP]


def _compile(revision: int) -> Callable[[Floor], None]:
    """`play` bound to `revision`: numba's cache key holds closed-over values but not the other modules' sources."""

    def play(f: Floor) -> None:
        period = 0 * revision  # closes over it
        while period < 4 or f.state[at.HOME] == f.state[at.AWAY]:
            period += 1
            f.state[at.PERIOD] = period
            _open_period(f)
            while f.state[at.CLOCK] > 0:
                _chance(f)
            emit(f, at.END, at.PLAIN, at.NOBODY, at.NOBODY, at.NOBODY)

    return cast(Callable[[Floor], None], njit(**FAST, cache=True)(play))


#: Plays a prepared game to its end, in place: four periods, then overtimes while the score is level.
play: Final = _compile(int(revision()[:12], 16))
