"""Play a contest over many scenarios: every lineup's exact prizes against a field, alone or as one portfolio."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.sources.payouts import Payouts
from models.errors import Cancelled

if TYPE_CHECKING:
    from models.lineups.simulation.field import Field

Progress = Callable[[str, int, int], None]
Rows = NDArray[np.int32]
Span = TypeVar("Span")
Result = TypeVar("Result")

# Scenarios a thread plays between two looks at `cancelled`: some 20 ms against 10,000 entries.
CHUNK = 512
#: Half and single steps are tried for captains' 1.5 times a grid of whole steps.
_FINER = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class ScoreGrid:
    """`points` (N, S) of every pool row in every scenario, whole multiples of `step` fantasy points."""

    points: NDArray[Any]
    step: float

    @property
    def scenarios(self) -> int:
        """How many scenarios there are."""
        return int(self.points.shape[1])

    def part(self, first: int, last: int) -> ScoreGrid:
        """Scenarios first..last - 1."""
        return ScoreGrid(np.ascontiguousarray(self.points[:, first:last]), self.step)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Scenarios first..last - 1 are played against `field`."""

    first: int
    last: int
    field: Field


@dataclass(frozen=True, slots=True, eq=False)
class Payoff:
    """What C lineups won in S scenarios. Money in USD.

    `mean_usd` (C,) is the mean prize; `win`, `top10`, `top1` (1 % of the entries) and `cash` (C,) are shares of the
    scenarios in which a lineup finishes there, ties included. `prize_usd` (C, S) where asked for. `sum_usd` (S,) adds
    all lineups' prizes; `any_first` and `any_top10` (S,) say whether one of them was there (joint play only).
    """

    mean_usd: NDArray[np.float64]
    win: NDArray[np.float64]
    top10: NDArray[np.float64]
    top1: NDArray[np.float64]
    cash: NDArray[np.float64]
    prize_usd: NDArray[np.float32] | None
    sum_usd: NDArray[np.float64]
    any_first: NDArray[np.bool_]
    any_top10: NDArray[np.bool_]


def score_grid(row_scores: NDArray[np.float32], step: float, size: int) -> ScoreGrid:
    """Row scores (S, N) as whole numbers (N, S); `size` players must not overflow. Raises `InvalidInput` off grid."""
    if not np.isfinite(row_scores).all():
        raise InvalidInput("scenario points hold NaN or infinity; every player needs a finite number of points")
    for finer in _FINER:
        units = row_scores * np.float32(finer / step)
        whole = np.rint(units)
        if float(np.abs(units - whole).max(initial=0.0)) < 0.02:
            width = np.int16 if float(np.abs(whole).max(initial=0.0)) * size < 32_000 else np.int32
            return ScoreGrid(np.ascontiguousarray(whole.T.astype(width)), step / finer)
    raise InvalidInput(f"scenario points are no multiples of {step / _FINER[-1]} fantasy points; round them first")


def play_alone(
    grid: ScoreGrid,
    against: Field | Sequence[Match],
    lineups: Rows,
    payouts: Payouts,
    *,
    keep_prizes: bool = False,
    blur_points: float = 0.0,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Payoff:
    """Each of `lineups` (C, size) enters beside the field, alone: its own other entries take no place from it.

    `blur_points` evens prizes out over scores that near (`kernels.Prizes`): no longer exact, but a steadier estimate
    of what a lineup is worth, since a step of one place to the first multiplies a prize.
    """
    matches = _matches(grid, against)
    blur = round(blur_points / grid.step)
    return _play(grid, matches, lineups, True, payouts, keep_prizes, on_progress, cancelled, blur)


def play_together(
    grid: ScoreGrid,
    against: Field | Sequence[Match],
    lineups: Rows,
    payouts: Payouts,
    *,
    keep_prizes: bool = False,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Payoff:
    """All of `lineups` (C, size) enter beside the field: they take places and share tied prizes with one another."""
    matches = []
    for match in _matches(grid, against):
        rows = np.concatenate([match.field.rows, lineups.astype(np.int32)])
        count = np.concatenate([match.field.count, np.ones(len(lineups), dtype=np.int64)])
        matches.append(replace(match, field=replace(match.field, rows=rows, count=count)))
    return _play(grid, matches, lineups, False, payouts, keep_prizes, on_progress, cancelled)


def _matches(grid: ScoreGrid, against: Field | Sequence[Match]) -> Sequence[Match]:
    matches = against if isinstance(against, Sequence) else [Match(0, grid.scenarios, against)]
    if any(not len(match.field.rows) for match in matches):
        raise InvalidInput("the field is empty; simulate at least one opposing entry")
    return matches


def _play(
    grid: ScoreGrid,
    matches: Sequence[Match],
    lineups: Rows,
    joins: bool,
    payouts: Payouts,
    keep_prizes: bool,
    on_progress: Progress | None,
    cancelled: Callable[[], bool] | None,
    blur: int = 0,
) -> Payoff:
    from models.lineups.simulation.kernels import Prizes, Tally, play

    entries = max(match.field.entries for match in matches) + joins
    # Widest first, as the kernel wants them; equal ones are harmless.
    places = {"cash": min(payouts.paid_places, entries), "top1": max(1, entries // 100), "top10": 10, "win": 1}
    order = sorted(places, key=lambda name: -places[name])
    prizes = Prizes(payouts.cumulative_usd(entries), np.array([places[n] for n in order], dtype=np.int64), blur)
    scenarios, mine = grid.scenarios, np.ascontiguousarray(lineups, dtype=np.int32)
    prize = np.zeros((len(mine), scenarios if keep_prizes else 0), dtype=np.float32)
    total, reached = np.zeros(scenarios), np.zeros((scenarios, len(order)), dtype=np.bool_)

    def chunk(span: tuple[Field, int, int]) -> Tally:
        field, first, last = span
        tally = Tally(np.zeros(len(mine)), np.zeros((len(mine), len(order)), np.int64), prize, total, reached)
        play(grid.points, field.rows, field.count, mine, joins, prizes, first, last, tally)
        return tally

    spans = [
        (match.field, first, min(first + CHUNK, match.last))
        for match in matches
        for first in range(match.first, match.last, CHUNK)
    ]
    tallies = _threaded(chunk, spans, on_progress, cancelled)
    hits = np.sum([tally.hits for tally in tallies], axis=0) / scenarios
    share = {name: hits[:, at] for at, name in enumerate(order)}
    return Payoff(
        mean_usd=np.sum([tally.total for tally in tallies], axis=0) / scenarios,
        **share,
        prize_usd=prize if keep_prizes else None,
        sum_usd=total,
        any_first=reached[:, order.index("win")],
        any_top10=reached[:, order.index("top10")],
    )


def _threaded(
    work: Callable[[Span], Result],
    spans: Sequence[Span],
    on_progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> list[Result]:
    """Run chunks on all cores (the kernel holds no GIL), in order of result; stop soon after `cancelled`."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        futures: list[Future[Result]] = [pool.submit(work, span) for span in spans]
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if done and on_progress is not None:
                    on_progress("contest", len(futures) - len(waiting), len(futures))
                if cancelled is not None and cancelled():
                    raise Cancelled("the contest simulation was cancelled")
        finally:
            for future in waiting:
                future.cancel()
        return [future.result() for future in futures]
