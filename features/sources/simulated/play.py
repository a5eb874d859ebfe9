"""One game, possession by possession, compiled with numba: latent rates in, events and box lines out.

Invariant: every number of a box line is the count of rows in `events`; the last row carries the final score.
Numba keys its cache by source file, so all compiled functions stay in this one module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit

from features.sources.simulated import floor as at
from features.sources.simulated.floor import Floor

F = TypeVar("F", bound=Callable[..., Any])
Shot = tuple[int, int, int]
_NONE: Final = (0, 0, -1)

_GAMMA, _MIX1, _MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_R30, _R27, _R31, _R11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)

#: League-wide rates, tuned so that the marginals match published averages (tests/unit/features).
BONUS_FOULS: Final = 5
P_COMMON_FOUL: Final = 0.070
P_SHOOTING_FOUL_2, P_SHOOTING_FOUL_3 = 0.157, 0.018
P_BLOCK_2, P_BLOCK_3 = 0.205, 0.015
P_ASSIST_2, P_ASSIST_3 = 0.55, 0.835
P_RIM: Final = 0.56
RIM_LOGIT, MID_LOGIT = 0.50, -0.55
AND_ONE_FACTOR: Final = 0.46
P_TEAM_REBOUND: Final = 0.11
OREB_SCALE: Final = 0.335
#: A leader plays a little worse and a trailer better: logits per point of margin.
COMEBACK_LOGIT: Final = 0.0075
PATIENCE_DS: Final = 2000.0
NEVER: Final = -1e9


def _compiled(function: F) -> F:
    return cast(F, njit(cache=True)(function))


@_compiled
def _uniform(f: Floor) -> float:
    """Next number in [0, 1): SplitMix64 (Steele, Lea, Flood 2014)."""
    f.random[0] = f.random[0] + _GAMMA
    z = f.random[0]
    z = (z ^ (z >> _R30)) * _MIX1
    z = (z ^ (z >> _R27)) * _MIX2
    z = z ^ (z >> _R31)
    return float(z >> _R11) * 1.1102230246251565e-16


@_compiled
def _emit(
    f: Floor, kind: int, subtype: int, side: int, p1: int, p2: int, p3: int, shot: tuple[int, int, int]
) -> None:
    """Append a row; `shot` is (points, shot value or 0, feet or -1)."""
    n, s = f.state[at.ROWS], f.state
    row = f.events[n]
    row[0], row[1], row[2], row[3], row[4] = s[at.PERIOD], s[at.CLOCK], kind, subtype, side
    row[5], row[6], row[7] = shot[0], shot[1], shot[2]
    row[8], row[9], row[10] = p1, p2, p3
    row[11], row[12], row[13], row[14] = s[at.HOME], s[at.AWAY], s[at.MASK], s[at.MASK + 1]
    s[at.ROWS] = n + 1


@_compiled
def _advance(f: Floor, ds: int) -> None:
    ds = min(ds, f.state[at.CLOCK])
    f.state[at.CLOCK] -= ds
    for side in range(2):
        for k in range(5):
            f.box[side, f.court[side, k], at.DS] += ds


@_compiled
def _score(f: Floor, side: int, points: int) -> None:
    f.state[at.HOME + side] += points
    for k in range(5):
        f.box[side, f.court[side, k], at.PLUS] += points
        f.box[1 - side, f.court[1 - side, k], at.PLUS] -= points


@_compiled
def _pick(f: Floor, side: int, column: int, without: int) -> int:
    """A slot on the floor drawn by the weights in `column`."""
    total = 0.0
    for k in range(5):
        i = f.court[side, k]
        if i != without:
            total += f.players[side, i, column]
    mark = _uniform(f) * total
    last = f.court[side, 0]
    for k in range(5):
        i = f.court[side, k]
        if i != without:
            last = i
            mark -= f.players[side, i, column]
            if mark < 0:
                break
    return last


@_compiled
def _five(f: Floor, side: int, column: int) -> float:
    total = 0.0
    for k in range(5):
        total += f.players[side, f.court[side, k], column]
    return total


@_compiled
def _elapsed(f: Floor) -> int:
    p = f.state[at.PERIOD]
    if p <= 4:
        return p * 7200 - f.state[at.CLOCK]
    return 28800 + (p - 4) * 3000 - f.state[at.CLOCK]


@_compiled
def _phase(f: Floor) -> int:
    """0 normal rotation, 1 closing minutes of a close game, 2 the game is decided."""
    if f.state[at.PERIOD] < 4:
        return 0
    if f.state[at.PERIOD] > 4:
        return 1
    margin = abs(f.state[at.HOME] - f.state[at.AWAY])
    minutes = f.state[at.CLOCK] / 600.0
    if margin > 13 + 1.5 * minutes:
        return 2
    return 1 if minutes < 5 else 0


@_compiled
def _need(f: Floor, side: int, i: int, phase: int) -> float:
    """How much the coach wants slot `i` on the floor, in deciseconds of missing playing time."""
    fouls, period, now = f.box[side, i, at.PF], f.state[at.PERIOD], _elapsed(f)
    target, played = f.players[side, i, at.TARGET], f.box[side, i, at.DS]
    if fouls >= 6 or now >= f.players[side, i, at.LEAVES]:
        return NEVER
    if phase == 2:
        return -0.4 * target - 0.05 * played
    need = 0.4 * target if phase == 1 else target * now / 28800.0 - played
    if target < 900:
        need -= 3600.0
    in_trouble = fouls > period if period <= 3 else fouls == 5 and f.state[at.CLOCK] > 2400
    return need - 2400.0 if in_trouble else need


@_compiled
def _substitute(f: Floor, side: int, patience: float, recorded: bool) -> None:
    """Swap the least for the most wanted while the difference exceeds `patience`."""
    phase = _phase(f)
    for _ in range(5):
        worst, low = 0, 1e18
        for k in range(5):
            need = _need(f, side, f.court[side, k], phase)
            if need < low:
                worst, low = k, need
        out = f.court[side, worst]
        best, high = -1, NEVER
        for i in range(f.size[side]):
            if (f.state[at.MASK + side] >> i) & 1 == 0:
                apart = abs(f.players[side, i, at.POSITION] - f.players[side, out, at.POSITION])
                need = _need(f, side, i, phase) - 500.0 * max(0.0, apart - 1.0)
                if need > high and need > 0.5 * NEVER:
                    best, high = i, need
        if best < 0 or high - low <= patience:
            return
        if recorded:
            _emit(f, at.SUB, 0, side, side * at.SIDE + out, side * at.SIDE + best, -1, _NONE)
        f.court[side, worst] = best
        f.state[at.MASK + side] ^= (1 << out) | (1 << best)


@_compiled
def _dead_ball(f: Floor) -> None:
    _substitute(f, 0, PATIENCE_DS, True)
    _substitute(f, 1, PATIENCE_DS, True)


@_compiled
def _turn_over(f: Floor) -> None:
    f.state[at.BALL] = 1 - f.state[at.BALL]
    f.state[at.FRESH] = 1


@_compiled
def _rebound(f: Floor, scale: float) -> None:
    """A live miss by the side with the ball; `scale` lowers the offence's chance (after free throws)."""
    off = f.state[at.BALL]
    _advance(f, 10 + 10 * int(_uniform(f) * 2))
    if _uniform(f) < P_TEAM_REBOUND:
        kept = _uniform(f) < 0.6 * scale
        side = off if kept else 1 - off
        _emit(f, at.REBOUND, at.OFFENSIVE + (2 if kept else 3), side, -1, -1, -1, _NONE)
    else:
        ours = _five(f, off, at.OREB_W) * OREB_SCALE * scale
        kept = _uniform(f) < ours / (ours + _five(f, 1 - off, at.DREB_W))
        side = off if kept else 1 - off
        i = _pick(f, side, at.OREB_W if kept else at.DREB_W, -1)
        f.box[side, i, at.OREB if kept else at.DREB] += 1
        _emit(f, at.REBOUND, at.OFFENSIVE + (0 if kept else 1), side, side * at.SIDE + i, -1, -1, _NONE)
    if kept:
        f.state[at.FRESH] = 0
    else:
        _turn_over(f)


