"""The compiled part of choosing entries: what a candidate adds to those chosen, from his winning scenarios alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.lineups.jit import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Prizes = NDArray[np.float32]


@compiled
def winnings(prize: Prizes) -> tuple[Ints, NDArray[np.int32], Prizes]:
    """Non-zero prizes of (C, S): starts (C + 1,), their scenarios and amounts."""
    start = np.zeros(len(prize) + 1, np.int64)
    for c in range(len(prize)):
        count = 0
        for s in range(prize.shape[1]):
            count += prize[c, s] > 0
        start[c + 1] = start[c] + count
    scenario, amount = np.zeros(start[-1], np.int32), np.zeros(start[-1], np.float32)
    for c in range(len(prize)):
        at = start[c]
        for s in range(prize.shape[1]):
            if prize[c, s] > 0:
                scenario[at], amount[at] = s, prize[c, s]
                at += 1
    return start, scenario, amount


@compiled
def log_gain(scenario: NDArray[np.int32], amount: Prizes, wealth: Floats) -> float:
    """Sum of log(wealth + amount) - log(wealth) over the scenarios in which the candidate wins something."""
    gain = 0.0
    for at in range(len(scenario)):
        gain += np.log1p(amount[at] / wealth[scenario[at]])
    return gain


@compiled
def log_gains(start: Ints, scenario: NDArray[np.int32], amount: Prizes, wealth: Floats) -> Floats:
    """`log_gain` of every candidate (C,)."""
    gains = np.zeros(len(start) - 1)
    for c in range(len(gains)):
        gains[c] = log_gain(scenario[start[c] : start[c + 1]], amount[start[c] : start[c + 1]], wealth)
    return gains


@compiled
def coverage(scenario: NDArray[np.int32], chance: Prizes, missed: Floats) -> float:
    """What the candidate adds to the chance that somebody chosen wins, summed over scenarios; `missed` (S,) is the
    chance that none of those chosen so far does."""
    gain = 0.0
    for at in range(len(scenario)):
        gain += chance[at] * missed[scenario[at]]
    return gain
