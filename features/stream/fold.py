"""The compiled part of the state fold: integer counts per game and player from rows of EVENT.

Everything added is an integer, and what is not added is the newest by the play's number (or the greatest of equals),
so that rows may come in any order and any batches and still leave the same bits. `features.stream.state` owns the
arrays; nothing here allocates.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import from_dtype, njit, types

from features.stream import layout as of
from features.stream.events import EVENT, NO_INT8, NO_INT16

F = TypeVar("F", bound=Callable[..., Any])

# Compiled code reads plain integers; these are members of Kind, Flag and Reject (tests compare them).
MADE, MISSED, FREE, REBOUND, TURNOVER, FOUL, END, KINDS = 1, 2, 3, 4, 5, 6, 13, 15
OFFENSIVE, DEFENSIVE, PERSONAL, RETRACT, LAST = 1, 2, 4, 32, 64
NO_GAME, NO_PLAYER, KIND, SIDE, PERIOD, CLOCK, POINTS, SCORE, SEQ, FUTURE = range(1, 11)
_LONGEST_S: Final = float(4 * of.LONGEST_CLOCK_S + 300 * (of.LATEST_PERIOD - 4))


def _part(function: F) -> F:
    """A part of the fold, compiled into it."""
    return cast(F, njit(inline="always")(function))


@_part
def _bad_points(row: Any) -> bool:
    points, value = row.points, row.shot_value
    if value not in (NO_INT8, 2, 3):
        return True
    if points in (NO_INT8, 0):
        return False
    return not ((row.kind == MADE and points in (2, 3)) or (row.kind == FREE and points == 1))


@_part
def _bad_score(score: Any) -> bool:
    return bool(score != NO_INT16 and (score < 0 or score > of.MOST_SCORE))


@_part
def _bad_clock(row: Any) -> bool:
    if row.clock_s < 0 or row.clock_s > of.LONGEST_CLOCK_S:
        return True
    return bool(row.elapsed_s < 0 or row.elapsed_s > _LONGEST_S)


@_part
def _wrong(row: Any, future_ns: Any) -> int:
    """Why the row cannot be true whatever its game is, 0 when it can."""
    reason = 0
    if row.kind > KINDS:
        reason = KIND
    elif row.side > 2:
        reason = SIDE
    elif row.period < 1 or row.period > of.LATEST_PERIOD:
        reason = PERIOD
    elif _bad_clock(row):
        reason = CLOCK
    elif _bad_points(row):
        reason = POINTS
    elif _bad_score(row.home_score) or _bad_score(row.away_score):
        reason = SCORE
    elif row.seq < 0:
        reason = SEQ
    elif row.created_ns > future_ns:
        reason = FUTURE
    return reason


@_part
def _probe(table: Any, key: Any) -> Any:
    """Where `key` is in the table, or the empty place (-1) where it would be."""
    at = np.int64((np.uint64(key) * np.uint64(of.GOLDEN)) >> np.uint64(of.SHIFT)) & (table.shape[0] - 1)
    while table[at] != key and table[at] != -1:
        at = (at + 1) & (table.shape[0] - 1)
    return at


@_part
def _person(players: Any, stats: Any, games: Any, game: Any, player: Any) -> Any:
    """The player's place in the table, made for games that take everybody; -1 when he is not of the game."""
    key = (np.int64(game) << 32) | np.int64(player)
    at = _probe(players, key)
    if players[at] == key:
        return at
    if games[game, of.OPEN] == 0:
        return -1
    players[at] = key
    stats[at, of.LAST_SEQ] = -1
    games[game, of.PERSONS] += 1
    return at


@_part
def _touch(stats: Any, votes: Any, dirty: Any, at: Any, seq: Any, sign: Any, home: Any) -> None:
    stats[at, of.EVENTS] += sign
    stats[at, of.LAST_SEQ] = max(stats[at, of.LAST_SEQ], seq)
    votes[at] += sign if home else -sign
    dirty[at] = 1


