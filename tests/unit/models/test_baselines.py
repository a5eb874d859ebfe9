"""Baselines know only earlier games, and are what their names say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.errors import SchemaError
from features.scoring import fantasy_points
from features.tables import Tables
from models.baselines import game_baselines, market_probability, player_baselines


def test_season_mean_is_the_mean_of_earlier_games(league: Tables) -> None:
    player = league.box["player_id"][0]
    own = league.box.filter((pl.col("player_id") == player) & (pl.col("season") == 2022)).sort("event_time")
    points = own.select(fantasy_points("draftkings")).to_series().to_numpy()
    found = own.select("game_id", "player_id").join(
        player_baselines(league.box), on=["game_id", "player_id"], how="left", maintain_order="left"
    )
    assert found["earlier_games"].to_list() == list(range(len(own)))
    assert found["season_mean_draftkings"][0] is None
    assert found["season_mean_draftkings"][5] == pytest.approx(points[:5].mean())


def test_ewma_weighs_the_game_four_back_half_as_much(league: Tables) -> None:
    player = league.box["player_id"][0]
    own = league.box.filter(pl.col("player_id") == player).sort("event_time").head(9)
    points = own.select(fantasy_points("yahoo")).to_series().to_numpy()
    weights = 0.5 ** (np.arange(8)[::-1] / 4)
    last = player_baselines(own)["ewma_yahoo"][8]
    assert last == pytest.approx(np.sum(weights * points[:8]) / weights.sum())


def test_no_baseline_moves_when_its_own_game_changes(league: Tables) -> None:
    game = league.games.sort("event_time")["game_id"][300]
    touched = pl.col("game_id") == game
    box = league.box.with_columns(pl.when(touched).then(9999).otherwise(pl.col("pts")).cast(pl.Int16).alias("pts"))
    swapped = league.games.with_columns(
        pl.when(touched).then(~pl.col("home_win")).otherwise(pl.col("home_win")).alias("home_win"),
        pl.when(touched).then(pl.col("away_score")).otherwise(pl.col("home_score")).alias("home_score"),
        pl.when(touched).then(pl.col("home_score")).otherwise(pl.col("away_score")).alias("away_score"),
    )
    answers = ("home_probability", "elo_probability", "market_probability")
    for before, after, columns in (
        (player_baselines(league.box), player_baselines(box), ("season_mean_draftkings", "ewma_draftkings")),
        (game_baselines(league.games), game_baselines(swapped), answers),
    ):
        assert before.filter(touched).select(columns).equals(after.filter(touched).select(columns))
        assert not before.select(columns).equals(after.select(columns))


def test_elo_beats_the_home_side_in_a_league_with_skill(league: Tables) -> None:
    late = league.games.join(game_baselines(league.games), on="game_id").filter(pl.col("season") == 2022)
    won = late["home_win"].cast(pl.Float64)
    brier = {name: ((late[f"{name}_probability"] - won) ** 2).mean() for name in ("elo", "home")}
    assert brier["elo"] < 0.7 * brier["home"]


def test_market_reads_the_spread_as_a_normal() -> None:
    found = pl.DataFrame({"close_home_spread": [0.0, -12.2, None]}).select(market_probability()).to_series()
    assert found.to_list()[:2] == pytest.approx([0.5, 0.8413], abs=1e-4)
    assert found[2] is None


def test_games_without_times_are_refused(league: Tables) -> None:
    with pytest.raises(SchemaError, match="event_time"):
        game_baselines(league.games.drop("event_time"))
