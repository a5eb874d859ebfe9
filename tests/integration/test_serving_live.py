"""Questions about games in progress through the whole app: stored plays, a live feed, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import polars as pl
import pytest
from sqlalchemy import select

from features.stores.schema import PredictionServed
from features.stores.slates import save_slate
from features.views.entities import player_directory
from tests.fixtures.live import plain_plays
from tests.fixtures.serving import Published, eventually, is_problem

AMOUNTS = {f"fantasy_points_{site}" for site in ("draftkings", "fanduel", "yahoo")} | {
    "points",
    "rebounds",
    "assists",
}


@pytest.fixture(scope="module")
def game(published: Published) -> dict[str, Any]:
    """The row of the newest stored game."""
    return published.day.tables.games.sort("event_time", "game_id").row(-1, named=True)


def asked(game: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A question about the game."""
    return {"league": "simulated", "game_id": game["game_id"], **more}


def own_plays(published: Published, game: dict[str, Any], until: int) -> list[dict[str, Any]]:
    """The game's first plays as a feed sends them."""
    return plain_plays(published.day.plays.filter(pl.col("game_id") == game["game_id"]).head(until))


def test_a_game_is_predicted_as_it_stood(
    live_api: httpx.Client, game: dict[str, Any], published: Published
) -> None:
    body = live_api.post("/v1/predictions/game", json=asked(game, asked_at="half")).json()
    assert (body["horizon"], body["final"], body["fallback"]) == ("game", False, False)
    assert body["model"]["name"] == "simulated-live_win" and body["lines_model"]["name"] == "simulated-live_line"
    assert body["source"] == "simulated" and body["data_timestamp"] and body["latency_ms"] >= 0
    assert body["moment"]["asked_at"] == "half" and body["moment"]["elapsed_s"] == 1440
    plays = published.day.plays.filter(pl.col("game_id") == game["game_id"], pl.col("period") <= 2)
    assert (body["moment"]["home_score"], body["moment"]["away_score"]) == plays.select(
        "home_score", "away_score"
    ).row(-1)
    assert 0 < body["home_win_probability"] < 1
    margin = body["home_margin"]
    assert margin["q10"] < margin["q50"] < margin["q90"]
    assert body["abstained"] == (body["confidence"] < body["gate"]) == (body["winner"] is None)
    assert (body["fallback_winner"] is None) == (not body["abstained"])
    assert len(body["players"]) >= 20 and any(player["name"] for player in body["players"])
    for player in body["players"]:
        assert set(player["stats"]) == AMOUNTS
        for amount, stat in player["stats"].items():
            assert stat["q10"] <= stat["q50"] <= stat["q90"]
            if not amount.startswith("fantasy"):
                assert stat["mean"] >= stat["so_far"] - 1e-6


def test_answers_are_recorded_once_with_their_moment(
    live_api: httpx.Client, game: dict[str, Any], published: Published
) -> None:
    first = live_api.post("/v1/predictions/game", json=asked(game, asked_at="q3")).json()
    again = live_api.post("/v1/predictions/game", json=asked(game, asked_at="q3")).json()
    assert first["prediction_id"] == again["prediction_id"] and first["players"] == again["players"]
    playing = next(player for player in first["players"] if player["appeared"])
    line = playing["stats"]["fantasy_points_draftkings"]
    ids = [first["prediction_id"], line["prediction_id"]]

    def recorded() -> list[PredictionServed]:
        with published.database.session() as session:
            return list(session.scalars(select(PredictionServed).where(PredictionServed.prediction_id.in_(ids))))

    eventually(lambda: len(recorded()) == 2, 20)
    rows = {str(row.prediction_id): row for row in recorded()}
    winner, player = rows[ids[0]], rows[ids[1]]
    assert (winner.target, winner.asked_at, winner.game_id) == ("home_win", "q3", game["game_id"])
    assert winner.probability == pytest.approx(first["home_win_probability"], abs=1e-4)
    assert (player.target, player.player_id, player.slate_id) == (
        "fantasy_points_draftkings", playing["player_id"], None,
    )  # fmt: skip
    assert player.mean == pytest.approx(line["mean"], abs=1e-3) and player.quantiles is not None


