"""The backtest on a folder that holds one season, poorer than any it was developed on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.params import read_params
from features.play.plays import recorded_plays
from flows.backtest import read_tables
from models.backtesting.predictions import PREDICTION
from models.families import FAMILIES
from models.training.walk_forward import backtest
from tests.fixtures.unseen_season import MISSING_EVENTS, write_unseen_season

SEASON = 2024


@pytest.fixture(scope="module")
def quick() -> dict[str, Any]:
    """The parameters of the line with one epoch each: what is tested is that every question is answered."""
    params = copy.deepcopy(read_params())
    for family in FAMILIES:
        params["train"][family]["max_epochs"] = 1
    params["evaluate"]["bootstrap"] = 50
    return params


@pytest.mark.real_data
def test_every_family_answers_a_single_unseen_season(
    fantasy_data: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    folder = write_unseen_season(fantasy_data, tmp_path, SEASON, dates=70)
    plays = recorded_plays(folder)
    assert not plays.read(SEASON)["event_type"].is_in(MISSING_EVENTS).any()
    tables = read_tables(folder)
    result = backtest(tables, params=quick, plays=plays)
    assert result.report["left_out"] == {}
    assert result.predictions.schema == pl.Schema(PREDICTION)
    asked = set(result.predictions.select("target", "asked_at").unique().rows())
    assert {("home_win", moment) for moment in ("pregame", "q1", "half", "q3")} <= asked
    assert {("over_projection", moment) for moment in ("q1", "half", "q3")} <= asked
    assert {("next_possession_points", "possession"), ("shot_made", "shot")} <= asked
    dates = tables.games["game_date"].unique().sort()
    tested = tables.games.filter(pl.col("game_date") >= dates[len(dates) // 2])["game_id"]
    before = result.predictions.filter(target="home_win", asked_at="pregame")
    assert sorted(before["game_id"]) == sorted(tested)
    live = result.predictions.filter(target="home_win", asked_at="half")
    assert 0.8 * len(tested) < live.height < len(tested), "a few games have no play-by-play"
    numbers = result.predictions.select(pl.col("mean", "probability", "q10", "q90", "p0").is_finite())
    assert all(numbers[name].drop_nulls().all() for name in numbers.columns)


@pytest.mark.real_data
def test_without_play_by_play_only_the_games_to_come_are_asked(
    fantasy_data: Path, tmp_path: Path, quick: dict[str, Any]
) -> None:
    folder = write_unseen_season(fantasy_data, tmp_path, SEASON, dates=60, with_plays=False)
    result = backtest(read_tables(folder), params=quick, plays=recorded_plays(folder))
    assert set(result.report["left_out"]) == {"live_win", "live_line", "possession", "shot"}
    assert result.predictions["asked_at"].unique().to_list() == ["pregame"]
    assert result.report["targets"]["home_win"]["pregame"]["baselines"].keys() == {"elo", "home"}
