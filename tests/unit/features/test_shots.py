"""Shots as they stood before they fell, and records that hold only what came before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features.play.plays import COLUMNS
from features.play.shots import (
    LEAGUE,
    LEANING,
    ZONES,
    defence_rates,
    shooter_rates,
    shots,
    tallies,
    type_rates,
    type_tallies,
    zone,
)
from features.sources.simulated import SimulatedSource


@pytest.fixture(scope="module")
def league() -> dict[str, pl.DataFrame]:
    """Games and plays of ten simulated days."""
    source = SimulatedSource(12, [2023], date(2023, 11, 1))
    batches = source.batches(as_of=datetime(2023, 11, 1, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    return {"games": frames["games"], "plays": frames["pbp"].select(COLUMNS).sort("game_id", "seq")}


def test_every_attempt_is_a_row_with_the_game_before_it(league: dict[str, pl.DataFrame]) -> None:
    plays = league["plays"]
    found = shots(plays)
    tried = plays.filter(pl.col("event_type").is_in(["made_shot", "missed_shot"]))
    assert found.select("game_id", "seq").equals(tried.select("game_id", "seq"))
    for row in found.sample(25, seed=1).iter_rows(named=True):
        own = found.filter(pl.col("game_id") == row["game_id"], pl.col("player_id") == row["player_id"])
        earlier = own.filter(pl.col("seq") < row["seq"])
        assert (row["game_attempts"], row["game_makes"]) == (earlier.height, earlier["made"].sum())
        before = (
            plays.filter(pl.col("game_id") == row["game_id"], pl.col("seq") < row["seq"])
            .tail(1)
            .row(0, named=True)
        )
        lead = before["home_score"] - before["away_score"]
        assert row["margin"] == (lead if row["at_home"] else -lead)


def test_what_came_of_a_shot_is_in_no_column_but_made(league: dict[str, pl.DataFrame]) -> None:
    """The newest shot of every game turned from made to missed and back, and everything after it blown up."""
    plays = league["plays"].with_columns(pl.col("home_score", "away_score", "points").cast(pl.Int64))
    shot = pl.col("event_type").is_in(["made_shot", "missed_shot"])
    chosen = pl.col("seq") == pl.col("seq").filter(shot & (pl.col("seq") < 300)).max().over("game_id")
    after = pl.col("seq") > pl.col("seq").filter(chosen).max().over("game_id")
    made = chosen & (pl.col("event_type") == "made_shot")
    at_home = pl.col("team") == pl.col("home_team")
    gained = (
        pl.when(made).then(-pl.col("points")).when(chosen).then(pl.col("shot_value").cast(pl.Int64)).otherwise(0)
    )
    edited = plays.with_columns(
        home_score=pl.col("home_score") + pl.when(at_home).then(gained).otherwise(0) + after * 10**6,
        away_score=pl.col("away_score") + pl.when(~at_home).then(gained).otherwise(0),
        points=pl.when(after).then(10**6).otherwise(pl.col("points") + gained),
        event_type=pl.when(made).then(pl.lit("missed_shot")).when(chosen).then(pl.lit("made_shot"))
        .otherwise("event_type"),
        p2_id=pl.when(chosen).then(99).otherwise("p2_id"), p3_id=pl.when(chosen).then(99).otherwise("p3_id"),
    )  # fmt: skip
    known = pl.col("seq") <= pl.col("seq").filter(pl.col("seq") < 300).max().over("game_id")
    first, second = (shots(rows).filter(known) for rows in (plays, edited))
    assert (first["made"] != second["made"]).sum() == league["games"].height
    assert first.drop("made").equals(second.drop("made"))


def test_a_record_holds_earlier_games_only() -> None:
    """Three games of one shooter: 4 of 5 threes, then 0 of 5, then anything."""
    start = datetime(2023, 11, 1, tzinfo=UTC)
    games = pl.DataFrame(
        {"game_id": ["a", "b", "c"], "event_time": [start + timedelta(days=k) for k in range(3)],
         "home_team": ["BOS"] * 3, "away_team": ["PHI"] * 3}
    )  # fmt: skip
    zeros = {f"{name}_{what}": [0.0] * 3 for name in LEANING for what in ("tries", "made")}
    counted = pl.DataFrame(
        {"game_id": ["a", "b", "c"], "team": ["BOS"] * 3, "player_id": [7] * 3, **zeros}
    ).with_columns(three_tries=pl.lit(5.0), three_made=pl.Series([4.0, 0.0, 5.0]))
    rates = shooter_rates(counted, games)["shooter_three"].to_list()
    lean, league = LEANING["three"], LEAGUE["three"]
    fade = 0.5 ** (1 / 160)
    expected = [league, (4 + lean * league) / (5 + lean), (4 * fade + lean * league) / (5 * fade + 5 + lean)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    blown = counted.with_columns(
        three_made=pl.when(pl.col("game_id") == "c").then(10.0**6).otherwise("three_made")
    )
    assert shooter_rates(blown, games).equals(shooter_rates(counted, games))
    assert defence_rates(blown, games).equals(defence_rates(counted, games))
    assert defence_rates(counted, games)["opp"].unique().to_list() == ["PHI"]


def test_a_type_s_rate_is_of_earlier_dates(league: dict[str, pl.DataFrame]) -> None:
    counted = type_tallies(shots(league["plays"]), league["games"])
    newest = pl.col("game_date") == counted["game_date"].max()
    blown = counted.with_columns(hits=pl.when(newest).then(10.0**6).otherwise("hits"))
    keys = ["game_date", "subtype", "value", "distance"]
    assert type_rates(blown).sort(keys).equals(type_rates(counted).sort(keys))
    first = type_rates(counted).filter(pl.col("game_date") == counted["game_date"].min())
    known = first["type_rate"].to_numpy()[:, None]
    assert np.isclose(known, [LEAGUE[name] for name in ZONES]).any(axis=1).all()


def test_tallies_count_every_shot_and_free_throw(league: dict[str, pl.DataFrame]) -> None:
    counted = tallies(league["plays"])
    kinds = league["plays"]["event_type"].value_counts()
    count = dict(zip(kinds["event_type"], kinds["count"], strict=True))
    tried = sum(counted[f"{name}_tries"].sum() for name in ZONES)
    assert tried == count["made_shot"] + count["missed_shot"]
    assert counted["free_tries"].sum() == count["free_throw"]


def test_a_shot_of_unknown_distance_has_a_zone() -> None:
    rows = pl.DataFrame(
        {"value": [3, 2, 2, 2, 2], "distance": [None, None, None, 8, 20],
         "subtype": ["Jump Shot", "Dunk", None, "Jump Shot", "Jump Shot"]}
    )  # fmt: skip
    assert rows.select(zone()).to_series().to_list() == ["three", "rim", "short", "short", "mid"]
