"""Moves every play is made of, and the coach's substitutions: compiled parts of `play`.

Each function reads and writes one `Floor`; nothing here knows the rules of scoring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from numba import njit

from features.sources.simulated import floor as at
from features.sources.simulated.floor import Floor

F = TypeVar("F", bound=Callable[..., Any])
FAST: Final[dict[str, Any]] = {"_nrt": False, "error_model": "numpy"}
_PART: Final[dict[str, Any]] = {**FAST, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: Missing playing time of a bench player, in deciseconds, that makes the coach change.
PATIENCE_DS: Final = 2000.0
NEVER: Final = -1e9


def compiled(function: F) -> F:
    """A part of `play`; without wrappers for Python it compiles in a third of the time."""
    return cast(F, njit(**_PART)(function))


@compiled
def uniform(f: Floor) -> float:
    """Next number in [0, 1): SplitMix64 (Steele, Lea, Flood 2014)."""
    f.random[0] = f.random[0] + at.GAMMA
    z = f.random[0]
    z = (z ^ (z >> at.R30)) * at.MIX1
    z = (z ^ (z >> at.R27)) * at.MIX2
    z = z ^ (z >> at.R31)
    return float(z >> at.R11) * 1.1102230246251565e-16


@compiled
def emit(f: Floor, kind: int, subtype: int, side: int, p1: int, p2: int) -> None:
    """Append a row with the score and the fives as they stand."""
    n, s = f.state[at.ROWS], f.state
    row = f.events[n]
    row[0], row[1], row[2], row[3], row[4] = s[at.PERIOD], s[at.CLOCK], kind, subtype, side
    row[7], row[8], row[9], row[10] = -1, p1, p2, -1
    row[11], row[12], row[13], row[14] = s[at.HOME], s[at.AWAY], s[at.MASK], s[at.MASK + 1]
    s[at.ROWS] = n + 1


@compiled
def shot(f: Floor, points: int, value: int, feet: int, blocker: int) -> None:
    """Complete the last row with what only a shot has."""
    row = f.events[f.state[at.ROWS] - 1]
    row[5], row[6], row[7], row[10] = points, value, feet, blocker


@compiled
def advance(f: Floor, ds: int) -> None:
    """Let `ds` deciseconds pass, at most to the end of the period; who is on the floor plays them."""
    ds = min(ds, f.state[at.CLOCK])
    f.state[at.CLOCK] -= ds
    f.state[at.ELAPSED] += ds
    for k in range(5):
        f.box[0, f.court[0, k], at.DS] += ds
        f.box[1, f.court[1, k], at.DS] += ds


@compiled
def score(f: Floor, side: int, points: int) -> None:
    """Add `points` to a side."""
    f.state[at.HOME + side] += points
    for k in range(5):
        f.box[side, f.court[side, k], at.PLUS] += points
        f.box[1 - side, f.court[1 - side, k], at.PLUS] -= points


@compiled
def pick(f: Floor, side: int, column: int, without: int) -> int:
    """A slot on the floor drawn by the weights in `column`."""
    total = 0.0
    for k in range(5):
        i = f.court[side, k]
        if i != without:
            total += f.players[side, i, column]
    mark = uniform(f) * total
    last = -1
    for k in range(5):
        i = f.court[side, k]
        if i != without:
            last = i
            mark -= f.players[side, i, column]
            if mark < 0:
                break
    return last


@compiled
def five(f: Floor, side: int, column: int) -> float:
    """Sum of a skill over the five of a side on the floor."""
    total = 0.0
    for k in range(5):
        total += f.players[side, f.court[side, k], column]
    return total


@compiled
def _phase(f: Floor) -> int:
    """0 normal rotation, 1 closing minutes of a close game, 2 the game is decided."""
    if f.state[at.PERIOD] < 4:
        return 0
    if f.state[at.PERIOD] > 4:
        return 1
    margin = abs(f.state[at.HOME] - f.state[at.AWAY])
    minutes = f.state[at.CLOCK] / 600.0
    if margin > 15 + 1.8 * minutes:
        return 2
    return 1 if minutes < 5 else 0


@compiled
def _need(f: Floor, side: int, i: int, phase: int) -> float:
    """How much the coach wants slot `i` on the floor, in deciseconds of missing playing time."""
    fouls, period, now = f.box[side, i, at.PF], f.state[at.PERIOD], f.state[at.ELAPSED]
    target, played = f.players[side, i, at.TARGET], f.box[side, i, at.DS]
    if fouls >= 6 or now >= f.players[side, i, at.LEAVES]:
        return NEVER
    if phase == 2:
        return float(-0.4 * target - 0.05 * played)
    need = 0.4 * target if phase == 1 else target * now / 28800.0 - played
    if target < 900:
        need -= 3600.0
    in_trouble = fouls > period if period <= 3 else fouls == 5 and f.state[at.CLOCK] > 2400
    return float(need - 2400.0 if in_trouble else need)


@compiled
def substitute(f: Floor, side: int, patience: float, recorded: int) -> None:
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
        if recorded == at.ON_RECORD:
            emit(f, at.SUB, at.PLAIN, side, side * at.SIDE + out, side * at.SIDE + best)
        f.court[side, worst] = best
        f.state[at.MASK + side] ^= (1 << out) | (1 << best)


@compiled
def dead_ball(f: Floor) -> None:
    """Let both coaches substitute."""
    for side in range(2):
        substitute(f, side, PATIENCE_DS, at.ON_RECORD)


@compiled
def turn_over(f: Floor) -> None:
    """Give the ball to the other side."""
    f.state[at.BALL] = 1 - f.state[at.BALL]
    f.state[at.FRESH] = 1
