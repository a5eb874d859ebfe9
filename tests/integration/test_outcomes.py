"""Outcomes and live accuracy on a real PostgreSQL: written once, joined only to what was predicted before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import pytest
from sqlalchemy import func, select

from features.slate import Slate, SlateGame
from features.stores.database import Database
from features.stores.outcomes import MATCHUP, outcome_rows, record_outcomes, scored_predictions
from features.stores.predictions import ServedPrediction, save_predictions
from features.stores.schema import Outcome, PlayerRow
from features.stores.slates import save_slate
from features.tables import Tables
from flows.postgres import ensure_databases, sibling
from models.prequential import LEAST, live_accuracy
from tests.fixtures.invented import invented_league
from tests.fixtures.serving import Published

EARLY = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """One invented season of 60 dates."""
    return invented_league((2022,))


@pytest.fixture
def kept(postgres_url: str) -> Iterator[Database]:
    """An empty, migrated database."""
    name = f"outcomes_{uuid4().hex}"
    ensure_databases(postgres_url, (name,))
    database = Database(sibling(postgres_url, name))
    database.migrate()
    yield database
    database.close()


def served(game: dict[str, Any], **changed: Any) -> ServedPrediction:
    """A prediction that the home side of `game` wins, served an hour before tip-off."""
    plain: dict[str, Any] = {
        "prediction_id": uuid4(), "served_at": game["event_time"] - timedelta(hours=1), "league": "nba",
        "target": "home_win", "game_id": game["game_id"], "player_id": None, "slate_id": None,
        "asked_at": "pregame", "model_name": "nba-win_probability", "model_version": "3", "view_versions": {},
        "data_timestamp": None, "mean": None, "probability": 0.75, "quantiles": None, "tier": "regional",
        "fallback": False, "latency_ms": 1.0,
    }  # fmt: skip
    return ServedPrediction(**{**plain, **changed})


def player(game: dict[str, Any], player_id: int, **changed: Any) -> ServedPrediction:
    """A projection of `player_id`'s DraftKings points."""
    quantiles = {"q10": 10.0, "q50": 20.0, "q90": 30.0}
    shape = {"target": "fantasy_points_draftkings", "player_id": player_id, "mean": 20.0, "probability": None}
    return served(game, **{**shape, "quantiles": quantiles, **changed})


def test_outcomes_are_written_once_and_corrections_replace_them(kept: Database, tables: Tables) -> None:
    first = record_outcomes(kept, tables, "nba", since=EARLY)
    assert first is not None and first.written == first.values > 10_000
    assert first.players == tables.box["player_id"].n_unique()
    again = record_outcomes(kept, tables, "nba", since=EARLY)
    assert again is not None and (again.values, again.written, again.players) == (first.values, 0, 0)

    # A score is corrected days later: the value changes, the moment from which it was known does not.
    game = tables.games.row(-1, named=True)
    late = game["known_time"] + timedelta(days=2)
    mine = pl.col("game_id") == game["game_id"]
    changed = tables.games.with_columns(
        pl.when(mine).then(pl.col("home_score") + 40).otherwise("home_score").alias("home_score"),
        pl.when(mine).then(late).otherwise("known_time").alias("known_time"),
    )
    corrected = record_outcomes(kept, Tables(changed, tables.box), "nba")
    assert corrected is not None and 0 < corrected.written <= 3 and corrected.values < first.values
    with kept.session() as session:
        row = session.get_one(Outcome, ("nba", "home_margin", game["game_id"], 0))
        assert row.value == game["home_score"] + 40 - game["away_score"]
        assert (row.event_time, row.known_time) == (game["event_time"], game["known_time"])
        assert session.scalar(select(func.count()).select_from(PlayerRow)) == first.players
        one = session.scalars(select(PlayerRow).limit(1)).one()
        assert (one.league, one.player_name.split()[0]) == ("nba", one.team)


