"""What the crowd knows and our projections do not: several versions of the truth, each with a crowd that leans to it.

Played against one fixed field under our own projections, every portfolio looks far better than it does among real
entrants, because our errors are the crowd's gains (news, better models). So scenarios come in groups: within a group
each player's points are off by a factor drawn once, and that group's field owns him accordingly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.lineups.scenarios import Scenarios
from models.ownership.config import Basis
from models.ownership.model import affordable, slot_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.contests import Contest
    from models.lineups.pool import Pool
    from models.lineups.problem import Candidate

Floats = NDArray[np.float64]
#: Groups in each half of the scenarios.
GROUPS: Final = 16
#: Log-odds of being owned per unit of log error: an assumption, not fitted to real fields.
LEAN: Final = 5.0
#: Standard deviation of the log error the crowd knows of, by what our projections rest on: assumptions likewise.
ERROR: Final[dict[Basis, float]] = {"averages": 0.14, "informed": 0.10}
#: Larger errors than this many standard deviations are cut off.
_CUT: Final = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """`error` (G, P): log error of each of the pool's candidates per group. `start` (G + 1,): the groups' scenarios."""

    error: Floats
    start: NDArray[np.int64]

    def within(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """(group, first, last) of the groups' scenarios between `first` and `last`, counted from `first`."""
        spans = []
        for group, (begin, end) in enumerate(zip(self.start[:-1].tolist(), self.start[1:].tolist(), strict=True)):
            low, high = max(begin, first), min(end, last)
            if low < high:
                spans.append((group, low - first, high - first))
        return spans


def draw_beliefs(pool: Pool, scenarios: int, spread: float, seed: int) -> Beliefs:
    """Errors per group, of mean 0 over the groups of either half, so that no half favours anybody on the whole.

    Rows of one person share his error.
    """
    rng = np.random.default_rng((seed, 4))
    person = np.zeros(len(pool.candidates), dtype=np.int64)
    person[pool.source] = pool.person
    groups = min(GROUPS, max(scenarios // 100, 1))
    half = scenarios // 2
    error = np.zeros((2 * groups, len(person)))
    if groups > 1:
        for part in range(2):
            drawn = np.clip(rng.standard_normal((groups, int(person.max()) + 1)), -_CUT, _CUT)
            drawn -= drawn.mean(axis=0)
            error[part * groups : (part + 1) * groups] = spread * drawn[:, person]
    edges = [np.linspace(0, half, groups + 1), np.linspace(half, scenarios, groups + 1)[1:]]
    return Beliefs(error, np.concatenate(edges).astype(np.int64))


def lean_scenarios(scenarios: Scenarios, pool: Pool, beliefs: Beliefs) -> Scenarios:
    """The scenarios with each group's errors multiplied in, still on the grid."""
    column = {site_id: at for at, site_id in enumerate(scenarios.ids)}
    at = np.array([column[c.id] for c in pool.candidates], dtype=np.int64)
    points = scenarios.points.copy()
    for group, first, last in beliefs.within(0, len(scenarios)):
        # exp of a centred normal has a mean above 1; dividing keeps each projection's mean.
        factor = np.exp(beliefs.error[group]) / np.exp(beliefs.error).mean(axis=0)
        points[first:last, at] = np.rint(points[first:last, at] * factor).astype(points.dtype)
    return replace(scenarios, points=points)


def lean_ownership(shares: Floats, beliefs: Beliefs, players: Sequence[Candidate], contest: Contest) -> Floats:
    """Ownership (G, P) of each group's crowd, which leans to those it knows to be better than projected."""
    slots = slot_bits(players, contest)
    odds = np.log(np.maximum(shares, 1e-6) / np.maximum(1 - shares, 1e-3))
    return np.array([affordable(odds + LEAN * error, players, contest, slots) for error in beliefs.error])