def test_a_finished_game_is_answered_with_its_result(
    live_api: httpx.Client, game: dict[str, Any], published: Published
) -> None:
    body = live_api.post("/v1/predictions/game", json=asked(game)).json()
    assert body["final"] and body["home_win_probability"] == float(game["home_win"])
    assert body["home_margin"]["q10"] == body["home_margin"]["q90"] == game["home_score"] - game["away_score"]
    assert body["winner"] == (game["home_team"] if game["home_win"] else game["away_team"])
    box = published.day.tables.box.filter(pl.col("game_id") == game["game_id"])
    points = dict(box.select("player_id", "pts").iter_rows())
    told = {p["player_id"]: p["stats"]["points"]["mean"] for p in body["players"] if p["appeared"]}
    assert told == {player: points[player] for player in told}
    over = {"kind": "next_possession"}
    reply = live_api.post("/v1/predictions/micro", json=asked(game, question=over))
    assert is_problem(reply, 404, game["game_id"], "over")


def test_a_feed_is_answered_like_the_stored_plays(
    live_api: httpx.Client, game: dict[str, Any], published: Published
) -> None:
    feed = own_plays(published, game, 230)
    stored = live_api.post("/v1/predictions/game", json=asked(game, seq=feed[-1]["seq"])).json()
    fed = live_api.post("/v1/predictions/game", json=asked(game, plays=feed)).json()
    same = ("home_win_probability", "home_margin", "moment")
    assert [fed[name] for name in same] == [stored[name] for name in same]
    assert not fed["final"]
    tonight = {"game_id": "9", "tip": (published.day.data_timestamp + timedelta(hours=3)).isoformat()}
    online = live_api.post("/v1/predictions/game", json=asked(game, plays=feed) | tonight).json()
    assert online["home_team"] == game["home_team"] and not online["final"]
    assert any(not player["appeared"] for player in online["players"])
    assert any("views made from play-by-play" in warning for warning in online["warnings"])
    feed[100] |= {"clock_s": 700.0, "elapsed_s": 20.0}
    back = live_api.post("/v1/predictions/game", json=asked(game, plays=feed)).json()
    assert any("runs backwards" in warning for warning in back["warnings"])
    bare = [{k: v for k, v in play.items() if not k.endswith("lineup")} for play in feed]
    without = live_api.post("/v1/predictions/game", json=asked(game, plays=bare)).json()
    assert any("five is not recorded" in warning for warning in without["warnings"])


