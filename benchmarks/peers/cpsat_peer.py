"""OR-Tools CP-SAT used directly: two workers, the last lineup as a hint, a no-good cut per lineup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from linear import linear
from ortools.sat.python import cp_model
from problem import Build, Problem

WORKERS = 2
#: CP-SAT takes whole numbers only; FanDuel's averages have many decimals.
POINTS_SCALE = 10**6


def prepare(problem: Problem) -> Build:
    """Return a build that starts from nothing each time."""
    return lambda: _lineups(problem)


def _lineups(problem: Problem) -> Iterator[list[int]]:
    rows = linear(problem)
    model = cp_model.CpModel()
    columns = [model.NewBoolVar(f"x{column}") for column in range(rows.columns)]
    for members, weights, least, most in rows.rows:
        total = cp_model.LinearExpr.WeightedSum([columns[member] for member in members], weights)
        model.AddLinearConstraint(total, least, most)
    players = columns[: len(problem.rows)]
    points = [round(row.points * POINTS_SCALE) for row in problem.rows]
    model.Maximize(cp_model.LinearExpr.WeightedSum(players, points))
    used: Counter[int] = Counter()
    for _ in range(problem.n):
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = WORKERS
        if solver.Solve(model) != cp_model.OPTIMAL:
            return
        chosen = [row for row, player in enumerate(players) if solver.BooleanValue(player)]
        yield chosen
        model.Add(sum(players[row] for row in chosen) <= problem.size - 1)
        used.update(chosen)
        for row in chosen:
            if used[row] == problem.most:
                model.Add(players[row] == 0)
        model.ClearHints()
        for row, player in enumerate(players):
            model.AddHint(player, int(row in chosen))
