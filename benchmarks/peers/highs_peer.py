"""HiGHS as a player would use it directly: one warm model, a no-good cut per lineup, spent players fixed at 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import highspy
import numpy as np
from linear import linear
from problem import Build, Problem


def prepare(problem: Problem) -> Build:
    """Return a build that starts from nothing each time."""
    return lambda: _lineups(problem)


def _lineups(problem: Problem) -> Iterator[list[int]]:
    highs = _model(problem)
    used: Counter[int] = Counter()
    for _ in range(problem.n):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return
        values = np.asarray(highs.getSolution().col_value)[: len(problem.rows)]
        chosen = [int(row) for row in np.flatnonzero(values > 0.5)]
        yield chosen
        _row(highs, chosen, [1] * len(chosen), 0, problem.size - 1)
        used.update(chosen)
        for row in chosen:
            if used[row] == problem.most:
                highs.changeColBounds(row, 0.0, 0.0)


def _model(problem: Problem) -> Any:
    model = linear(problem)
    highs: Any = highspy.Highs()
    for option, value in (("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-6)):
        highs.setOptionValue(option, value)
    count = model.columns
    highs.addVars(count, np.zeros(count), np.ones(count))
    columns = np.arange(count, dtype=np.int32)
    points = np.zeros(count)
    points[: len(problem.rows)] = [row.points for row in problem.rows]
    highs.changeColsCost(count, columns, points)
    highs.changeColsIntegrality(count, columns, np.full(count, int(highspy.HighsVarType.kInteger), dtype=np.uint8))
    highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
    for members, weights, least, most in model.rows:
        _row(highs, members, weights, least, most)
    return highs


def _row(highs: Any, columns: list[int], weights: list[int], least: int, most: int) -> None:
    highs.addRow(least, most, len(columns), np.array(columns, np.int32), np.array(weights, float))