def test_micro_questions_are_answered(live_api: httpx.Client, game: dict[str, Any]) -> None:
    def ask(**question: Any) -> dict[str, Any]:
        reply = live_api.post("/v1/predictions/micro", json=asked(game, asked_at="q1", question=question))
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        assert body["horizon"] == "micro" and not body["fallback"] and body["model"]["version"]
        return body

    players = live_api.post("/v1/predictions/game", json=asked(game, asked_at="q1")).json()["players"]
    best = players[0]["player_id"]
    line = ask(kind="player_line", player_id=best, stat="points", line=18.5)
    assert line["target"] == "points_over_18.5" and line["line_basis"] == "asked"
    assert line["abstained"] == (line["answer"] is None) == (line["fallback_answer"] is not None)
    assert line["confidence"] >= 0.5 and line["expected"]["q10"] <= line["expected"]["q90"]
    chances = [
        ask(kind="player_line", player_id=best, stat="points", line=at)["probability"] for at in (-3, 5.5, 60.5)
    ]
    assert chances[0] == 1 and chances == sorted(chances, reverse=True)
    own = ask(kind="player_line", player_id=best)
    assert own["line_basis"] == "projection" and own["target"].startswith("fantasy_points_draftkings_over_")
    points = ask(kind="next_possession")
    assert sum(points["chances"]) == pytest.approx(1, abs=1e-3) and points["team"] in (
        game["home_team"],
        game["away_team"],
    )
    soon = ask(kind="next_two_minutes")
    assert set(soon["teams"]) == {game["home_team"], game["away_team"]}
    assert all(0 <= team["q10"] <= team["q90"] for team in soon["teams"].values())
    rest = ask(kind="remainder")
    final, moment = rest["teams"], rest["moment"]
    assert list(final) == [game["home_team"], game["away_team"]] and rest["futures"] == 2000
    for team, score in zip(final.values(), (moment["home_score"], moment["away_score"]), strict=True):
        assert score <= team["q10"] < team["q50"] < team["q90"] and team["q10"] < team["mean"] < team["q90"]
    assert 0 < rest["overtime"] < 0.5 and rest["model"]["name"] == "simulated-possession"
    assert rest["target"] == "home_win" and rest["confidence"] == max(rest["probability"], 1 - rest["probability"])
    assert rest["abstained"] == (rest["confidence"] < rest["gate"]) == (rest["answer"] is None)
    assert ask(kind="remainder")["teams"] == final
    shot = {"type": "Jump Shot", "distance": 24, "shooter_id": best}
    made = ask(kind="shot", shot=shot)
    assert 0 < made["probability"] < 1 and made["target"] == "shot_made"
    assert made["fallback_answer"] == ("missed" if made["abstained"] else None)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"game_id": "0029900099"}, 404, "0029900099"),
        ({"league": "nba"}, 404, "nba"),
        ({"seq": 31000}, 404, "seq 31000"),
        ({"seq": -1}, 404, "seq -1"),
        ({"seq": 10**9}, 422, "seq"),
        ({"asked_at": "q5"}, 422, "asked_at"),
        ({"plays": []}, 422, "plays"),
        ({"plays": [{"seq": 1}]}, 422, "period"),
        ({"game_id": "a/b"}, 422, "game_id"),
        ({"question": {"kind": "player_line", "player_id": 5}}, 404, "player_id 5"),
        ({"question": {"kind": "player_line", "player_id": 5, "stat": "height"}}, 422, "height"),
        ({"question": {"kind": "player_line", "player_id": 5, "line": -1e9}}, 422, "line"),
        ({"question": {"kind": "who_wins"}}, 422, "kind"),
        ({"question": {"kind": "shot", "shot": {"type": "Dunk", "shooter_id": 5}}}, 404, "shooter_id 5"),
        ({"question": {"kind": "shot", "shot": {"type": "Dunk", "distance": -2, "shooter_id": 5}}}, 422, "distance"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_named(
    live_api: httpx.Client, game: dict[str, Any], changes: dict[str, Any], status: int, words: str
) -> None:
    body = asked(game, asked_at="half", question={"kind": "next_possession"}) | changes
    assert is_problem(live_api.post("/v1/predictions/micro", json=body), status, words)


def test_nan_is_refused(live_api: httpx.Client, game: dict[str, Any]) -> None:
    question = f'{{"kind": "player_line", "player_id": 5, "line": NaN}}, "game_id": "{game["game_id"]}"'
    headers = {"content-type": "application/json"}
    reply = live_api.post("/v1/predictions/micro", content=f'{{"question": {question}}}', headers=headers)
    assert is_problem(reply, 422, "line")


def inferences(api: httpx.Client, family: str) -> float:
    """How often a family's model was asked, as the metrics say."""
    name = f'fantasy_inference_seconds_count{{family="{family}"}}'
    return next(
        (float(line.split()[-1]) for line in api.get("/metrics").text.splitlines() if line.startswith(name)), 0.0
    )


def test_five_hundred_players_are_one_inference(live_api: httpx.Client, published: Published) -> None:
    day = published.day.draftkings
    directory = player_directory(published.day.tables).sample(500, with_replacement=True, seed=3)
    games = day.games
    players = tuple(
        replace(
            day.players[0], site_id=str(900_000 + n), name=f"Player {n}", player_id=player_id, injury_status="",
            team=games[n % len(games)].home_team, opponent=games[n % len(games)].away_team, is_home=True,
        )
        for n, player_id in enumerate(directory["player_id"])
    )  # fmt: skip
    slate = replace(day, slate_id="draftkings-nba-classic-five-hundred", players=players)
    save_slate(published.database, slate, "simulated")
    before = inferences(live_api, "projection")
    body = live_api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
    assert len(body["players"]) == 500 and {p["basis"] for p in body["players"]} == {"champion"}
    assert inferences(live_api, "projection") == before + 1


def test_projections_have_box_lines_and_games_have_margins(live_api: httpx.Client, published: Published) -> None:
    slate = published.day.draftkings.slate_id
    players = live_api.get("/v1/projections", params={"slate_id": slate}).json()["players"]
    champion = [player for player in players if player["basis"] == "champion"]
    assert all(player["stats"] is None for player in players if player["basis"] != "champion")
    for player in champion:
        assert {"minutes", "points", "rebounds", "assists"} <= set(player["stats"])
        assert all(stat["q10"] <= stat["q50"] <= stat["q90"] for stat in player["stats"].values())
        assert 0 <= player["double_double"] <= player["p_play"]
    games = live_api.post("/v1/predictions/macro", json={"slate_id": slate}).json()["games"]
    for each in games:
        assert each["home_margin"]["q10"] < each["home_margin"]["q90"]
        assert each["total_points"]["q10"] < each["total_points"]["mean"] < each["total_points"]["q90"]
