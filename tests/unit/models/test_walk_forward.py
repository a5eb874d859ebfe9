"""The backtest answers every question once, with a model that is older than the question."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from features.errors import InvalidInput
from features.play.plays import Plays
from features.tables import Tables
from features.views import Views
from models.backtesting.predictions import PREDICTION
from models.errors import TrainingError
from models.families import family_of
from models.training.folds import affordable_days, folds, slices_before, together
from models.training.walk_forward import BacktestResult, backtest
from tests.fixtures.invented import invented_league

MACRO = ("projection", "win_probability")


@pytest.fixture(scope="module")
def result(league: Tables, small_params: dict[str, Any]) -> BacktestResult:
    """The second invented season, backtested; no play-by-play was recorded of it."""
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


def test_the_columns_of_the_first_issue_come_first(result: BacktestResult) -> None:
    first = (
        "model version target game_id player_id asked_at event_time mean probability q10 q50 q90 label baseline"
    )
    assert result.predictions.schema == pl.Schema(PREDICTION)
    assert list(PREDICTION)[:14] == first.split()
    assert result.predictions["asked_at"].unique().to_list() == ["pregame"]


def test_no_model_is_younger_than_its_question(result: BacktestResult) -> None:
    trained = pl.col("version").str.strip_prefix("walk-forward-").str.to_date()
    late = result.predictions.filter(trained > pl.col("event_time").dt.date())
    assert late.is_empty()
    assert result.predictions["version"].n_unique() == 2


def test_report_gives_rows_dates_and_the_ungated_figure_before_the_gate(result: BacktestResult) -> None:
    games = result.report["targets"]["home_win"]["pregame"]
    keys = list(games)
    assert keys.index("n") < keys.index("accuracy") < keys.index("gated")
    assert games["n"] == result.predictions.filter(pl.col("target") == "home_win").height
    assert games["accuracy"]["low"] <= games["accuracy"]["value"] <= games["accuracy"]["high"]
    assert games["baselines"]["home"]["saved"]["value"] > 0
    early = games["cases"]["without_announcements"]
    assert early["n"] == games["n"] and early["brier"]["value"] != games["brier"]["value"]
    json.dumps(result.report, allow_nan=False)
    points = result.report["targets"]["fantasy_points_draftkings"]["pregame"]
    assert points["n"] == points["cases"]["line_ups_only"]["n"] == points["by_season"]["2022"]["n"]
    assert 0.6 < points["interval_80_coverage"]["value"] < 0.95
    ewma = points["baselines"]["ewma"]
    assert ewma["crps_skill"]["value"] == pytest.approx(1 - points["crps"]["value"] / ewma["crps"], abs=1e-4)
    assert points["mae"]["value"] < ewma["mae"]
    role = points["slices"]["role"]
    assert role["starters"]["n"] + role["bench"]["n"] == points["n"]


def test_families_without_play_by_play_are_left_out_with_the_reason(result: BacktestResult) -> None:
    assert set(result.report["retrained_on"]) == set(MACRO)
    assert set(result.report["left_out"]) == {"live_win", "live_line", "possession", "shot"}
    assert all("no play-by-play of seasons [2022]" in reason for reason in result.report["left_out"].values())


def test_a_family_asked_for_by_name_is_never_left_out(league: Tables, small_params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="no play-by-play"):
        backtest(league, params=small_params, seasons=[2022], families=["live_win"])
    with pytest.raises(InvalidInput, match="unknown"):
        backtest(league, params=small_params, seasons=[2022], families=["oracle"])


def test_play_by_play_of_other_seasons_does_not_help(league: Tables, small_params: dict[str, Any]) -> None:
    plays = Plays((2021,), lambda season: pl.DataFrame())
    with pytest.raises(InvalidInput, match="no play-by-play of seasons"):
        backtest(league, params=small_params, seasons=[2022], families=["shot"], plays=plays)


def test_a_single_season_without_lines_is_tested_from_its_middle(small_params: dict[str, Any]) -> None:
    """As on a folder that holds one unseen season: nothing before it, no closing lines, a few games missing."""
    league = invented_league((2022,), dates=90)
    no_line = pl.lit(None, pl.Float32).alias("close_home_spread")
    games = league.games.with_columns(no_line).filter(pl.int_range(pl.len()) % 17 != 3)
    alone = Tables(games, league.box.join(games.select("game_id"), on="game_id", how="semi"))
    result = backtest(alone, params=small_params)
    asked = result.predictions.filter(pl.col("target") == "home_win")
    dates = games["game_date"].unique().sort()
    tested = games.filter(pl.col("game_date") >= dates[len(dates) // 2])
    assert sorted(asked["game_id"]) == sorted(tested["game_id"])
    assert "market" not in result.report["targets"]["home_win"]["pregame"]["baselines"]


def test_calibration_is_later_than_the_fit_and_earlier_than_the_test(league: Tables, league_views: Views) -> None:
    rows = family_of("projection").labelled_rows(league, league_views)
    start = date(2022, 12, 1)
    fit, calibrate = slices_before(rows, start, 10)
    assert fit["game_date"].max() < calibrate["game_date"].min()  # type: ignore[operator]
    assert calibrate["game_date"].max() < start  # type: ignore[operator]
    assert calibrate["game_date"].n_unique() == 10


def test_folds_cover_each_season_without_overlap(league: Tables) -> None:
    plan = folds(league.games, None)
    assert [fold.season for fold in plan] == [2022, 2022]
    assert plan[0].until == plan[1].start >= date(2023, 1, 15)


def test_of_a_season_nothing_comes_before_the_second_half_is_tested(league: Tables) -> None:
    dates = league.games.filter(season=2021)["game_date"].unique().sort()
    plan = folds(league.games, [2021])
    assert plan[0].start == dates[len(dates) // 2]
    assert plan[-1].until > dates[-1]


def test_a_season_too_long_ago_teaches_nothing(league: Tables) -> None:
    gap = league.games.filter(season=2022).with_columns(season=pl.lit(2030, pl.Int16))
    both = pl.concat([league.games.filter(season=2021), gap])
    assert folds(both, [2030], learned=5)[0].start > folds(both, [2030], learned=9)[0].start


def test_seasons_are_held_in_memory_few_at_a_time() -> None:
    assert together([2023, 2024], 5) == [[2023, 2024]]
    assert together([2021, 2022, 2023, 2024], 5) == [[2021, 2022], [2023, 2024]]
    assert together([2015, 2024], 3) == [[2015], [2024]]
    assert together([2023, 2024], 20) == [[2023], [2024]]


def test_a_season_that_is_not_there_is_refused(league: Tables) -> None:
    with pytest.raises(InvalidInput, match="1999"):
        folds(league.games, [1999])


def test_too_little_history_says_so(league: Tables, league_views: Views) -> None:
    rows = family_of("win_probability").labelled_rows(league, league_views)
    start = date(2021, 11, 20)
    with pytest.raises(TrainingError, match="calibration_days"):
        slices_before(rows, start, 30)
    assert affordable_days(rows, start, 30) == 3
