"""The roster problem as a mixed-integer program for HiGHS: test oracle, fallback and infeasibility probe.

One binary per player. That a set of players can fill the slots is Hall's theorem: for every union Q of slot masks,
at most |Q| chosen players fit only inside Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from models.lineups.compile import Flags, Ints, Pool

INTEGRALITY = 0.5
ABSOLUTE_GAP = 1e-6


@dataclass(frozen=True, slots=True)
class Solved:
    """Chosen rows (ascending), their exact projection sum and a proven upper bound on it."""

    rows: tuple[int, ...]
    projection: float
    bound: float


class RosterModel:
    """A HiGHS model of one pool that only ever tightens: `ban` and `cut` stay."""

    def __init__(self, pool: Pool, *, time_limit_s: float = 60.0) -> None:
        self._pool = pool
        self._highs = highspy.Highs()
        for option, value in (
            ("output_flag", False),
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", ABSOLUTE_GAP),
            ("time_limit", time_limit_s),
        ):
            self._highs.setOptionValue(option, value)
        self._add_players()
        self._add_positions()
        self._add_spread(pool.team, pool.min_teams, pool.max_per_team)
        self._add_spread(pool.game, pool.min_games, pool.size)

    def ban(self, row: int) -> None:
        """Keep a player out of every later lineup."""
        self._highs.changeColBounds(row, 0.0, 0.0)

    def cut(self, rows: Ints | tuple[int, ...], min_unique: int) -> None:
        """Demand that every later lineup differs from `rows` in at least `min_unique` players."""
        self._at_most(np.asarray(rows), self._pool.size - min_unique)

    def solve(self) -> Solved | None:
        """Return the best lineup left, or None when there is none (or none was found in the time limit)."""
        highs = self._highs
        highs.run()
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        chosen = np.asarray(highs.getSolution().col_value)[: len(self._pool.projection)] > INTEGRALITY
        rows = np.flatnonzero(chosen)
        projection = float(self._pool.projection[rows].sum())
        optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        bound = projection if optimal else max(projection, float(highs.getInfo().mip_dual_bound))
        return Solved(tuple(int(row) for row in rows), projection, bound)

    def _add_players(self) -> None:
        pool = self._pool
        lower, upper = pool.locked.astype(float), (~pool.excluded).astype(float)
        # A player both locked and excluded must read as infeasible, not as crossed bounds.
        both = pool.locked & pool.excluded
        lower[both] = 0.0
        count = len(pool.projection)
        self._highs.addVars(count, lower, upper)
        columns = np.arange(count, dtype=np.int32)
        self._highs.changeColsCost(count, columns, pool.projection)
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
        """At most `at_most` players of one group and, over all groups, players of at least `at_least`."""
        used: list[int] = []
        for code in range(int(group.max()) + 1):
            members = np.flatnonzero(group == code)
            if at_most < min(len(members), self._pool.size):
                self._at_most(members, at_most)
            if at_least > 1:
                self._highs.addVar(0.0, 1.0)
                used.append(self._highs.getNumCol() - 1)
                self._highs.changeColIntegrality(used[-1], highspy.HighsVarType.kInteger)
                self._row(np.append(members, used[-1]), np.append(np.ones(len(members)), -1.0), 0, self._pool.size)
        if at_least > 1:
            self._row(np.array(used), np.ones(len(used)), at_least, max(len(used), at_least))

    def _at_most(self, rows: Ints, count: int) -> None:
        self._row(rows, np.ones(len(rows)), 0, count)

    def _row(self, columns: Ints, values: np.ndarray, lower: float, upper: float) -> None:  # type: ignore[type-arg]
        self._highs.addRow(lower, upper, len(columns), columns.astype(np.int32), values.astype(float))


def slot_unions(mask: Ints) -> list[int]:
    """Return every union of the distinct slot masks, smallest number first (0 only if some mask is 0)."""
    unions: set[int] = set()
    for value in {int(m) for m in mask}:
        unions |= {value} | {value | other for other in unions}
    return sorted(unions)


def feasible(pool: Pool) -> bool:
    """Whether any legal lineup exists in the pool."""
    from dataclasses import replace

    flat: Flags = np.zeros(len(pool.projection), dtype=np.bool_)
    return RosterModel(replace(pool, projection=flat.astype(np.float64))).solve() is not None