def test_values_are_the_labels_and_unfinished_games_have_none(tables: Tables) -> None:
    game, line = tables.games.row(0, named=True), tables.box.row(0, named=True)
    rows = outcome_rows(tables, EARLY)

    def value(target: str, player_id: int = 0) -> float:
        found = rows.filter(
            (pl.col("target") == target)
            & (pl.col("game_id") == game["game_id"])
            & (pl.col("player_id") == player_id)
        )
        return float(found["value"].item())

    assert value("home_win") == float(game["home_score"] > game["away_score"])
    assert value("total_points") == game["home_score"] + game["away_score"]
    assert value(f"{MATCHUP}{game['away_team']}@{game['home_team']}") == 1
    assert (value("points", line["player_id"]), value("minutes", line["player_id"])) == (
        line["pts"], pytest.approx(line["min"]),
    )  # fmt: skip
    assert rows.select(pl.struct("target", "game_id", "player_id").is_duplicated().any()).item() is False
    running = tables.games.with_columns(
        pl.when(pl.col("game_id") == game["game_id"]).then(None).otherwise("home_score").alias("home_score")
    )
    assert game["game_id"] not in outcome_rows(Tables(running, tables.box), EARLY)["game_id"].unique()


def test_only_what_was_served_before_the_event_is_scored(kept: Database, tables: Tables) -> None:
    record_outcomes(kept, tables, "nba", since=EARLY)
    game = tables.games.row(0, named=True)
    tip, known = game["event_time"], game["known_time"]
    save_predictions(
        kept,
        [
            served(game, served_at=tip - timedelta(hours=5), probability=0.6),
            served(game, probability=0.7),  # the last before tip-off is the one that counts
            served(game, served_at=tip, probability=0.8),
            served(game, served_at=tip + timedelta(minutes=1), probability=0.99),
            served(game, asked_at="half", served_at=tip + timedelta(hours=1), probability=0.9),
            served(game, asked_at="half", served_at=known, probability=1.0),
            served(game, asked_at="event", served_at=tip + timedelta(hours=1), probability=0.55),
            served(game, asked_at="event", served_at=tip + timedelta(hours=2), probability=0.95),
            served(game, league="simulated", probability=0.5),
            served({**game, "game_id": "never played"}, probability=0.5),
        ],
    )
    found = scored_predictions(kept, "nba")
    told = {row["asked_at"]: row for row in found.to_dicts()}
    assert {name: row["probability"] for name, row in told.items()} == {"pregame": 0.7, "half": 0.9, "event": 0.55}
    won = float(game["home_score"] > game["away_score"])
    assert {row["value"] for row in told.values()} == {won} and found["game_date"][0] == game["game_date"]
    assert scored_predictions(kept, "nba", asked_at="half").height == 1
    assert scored_predictions(kept, "nba", target="points").height == 0


def test_a_slates_game_is_the_one_after_its_lock(kept: Database, tables: Tables) -> None:
    record_outcomes(kept, tables, "nba", since=EARLY)
    pairs = (
        tables.games.group_by("away_team", "home_team", maintain_order=True)
        .agg(pl.len())
        .filter(pl.col("len") > 1)
    )
    away, home, _ = pairs.row(0)
    meetings = tables.games.filter((pl.col("away_team") == away) & (pl.col("home_team") == home)).to_dicts()
    wanted = meetings[1]
    lock = wanted["event_time"]
    save_slate(kept, Slate("s1", "draftkings", "nba", "classic", lock, (SlateGame(away, home, lock),), ()), "nba")
    box = tables.box.filter(pl.col("game_id") == wanted["game_id"])
    there = int(box["player_id"][0])
    absent = next(iter(set(tables.box["player_id"]) - set(box["player_id"])))
    asked = {"game_id": f"{away}@{home}", "slate_id": "s1", "served_at": lock - timedelta(hours=20)}
    save_predictions(
        kept,
        [
            served(wanted, **asked),
            player(wanted, there, **asked),
            player(wanted, absent, **asked),
            player(wanted, absent + 5000, mean=0.0, quantiles={"q10": 0.0, "q50": 0.0, "q90": 0.0}, **asked),
            player(wanted, there, target="points_over_0.5", mean=None, probability=0.9, quantiles=None, **asked),
            player(wanted, there, target="points_over_200.5", mean=None, probability=0.2, quantiles=None,
                   **{**asked, "served_at": lock - timedelta(hours=30)}),
        ],
    )  # fmt: skip
    found = scored_predictions(kept, "nba")
    assert set(found["game_id"]) == {wanted["game_id"]}
    values = {(row["target"], row["player_id"]): row["value"] for row in found.to_dicts()}
    with kept.session() as session:
        points = session.get_one(Outcome, ("nba", "fantasy_points_draftkings", wanted["game_id"], there)).value
    assert values == {
        ("home_win", None): float(wanted["home_score"] > wanted["away_score"]),
        ("fantasy_points_draftkings", there): points,
        # Somebody who did not play scored nothing; somebody ruled out by the file was not predicted at all.
        ("fantasy_points_draftkings", absent): 0.0,
        ("points_over_line", there): 1.0,
    }
    assert scored_predictions(kept, "nba", target="points_over_line").height == 1


