"""Closing lines: the latent ratings' expected score, as a bookmaker would see it, plus the market's error."""

from __future__ import annotations

from math import erf, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.sources.simulated import floor as at
from features.sources.simulated.night import Night
from features.sources.simulated.play import (
    MID_LOGIT,
    OREB_SCALE,
    P_COMMON_FOUL,
    P_RIM,
    P_SHOOTING_FOUL_2,
    RIM_LOGIT,
)

#: Least-squares map from the formula's margin and total to those of 40 replays of each of 246 games.
MARGIN_SLOPE, MARGIN_SHIFT = 0.438, 1.25
TOTAL_SLOPE, TOTAL_SHIFT = 0.675, 76.4
#: Standard deviation of the final margin around the expected one.
MARGIN_SD: Final = 13.0
#: The market's own error in points, and the bookmaker's margin on each side of the moneyline.
SPREAD_ERROR, TOTAL_ERROR, VIG = 1.0, 2.5, 0.022
#: Plays a side gets in a regulation game at average tempo.
_CHANCES: Final = 113.0


class Line(NamedTuple):
    """A closing line; the spread is negative when the home side is favoured, moneylines are American odds."""

    close_home_spread: float
    close_total: float
    close_home_ml: int
    close_away_ml: int


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


def _points(expected: Night, side: int) -> float:
    """Points per regulation game of `side` from planned minutes and rates."""
    f, other = expected.floor, 1 - side
    own, guard = f.players[side], f.players[other]
    minutes, against = own[:, at.TARGET] / 28800, guard[:, at.TARGET] / 28800
    use = minutes * own[:, at.USE]
    use = use / use.sum()
    shift = f.teams[side, at.EDGE] - f.teams[other, at.SCHEME] - float(against @ guard[:, at.GUARD])
    three, two = own[:, at.THREE], own[:, at.TWO_LOGIT] + shift
    inside = P_RIM * _sigmoid(two + RIM_LOGIT) + (1 - P_RIM) * _sigmoid(two + MID_LOGIT)
    fouled = P_SHOOTING_FOUL_2 * own[:, at.DRAW] * (1 - three)
    outside = _sigmoid(own[:, at.THREE_LOGIT] + shift)
    value = three * 3 * outside + (1 - three) * 2 * inside * (1 - fouled) + 2 * fouled * own[:, at.FREE]
    play = (1 - own[:, at.LOSE]) * value + P_COMMON_FOUL * own[:, at.FREE]
    missed = (1 - own[:, at.LOSE]) * (1 - three * outside - (1 - three) * inside)
    ours = OREB_SCALE * float(minutes @ own[:, at.OREB_W])
    again = float(use @ missed) * ours / (ours + float(against @ guard[:, at.DREB_W]))
    tempo = 2 / float(f.teams[0, at.TEMPO] + f.teams[1, at.TEMPO])
    return _CHANCES * 0.885 * tempo * float(use @ play) / (1 - again)


def expected_score(expected: Night) -> tuple[float, float]:
    """Expected (home margin, total) of a night drawn with `luck=0`."""
    home, away = _points(expected, 0), _points(expected, 1)
    return MARGIN_SLOPE * (home - away) + MARGIN_SHIFT, TOTAL_SLOPE * (home + away) + TOTAL_SHIFT


def win_probability(margin: float) -> float:
    """Probability that the home side wins when its expected margin is `margin` points."""
    return 0.5 * (1 + erf(margin / (MARGIN_SD * sqrt(2))))


def _american(probability: float) -> int:
    p = min(max(probability + VIG, 0.01), 0.99)
    return round(-100 * p / (1 - p)) if p >= 0.5 else round(100 * (1 - p) / p)


def closing_line(expected: Night, rng: np.random.Generator) -> Line:
    """The market's closing line, to half points."""
    margin, total = expected_score(expected)
    margin, total = margin + SPREAD_ERROR * rng.normal(), total + TOTAL_ERROR * rng.normal()
    home = win_probability(margin)
    return Line(-round(2 * margin) / 2, round(2 * total) / 2, _american(home), _american(1 - home))
