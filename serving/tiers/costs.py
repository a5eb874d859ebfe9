"""What work costs at each tier: a first guess per kind, and how that guess is corrected by what was measured.

A static table fails on a busy machine (docs/tiers.md), so every estimate is the table's number times a ratio learned
from completed work, plus a margin that follows how much that ratio varies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

Tier = Literal["edge", "regional", "cloud"]
TIERS: Final[tuple[Tier, ...]] = ("edge", "regional", "cloud")
#: Milliseconds an answer may take where the question names no deadline; the cloud's is for accepting.
DEADLINE_MS: Final[Mapping[Tier, float]] = {"edge": 10.0, "regional": 100.0, "cloud": 500.0}
Clock = Callable[[], float]
Means = tuple[float, float, float, float]


class Cost(NamedTuple):
    """Seconds of one batch, and of each row in it."""

    base_s: float
    row_s: float = 0.0

    def of(self, rows: int, batches: int = 1) -> float:
        """Seconds of `rows` in so many batches."""
        return self.base_s * batches + self.row_s * rows


#: First guesses, measured on 2 slow shared cores with one inference thread (docs/tiers.md).
COSTS: Final[Mapping[tuple[Tier, str], Cost]] = {
    ("edge", "game"): Cost(50e-6),
    ("edge", "players"): Cost(30e-6, 3e-6),
    ("edge", "line"): Cost(50e-6),
    ("edge", "projections"): Cost(50e-6),
    ("edge", "what_if"): Cost(50e-6, 40e-6),
    ("regional", "game"): Cost(0.3e-3, 5e-6),
    ("regional", "what_if"): Cost(0.3e-3, 5e-6),
    ("regional", "projections"): Cost(20e-3, 20e-6),
    ("cloud", "simulation"): Cost(20e-3),
    ("cloud", "portfolio"): Cost(20e-3),
}
#: For kinds the table does not name.
UNKNOWN: Final[Mapping[Tier, Cost]] = {"edge": Cost(100e-6), "regional": Cost(5e-3, 20e-6), "cloud": Cost(20e-3)}


def cost_of(tier: Tier, kind: str) -> Cost:
    """The table's guess."""
    return COSTS.get((tier, kind), UNKNOWN[tier])


class Learned:
    """What one kind of work takes at one tier: the table's line (base and per row) moved to what was measured.

    Exponentially weighted: `ratio` (measured over the table's) moves the whole line; a weighted regression over
    recent batches, held by the moved base, tilts it, since the table may be wrong about either part. `spread` is the
    mean absolute deviation of measurements from the line, relative to it. Without measurements all of it drifts back
    to the table after a while: a tier that was slow, and therefore asked nothing any more, would otherwise never be
    found to have recovered. Safe for several threads.
    """

    #: Weight of a measurement, as in TCP's estimate of round trips (RFC 6298).
    WEIGHT: Final = 0.125
    #: Seconds without a measurement before forgetting begins, and its half-life.
    KEEP_S: Final = 2.0
    HALF_LIFE_S: Final = 2.0
    FIRST_SPREAD: Final = 0.5
    #: One stall is taken as at most this far off, or it would close the tier for seconds.
    MOST_OFF: Final = 3.0
    #: No work is as regular as this; without some slack every batch would end at the last moment, or a little after.
    LEAST_SPREAD: Final = 0.2
    #: Weight of the moved base beside the recent batches (which weigh 1 together).
    HOLD: Final = 0.02

    def __init__(self, table: Cost, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._ratio, self._spread = 1.0, self.FIRST_SPREAD
        #: Means of rows, seconds, rows² and rows x seconds over recent batches.
        self._means: Means | None = None
        self._at = clock()
        self._line = self._drifted(1.0)

    def note(self, rows: int, seconds: float) -> None:
        """Take in a batch that was measured."""
        with self._lock:
            at = self._clock()
            kept = self._kept(at)
            known, spread = self._line if kept == 1.0 else self._drifted(kept)
            expected = known.base_s + known.row_s * rows
            fresh = self._means is None or kept < 0.5
            off = min(abs(seconds - expected) / max(expected, 1e-9), self.MOST_OFF)
            weight = self.WEIGHT
            # That the table was wrong says nothing of how much the work varies.
            self._spread = spread if fresh else spread + weight * (off - spread)
            ratio = 1.0 + (self._ratio - 1.0) * kept
            self._ratio = ratio + weight * (seconds / self._table.of(rows) - ratio)
            if self._means is None or fresh:
                self._means = (rows, seconds, rows * rows, rows * seconds)
            else:
                x, y, xx, xy = self._means
                self._means = (
                    x + weight * (rows - x), y + weight * (seconds - y),
                    xx + weight * (rows * rows - xx), xy + weight * (rows * seconds - xy),
                )  # fmt: skip
            self._at = at
            self._line = self._drifted(1.0)

    def now(self) -> tuple[Cost, float]:
        """The line as it is, and the spread around it."""
        kept = self._kept(self._clock())
        if kept == 1.0:
            return self._line  # as the last measurement left it
        with self._lock:
            return self._drifted(kept)

    def _drifted(self, kept: float) -> tuple[Cost, float]:
        """The line and its spread when `kept` (1 to 0) of what was learned still counts."""
        spread = max(self.FIRST_SPREAD + (self._spread - self.FIRST_SPREAD) * kept, self.LEAST_SPREAD)
        ratio = 1.0 + (self._ratio - 1.0) * kept
        moved = Cost(self._table.base_s * ratio, self._table.row_s * ratio)
        if self._means is None or kept < 0.5:
            return moved, spread
        x, y, xx, xy = self._means
        total = 1.0 + self.HOLD
        # The moved base counts as a batch of no rows.
        x_mean, y_mean = x / total, (y + self.HOLD * moved.base_s) / total
        row_s = max((xy / total - x_mean * y_mean) / max(xx / total - x_mean**2, 1e-12), 0.0)
        base_s = y_mean - row_s * x_mean
        if base_s < 0:
            base_s, row_s = 0.0, y / x
        return Cost(base_s, row_s), spread

    def _kept(self, at: float) -> float:
        """How much of what was learned still counts, 1 to 0."""
        idle = at - self._at - self.KEEP_S
        return 1.0 if idle <= 0 else float(0.5 ** (idle / self.HALF_LIFE_S))
