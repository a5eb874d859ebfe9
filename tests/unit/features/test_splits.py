"""Splits: a game is on one side, the past comes first, and every date is tested once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInput, SchemaError
from features.splits import holdout, walk_forward

DAYS = [date(2023, 11, 1) + timedelta(days=n) for n in (*range(40), *range(300, 340))]
NEXT_DAY = datetime(2024, 10, 6, 5, tzinfo=UTC)


def frame(days: list[date]) -> pl.DataFrame:
    games = [(day, f"{day}-{n}") for day in days for n in range(3)]
    return pl.DataFrame(games, schema=["game_date", "game_id"], orient="row")


@given(st.sets(st.dates(date(2020, 1, 1), date(2021, 1, 1)), min_size=2), st.integers(1, 30), st.data())
def test_folds_test_every_date_once_and_never_fit_on_it(days: set[date], step: int, data: st.DataObject) -> None:
    played = sorted(days)
    start = data.draw(st.sampled_from(played[1:]))
    rows = frame(played)
    tested: list[date] = []
    for number, fold in enumerate(walk_forward(played, start=start, step_days=step)):
        fit, test = fold.split(rows)
        assert fold.number == number
        assert fit["game_date"].max() < test["game_date"].min()
        assert fit["game_date"].n_unique() == len([day for day in played if day < fold.test_from])
        assert 1 <= test["game_date"].n_unique() <= step
        tested.extend(sorted(test["game_date"].unique()))
    assert tested == [day for day in played if day >= start]


@pytest.mark.parametrize(("start", "step"), [(DAYS[0], 5), (DAYS[-1] + timedelta(days=1), 5), (DAYS[9], 0)])
def test_a_walk_that_cannot_start_is_refused(start: date, step: int) -> None:
    with pytest.raises(InvalidInput, match=r"start|step_days"):
        list(walk_forward(DAYS, start=start, step_days=step))


def test_no_dates_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match="none"):
        list(walk_forward([], start=DAYS[0], step_days=5))


def test_holdout_counts_dates_with_games_across_an_off_season() -> None:
    parts = holdout(frame(DAYS), NEXT_DAY, 28, 42)
    assert parts.test["game_date"].unique().sort().to_list() == DAYS[-28:]
    assert parts.calibrate["game_date"].unique().sort().to_list() == DAYS[-70:-28]
    assert parts.fit["game_date"].unique().sort().to_list() == DAYS[:-70]


def test_the_day_itself_is_not_known_until_it_is_over_in_the_east() -> None:
    last = DAYS[-1]
    late_evening_eastern = datetime(last.year, last.month, last.day, 12, tzinfo=UTC) + timedelta(hours=15)
    assert holdout(frame(DAYS), late_evening_eastern, 1, 1).test["game_date"].max() == DAYS[-2]
    after_midnight_eastern = late_evening_eastern + timedelta(hours=2)
    assert holdout(frame(DAYS), after_midnight_eastern, 1, 1).test["game_date"].max() == last


@pytest.mark.parametrize(("test_days", "calibration_days"), [(0, 5), (5, 0), (40, 40)])
def test_a_holdout_that_would_be_empty_is_refused(test_days: int, calibration_days: int) -> None:
    with pytest.raises(InvalidInput, match="holdout_days"):
        holdout(frame(DAYS), NEXT_DAY, test_days, calibration_days)


def test_a_game_with_two_dates_is_refused() -> None:
    torn = frame(DAYS).with_columns(game_id=pl.lit("same"))
    with pytest.raises(SchemaError, match="same"):
        holdout(torn, NEXT_DAY, 5, 5)
    with pytest.raises(SchemaError, match="same"):
        next(walk_forward(DAYS, start=DAYS[5], step_days=5)).split(torn)
