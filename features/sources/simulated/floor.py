"""The arrays one simulated game is played on, and what their columns and codes mean.

Times are integer deciseconds. A player is named `side * SIDE + slot` (side 0 home, 1 away), nobody is -1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 16
#: Named because numba compiles a function again for every literal passed to it.
NOBODY, ZERO, ONE, PAIR, PLAIN, HOST, GUEST, ON_RECORD, OFF_RECORD = -1, 0, 1, 2, 0, 0, 1, 1, 0
#: Columns of `Floor.players`: weights are relative to an average player's 1, logits are natural.
USE, THREE, TWO_LOGIT, THREE_LOGIT, FREE, DRAW, LOSE, PASS, OREB_W, DREB_W = range(10)
STEAL_W, BLOCK_W, FOUL_W, GUARD, FED, TARGET, POSITION, STARTS, LEAVES = range(10, 19)
PLAYER_COLUMNS: Final = 19
#: Columns of `Floor.teams`: shift of every make in logits, seconds per possession relative to average, defence.
EDGE, TEMPO, SCHEME = range(3)
#: Columns of `Floor.state`; AWAY, and the ones after FOULS, MASK and LATE, hold the away side.
STATE_SIZE: Final = 15
PERIOD, CLOCK, BALL, ROWS, HOME, AWAY, FOULS, MASK, LATE, FRESH, TIP, ELAPSED = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    12,
    13,
    14,
)
(DS, PTS, FGM, FGA, FG3M, FG3A, FTM, FTA, OREB, DREB, AST, STL, BLK, TOV, PF, PLUS) = range(16)
BOX_COLUMNS: Final = 16
EVENT_COLUMNS: Final = 15
MAX_EVENTS: Final = 1400
#: Codes of `events[:, 2]`.
EVENT_TYPES: Final = (
    "period_start", "period_end", "jump_ball", "made_shot", "missed_shot", "free_throw", "rebound", "turnover",
    "foul", "substitution", "timeout",
)  # fmt: skip
START, END, JUMP, MADE, MISSED, FT, REBOUND, TURNOVER, FOUL, SUB, TIMEOUT = range(11)
#: Codes of `events[:, 3]`; index 0 is null.
SUBTYPES: Final = (
    "", "Layup", "Driving Layup", "Dunk", "Hook Shot", "Jump Shot", "Pullup Jump Shot", "Step Back Jump Shot",
    "1 of 1", "1 of 2", "2 of 2", "1 of 3", "2 of 3", "3 of 3", "offensive", "defensive", "team_offensive",
    "team_defensive", "Bad Pass Turnover", "Lost Ball Turnover", "Out of Bounds Lost Ball Turnover",
    "Traveling Turnover", "Offensive Foul Turnover", "Shot Clock Turnover", "S.FOUL", "P.FOUL", "OFF.Foul",
    "Regular",
)  # fmt: skip
LAYUP, JUMPER, FT_CODES, OFFENSIVE, BAD_PASS, LOST_BALL, S_FOUL, P_FOUL, OFF_FOUL, REGULAR = (
    1, 5, (0, 8, 9, 11), 14, 18, 19, 24, 25, 26, 27,
)  # fmt: skip

#: Constants of SplitMix64, typed because numba turns a mix of signed and unsigned integers into floats.
GAMMA, MIX1, MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
R30, R27, R31, R11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


class Floor(NamedTuple):
    """Everything one game needs; arrays are written in place."""

    players: NDArray[np.float64]  # (2, SIDE, PLAYER_COLUMNS)
    teams: NDArray[np.float64]  # (2, 3)
    size: NDArray[np.int64]  # (2,) players dressed
    random: NDArray[np.uint64]  # (1,) SplitMix64 state
    state: NDArray[np.int64]  # (STATE_SIZE,)
    court: NDArray[np.int64]  # (2, 5) slots on the floor
    events: NDArray[np.int32]  # (MAX_EVENTS, EVENT_COLUMNS)
    box: NDArray[np.int32]  # (2, SIDE, BOX_COLUMNS)