@_compiled
def _free_throws(f: Floor, side: int, i: int, shots: int) -> None:
    made = False
    for k in range(shots):
        made = _uniform(f) < f.players[side, i, at.FREE]
        f.box[side, i, at.FTA] += 1
        if made:
            f.box[side, i, at.FTM] += 1
            f.box[side, i, at.PTS] += 1
            _score(f, side, 1)
        _emit(f, at.FT, at.FT_CODES[shots] + k, side, side * at.SIDE + i, -1, -1, (1 if made else 0, 0, -1))
        if not made and k < shots - 1:
            _emit(f, at.REBOUND, at.OFFENSIVE + 2, side, -1, -1, -1, _NONE)
    if made:
        _turn_over(f)
        _dead_ball(f)
    else:
        _rebound(f, 0.42)


@_compiled
def _defensive_foul(f: Floor, subtype: int, fouled: int) -> None:
    off = f.state[at.BALL]
    i = _pick(f, 1 - off, at.FOUL_W, -1)
    f.box[1 - off, i, at.PF] += 1
    f.state[at.FOULS + 1 - off] += 1
    if f.state[at.CLOCK] <= 1200:
        f.state[at.LATE + 1 - off] += 1
    _emit(f, at.FOUL, subtype, 1 - off, (1 - off) * at.SIDE + i, off * at.SIDE + fouled, -1, _NONE)
    if f.box[1 - off, i, at.PF] >= 6:
        _substitute(f, 1 - off, 1e8, True)