@_part
def _clock(row: Any, words: Any, state: Any) -> None:
    """Clock of a game, from its newest play."""
    seq, period = np.int64(row.seq), np.int64(row.period)
    clock, elapsed = np.int64(words[9]), np.int64(words[10])
    newer = seq > state[of.GAME_SEQ]
    if seq == state[of.GAME_SEQ]:
        newer = period > state[of.PERIOD]
        if period == state[of.PERIOD]:
            newer = elapsed > state[of.ELAPSED] or (elapsed == state[of.ELAPSED] and clock > state[of.CLOCK])
    if newer:
        state[of.GAME_SEQ], state[of.PERIOD], state[of.CLOCK], state[of.ELAPSED] = seq, period, clock, elapsed


@_part
def _score(row: Any, state: Any) -> None:
    """Score of a game, from its newest play that has one; and its end."""
    seq, home, away = np.int64(row.seq), np.int64(row.home_score), np.int64(row.away_score)
    if row.flags & LAST:
        state[of.FINAL] = 1
    if NO_INT16 in (home, away):
        return
    newer = seq > state[of.SCORE_SEQ]
    if seq == state[of.SCORE_SEQ]:
        newer = home > state[of.HOME] or (home == state[of.HOME] and away > state[of.AWAY])
    if newer:
        state[of.SCORE_SEQ], state[of.HOME], state[of.AWAY] = seq, home, away
    if row.kind == END and row.period >= 4 and home != away:
        state[of.FINAL] = 1


@_part
def _shot(row: Any, line: Any, sign: Any) -> None:
    made = sign if row.kind == MADE else 0
    if row.points > 0:
        line[of.PTS] += sign * np.int64(row.points)
    line[of.FGA] += sign
    line[of.FGM] += made
    if row.shot_value == 3:
        line[of.FG3A] += sign
        line[of.FG3M] += made


@_part
def _count(row: Any, line: Any, sign: Any) -> None:
    """What the row adds to the line of its first player."""
    kind = row.kind
    if kind in (MADE, MISSED):
        _shot(row, line, sign)
    elif kind == FREE:
        scored = sign if row.points == 1 else 0
        line[of.PTS] += scored
        line[of.FTM] += scored
        line[of.FTA] += sign
    elif kind == REBOUND:
        line[of.OREB if row.flags & OFFENSIVE else of.DREB] += sign
    elif kind == TURNOVER:
        line[of.TOV] += sign
    else:
        line[of.PF] += sign


@_part
def _credits(row: Any) -> tuple[Any, Any, Any]:
    """Whether the row adds to the line of its first, second and third player."""
    kind, acted = row.kind, row.side != 0
    first = kind in (MADE, MISSED, FREE, TURNOVER)
    first = first or (kind == REBOUND and row.flags & (OFFENSIVE | DEFENSIVE) != 0)
    first = first or (kind == FOUL and row.flags & PERSONAL != 0)
    return (
        acted and first and row.player > 0,
        acted and kind in (MADE, TURNOVER) and row.second > 0,
        acted and kind == MISSED and row.third > 0,
    )


@_part
def _apply(
    row: Any, words: Any, game: Any, games: Any, players: Any, stats: Any, votes: Any, dirty: Any
) -> tuple[Any, Any]:
    """Apply one sound row of a known game; returns (reason or 0, whether it is older than the newest of its game)."""
    first, second, third = _credits(row)
    a = _person(players, stats, games, game, row.player) if first else -1
    b = _person(players, stats, games, game, row.second) if second else -1
    c = _person(players, stats, games, game, row.third) if third else -1
    if (first and a < 0) or (second and b < 0) or (third and c < 0):
        return NO_PLAYER, False
    seq, home = np.int64(row.seq), row.side == 1
    late = seq < games[game, of.GAME_SEQ]
    sign = -1 if row.flags & RETRACT else 1
    games[game, of.GAME_EVENTS] += sign
    if sign > 0:
        _clock(row, words, games[game])
        _score(row, games[game])
    if a >= 0:
        _count(row, stats[a], sign)
        _touch(stats, votes, dirty, a, seq, sign, home)
    if b >= 0:  # an assist is of the same side, a steal of the other
        stats[b, of.AST if row.kind == MADE else of.STL] += sign
        _touch(stats, votes, dirty, b, seq, sign, home == (row.kind == MADE))
    if c >= 0:
        stats[c, of.BLK] += sign
        _touch(stats, votes, dirty, c, seq, sign, not home)
    return 0, late


