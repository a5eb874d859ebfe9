"""Choosing n of the columns: the linear relaxation for prices, the integer programme for the answer (HiGHS)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from models.errors import SearchUnfinished
from models.lineups.columns import Asks, Columns
from models.lineups.pool import Floats, Ints

INTEGRALITY = 0.5


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Optimum of the relaxation over the columns, a price per ask, and by how many lineups it misses the asks."""

    value: float
    price: Floats
    unmet: float


def relax(columns: Columns, asks: Asks, low: Floats, high: Floats) -> Relaxed:
    """Best fractional choice of n columns at prices between `low` and `high` (I,).

    An ask is left unmet, or overrun, by lineups that the limits of its price pay for.
    """
    highs, count = _model(columns, asks, (low, high))
    highs.run()
    solution = highs.getSolution()
    values = np.asarray(solution.col_value)
    # HiGHS minimizes -score, so a row's dual is minus the worth of one more lineup allowed.
    price = np.clip(-np.asarray(solution.row_dual)[1:], low, high)
    unmet = float(values[count:].sum())
    return Relaxed(-float(highs.getInfo().objective_function_value), price, unmet)


def select(
    columns: Columns, asks: Asks, *, target: float, min_unique: int, time_limit_s: float
) -> list[int] | None:
    """Best choice of n columns that keeps every ask and differs pairwise in `min_unique` players; None: there is none.

    Stops early once the total reaches `target`. Raises `SearchUnfinished` where time was up before either was known.
    """
    highs, count = _model(columns, asks, None)
    for clique in _cliques(columns, min_unique):
        highs.addRow(-highspy.kHighsInf, 1.0, len(clique), clique, np.ones(len(clique)))
    at = np.arange(count, dtype=np.int32)
    highs.changeColsIntegrality(count, at, np.full(count, int(highspy.HighsVarType.kInteger), dtype=np.uint8))
    for option, value in (
        ("mip_rel_gap", 1e-6),
        ("time_limit", time_limit_s),
        ("objective_target", -target),
    ):
        highs.setOptionValue(option, value)
    highs.run()
    if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return None
        raise SearchUnfinished(
            "no choice of lineups that keeps the exposures was found in time; lower one of them"
        )
    chosen = np.asarray(highs.getSolution().col_value) > INTEGRALITY
    return [int(column) for column in np.flatnonzero(chosen)]


def _model(columns: Columns, asks: Asks, box: tuple[Floats, Floats] | None) -> tuple[Any, int]:
    """Columns z in 0..1; row 0: n of them; row 1 + i: ask i. With a box of prices, two slack columns per ask."""
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    scores, holding = columns.scores(), columns.holding()
    count, wanted = holding.shape
    lp = highspy.HighsLp()
    matrix = np.vstack([np.ones((1, count)), holding.T.astype(np.float64)])
    cost, upper = -scores, np.ones(count)
    if box is not None:
        slack = np.vstack([np.zeros((1, wanted)), np.eye(wanted)])
        matrix = np.hstack([matrix, slack, -slack])
        cost = np.concatenate([cost, -box[0], box[1]])
        upper = np.concatenate([upper, np.full(2 * wanted, float(asks.n))])
    lp.num_col_, lp.num_row_ = matrix.shape[1], matrix.shape[0]
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), upper
    lp.row_lower_ = np.concatenate([[asks.n], asks.least]).astype(np.float64)
    lp.row_upper_ = np.concatenate([[asks.n], asks.most]).astype(np.float64)
    start, index, value = _by_column(matrix)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = start, index, value
    highs.passModel(lp)
    return highs, count


def _by_column(matrix: Floats) -> tuple[Ints, Ints, Floats]:
    column, row = np.nonzero(matrix.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=matrix.shape[1]))])
    return start.astype(np.int32), row.astype(np.int32), matrix[row, column]


def _cliques(columns: Columns, min_unique: int) -> list[Ints]:
    """Columns of which at most one may be chosen: those that share size - min_unique + 1 players."""
    if min_unique == 1:
        return []
    sharing: dict[tuple[int, ...], list[int]] = {}
    for column, found in enumerate(columns.found):
        for shared in itertools.combinations(sorted(found.rows), columns.pool.size - min_unique + 1):
            sharing.setdefault(shared, []).append(column)
    return [np.array(members, dtype=np.int32) for members in sharing.values() if len(members) > 1]
