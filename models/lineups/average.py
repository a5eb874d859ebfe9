"""Exposures that no set of lineups can keep, proven before any lineup is searched.

The average of n lineups is a point of the linear relaxation of one lineup. Whatever each lineup obeys the average obeys
too, and every exposure bounds how many of its members the average holds; no such point, no selection. And asks that few
lineups may miss have to meet in one lineup (pigeonhole), which an integer probe answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from models.errors import SearchUnfinished
from models.lineups.columns import Asks
from models.lineups.milp import RosterModel
from models.lineups.pool import Pool

# Seconds for each question whether some asks fit into one lineup.
PROBE_S = 2.0


def clashing(pool: Pool, asks: Asks) -> list[str]:
    """Labels of an irreducible set of asks that cannot be kept together; empty where none was proven."""
    if not asks.labels or not (asks.least > 0).any():
        return []
    kept = _Average(pool, asks).clash()
    # Fewer may clash already in one lineup.
    others = frozenset(asks.labels) - frozenset(kept) if kept else frozenset[str]()
    return _Together(pool, asks.without(others)).clash() or kept


class _Filter(ABC):
    """A deletion filter over the rows that asks have in a model of one lineup."""

    def __init__(self, model: RosterModel, pool: Pool, asks: Asks) -> None:
        self._model, self._pool, self._asks = model, pool, asks
        self._rows: dict[str, list[int]] = {}

    def add(self, ask: int, least: float, most: float) -> None:
        """Bound how many members of the ask the lineup holds."""
        row = self._model.count(np.flatnonzero(self._asks.members[ask]), least, most)
        self._rows.setdefault(self._asks.labels[ask], []).append(row)

    @abstractmethod
    def possible(self) -> bool:
        """Whether a lineup keeps the bounds still on; True where that is not known."""

    def clash(self) -> list[str]:
        """Labels that together leave no lineup, each of them needed for that; empty where one is left."""
        if not self._rows or self.possible():
            return []
        kept = []
        for label, rows in self._rows.items():
            bounds = [self._model.bounds(row) for row in rows]
            for row in rows:
                self._model.recount(row, 0.0, float(self._pool.size))
            if self.possible():
                kept.append(label)
                for row, (low, high) in zip(rows, bounds, strict=True):
                    self._model.recount(row, low, high)
        return kept


class _Average(_Filter):
    """The average of the n lineups."""

    def __init__(self, pool: Pool, asks: Asks) -> None:
        super().__init__(RosterModel(_unscored(pool), relaxed=True), pool, asks)
        share_least, share_most = asks.least / asks.n, np.minimum(asks.most / asks.n, 1.0)
        # Who holds the ask holds at most the whole roster of its members, who does not threshold - 1.
        least = asks.threshold * share_least
        most = asks.threshold - 1 + (pool.size - asks.threshold + 1) * share_most
        most = np.where(asks.additive, share_most, most)
        for ask in np.flatnonzero((asks.least > 0) | (asks.most < asks.n)).tolist():
            self.add(ask, float(least[ask]), max(float(most[ask]), float(least[ask])))

    def possible(self) -> bool:
        return self._model.outline() is not None


class _Together(_Filter):
    """One lineup of the n that holds all of some asks: those that together are missed in fewer than n lineups."""

    def __init__(self, pool: Pool, asks: Asks) -> None:
        super().__init__(RosterModel(_unscored(pool), time_limit_s=PROBE_S), pool, asks)
        missed = 0
        for ask in np.argsort(-asks.least, kind="stable").tolist():
            missed += asks.n - int(asks.least[ask])
            if asks.least[ask] == 0 or missed >= asks.n:
                break
            self.add(ask, float(asks.threshold[ask]), float(pool.size))

    def possible(self) -> bool:
        try:
            return self._model.solve() is not None
        except SearchUnfinished:
            return True


def _unscored(pool: Pool) -> Pool:
    return replace(pool, score=np.zeros(len(pool.score)), quotas=())