def _fold(revision: int) -> Callable[..., Any]:
    """The fold bound to `revision`: numba's cache key holds closed-over values but not the other modules' sources."""

    def fold(
        rows: Any, words: Any, start: Any, future_ns: Any, keys: Any, index: Any, games: Any, touched: Any,
        players: Any, stats: Any, votes: Any, dirty: Any, room: Any, reasons: Any, counts: Any,
    ) -> Any:  # fmt: skip
        """Fold rows from `start` on; returns where it stopped: after the last, or where fewer than 3 `players` fit."""
        place = 0 * revision  # closes over it
        for i in range(start, rows.shape[0]):
            reason = _wrong(rows[i], future_ns)
            if reason == 0:
                place = _probe(keys, np.int64(rows[i].game))
                if keys[place] == -1:
                    reason = NO_GAME
                    counts[of.UNKNOWN_GAMES] += 1
                else:
                    game = index[place]
                    before = games[game, of.PERSONS]
                    if room < 3 and games[game, of.OPEN] != 0:
                        return i
                    reason, late = _apply(rows[i], words[i], game, games, players, stats, votes, dirty)
                    room -= games[game, of.PERSONS] - before
                    touched[game] = 1
                    counts[of.LATE] += late
                    counts[of.UNKNOWN_PLAYERS] += reason != 0
            if reason != 0:
                reasons[i] = reason
                counts[of.REJECTED] += 1
        return rows.shape[0]

    return fold


def _packing(revision: int) -> Callable[..., Any]:
    """Packing bound to `revision`, as `_fold` is."""

    def packing(slots: Any, players: Any, votes: Any, stats: Any, out: Any) -> Any:
        """Write ids, votes and counts of the players at `slots` who have events into `out` (int32), one block after
        the other; returns how many they are, -1 when a count needs more than 32 bits."""
        n = 0 * revision  # closes over it
        for slot in slots:
            n += stats[slot, of.LAST_SEQ] >= 0
        at = 0
        for slot in slots:
            if stats[slot, of.LAST_SEQ] < 0:
                continue
            out[at] = players[slot] & 0x7FFFFFFF
            out[n + at] = votes[slot]
            for column in range(stats.shape[1]):
                value = stats[slot, column]
                if value > 0x7FFFFFFF or value < -0x7FFFFFFF:
                    return -1
                out[2 * n + stats.shape[1] * at + column] = value
            at += 1
        return n

    return packing


#: Without reference counts on the slices it takes, the fold runs in a third of the time.
_OPTIONS: Final[dict[str, Any]] = {"_nrt": False, "error_model": "numpy", "nogil": True, "cache": True}


def _revision() -> int:
    here = Path(of.__file__)
    return zlib.crc32(here.read_bytes() + here.with_name("events.py").read_bytes())


@cache
def packer() -> Callable[..., int]:
    """The compiled packing of one game's players."""
    i64, table = types.int64[::1], types.int64[:, ::1]
    signature = types.int64(i64, i64, i64, table, types.int32[::1])
    return cast("Callable[..., int]", njit(signature, **_OPTIONS)(_packing(_revision())))


@cache
def kernel() -> Callable[..., int]:
    """The compiled fold, from numba's cache on disk after the first time on a machine."""
    rows = types.Array(from_dtype(EVENT), 1, "C", readonly=True)
    words = types.Array(types.int32, 2, "C", readonly=True)
    i64, u8, table = types.int64[::1], types.uint8[::1], types.int64[:, ::1]
    signature = types.int64(
        rows, words, types.int64, types.int64, i64, i64, table, u8, i64, table, i64, u8, types.int64, u8, i64
    )
    return cast("Callable[..., int]", njit(signature, **_OPTIONS)(_fold(_revision())))
