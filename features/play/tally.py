"""A game told play by play: the state of the game and of its players after the newest one, without reading all again.

The words are defined in `game_state` and `player_state`; a question about one moment of one game would spend 40 ms of
CPU there on a hundred small frames. This keeps the same numbers up to date as plays come (10 µs a play), and
`tests/unit/features/play/test_tally.py` holds both to the same answers. Plays that are out of the ordinary raise
`Untold`: whoever asks then turns to the definitions.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from features.play.game_events import (
    COUNTS,
    FREE_MADE,
    OFFENSIVE,
    OTHER_TWO_MADE,
    RIM_FT,
    RIM_MADE,
    TECHNICAL,
    THREE_MADE,
)
from features.play.game_state import DECIDING, FREE_THROWS_ENDING, PENDING, RUNS_S, SAFE_LEAD, game_states
from features.play.moments import EVENT, OVERTIME_S, QUARTER_S, REGULATION_S
from features.play.player_tally import PlayerTally
from features.play.plays import COLUMNS
from features.tables import PBP


class Untold(Exception):
    """Plays that only the definitions can read, or refuse."""


class Play(NamedTuple):
    """What a play says, in the names of the play-by-play table; clocks in seconds, NaN counts as null."""

    seq: int
    period: int
    clock_s: float | None
    elapsed_s: float | None
    event_type: str
    subtype: str | None
    team: str | None
    points: int | None
    shot_value: int | None
    shot_dist: int | None
    p1_id: int | None
    p2_id: int | None
    p3_id: int | None
    home_score: int | None
    away_score: int | None
    home_lineup: str | None
    away_lineup: str | None


class Moment(NamedTuple):
    """A moment after the newest play told, as one row of `features.play.moments` beside the game's id."""

    asked_at: str
    seq: int
    period: int
    elapsed_s: float
    clock_s: float


#: Seconds by which a clock may run backwards unnoticed.
SLACK_S: Final = 1e-3
_LAST: Final = frozenset(("1 of 1", "2 of 2", "3 of 3"))
_MORE: Final = frozenset(("1 of 2", "1 of 3", "2 of 3"))
_SHOTS: Final = ("made_shot", "missed_shot")
_ORDER: Final = (*Play._fields, "home_team", "away_team")


