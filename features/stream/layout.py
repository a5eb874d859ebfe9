"""Columns of the state's arrays and reasons for rejecting a row, shared by the fold and by those who read state."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

#: Counts per (game, player), in the order of the columns; `events` are rows that added to the line, `last_seq` the
#: newest of them (-1: none yet).
STATS: Final = (
    "pts", "oreb", "dreb", "ast", "stl", "blk", "tov", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "pf", "events",
    "last_seq",
)  # fmt: skip
PTS, OREB, DREB, AST, STL, BLK, TOV, FGM, FGA, FG3M, FG3A, FTM, FTA, PF, EVENTS, LAST_SEQ = range(len(STATS))

#: Per game: rows counted, newest play and its period and clocks (bits of float32), newest play with a score, whether
#: it ended; then, not part of the state, whether it takes players it does not know, and how many players it has.
GAME_COLUMNS: Final = 11
(
    GAME_EVENTS, GAME_SEQ, PERIOD, CLOCK, ELAPSED, SCORE_SEQ, HOME, AWAY, FINAL, OPEN, PERSONS,
) = range(GAME_COLUMNS)  # fmt: skip

#: What the fold counts for its caller.
COUNTERS: Final = 4
LATE, UNKNOWN_GAMES, UNKNOWN_PLAYERS, REJECTED = range(COUNTERS)

#: What is possible: overtime 16, the clock of a quarter, and more than twice the highest score ever.
LATEST_PERIOD: Final = 20
LONGEST_CLOCK_S: Final = 720
MOST_SCORE: Final = 500

#: 2^64 / golden ratio, for multiplicative hashing (Knuth, TAOCP 3, 6.4).
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15
SHIFT: Final = 40


class Reject(IntEnum):
    """Why a row was not applied."""

    unknown_game = 1
    unknown_player = 2  # of a game whose roster is known
    kind = 3
    side = 4
    period = 5
    clock = 6
    points = 7
    score = 8
    seq = 9
    future = 10  # created more than `state.FUTURE_NS` from now
    removed_game = 11  # ended and was removed (`features.stream.retention`)
