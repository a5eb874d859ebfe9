"""The roster problem as a mixed-integer program for HiGHS: test oracle, fallback and infeasibility probe.

One binary per player. That a set of players can fill the slots is Hall's theorem: for every union Q of slot masks,
at most |Q| chosen players fit only inside Q.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from models.errors import SearchUnfinished
from models.lineups.pool import Choice, Floats, Ints, LinearRows, Pool
from models.lineups.portfolio import Solved

if TYPE_CHECKING:
    from models.lineups.portfolio import Portfolio

INTEGRALITY = 0.5
ABSOLUTE_GAP = 1e-6
# Seconds for one lineup.
TIME_LIMIT_S = 60.0
# Row bounds beyond this say nothing.
FAR = 1e9
INFEASIBLE = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)


class RosterModel:
    """A HiGHS model of one pool that only ever tightens: `ban` and `cut` stay. `relaxed` drops integrality."""

    def __init__(self, pool: Pool, *, time_limit_s: float = TIME_LIMIT_S, relaxed: bool = False) -> None:
        self._pool = pool
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for option, value in (
            ("output_flag", False),
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", ABSOLUTE_GAP),
            ("time_limit", time_limit_s),
        ):
            self._highs.setOptionValue(option, value)
        self._add_players()
        self._add_positions()
        self._add_spread(pool.team, 1, pool.max_per_team)
        self._add_spread(pool.counted_team, pool.min_teams, pool.size)
        self._add_spread(pool.game, pool.min_games, pool.max_per_game)
        self._add_persons()
        self._first_row = self._highs.getNumRow()
        self._add_rows(pool.rows, None)
        for choice in pool.choices:
            self._add_choice(choice)
        if relaxed:
            count = self._highs.getNumCol()
            kind = np.full(count, int(highspy.HighsVarType.kContinuous), dtype=np.uint8)
            self._highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kind)

    def ban(self, row: int) -> None:
        """Keep a row out of every later lineup; no lineup is left if it is locked."""
        self._highs.changeColBounds(row, 0.0, 0.0)
        if self._pool.locked[row]:
            self._row(np.array([row]), np.ones(1), 1.0, 1.0)

    def cut(self, rows: Ints | tuple[int, ...], min_unique: int) -> None:
        """Demand that every later lineup differs from `rows` in at least `min_unique` players."""
        self._at_most(np.asarray(rows), self._pool.size - min_unique)

    def tighten(self, upper: Ints) -> None:
        """Lower the upper bounds of the pool's rows to `upper` (R,); a bound below the lower one is infeasible."""
        for at, (low, high) in enumerate(zip(self._pool.rows.lower, upper, strict=True)):
            if high >= low:
                self._highs.changeRowBounds(self._first_row + at, max(float(low), -FAR), min(float(high), FAR))
            else:
                self._row(np.zeros(0, dtype=np.int64), np.zeros(0), 1.0, 1.0)

    def count(self, rows: Ints, least: float, most: float) -> int:
        """Demand between `least` and `most` of these rows; return the bound's number."""
        self._row(rows, np.ones(len(rows)), least, most)
        return int(self._highs.getNumRow()) - 1

    def bounds(self, number: int) -> tuple[float, float]:
        """Return least and most of a bound made by `count`."""
        lp = self._highs.getLp()
        return float(lp.row_lower_[number]), float(lp.row_upper_[number])

    def recount(self, number: int, least: float, most: float) -> None:
        """Change a bound made by `count`."""
        self._highs.changeRowBounds(number, least, most)

    def outline(self) -> float | None:
        """Return the optimum of a relaxed model, which no lineup left exceeds; None where it proves there is none."""
        self._highs.run()
        status = self._highs.getModelStatus()
        if status in INFEASIBLE:
            return None
        optimal = status == highspy.HighsModelStatus.kOptimal
        return float(self._highs.getInfo().objective_function_value) if optimal else float("inf")

    def solve(self) -> Solved | None:
        """Return the best lineup left (rows ascending), None when there is none; may raise `SearchUnfinished`."""
        highs = self._highs
        highs.run()
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            if highs.getModelStatus() in INFEASIBLE:
                return None
            status = highs.modelStatusToString(highs.getModelStatus())
            raise SearchUnfinished(
                f"HiGHS stopped with {status!r} before it had a lineup; ask for fewer rules or again"
            )
        chosen = np.asarray(highs.getSolution().col_value)[: len(self._pool.score)] > INTEGRALITY
        rows = np.flatnonzero(chosen)
        score = float(self._pool.score[rows].sum())
        optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        bound = score if optimal else max(score, float(highs.getInfo().mip_dual_bound))
        return Solved(tuple(int(row) for row in rows), score, bound)

    def _add_players(self) -> None:
        pool = self._pool
        lower, upper = pool.locked.astype(float), (~pool.excluded).astype(float)
        # A player both locked and excluded must read as infeasible, not as crossed bounds.
        both = pool.locked & pool.excluded
        lower[both] = 0.0
        count = len(pool.score)
        self._highs.addVars(count, lower, upper)
        columns = np.arange(count, dtype=np.int32)
        self._highs.changeColsCost(count, columns, pool.score)
        self._highs.changeColsIntegrality(
            count, columns, np.full(count, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        )
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        self._row(np.arange(count), np.ones(count), pool.size, pool.size)
        self._row(np.arange(count), pool.salary.astype(float), pool.floor, pool.cap)
        if both.any():
            self._row(np.flatnonzero(both), np.ones(int(both.sum())), 1, float(both.sum()))

    def _add_positions(self) -> None:
        mask = self._pool.mask
        for union in slot_unions(mask):
            inside = np.flatnonzero((mask & ~union) == 0)
            if union.bit_count() < min(len(inside), self._pool.size):
                self._at_most(inside, union.bit_count())

    def _add_spread(self, group: Ints, at_least: int, at_most: int) -> None:
        """At most `at_most` players of one group and, over all groups, players of at least `at_least`; -1: none."""
        used: list[int] = []
        counted = at_least > 1 or (at_least > 0 and bool((group < 0).any()))
        for code in range(int(group.max()) + 1):
            members = np.flatnonzero(group == code)
            if at_most < min(len(members), self._pool.size):
                self._at_most(members, at_most)
            if counted:
                self._highs.addVar(0.0, 1.0)
                used.append(self._highs.getNumCol() - 1)
                self._highs.changeColIntegrality(used[-1], highspy.HighsVarType.kInteger)
                self._row(np.append(members, used[-1]), np.append(np.ones(len(members)), -1.0), 0, self._pool.size)
        if counted:
            self._row(np.array(used), np.ones(len(used)), at_least, max(len(used), at_least))

    def _add_persons(self) -> None:
        """Rows of one person, and pairs in conflict, exclude one another."""
        pool = self._pool
        for code in np.flatnonzero(np.bincount(pool.person) > 1):
            self._at_most(np.flatnonzero(pool.person == code), 1)
        if pool.conflict is not None:
            for pair in np.argwhere(np.triu(pool.conflict | pool.conflict.T)):
                self._at_most(np.unique(pair), 1) if pair[0] != pair[1] else self.ban(int(pair[0]))

    def _add_rows(self, rows: LinearRows, when: int | None) -> None:
        """Rows that always hold, or only where the binary column `when` is 1."""
        for weight, lower, upper in zip(rows.weight, rows.lower, rows.upper, strict=True):
            columns = np.flatnonzero(weight)
            values = weight[columns].astype(float)
            # What any lineup can reach: bounds beyond it would only cost precision.
            most = int(np.sort(np.maximum(weight, 0))[-self._pool.size :].sum())
            least = int(np.sort(np.minimum(weight, 0))[: self._pool.size].sum())
            low, high = max(int(lower), least - 1), min(int(upper), most + 1)
            if when is None:
                self._row(columns, values, *((low, high) if low <= high else (most + 1, most + 1)))
                continue
            # Loosened by that reach while the binary is 0.
            if low > least:
                self._row(np.append(columns, when), np.append(values, least - low), least, highspy.kHighsInf)
            if high < most:
                self._row(np.append(columns, when), np.append(values, most - high), -highspy.kHighsInf, most)

    def _add_choice(self, choice: Choice) -> None:
        picks = []
        for option in choice.options:
            self._highs.addVar(0.0, 1.0)
            picks.append(self._highs.getNumCol() - 1)
            self._highs.changeColIntegrality(picks[-1], highspy.HighsVarType.kInteger)
            self._add_rows(option, picks[-1])
        self._row(np.array(picks), np.ones(len(picks)), 1.0, float(max(1, len(picks))))

    def _at_most(self, rows: Ints, count: int) -> None:
        self._row(rows, np.ones(len(rows)), 0, count)

    def _row(self, columns: Ints, values: Floats, lower: float, upper: float) -> None:
        self._highs.addRow(lower, upper, len(columns), columns.astype(np.int32), values.astype(float))


class MilpSearch:
    """The next best lineup by HiGHS, one at a time."""

    def __init__(self, pool: Pool, min_unique: int, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._model = RosterModel(pool, time_limit_s=time_limit_s)
        self._pool = pool
        self._min_unique = min_unique
        self._banned: set[int] = set()
        self._cut = 0
        self._upper = pool.rows.upper

    def __call__(self, portfolio: Portfolio, wanted: int) -> list[Solved]:
        """Return the best lineup still allowed, or nothing."""
        for row in (~portfolio.allowed).nonzero()[0]:
            if int(row) not in self._banned:
                self._banned.add(int(row))
                self._model.ban(int(row))
        if not np.array_equal(portfolio.upper, self._upper):
            self._upper = portfolio.upper.copy()
            self._model.tighten(self._upper)
        for found in portfolio.chosen[self._cut :]:
            self._model.cut(found.rows, self._min_unique)
        self._cut = len(portfolio.chosen)
        solved = self._model.solve()
        return [] if solved is None else [seat(self._pool, solved)]


def seat(pool: Pool, found: Solved) -> Solved:
    """Return the same lineup with its rows in roster-slot order (augmenting paths; a seating must exist)."""
    seated = [-1] * pool.size

    def place(row: int, tried: set[int]) -> bool:
        for slot in range(pool.size):
            if pool.mask[row] >> slot & 1 and slot not in tried:
                tried.add(slot)
                if seated[slot] < 0 or place(seated[slot], tried):
                    seated[slot] = row
                    return True
        return False

    if not all(place(row, set()) for row in found.rows):
        raise AssertionError(f"players {found.rows} cannot fill {pool.slots}")
    return Solved(tuple(seated), found.projection, found.bound)


def slot_unions(mask: Ints) -> list[int]:
    """Return every union of the distinct slot masks, smallest number first (0 only if some mask is 0)."""
    unions: set[int] = set()
    for value in {int(m) for m in mask}:
        unions |= {value} | {value | other for other in unions}
    return sorted(unions)


def feasible(pool: Pool) -> bool:
    """Whether any legal lineup exists in the pool."""
    return RosterModel(replace(pool, score=np.zeros(len(pool.score)))).solve() is not None