class Tally:
    """One game, its plays given in the order of `seq`."""

    def __init__(self, home_team: str, away_team: str) -> None:
        if not home_team or not away_team or home_team == away_team:
            raise Untold(f"{away_team!r} at {home_team!r} is no game")
        self.teams = (home_team, away_team)
        self.first: Play | None = None
        self.newest: Play | None = None
        self.plays = 0
        #: Plays whose clock ran backwards: how many, the first one's `seq`, the most by seconds.
        self.back = (0, 0, 0.0)
        self.no_five = [0, 0]
        self.players = PlayerTally()
        self._held = self._told = self._reached = 0.0
        self._clock = (1, 0.0, 0.0)
        self._made, self._gap, self._score = [0, 0], [0, 0], [0, 0]
        self._counts = [dict.fromkeys(COUNTS, 0.0) for _ in range(2)]
        self._fouls = [0, 0]
        self._ball: int | None = None
        self._opener: int | None = None
        self._deciding: str | None = None
        self._margins: list[int] = []
        self._times: list[float] = []
        self._quarters: dict[int, int] = {}

    def add(self, play: Play) -> None:
        """One play more. Raises `Untold`; the tally is then of no use any more."""
        if self.newest is None:
            self.first = play
        elif play.seq <= self.newest.seq:
            raise Untold(f"play {play.seq} after {self.newest.seq}")
        if play.period is None or play.period < 1 or play.event_type is None:
            raise Untold(f"play {play.seq} lacks its period or kind")
        if play.team is not None and play.team not in self.teams:
            raise Untold(f"play {play.seq} is of {play.team!r}, who does not play")
        period = self._tell_time(play)
        side = None if play.team is None else self.teams.index(play.team)
        self.newest = play
        self.plays += 1
        self._count_score(play, side)
        self._count_events(play, side)
        self._follow_ball(play, side)
        margin = self._score[0] - self._score[1]
        self._margins.append(margin)
        self._times.append(self._reached)
        if period <= 3:
            self._quarters[period] = margin
        for at, five in enumerate((play.home_lineup, play.away_lineup)):
            self.no_five[at] += five is None
        try:
            self.players.add(play, side, period, self._clock[1])
        except ValueError as error:
            raise Untold(str(error)) from error

    def now(self) -> Moment:
        """The moment of the newest play."""
        assert self.newest is not None  # noqa: S101 - there is a play
        period, elapsed_s, clock_s = self._clock
        return Moment(EVENT, self.newest.seq, period, elapsed_s, clock_s)

    def state(self, game_id: str, moment: Moment) -> pl.DataFrame:
        """The row of `game_states`."""
        return pl.DataFrame([self._state(game_id, moment)], schema=_state_schema(), orient="row")

    def lines(self, game_id: str, moment: Moment) -> pl.DataFrame:
        """The rows of `player_states`."""
        return self.players.lines(game_id, moment, self.teams)

    def _tell_time(self, play: Play) -> int:
        """Clocks as `models.live_game.tidy_plays` mends them."""
        period = max(play.period, self._clock[0])
        if period != self._clock[0]:
            self._fouls, self._ball = [0, 0], None
        end, length = period_end_s(period), QUARTER_S if period <= 4 else OVERTIME_S
        told = play.elapsed_s if _finite(play.elapsed_s) else None
        if told is None and play.clock_s is not None and _finite(play.clock_s):
            told = end - play.clock_s
        if told is not None:
            self._told = min(max(told, end - length), end)
        held = max(self._told, self._held)
        if self._told < held - SLACK_S:
            count, first, most = self.back
            self.back = (count + 1, first if count else play.seq, max(most, held - self._told))
        self._held = held
        elapsed_s = float(np.float32(held))
        self._clock = (period, elapsed_s, float(np.float32(end - held)))
        self._reached = max(self._reached, min(max(elapsed_s, end - length), end))
        return period

    def _count_score(self, play: Play, side: int | None) -> None:
        if side is not None:
            self._made[side] += play.points or 0
        for at, told in enumerate((play.home_score, play.away_score)):
            if told is not None:
                self._gap[at] = told - self._made[at]
            self._score[at] = self._made[at] + self._gap[at]

    def _count_events(self, play: Play, side: int | None) -> None:
        if side is None:
            return
        kind, counts = play.event_type, self._counts[side]
        if kind in _SHOTS:
            made, three = kind == "made_shot", play.shot_value == 3
            counts["fgm"] += made
            counts["fga"] += 1
            counts["fg3m"] += made and three
            counts["fg3a"] += three
            value = play.shot_value if made else 0
            if value is not None:
                rim = play.shot_dist is None or play.shot_dist <= RIM_FT
                expected = 3 * THREE_MADE if three else 2 * (RIM_MADE if rim else OTHER_TWO_MADE)
                counts["luck"] += float(np.float32(value - expected))
                counts["luck3"] += float(np.float32(value - 3 * THREE_MADE)) if three else 0.0
        elif kind == "free_throw":
            counts["fta"] += 1
            if play.points is not None:
                counts["ftm"] += play.points > 0
                counts["luck"] += float(np.float32((play.points > 0) - FREE_MADE))
        elif kind == "turnover":
            counts["tov"] += 1
        elif kind == "rebound":
            counts["oreb"] += play.subtype == "offensive"
            counts["dreb"] += play.subtype == "defensive"
        elif kind == "foul" and not (_offensive(play.subtype or "") or _technical(play.subtype or "")):
            self._fouls[side] += 1

    def _follow_ball(self, play: Play, side: int | None) -> None:
        kind, subtype = play.event_type, play.subtype or ""
        more = kind == "free_throw" and subtype in _MORE
        if kind == "foul" or more:
            self._deciding = PENDING
        elif kind in DECIDING:
            self._deciding = kind
        if side is None:
            return
        sign = 1 - 2 * side
        if kind in (*_SHOTS, "turnover") and self._opener is None and self._clock[0] == 1:
            self._opener = sign
        last = kind == "free_throw" and subtype in _LAST and play.points is not None
        if kind == "missed_shot" or (last and play.points == 0):
            self._ball = 0
        elif kind == "rebound" or more or (kind == "foul" and _offensive(subtype)):
            self._ball = sign
        elif (
            kind in ("made_shot", "turnover")
            or (last and (play.points or 0) > 0)
            or (kind == "foul" and not _technical(subtype))
        ):
            self._ball = -sign

    def _state(self, game_id: str, moment: Moment) -> list[object]:
        """Values in the order of `game_states`' columns."""
        assert self.newest is not None  # noqa: S101 - there is a play
        (home, away), row_period = self._score, self._clock[0]
        margin, period = home - away, max(moment.period, row_period)
        end, length = period_end_s(period), QUARTER_S if period <= 4 else OVERTIME_S
        elapsed = max(min(max(moment.elapsed_s, end - length), end), self._reached)
        clock = end - elapsed
        regulation = max(REGULATION_S - elapsed, 0.0)
        tied_end = period >= 4 and clock <= 0 and margin == 0
        left = float(OVERTIME_S) if tied_end else (clock if period > 4 else regulation)
        runs = [margin - self._margin_at(min(elapsed, self._reached) - seconds) for seconds in RUNS_S.values()]
        quarters = [
            self._quarters.get(q) if period > q else (margin if period == q and clock <= 0 else None)
            for q in (1, 2, 3)
        ]
        counts = [self._counts[at][name] for name in COUNTS for at in range(2)]
        told = self.newest
        return [
            game_id, moment.asked_at, moment.seq, period, elapsed, clock, *self.teams, home, away, margin,
            home + away, left, regulation, clock, self._ball_at(period, clock), *runs, *quarters, *self._fouls,
            *counts, *self._rates(elapsed), self._final(row_period, margin),
            told.home_lineup, told.away_lineup,
        ]  # fmt: skip

    def _margin_at(self, since: float) -> int:
        at = bisect_right(self._times, since)
        return self._margins[at - 1] if at else 0

    def _ball_at(self, period: int, clock: float) -> int:
        at_break = clock <= 0 and period < 4
        opening, opener = period + at_break, self._opener or 0
        due = -opener if opening in (2, 3) else (opener if opening == 4 else 0)
        if at_break or self._clock[0] != period or self._ball is None:
            return due
        return self._ball

    def _rates(self, elapsed: float) -> list[float | None]:
        used = [c["fga"] - c["oreb"] + c["tov"] + FREE_THROWS_ENDING * c["fta"] for c in self._counts]
        efg = [(c["fgm"] + 0.5 * c["fg3m"]) / c["fga"] if c["fga"] > 0 else None for c in self._counts]
        both = (used[0] + used[1]) / 2
        return [*efg, both, both * REGULATION_S / elapsed if elapsed >= 60 else None]

    def _final(self, period: int, margin: int) -> bool:
        if period < 4 or self._reached < period_end_s(period) or margin == 0:
            return False
        if self._deciding == "period_end":
            return True
        return abs(margin) >= SAFE_LEAD and self._deciding not in (None, PENDING)


