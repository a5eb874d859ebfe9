"""P(plays): who counts as a candidate, and what a long absence means."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features.tables import Tables
from features.views import PLAYER_FEATURES, Views, compute_views, player_rows
from features.views.entities import PLAYER_ENTITY
from models.projection.availability import MISSED, UNPLAYED, Availability, fit_availability
from models.training.candidates import candidate_rows
from models.trunk import feature_matrix
from tests.fixtures.invented import TEAMS, invented_league

NEXT_SEASON = date(2024, 10, 25)


def _absences(tables: Tables) -> Tables:
    """Some players of every team miss the first 30 or all dates of a season, one changes teams over the summer."""
    day, player, season = pl.col("game_date"), pl.col("player_id"), pl.col("season")
    dates = {year: tables.games.filter(season == year)["game_date"].unique().sort() for year in (2021, 2022, 2023)}
    late = ((player % 100 == 7) & (season == 2022) & (day < dates[2022][30])) | (
        (player % 100 == 6) & (season == 2023) & (day < dates[2023][45])
    )
    box = tables.box.filter(~late).with_columns(
        player_id=pl.when((season == 2023) & (player == 1000)).then(1100 + 50)
        .when((season == 2023) & (player == 1100)).then(1000).otherwise(player).cast(pl.Int32)
    )  # fmt: skip
    return Tables(tables.games, box)


@pytest.fixture(scope="module")
def seasons() -> Tables:
    """Three invented seasons with long absences."""
    return _absences(invented_league(seasons=(2021, 2022, 2023)))


@pytest.fixture(scope="module")
def views(seasons: Tables) -> Views:
    return compute_views(seasons)


@pytest.fixture(scope="module")
def rows(seasons: Tables, views: Views) -> pl.DataFrame:
    through = seasons.games["game_date"].max()
    assert isinstance(through, date)
    return candidate_rows(seasons, views, through)


@pytest.fixture(scope="module")
def fitted(rows: pl.DataFrame) -> Availability:
    inputs = feature_matrix(rows, PLAYER_FEATURES)
    made = fit_availability(inputs, PLAYER_FEATURES, rows["played"].to_numpy())
    return Availability.from_json(json.loads(json.dumps(made.as_json())))


def _asked(seasons: Tables, views: Views, player_id: int, team: str, day: date, season: int) -> pl.DataFrame:
    played = seasons.box.filter(pl.col("game_date") <= day)["event_time"].max()
    assert isinstance(played, datetime)
    row = {
        "game_id": "x", "player_id": player_id, "team": team, "opp": "NYK", "is_home": True, "game_date": day,
        "season": season, "season_type": "regular", "as_of": played + timedelta(days=1), "starter": None,
    }  # fmt: skip
    return player_rows(pl.DataFrame([row], schema=PLAYER_ENTITY), views)


def _probability(fitted: Availability, rows: pl.DataFrame) -> float:
    return float(fitted.probability(feature_matrix(rows, PLAYER_FEATURES), PLAYER_FEATURES)[0])


def test_unseen_for_twenty_games_of_the_season_is_unlikely_and_opening_night_is_not(
    seasons: Tables, views: Views, fitted: Availability
) -> None:
    dates = seasons.games.filter(pl.col("season") == 2023)["game_date"].unique().sort()
    absent = 1000 + 100 * TEAMS.index("ATL") + 6
    unseen = _asked(seasons, views, absent, "ATL", dates[25], 2023)
    assert unseen["new_season"].item() == 1 and unseen["team_games_season"].item() >= 20
    assert _probability(fitted, unseen) < 0.3
    for slot in range(2, 6):
        opening = _asked(seasons, views, 1000 + slot, "ATL", NEXT_SEASON, 2024)
        assert opening["team_games_season"].item() is None
        assert _probability(fitted, opening) > 0.6
    regular = _asked(seasons, views, 1003, "ATL", dates[25], 2023)
    assert _probability(fitted, regular) > 0.8


def test_games_missed_are_counted_within_the_season_only() -> None:
    names = ("team_games_missed", "team_games_season", "new_season")
    rng = np.random.default_rng(0)
    new = rng.integers(0, 2, 8000)
    so_far, since = rng.integers(0, 40, 8000), rng.integers(0, 40, 8000)
    inputs = np.stack([since, so_far, new], 1).astype(np.float32)
    missed = np.where(new == 1, so_far, np.minimum(since, so_far))
    fitted = fit_availability(inputs, names, rng.random(8000) < np.where(missed < 6, 0.9, 0.1))
    assert {MISSED, UNPLAYED} <= set(fitted.features)
    asked = np.array([[30, 2, 0], [30, 30, 0], [3, np.nan, 1], [3, 25, 1]], np.float32)
    assert fitted.probability(asked, names) == pytest.approx([0.9, 0.1, 0.9, 0.1], abs=0.06)


def test_a_player_belongs_to_the_team_he_plays_for_next(rows: pl.DataFrame, seasons: Tables) -> None:
    """1000 left ATL for BOS in the summer of 2023."""
    moved = rows.filter((pl.col("player_id") == 1000) & (pl.col("season") == 2023))
    assert moved["team"].unique().to_list() == ["BOS"]
    assert rows.select("game_id", "player_id").is_unique().all()


def test_somebody_never_seen_again_is_no_candidate_of_the_next_season(rows: pl.DataFrame) -> None:
    """1100 became 1000 in 2023 and is himself never seen again."""
    gone = rows.filter(pl.col("player_id") == 1100)
    assert gone["season"].max() == 2022


def test_a_newcomer_is_a_candidate_before_his_first_game_for_the_team() -> None:
    tables = invented_league(seasons=(2021, 2022))
    first = tables.games.filter(pl.col("season") == 2022)["game_date"].unique().sort()
    kept = ~((pl.col("player_id") == 1000) & (pl.col("season") == 2022) & (pl.col("game_date") < first[10]))
    traded = pl.when((pl.col("player_id") == 1000) & (pl.col("season") == 2021)).then(pl.lit("PHX"))
    box = tables.box.filter(kept).with_columns(team=traded.otherwise(pl.col("team")))
    altered = Tables(tables.games, box)
    rows = candidate_rows(altered, compute_views(altered), first[-1])
    waiting = rows.filter(
        (pl.col("player_id") == 1000) & (pl.col("game_date") < first[10]) & (pl.col("season") == 2022)
    )
    assert waiting["team"].unique().to_list() == ["ATL"]
    assert waiting["played"].sum() == 0 and waiting.height == 10
    assert (waiting["new_team"] == 1).all()
