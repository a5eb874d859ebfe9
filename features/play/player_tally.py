"""The players' part of a game told play by play (`features.play.tally`): lines so far, and who was on court when."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from features.play.moments import EVENT, OVERTIME_S, QUARTER_S, REGULATION_S
from features.play.player_actions import COUNTS, TECHNICAL
from features.play.player_state import FOUL_LIMIT, QUARTER_MINUTES, REGULATION_PERIODS, player_states
from features.play.plays import COLUMNS
from features.scoring import SITES, fantasy_points
from features.tables import PBP
from features.views.lines import FREE_THROW_POSSESSION

if TYPE_CHECKING:
    from features.play.tally import Moment, Play

_QUARTERS: Final = tuple((QUARTER_S * n, QUARTER_S * (n + 1)) for n in range(len(QUARTER_MINUTES)))
_ACTED: Final = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover", "foul", "ejection")
_POINTS: Final = tuple(f"fantasy_points_{site}" for site in SITES)


@dataclass(slots=True)
class _Line:
    """What a player has done; `since` his first play or shift and `is_home` of it, None before."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    ejected: bool = False
    since: tuple[int, bool] | None = None


@dataclass(slots=True)
class _Shifts:
    """A player's time on court: seconds and minutes by quarter of shifts that ended, the newest one's start and end
    (None while it goes on)."""

    side: int
    start_s: float
    end_s: float | None = None
    seconds: float = 0.0
    minutes: list[float] = field(default_factory=lambda: [0.0] * len(QUARTER_MINUTES))


