"""The rest of a game, simulated possession by possession from the possession model's answers.

A law holds those answers for one game on a grid of side, how the possession began, period, clock and margin; a future
is then a walk over the grid: seconds and points are drawn, the ball changes hands. N futures run side by side.
Shapes: N futures, S sides (0 home, 1 away), B ways to begin, Q kinds of period, K clocks, M margins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.play.moments import OVERTIME_S, QUARTER_S, REGULATION_S
from features.play.possessions import BEGAN
from models.metrics import Array
from models.possession.data import outputs
from models.possession.network import PossessionNetwork
from models.possession.rows import LEAGUE_SECONDS, NEXT_S, with_state
from models.trunk import feature_matrix

#: Seconds left of the period and points of lead at which the model is asked; between them the nearest one counts.
CLOCKS: Final = (1.0, 3.0, 6.0, 12.0, 20.0, 30.0, 45.0, 75.0, 120.0, 200.0, 320.0, 480.0, 660.0)
MARGINS: Final = (-25, -15, -10, -7, -5, -3, -2, -1, 0, 1, 2, 3, 5, 7, 10, 15, 25)
#: An early period, the fourth quarter, overtime.
PERIODS: Final = (2, 4, 5)
#: Share of possessions of three points or more that bring four (2015-20).
FOUR: Final = 0.015
#: Longest a possession in the last band of seconds lasts, seconds.
LONGEST_S: Final = 50.0
#: Fouls of a side towards the bonus by this share of the period gone.
FOULS_A_PERIOD: Final = 5.0
START: Final = BEGAN.index("period_start")
#: No game needs more: a period of an overtime has about 24 possessions.
MOST_POSSESSIONS: Final = 600


@dataclass(frozen=True, slots=True)
class GameState:
    """Where a game stands: `lead` of the home side, seconds left of `period`, who has the ball and how it came to it.

    `first_home` says that the home side won the opening tip; who starts the later quarters follows from it, and is
    drawn when it is None.
    """

    lead: int
    period: int
    clock_s: float
    ball_home: bool
    began: str
    first_home: bool | None = None


@dataclass(frozen=True, slots=True)
class Law:
    """Cumulated chances of points (Q, K, M, S, B, 4) and bands of seconds (Q, K, M, S, B, D), of what follows (4, B).

    `low` and `high` are the ends (D,) of the bands, seconds.
    """

    points: Array
    seconds: Array
    following: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Futures:
    """`points` (N, 2) of home and away until the end, `soon` (N, 2) within the horizon, `overtimes` (N,)."""

    points: NDArray[np.int64]
    soon: NDArray[np.int64]
    overtimes: NDArray[np.int64]

    def win_probability(self, lead: int) -> float:
        """Share of futures that the home side wins from `lead`; the ones cut off level count half."""
        final = lead + self.points[:, 0] - self.points[:, 1]
        return float(np.mean(final > 0) + 0.5 * np.mean(final == 0))


def law_of(network: PossessionNetwork, calibration: Mapping[str, Any], sides: pl.DataFrame) -> Law:
    """The law of one game; `sides` are its two rows of `models.possession.rows` at one moment, home first.

    Raises `InvalidInput` when there are not two rows.
    """
    if sides.height != 2 or sides["at_home"].cast(pl.Int8).to_list() != [1, 0]:
        raise InvalidInput(f"a law needs the home and the away row of one moment, found {sides.height} rows")
    config = network.config
    answer = outputs(network, feature_matrix(_grid(sides), config.features), calibration)
    shape = (len(PERIODS), len(CLOCKS), len(MARGINS), 2, len(BEGAN))
    ends = np.asarray(config.seconds)
    return Law(
        np.cumsum(answer["points"], axis=1).reshape(*shape, -1),
        np.cumsum(answer["seconds"], axis=1).reshape(*shape, -1),
        np.cumsum(network.following_CS.double().cpu().numpy(), axis=1),
        np.concatenate([[0.0], ends]), np.concatenate([ends, [LONGEST_S]]),
    )  # fmt: skip


def _grid(sides: pl.DataFrame) -> pl.DataFrame:
    """Both rows at every point of the grid, in its order: period, clock, margin, side, way to begin."""
    axes = [
        pl.DataFrame({"period": PERIODS}), pl.DataFrame({"clock_s": CLOCKS}), pl.DataFrame({"lead": MARGINS}),
        sides.with_columns(side=pl.Series([0, 1])).drop("period", "clock_s", "began", "margin", "lead", strict=False),
        pl.DataFrame({"began": BEGAN}),
    ]  # fmt: skip
    grid = axes[0]
    for axis in axes[1:]:
        grid = grid.join(axis, how="cross", maintain_order="left_right")
    early = pl.col("period") < 4
    length = pl.when(pl.col("period") > 4).then(float(OVERTIME_S)).otherwise(float(QUARTER_S))
    ends = pl.when(pl.col("period") > 4).then(float(REGULATION_S + OVERTIME_S)).otherwise(
        pl.col("period") * float(QUARTER_S)
    )  # fmt: skip
    fouls = (FOULS_A_PERIOD * (1 - pl.col("clock_s") / length)).round()
    efficiency = ("efficiency_so_far", "opp_efficiency_so_far", "pace_so_far")
    staying = grid.select(*efficiency)
    moved = grid.with_columns(
        has_ball=pl.lit(1.0), age_s=pl.lit(0.0), elapsed_s=ends - pl.col("clock_s"),
        # The home side's lead is the grid's axis; a row tells it from its own side.
        margin=pl.when(pl.col("side") == 0).then(pl.col("lead")).otherwise(-pl.col("lead")),
        team_fouls=fouls, opp_fouls=fouls, bonus=(fouls >= 4) | (~early & (pl.col("clock_s") <= 60)),
        opp_bonus=fouls >= 4, number=pl.lit(LEAGUE_SECONDS), team_points=pl.lit(0.0), opp_points=pl.lit(0.0),
    )  # fmt: skip
    return with_state(moved).with_columns(staying)


def simulate(
    law: Law, state: GameState, *, futures: int, seed: int, horizon_s: float = NEXT_S, until_end: bool = True
) -> Futures:
    """`futures` ways for the game to go on from `state`; without `until_end` only as far as `horizon_s`.

    Raises `InvalidInput` for a clock outside its period or an unknown way to begin.
    """
    length = QUARTER_S if state.period <= 4 else OVERTIME_S
    if not 0 <= state.clock_s <= length or state.began not in BEGAN:
        raise InvalidInput(
            f"no game stands at clock_s {state.clock_s} of period {state.period}, began {state.began!r}"
        )
    walk = _Walk(law, state, futures, np.random.default_rng(seed), horizon_s)
    for _ in range(MOST_POSSESSIONS):
        if not until_end:
            walk.open &= walk.gone < horizon_s
        if not walk.open.any():
            break
        walk.step()
    return Futures(walk.points, walk.soon, np.maximum(walk.period - 4, 0))


class _Walk:
    """N games between possessions."""

    def __init__(
        self, law: Law, state: GameState, futures: int, rng: np.random.Generator, horizon_s: float
    ) -> None:
        self._law, self._rng, self._horizon = law, rng, horizon_s
        self._lead = state.lead
        self.clock, self.gone = np.full(futures, float(state.clock_s)), np.zeros(futures)
        self.period = np.full(futures, state.period)
        self.ball = np.full(futures, 0 if state.ball_home else 1)
        self.began = np.full(futures, BEGAN.index(state.began))
        known = state.first_home
        self._first = rng.integers(0, 2, futures) if known is None else np.full(futures, 0 if known else 1)
        self.points, self.soon = np.zeros((futures, 2), np.int64), np.zeros((futures, 2), np.int64)
        self.open = np.ones(futures, dtype=bool)
        self._next_period(np.flatnonzero(self.clock <= 0))

    def step(self) -> None:
        """One possession of every open game."""
        who = np.flatnonzero(self.open)
        side, law = self.ball[who], self._law
        lead = self._lead + self.points[who, 0] - self.points[who, 1]
        kind = np.searchsorted(np.asarray(PERIODS), np.clip(self.period[who], PERIODS[0], PERIODS[-1]))
        at = (kind, _nearest(CLOCKS, self.clock[who]), _nearest(MARGINS, lead), side, self.began[who])
        band = self._draw(law.seconds[at])
        share = self._rng.random(who.size)
        lasted = np.minimum(law.low[band] + share * (law.high[band] - law.low[band]), self.clock[who])
        scored = self._draw(law.points[at])
        followed = self._draw(law.following[scored])
        scored = scored + ((scored == 3) & (self._rng.random(who.size) < FOUR))
        self.gone[who] += lasted
        self.clock[who] -= lasted
        self.points[who, side] += scored
        self.soon[who, side] += scored * (self.gone[who] <= self._horizon)
        self.ball[who], self.began[who] = 1 - side, followed
        self._next_period(who[self.clock[who] <= 1e-6])

    def _draw(self, below: Array) -> NDArray[np.intp]:
        """A class for each row of cumulated chances (n, C)."""
        mark = self._rng.random(len(below))
        drawn = (below[:, :-1] <= mark[:, None]).sum(axis=1)
        return np.asarray(drawn, dtype=np.intp)

    def _next_period(self, who: NDArray[np.intp]) -> None:
        """Start the next period of games whose clock ran out, or end them."""
        level = self._lead + self.points[who, 0] == self.points[who, 1]
        over = (self.period[who] >= 4) & ~level
        self.open[who[over]] = False
        on = who[~over]
        self.period[on] += 1
        late = self.period[on] > 4
        self.clock[on] = np.where(late, float(OVERTIME_S), float(QUARTER_S))
        # Whoever won the tip starts the fourth quarter, the others the second and third (NBA rule 6.I).
        starts = np.where(self.period[on] == 4, self._first[on], 1 - self._first[on])
        self.ball[on] = np.where(late, self._rng.integers(0, 2, on.size), starts)
        self.began[on] = START


def _nearest(grid: tuple[float, ...], values: NDArray[Any]) -> NDArray[np.intp]:
    """Index of the grid value nearest to each value (n,)."""
    points = np.asarray(grid, dtype=np.float64)
    return np.searchsorted((points[1:] + points[:-1]) / 2, values)
