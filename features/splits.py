"""Splits by game date, so that a game is never on both sides and the past never learns from the future."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput, SchemaError
from features.tables import EASTERN


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of a walk forward: fit on dates before `test_from`, test on `test_from <= date < test_until`."""

    number: int
    test_from: date
    test_until: date

    def split(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows to fit on and rows to test on, by the column `game_date`. Raises `SchemaError` for a split game."""
        _one_date_per_game(frame)
        day = pl.col("game_date")
        return frame.filter(day < self.test_from), frame.filter((day >= self.test_from) & (day < self.test_until))


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to fit, to calibrate (and stop early) on, and to test on; each later than the one before."""

    fit: pl.DataFrame
    calibrate: pl.DataFrame
    test: pl.DataFrame


def walk_forward(dates: Iterable[date], *, start: date, step_days: int) -> Iterator[Fold]:
    """Yield folds that cover every date of `dates` from `start` on, `step_days` distinct game dates each.

    Off-seasons take no steps, since only dates with games are counted.
    Raises `InvalidInput` when a step is not positive, or when no date comes before `start` or from it on.
    """
    if step_days < 1:
        raise InvalidInput(f"step_days is {step_days}; use 1 or more")
    played = sorted(set(dates))
    tested = [day for day in played if day >= start]
    if not tested or tested[0] == played[0]:
        span = f"{played[0]} to {played[-1]}" if played else "none"
        raise InvalidInput(f"start {start} leaves nothing to fit or nothing to test (game dates: {span})")
    after_last = date.fromordinal(tested[-1].toordinal() + 1)
    edges = [*tested[::step_days], after_last]
    for number, (first, following) in enumerate(itertools.pairwise(edges)):
        yield Fold(number, first, following)


def holdout(frame: pl.DataFrame, as_of: datetime, holdout_days: int, calibration_days: int) -> Split:
    """Split the rows known before the US Eastern day of `as_of` into fit, calibrate and test.

    The newest `holdout_days` distinct game dates are the test, the `calibration_days` before them calibrate,
    the rest fit. Dates with games are counted rather than calendar days, so an off-season empties nothing.
    Raises `InvalidInput` when a part would be empty, `SchemaError` when a game has two dates.
    """
    if holdout_days < 1 or calibration_days < 1:
        raise InvalidInput(
            f"holdout_days is {holdout_days}, calibration_days is {calibration_days}; use 1 or more"
        )
    _one_date_per_game(frame)
    today = as_of.astimezone(ZoneInfo(EASTERN)).date()
    known = frame.filter(pl.col("game_date") < today)
    played: list[date] = known["game_date"].unique().sort().to_list()
    needed = holdout_days + calibration_days + 1
    if len(played) < needed:
        raise InvalidInput(
            f"{len(played)} game dates before {today} are too few for holdout_days={holdout_days} and "
            f"calibration_days={calibration_days}; collect {needed} or lower them in params.yaml"
        )
    day = pl.col("game_date")
    test_from = played[-holdout_days]
    calibrate_from = played[-holdout_days - calibration_days]
    return Split(
        fit=known.filter(day < calibrate_from),
        calibrate=known.filter((day >= calibrate_from) & (day < test_from)),
        test=known.filter(day >= test_from),
    )


def _one_date_per_game(frame: pl.DataFrame) -> None:
    if "game_id" not in frame.columns:
        return
    dates = frame.group_by("game_id").agg(pl.col("game_date").n_unique().alias("dates"))
    torn = dates.filter(pl.col("dates") > 1)["game_id"]
    if len(torn):
        raise SchemaError(f"game_id {torn[0]!r} has more than one game_date; {len(torn)} games would be split")