@_compiled
def _in_bonus(f: Floor, side: int) -> bool:
    """Whether a common foul by `side` gives two shots: five in the period, or two in its last two minutes."""
    limit = 4 if f.state[at.PERIOD] > 4 else BONUS_FOULS
    return bool(f.state[at.FOULS + side] >= limit or f.state[at.LATE + side] >= 2)


@_compiled
def _turnover(f: Floor, i: int) -> None:
    off, u = f.state[at.BALL], _uniform(f)
    me = off * at.SIDE + i
    if u < 0.03:
        _emit(f, at.TURNOVER, at.BAD_PASS + 5, off, -1, -1, -1, _NONE)
        _dead_ball(f)
    else:
        f.box[off, i, at.TOV] += 1
        if u < 0.61:
            j = _pick(f, 1 - off, at.STEAL_W, -1)
            f.box[1 - off, j, at.STL] += 1
            kind = at.BAD_PASS if u < 0.4 else at.LOST_BALL
            _emit(f, at.TURNOVER, kind, off, me, (1 - off) * at.SIDE + j, -1, _NONE)
        elif u < 0.72:
            f.box[off, i, at.PF] += 1
            _emit(f, at.FOUL, at.OFF_FOUL, off, me, -1, -1, _NONE)
            _emit(f, at.TURNOVER, at.BAD_PASS + 4, off, me, -1, -1, _NONE)
            _dead_ball(f)
        else:
            _emit(f, at.TURNOVER, at.BAD_PASS + (2 if u < 0.86 else 3), off, me, -1, -1, _NONE)
            _dead_ball(f)
    _turn_over(f)


@_compiled
def _try(f: Floor, i: int) -> tuple[int, int, int, float]:
    """Choose the shot: (value, feet, subtype, make probability)."""
    off = f.state[at.BALL]
    lead = f.state[at.HOME + off] - f.state[at.AWAY - off]
    logit = (
        f.teams[off, at.EDGE]
        - f.teams[1 - off, at.SCHEME]
        - _five(f, 1 - off, at.GUARD) / 5.0
        - COMEBACK_LOGIT * lead
    )
    three = f.players[off, i, at.THREE]
    if f.state[at.PERIOD] >= 4 and f.state[at.CLOCK] < 400 and lead <= -3:
        three += 0.35
    if _uniform(f) < three:
        feet = 23 + int(6 * _uniform(f) ** 1.5)
        logit += f.players[off, i, at.THREE_LOGIT] - 0.03 * (feet - 25)
        return 3, feet, at.JUMPER + int(3 * _uniform(f)), 1.0 / (1.0 + np.exp(-logit))
    if _uniform(f) < P_RIM:
        feet, subtype = int(5 * _uniform(f)), at.LAYUP + int(3 * _uniform(f))
        logit += f.players[off, i, at.TWO_LOGIT] + RIM_LOGIT
    else:
        feet, subtype = 5 + int(16 * _uniform(f) ** 1.3), at.LAYUP + 3 + int(4 * _uniform(f))
        logit += f.players[off, i, at.TWO_LOGIT] + MID_LOGIT
    return 2, feet, subtype, 1.0 / (1.0 + np.exp(-logit))


@_compiled
def _make(f: Floor, i: int, value: int, feet: int, subtype: int) -> None:
    off = f.state[at.BALL]
    passer = -1
    base = P_ASSIST_3 if value == 3 else P_ASSIST_2
    if _uniform(f) < min(0.97, base * f.players[off, i, at.FED] * (0.8 + 0.04 * _five(f, off, at.PASS))):
        passer = _pick(f, off, at.PASS, i)
        f.box[off, passer, at.AST] += 1
        passer += off * at.SIDE
    f.box[off, i, at.FGA] += 1
    f.box[off, i, at.FGM] += 1
    f.box[off, i, at.PTS] += value
    if value == 3:
        f.box[off, i, at.FG3A] += 1
        f.box[off, i, at.FG3M] += 1
    _score(f, off, value)
    _emit(f, at.MADE, subtype, off, off * at.SIDE + i, passer, -1, (value, value, feet))