def test_recording_goes_on_where_it_ended(kept: Database, tables: Tables) -> None:
    assert record_outcomes(kept, Tables(tables.games.clear(), tables.box.clear()), "nba") is None
    newest = tables.games["event_time"].max()
    assert isinstance(newest, datetime)
    started = record_outcomes(kept, tables, "nba")
    assert started is not None and started.since == newest - timedelta(days=7)
    save_predictions(kept, [served(tables.games.row(0, named=True), league="simulated")])
    reached = record_outcomes(kept, tables, "simulated")
    assert reached is not None and reached.written > started.written
    assert scored_predictions(kept, "simulated").height == 1


@pytest.mark.parametrize("asked", [LEAST - 1, LEAST])
def test_two_hundred_answers_are_shown_and_one_fewer_are_not(kept: Database, tables: Tables, asked: int) -> None:
    record_outcomes(kept, tables, "nba", since=EARLY)
    games = tables.games.head(asked).to_dicts()
    late = [served(game, served_at=game["event_time"] + timedelta(hours=1)) for game in tables.games.to_dicts()]
    save_predictions(kept, [*(served(game) for game in games), *late])
    cells = {cell.band: cell for cell in live_accuracy(kept, "nba", target="home_win", asked_at="pregame")}
    assert cells["all"].n == cells[".70-.80"].n == asked
    won = sum(game["home_score"] > game["away_score"] for game in games) / asked
    if asked < LEAST:
        assert cells["all"].figures is None and cells["all"].note == "too few"
    else:
        assert cells["all"].figures is not None
        assert cells["all"].figures["hit_rate"]["value"] == pytest.approx(won)


def test_the_api_tells_it(api: httpx.Client, published: Published) -> None:
    games = published.day.tables.games.head(LEAST).to_dicts()
    record_outcomes(published.database, published.day.tables, "simulated", since=EARLY)
    name = f"simulated-test-{uuid4().hex[:8]}"
    save_predictions(published.database, [served(game, league="simulated", model_name=name) for game in games])
    reply = api.get("/v1/accuracy", params={"league": "simulated", "target": "home_win", "asked_at": "pregame"})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["league"], body["least_n"]) == ("simulated", LEAST)
    mine = {cell["band"]: cell for cell in body["cells"] if cell["model_name"] == name}
    assert mine["all"]["n"] == LEAST and {"hit_rate", "claimed", "brier"} <= mine["all"]["figures"].keys()
    assert mine[".50-.60"] | {"n": 0, "figures": None, "note": "too few"} == mine[".50-.60"]
    assert api.get("/v1/accuracy", params={"league": "nba"}).json()["cells"] == []
    for wrong in ({"league": "wnba"}, {"target": "home'win"}):
        assert api.get("/v1/accuracy", params=wrong).status_code == 422