class PlayerTally:
    """Lines and shifts of one game's players."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._shifts: dict[int, _Shifts] = {}
        self._fives: list[tuple[str | None, tuple[int, ...]]] = [(None, ()), (None, ())]
        self._now_s = 0.0
        self._unknown_s = [0.0, 0.0]
        self._scores = [0, 0]
        self._chances = [0.0, 0.0]
        self._newest: Play | None = None
        self._present: tuple[set[int], set[int]] = (set(), set())

    def add(self, play: Play, side: int | None, period: int, elapsed_s: float) -> None:
        """One play more, by `side` (0 home, 1 away), at a mended clock. Raises `ValueError` for fives that no game
        has."""
        start_s = QUARTER_S * min(period - 1, 4) + OVERTIME_S * max(period - 5, 0)
        before_s, self._now_s = self._now_s, max(self._now_s, elapsed_s)
        before_s = min(self._now_s, max(before_s, float(start_s)))
        present: list[set[int]] = []
        for at, text in enumerate((play.home_lineup, play.away_lineup)):
            if text is None:
                self._unknown_s[at] += max(self._now_s - before_s, 0.0)
            five = self._change_five(at, text, play.seq, before_s)
            present.append(self._after(five, play) if side == at else set(five))
        self._present = (present[0], present[1])
        self._newest = play
        for at, told in enumerate((play.home_score, play.away_score)):
            self._scores[at] = self._scores[at] if told is None else told
        if side is not None:
            self._count(play, side)

    def lines(self, game_id: str, moment: Moment, teams: tuple[str, str]) -> pl.DataFrame:
        """The rows of `player_states`."""
        rows = [self._row(player, line, side, game_id, moment, teams) for player, line, side in self._appeared()]
        rows.sort(key=lambda row: row[len(moment) + 1])  # type: ignore[return-value, arg-type]
        names, schema = _columns()
        frame = pl.DataFrame(rows, schema=names, orient="row")
        return frame.with_columns(_points()).select(schema)

    def _change_five(self, at: int, text: str | None, seq: int, before_s: float) -> tuple[int, ...]:
        """Begin and end shifts of a side whose five is another one from this play on."""
        known, five = self._fives[at]
        if known == text:
            return five
        after = () if text is None else tuple(int(each) for each in text.split("|"))
        if len(set(after)) != len(after):
            raise ValueError(f"play {seq}: five {text!r} names a player twice")
        for player in set(five) - set(after):
            shift = self._shifts[player]
            # Until his side's next play, what was left of a period included, his old five played.
            shift.end_s = before_s
            shift.seconds += before_s - shift.start_s
            for n, minutes in enumerate(_in_quarters(shift.start_s, before_s)):
                shift.minutes[n] += minutes
        for player in after:
            if player in five:
                continue
            earlier = self._shifts.get(player)
            if earlier is None:
                self._shifts[player] = _Shifts(at, before_s)
            elif earlier.side != at or earlier.end_s is None:
                raise ValueError(f"play {seq}: player {player} is on court for both sides")
            else:
                earlier.start_s, earlier.end_s = before_s, None
            self._see(player, seq, at == 0)
        self._fives[at] = (text, after)
        return after

    @staticmethod
    def _after(five: tuple[int, ...], play: Play) -> set[int]:
        """Who is on court after a play of this side; nobody is known to be where the five is not."""
        if not five or play.event_type != "substitution":
            return set(five)
        stay = {player for player in five if player != play.p1_id}
        return stay if play.p2_id is None else stay | {play.p2_id}

    def _see(self, player: int, seq: int, is_home: bool) -> None:
        line = self._lines.setdefault(player, _Line())
        if line.since is None or (line.since[0] == seq and not is_home):
            line.since = (seq, is_home)

    def _count(self, play: Play, side: int) -> None:
        kind, subtype, is_home = play.event_type, play.subtype, side == 0
        shot = kind in ("made_shot", "missed_shot")
        if shot:
            self._chances[side] += 1
        elif kind == "free_throw":
            self._chances[side] += FREE_THROW_POSSESSION
        elif kind == "turnover":
            self._chances[side] += 1
        elif kind == "rebound" and subtype in ("offensive", "team_offensive"):
            self._chances[side] -= 1
        if kind in _ACTED:
            given = {"pts": play.points or 0, "fga": int(shot), "fta": int(kind == "free_throw")}
            given["reb"] = int(kind == "rebound" and subtype in ("offensive", "defensive"))
            given["tov"] = int(kind == "turnover")
            given["fg3m"] = int(kind == "made_shot" and play.shot_value == 3)
            given["pf"] = int(kind == "foul" and subtype is not None and subtype not in TECHNICAL)
            self._credit(play.p1_id, play.seq, is_home, given, ejected=kind == "ejection")
        if kind == "made_shot":
            self._credit(play.p2_id, play.seq, is_home, {"ast": 1})
        elif kind == "turnover":
            self._credit(play.p2_id, play.seq, not is_home, {"stl": 1})
        elif kind == "missed_shot":
            self._credit(play.p3_id, play.seq, not is_home, {"blk": 1})

    def _credit(
        self, player: int | None, seq: int, is_home: bool, given: dict[str, int], *, ejected: bool = False
    ) -> None:
        if player is None or player <= 0:
            return
        line = self._lines.setdefault(player, _Line())
        for name, amount in given.items():
            line.counts[name] += amount
        line.ejected = line.ejected or ejected
        if sum(line.counts.values()) > 0:
            self._see(player, seq, is_home)

    def _appeared(self) -> list[tuple[int, _Line, bool]]:
        """Everybody who had been on court, or in a play, by now, and whether he is of the home side."""
        found = {player: (line, line.since[1]) for player, line in self._lines.items() if line.since is not None}
        for at in (1, 0):
            for player in self._present[at]:
                if player not in found:
                    found[player] = (self._lines.get(player, _Line()), at == 0)
        return [(player, line, is_home) for player, (line, is_home) in found.items()]

    def _row(
        self, player: int, line: _Line, is_home: bool, game_id: str, moment: Moment, teams: tuple[str, str]
    ) -> list[object]:
        """Values of `player_states` without the fantasy points."""
        assert self._newest is not None  # noqa: S101 - there is a play
        at, now_s = int(not is_home), self._now_s
        since_play = max(moment.elapsed_s - now_s, 0.0)
        here = player in self._present[0] or player in self._present[1]
        unknown = self._unknown_s[at] > 0 or (self._newest.home_lineup, self._newest.away_lineup)[at] is None
        seconds, changed, minutes = self._time(player, here, since_play)
        left = moment.clock_s if moment.period > 4 else max(REGULATION_S - moment.elapsed_s, 0.0)
        own, other = self._scores[at], self._scores[1 - at]
        over = moment.period >= REGULATION_PERIODS and moment.clock_s <= 0 and own != other
        quarters = [
            None if unknown or moment.elapsed_s < QUARTER_S * number else spent
            for number, spent in enumerate(minutes, start=1)
        ]
        return [
            game_id, *moment, player, teams[at], is_home, *line.counts.values(),
            None if unknown else seconds, None if unknown else here,
            None if unknown else now_s + since_play - changed, *quarters,
            over or line.counts["pf"] >= FOUL_LIMIT or line.ejected, own, other, own - other,
            sum(self._chances) / 2, left,
        ]  # fmt: skip

    def _time(self, player: int, here: bool, since_play: float) -> tuple[float, float, list[float]]:
        """Seconds on court, the second at which he came or went, and his minutes by quarter."""
        shift, now_s = self._shifts.get(player), self._now_s
        ticking = since_play if here else 0.0
        if shift is None:
            return ticking, now_s if here else 0.0, [0.0] * len(QUARTER_MINUTES)
        if shift.end_s is not None:
            return shift.seconds + ticking, now_s if here else shift.end_s, shift.minutes
        played = shift.seconds + now_s - shift.start_s + ticking
        added = _in_quarters(shift.start_s, now_s + ticking)
        minutes = [before + more for before, more in zip(shift.minutes, added, strict=True)]
        return played, shift.start_s if here else now_s, minutes


def _in_quarters(start_s: float, end_s: float) -> list[float]:
    """Minutes of a shift in each of the first quarters."""
    return [max(min(end_s, last) - max(start_s, first), 0.0) / 60 for first, last in _QUARTERS]


@cache
def _columns() -> tuple[dict[str, pl.DataType], list[str]]:
    """Columns of a `_row` with their types, and all of `player_states` in order, as the definition gives them."""
    told = {"game_id": "0", "seq": 0, "period": 1, "home_team": "A", "away_team": "B", "home_lineup": "1"}
    play = pl.DataFrame([told], schema={name: PBP[name] for name in COLUMNS})
    moment = play.select(
        "game_id", pl.lit(EVENT).alias("asked_at"), "seq", "period", elapsed_s=pl.lit(0.0), clock_s=pl.lit(0.0)
    )
    schema = player_states(play, moment).schema
    return {name: dtype for name, dtype in schema.items() if name not in _POINTS}, list(schema)


@cache
def _points() -> list[pl.Expr]:
    return [fantasy_points(site) for site in SITES]