def period_end_s(period: int) -> float:
    """Seconds since tip-off at which a period ends."""
    return float(period * QUARTER_S if period <= 4 else REGULATION_S + (period - 4) * OVERTIME_S)


def tally_of(plays: pl.DataFrame) -> Tally:
    """The tally of one game's plays (`features.play.plays.COLUMNS`, by `seq`). Raises `Untold`."""
    rows: Iterable[tuple[object, ...]] = plays.select(_ORDER).iter_rows()
    tally: Tally | None = None
    for *values, home, away in rows:
        if tally is None:
            tally = Tally(str(home or ""), str(away or ""))
        if (home, away) != tally.teams:
            raise Untold(f"plays are of several games: {away!r} at {home!r}")
        tally.add(Play(*values))  # type: ignore[arg-type]
    if tally is None:
        raise Untold("no plays")
    return tally


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


@cache
def _offensive(subtype: str) -> bool:
    return re.search(OFFENSIVE, subtype) is not None


@cache
def _technical(subtype: str) -> bool:
    return re.search(TECHNICAL, subtype) is not None


@cache
def _state_schema() -> pl.Schema:
    """As the definition gives it."""
    row = {"game_id": "0", "seq": 0, "period": 1, "home_team": "A", "away_team": "B"}
    play = pl.DataFrame([row], schema={name: PBP[name] for name in COLUMNS})
    moment = play.select(
        "game_id", pl.lit(EVENT).alias("asked_at"), "seq", "period", elapsed_s=pl.lit(0.0), clock_s=pl.lit(0.0)
    )
    return game_states(play, moment).schema