@_compiled
def _miss(f: Floor, i: int, value: int, feet: int, subtype: int) -> None:
    off, blocker = f.state[at.BALL], -1
    p = (P_BLOCK_3 if value == 3 else P_BLOCK_2) * _five(f, 1 - off, at.BLOCK_W) / 5.0
    if _uniform(f) < p:
        j = _pick(f, 1 - off, at.BLOCK_W, -1)
        f.box[1 - off, j, at.BLK] += 1
        blocker = (1 - off) * at.SIDE + j
    f.box[off, i, at.FGA] += 1
    if value == 3:
        f.box[off, i, at.FG3A] += 1
    _emit(f, at.MISSED, subtype, off, off * at.SIDE + i, -1, blocker, (0, value, feet))
    _rebound(f, 1.0)


@_compiled
def _shoot(f: Floor, i: int) -> None:
    off = f.state[at.BALL]
    value, feet, subtype, p = _try(f, i)
    p_foul = P_SHOOTING_FOUL_3 if value == 3 else P_SHOOTING_FOUL_2
    if _uniform(f) < p_foul * f.players[off, i, at.DRAW]:
        made = _uniform(f) < AND_ONE_FACTOR * p
        if made:
            _make(f, i, value, feet, subtype)
        _defensive_foul(f, at.S_FOUL, i)
        _free_throws(f, off, i, 1 if made else value)
    elif _uniform(f) < p:
        _make(f, i, value, feet, subtype)
        _turn_over(f)
        if _uniform(f) < 0.06:
            _emit(f, at.TIMEOUT, at.REGULAR, f.state[at.BALL], -1, -1, -1, _NONE)
            _dead_ball(f)
    else:
        _miss(f, i, value, feet, subtype)


@_compiled
def _seconds(f: Floor, hurried: bool) -> int:
    """Deciseconds the next chance takes; whole seconds until the period's last minute."""
    off, clock = f.state[at.BALL], f.state[at.CLOCK]
    u = _uniform(f)
    if hurried:
        ds = 10 + int(50 * u)
    elif f.state[at.FRESH] == 0:
        ds = 20 + int(110 * u)
    elif _uniform(f) < 0.2:
        ds = 25 + int(60 * u)
    else:
        ds = 80 + int(152 * u)
    ds = int(ds * 0.5 * (f.teams[off, at.TEMPO] + f.teams[1 - off, at.TEMPO]))
    if ds >= clock:
        return clock - 1 - int(14 * _uniform(f)) if clock > 20 and _uniform(f) < 0.6 else clock
    return max(10, ds // 10 * 10) if clock - ds >= 600 else ds


@_compiled
def _chance(f: Floor) -> None:
    """One play of the side with the ball: a foul, a turnover or a shot."""
    off = f.state[at.BALL]
    lead = f.state[at.HOME + off] - f.state[at.AWAY - off]
    last = f.state[at.PERIOD] >= 4 and f.state[at.CLOCK] <= 400
    chased = last and 1 <= lead <= 8
    _advance(f, _seconds(f, last and (chased or lead <= -4)))
    if f.state[at.CLOCK] == 0:
        return
    i = _pick(f, off, at.USE, -1)
    if _uniform(f) < (0.75 if chased else P_COMMON_FOUL):
        _defensive_foul(f, at.P_FOUL, i)
        if _in_bonus(f, 1 - off):
            _free_throws(f, off, i, 2)
        else:
            f.state[at.FRESH] = 0
            _dead_ball(f)
    elif _uniform(f) < f.players[off, i, at.LOSE]:
        _turnover(f, i)
    else:
        _shoot(f, i)


@_compiled
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
        _substitute(f, side, 1e6 if period in (1, 3) else 600.0, False)
    _emit(f, at.START, 0, -1, -1, -1, -1, _NONE)
    if period == 1 or period > 4:
        winner = int(_uniform(f) * 2)
        if period == 1:
            f.state[at.TIP] = winner
        f.state[at.BALL] = winner
        jumpers = (_pick(f, 0, at.DREB_W, -1), at.SIDE + _pick(f, 1, at.DREB_W, -1))
        taker = winner * at.SIDE + _pick(f, winner, at.PASS, jumpers[winner] - winner * at.SIDE)
        _emit(f, at.JUMP, 0, winner, jumpers[0], jumpers[1], taker, _NONE)
    else:
        f.state[at.BALL] = f.state[at.TIP] if period == 4 else 1 - f.state[at.TIP]


@_compiled
def play(f: Floor) -> None:
    """Play the game to its end: four periods, then overtimes while the score is level."""
    period = 0
    while period < 4 or f.state[at.HOME] == f.state[at.AWAY]:
        period += 1
        f.state[at.PERIOD] = period
        _open_period(f)
        while f.state[at.CLOCK] > 0:
            _chance(f)
        _emit(f, at.END, 0, -1, -1, -1, -1, _NONE)
