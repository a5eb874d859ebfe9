"""The backtest answers every question once, with a model that is older than the question."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from features.errors import InvalidInput
from features.tables import Tables
from features.views import Views
from models.errors import TrainingError
from models.families import family_of
from models.training.walk_forward import PREDICTION, BacktestResult, backtest, folds, slices_before


@pytest.fixture(scope="module")
def result(league: Tables, small_params: dict[str, Any]) -> BacktestResult:
    """The second invented season, backtested."""
    return backtest(league, params=small_params, seasons=[2022], league="simulated")


def test_every_game_is_asked_once(result: BacktestResult, league: Tables) -> None:
    games = result.predictions.filter(pl.col("target") == "home_win")
    assert sorted(games["game_id"]) == sorted(league.games.filter(pl.col("season") == 2022)["game_id"])
    assert games["probability"].is_between(0, 1).all() and games["player_id"].null_count() == games.height


def test_every_player_game_but_the_first_is_asked_once(result: BacktestResult, league: Tables) -> None:
    points = result.predictions.filter(pl.col("target") == "fantasy_points_draftkings")
    own = league.box.filter(pl.col("season") == 2022)
    assert points.height == own.height - own["player_id"].n_unique()
    assert points.select("game_id", "player_id").is_unique().all()
    assert (points["q10"] <= points["q50"]).all() and (points["q50"] <= points["q90"]).all()
    assert points.select("mean", "label", "baseline").null_count().sum_horizontal()[0] == 0


def test_columns_and_moment(result: BacktestResult) -> None:
    assert result.predictions.schema == pl.Schema(PREDICTION)
    assert result.predictions["asked_at"].unique().to_list() == ["pregame"]


def test_no_model_is_younger_than_its_question(result: BacktestResult) -> None:
    trained = pl.col("version").str.strip_prefix("walk-forward-").str.to_date()
    late = result.predictions.filter(trained > pl.col("event_time").dt.date())
    assert late.is_empty()
    assert result.predictions["version"].n_unique() == 2


def test_report_gives_rows_dates_and_the_ungated_figure_first(result: BacktestResult) -> None:
    games = result.report["home_win"]
    assert list(games)[:5] == ["n", "first_date", "last_date", "dates", "accuracy"]
    assert games["n"] == result.predictions.filter(pl.col("target") == "home_win").height
    assert games["accuracy"]["low"] <= games["accuracy"]["value"] <= games["accuracy"]["high"]
    assert games["brier"]["value"] < games["baselines"]["home"]["brier"]
    early = games["without_announcements"]
    assert early["n"] == games["n"] and early["brier"]["value"] != games["brier"]["value"]
    json.dumps(result.report, allow_nan=False)
    points = result.report["fantasy_points_draftkings"]
    assert points["n"] == points["without_announcements"]["n"] == points["by_season"]["2022"]["n"]
    assert 0.6 < points["interval_80_coverage"]["value"] < 0.95


def test_calibration_is_later_than_the_fit_and_earlier_than_the_test(league: Tables, league_views: Views) -> None:
    rows = family_of("projection").labelled_rows(league, league_views)
    start = date(2022, 12, 1)
    fit, calibrate = slices_before(rows, start, 10)
    assert fit["game_date"].max() < calibrate["game_date"].min()  # type: ignore[operator]
    assert calibrate["game_date"].max() < start  # type: ignore[operator]
    assert calibrate["game_date"].n_unique() == 10


def test_folds_cover_each_season_without_overlap(league: Tables) -> None:
    plan = folds(league, None)
    assert [fold.season for fold in plan] == [2022, 2022]
    assert plan[0].until == plan[1].start >= date(2023, 1, 15)


def test_of_a_season_nothing_comes_before_the_second_half_is_tested(league: Tables) -> None:
    dates = league.games.filter(season=2021)["game_date"].unique().sort()
    plan = folds(league, [2021])
    assert plan[0].start == dates[len(dates) // 2]
    assert plan[-1].until > dates[-1]


def test_a_season_that_is_not_there_is_refused(league: Tables) -> None:
    with pytest.raises(InvalidInput, match="1999"):
        folds(league, [1999])


def test_too_little_history_says_so(league: Tables, league_views: Views) -> None:
    rows = family_of("win_probability").labelled_rows(league, league_views)
    with pytest.raises(TrainingError, match="calibration_days"):
        slices_before(rows, date(2021, 11, 20), 30)
