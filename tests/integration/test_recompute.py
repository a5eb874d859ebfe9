"""Plays and news through a real producer and consumer to the champions, and what is told of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from features.contests import load_contest
from features.slate import SlatePlayer
from features.stream.directory import partition_of
from features.stream.events import key_of
from features.stream.news import News
from models.bundle import load_bundle
from models.lineups.draft import draft
from models.lineups.rules import LineupRules
from serving.live.curves import Curves
from serving.live.recompute import Recompute
from serving.live_games import AskedGame
from tests.fixtures.recompute import LEAGUE, Feed, NextGame, answered, listed
from tests.fixtures.serving import Published, eventually, is_problem, serving

SITES = ("draftkings", "fanduel", "yahoo")


def test_a_game_is_answered_as_its_plays_come(
    feed: Feed, recompute: Recompute, next_games: list[NextGame], published: Published
) -> None:
    game = next_games[0]
    feed.play(game, 0, 150)
    first = answered(feed, game, int(game.plays["seq"][149]))
    assert first["model"]["name"] == "simulated-live_win" and not first["fallback"]
    assert 0 < first["home_win_probability"] < 1 and first["latency_ms"] > 0
    assert first["home_margin"]["q10"] < first["home_margin"]["q50"] < first["home_margin"]["q90"]
    assert first["abstained"] == (
        max(first["home_win_probability"], 1 - first["home_win_probability"]) < first["gate"]
    )
    model = recompute.champions.get(LEAGUE, "live_win")
    assert model is not None and set(first["features"]) == set(model.features)
    # A copy of the model elsewhere gives the same answer to the features told.
    rows = pl.DataFrame([first["features"]], schema=dict.fromkeys(model.features, pl.Float32))
    told = float(model.outputs(rows)["home_win_probability"][0])
    assert told == pytest.approx(first["home_win_probability"], abs=1e-3)

    feed.play(game, 150, 300)
    second = answered(feed, game, int(game.plays["seq"][299]))
    asked = AskedGame(LEAGUE, game.info.game_id, plays=game.plays.head(300), tip=game.info.tip)
    straight = recompute.games._lines.answer(asked)
    assert second["home_win_probability"] == round(straight.win.probability, 3)
    key = game.info.game_id
    state = feed.topic(f"game:{key}", "state")
    assert state["seq"] == second["at_seq"] and state["status"] == "live"
    expected = {
        player_id: numbers
        for player_id, numbers in straight.lines.filter(pl.col("amount") == "fantasy_points_draftkings")
        .select("player_id", "mean")
        .iter_rows()
    }
    assert len(expected) >= 20
    for player_id, mean in expected.items():
        player = feed.topic(f"player:{player_id}", "model", key)
        assert player["expected"]["draftkings"]["mean"] == pytest.approx(mean, abs=0.051)
        assert set(player["expected"]) == {*SITES, "pts", "reb", "ast"} and player["name"]
        assert player["model"]["name"] == "simulated-live_line" and not player["fallback"]
        over = player["over_own_line"]["draftkings"]
        assert over["basis"] in ("projection", "season_mean") and 0 <= over["probability"] <= 1
        points = feed.topic(f"player:{player_id}", "state", key).get("fantasy_points")
        if points is not None:
            assert player["appeared"]


def test_only_what_changed_is_told_and_newest_wins(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    game = next_games[1]
    feed.play(game, 0, 120)
    answered(feed, game, int(game.plays["seq"][119]))
    recompute.games.stop()  # from here on answers are asked for by hand
    game_id = game.info.game_id
    before = len(feed.changes(game_id))
    assert recompute.games.answer(game_id, time.time_ns()) == 0
    assert len(feed.changes(game_id)) == before
    for until in range(121, 161):
        feed.play(game, until - 1, until)
        recompute.games.touch(game_id, time.time_ns())
    assert recompute.games.superseded >= 30
    changed = recompute.games.answer(game_id, time.time_ns())
    assert changed > 1
    told = [change for change in feed.changes(game_id)[before:] if change.writer == "model"]
    of_game = [change for change in told if change.topic == f"game:{game_id}"]
    assert [change.data["at_seq"] for change in of_game] == [int(game.plays["seq"][159])]
    assert not {"gate", "model"} & set(of_game[0].data)
    for change in told:
        if change.topic.startswith("player:"):
            assert not {"name", "team", "model", "game_id"} & set(change.data)


def test_a_finished_game_is_told_with_its_result(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    game = next_games[0]
    feed.play(game, 0, game.plays.height)
    told = answered(feed, game, int(game.plays["seq"][-1]))
    home, away = game.plays.select("home_score", "away_score").row(-1)
    assert told["home_win_probability"] == float(home > away) and not told["abstained"]
    assert told["home_margin"] == dict.fromkeys(("mean", "q10", "q50", "q90"), float(home - away))
    for player_id in listed(game):
        state = feed.topic(f"player:{player_id}", "state", game.info.game_id)
        if state:
            model = feed.topic(f"player:{player_id}", "model", game.info.game_id)
            assert model["expected"]["pts"]["mean"] == state["line"]["pts"]


def test_without_champions_the_baselines_are_marked(
    feed: Feed, published: Published, next_games: list[NextGame]
) -> None:
    game = next_games[0]
    parts = Recompute(feed.settings, LEAGUE)
    parts.champions.get = lambda league, family: None  # type: ignore[method-assign]
    parts.start()
    try:
        feed.play(game, 0, 90)
        told = answered(feed, game, int(game.plays["seq"][89]))
        assert told["fallback"] and told["model"]["name"] == "baseline-brownian" and told["features"] == {}
        player = feed.topic(f"player:{next(iter(listed(game)))}", "model", game.info.game_id)
        assert player["fallback"] and player["model"]["name"] == "baseline-pace"
        assert player["over_own_line"]["draftkings"]["basis"] == "season_mean"
    finally:
        parts.stop()


def news(player: SlatePlayer, status: str | None, at: int) -> News:
    """An injury status of a player, the `at`-th news of the day."""
    moment = datetime(2023, 12, 13, 20, at, tzinfo=UTC).isoformat()
    subject = f"player:{player.player_id}"
    return News(
        id=f"{subject}-{at}", at=moment, subject=subject, kind="injury", field="injury_status", name=player.name,
        team=player.team, new=status,
    )  # fmt: skip


def test_news_changes_the_projections_of_who_has_not_begun(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    slate = next_games[0].slate
    topic = f"slate:{slate.slate_id}"
    eventually(lambda: recompute.slates.current(slate.slate_id) is not None, 30)
    assert feed.topic(topic, "model", topic) == {}
    projected = recompute.slates.current(slate.slate_id)
    assert projected is not None
    best = projected.projections.frame.sort("mean")["site_id"][-1]
    star = next(player for player in slate.players if player.site_id == best)
    feed.producer.send_news(news(star, "Out", 1))
    feed.producer.flush(20)
    eventually(lambda: star.site_id in feed.topic(topic, "model", topic), 30)
    told = feed.topic(topic, "model", topic)
    assert told[star.site_id]["mean"] == 0 and told[star.site_id]["basis"] == "out"
    assert told[star.site_id]["injury_status"] == "O" and told["model"]["name"] == "simulated-projection"
    # His team's others take his minutes; nobody is told whose projection stays.
    after = recompute.slates.current(slate.slate_id)
    assert after is not None
    joined = projected.projections.frame.join(after.projections.frame, on="site_id", suffix="_now")
    moved = set(joined.filter((pl.col("mean") - pl.col("mean_now")).abs() > 0.06)["site_id"])
    assert moved <= set(told) and len(told) < len(slate.players) + 1
    feed.producer.send_news(news(star, None, 2))
    feed.producer.flush(20)
    eventually(lambda: feed.topic(topic, "model", topic) == {}, 30)


def test_news_of_a_game_under_way_changes_nothing(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    game, slate = next_games[0], next_games[0].slate
    feed.play(game, 0, 60)
    answered(feed, game, int(game.plays["seq"][59]))
    ids = listed(game)
    playing = next(p for p in slate.players if p.site_id in ids.values())
    waiting = next(p for p in slate.players if p.site_id not in ids.values() and not p.injury_status)
    feed.producer.send_news(news(playing, "Out", 1))
    feed.producer.send_news(news(waiting, "Out", 2))
    feed.producer.flush(20)
    topic = f"slate:{slate.slate_id}"
    eventually(lambda: waiting.site_id in feed.topic(topic, "model", topic), 30)
    assert playing.site_id not in feed.topic(topic, "model", topic)


def lineup_with(game: NextGame, recompute: Recompute) -> list[str]:
    """The best lineup with two players of the game."""
    slate = game.slate
    projected = recompute.slates.current(slate.slate_id)
    assert projected is not None
    frame = projected.projections.frame
    ids = set(listed(game).values())
    mine = frame.filter(pl.col("site_id").is_in(list(ids)) & (pl.col("mean") > 0)).sort("mean")["site_id"][-2:]
    contest = load_contest(slate.site)
    built = draft(slate, projected.projections, contest, LineupRules(locked=frozenset(mine.to_list())))
    return [player.id for player in built.lineups[0].players]


def test_a_followed_lineup_is_told_its_points_and_best_swap(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    game = next_games[0]
    slate = game.slate
    eventually(lambda: recompute.slates.current(slate.slate_id) is not None, 30)
    ids = lineup_with(game, recompute)
    with serving(feed.settings) as api:
        shuffled = ids[::-1]
        reply = api.post("/v1/live/lineups", json={"slate_id": slate.slate_id, "lineups": [shuffled]})
        assert reply.status_code == 201, reply.text
        body = reply.json()
        assert body["topic"] == f"lineup:{body['lineup_id']}" and body["lineups"][0]["key"] == body["key"]
        token_is_only_for_whoever_has_the_key(api, body)
        what_cannot_be_followed_is_named(api, slate.slate_id, ids)
    topic = body["topic"]
    eventually(lambda: feed.topic(topic, "model", topic) != {}, 30)
    before = feed.topic(topic, "model", topic)
    assert sorted(player["id"] for player in before["players"]) == sorted(ids)
    assert before["points"] == 0 and not any(player["locked"] for player in before["players"])

    feed.play(game, 0, 200)
    answered(feed, game, int(game.plays["seq"][199]))
    locked = set(ids) & set(listed(game).values())

    def standing() -> dict[str, Any]:
        return feed.topic(topic, "model", topic)

    def points_are_the_streams() -> bool:
        told = {p["id"]: p["points"] for p in standing()["players"] if p["locked"]}
        stream = {
            site_id: feed.topic(f"player:{player_id}", "state", game.info.game_id)
            for player_id, site_id in listed(game).items()
            if site_id in locked
        }
        wanted = {
            site_id: state.get("fantasy_points", {}).get(slate.site, 0.0) for site_id, state in stream.items()
        }
        return told == wanted

    eventually(points_are_the_streams, 30)
    means = {
        site_id: told["expected"][slate.site]["mean"]
        for player_id, site_id in listed(game).items()
        if site_id in locked
        and (told := feed.topic(f"player:{player_id}", "model", game.info.game_id))["appeared"]
    }
    assert means

    def ends_are_the_models() -> bool:
        told = {p["id"]: p["projected"] for p in standing()["players"]}
        return {site_id: told[site_id] for site_id in means} == means

    eventually(ends_are_the_models, 30)
    now = standing()
    assert {p["id"] for p in now["players"] if p["locked"]} == locked
    assert now["points"] == pytest.approx(sum(p["points"] for p in now["players"]), abs=0.01)
    assert now["projected"] == pytest.approx(sum(p["projected"] for p in now["players"]), abs=0.02)

    open_ = next(p for p in now["players"] if not p["locked"])
    out = next(p for p in slate.players if p.site_id == open_["id"])
    feed.producer.send_news(news(out, "Out", 1))
    feed.producer.flush(20)
    eventually(lambda: standing().get("best_swap") is not None, 40)
    swap = standing()["best_swap"]
    assert swap["gain"] > 0 and out.site_id in {each["out"] for each in swap["swaps"]}
    assert locked <= set(swap["players"]) and out.site_id not in swap["players"]
    bought = {each["in"] for each in swap["swaps"]}
    assert not bought & set(listed(game).values())


def token_is_only_for_whoever_has_the_key(api: httpx.Client, body: dict[str, Any]) -> None:
    """The key that was handed out opens the topic, another does not."""
    mine = {"lineup_id": body["lineup_id"], "key": body["key"]}
    granted = api.post("/v1/live/token", json={"league": LEAGUE, "lineups": [mine]})
    assert granted.status_code == 200 and body["topic"] in granted.json()["topics"]
    other = mine | {"key": "x" * len(body["key"])}
    refused = api.post("/v1/live/token", json={"league": LEAGUE, "lineups": [other]})
    assert is_problem(refused, 403, body["lineup_id"])


def what_cannot_be_followed_is_named(api: httpx.Client, slate_id: str, ids: list[str]) -> None:
    """An unknown player, a lineup cut short, one player twice, an unknown slate."""

    def ask(lineup: list[str], slate: str = slate_id) -> httpx.Response:
        return api.post("/v1/live/lineups", json={"slate_id": slate, "lineups": [lineup]})

    assert is_problem(ask(["nobody", *ids[1:]]), 422, "nobody", slate_id)
    assert is_problem(ask(ids[1:]), 422, "8 slots")
    assert is_problem(ask([ids[0], *ids[:-1]]), 422, ids[0])
    assert is_problem(ask(ids, "no-such-slate"), 404, "no-such-slate")
    assert is_problem(ask([]), 422, "lineups")


def test_a_new_champion_is_told_and_answers(
    feed: Feed, recompute: Recompute, next_games: list[NextGame], published: Published, in_game_bundles: Any
) -> None:
    game = next_games[0]
    feed.play(game, 0, 100)
    seq = int(game.plays["seq"][99])
    old = answered(feed, game, seq)["model"]["version"]
    eventually(lambda: "live_win" in feed.topic("model", "registry", "model"), 20)
    assert feed.topic("model", "registry", "model")["live_win"] == {
        "name": "simulated-live_win", "version": old,
    }  # fmt: skip
    assert load_bundle(in_game_bundles["live_win"]).name == "simulated-live_win"
    version = published.registry.register(
        in_game_bundles["live_win"], name="simulated-live_win", metrics={}, tags={}, params={}
    )
    published.promote(version)
    eventually(lambda: feed.topic("model", "registry", "model")["live_win"]["version"] == version.version, 30)
    topic = f"game:{game.info.game_id}"
    eventually(lambda: feed.topic(topic, "model")["model"]["version"] == version.version, 30)
    told = [c for c in feed.changes("model") if c.topic == "model" and c.writer == "registry"]
    assert set(told[-1].data) == {"live_win"}


def test_what_stood_is_taken_over_after_a_restart(
    feed: Feed, recompute: Recompute, next_games: list[NextGame], published: Published
) -> None:
    game = next_games[1]
    feed.play(game, 0, 80)
    told = answered(feed, game, int(game.plays["seq"][79]))
    recompute.stop()
    feed.play(game, 80, 140)
    before = len(feed.changes(game.info.game_id))
    lock = published.day.draftkings.lock
    assert lock is not None
    again = Recompute(feed.settings, LEAGUE, clock=lambda: lock)
    again.start()
    try:
        now = answered(feed, game, int(game.plays["seq"][139]))
    finally:
        again.stop()
    assert now["at_seq"] > told["at_seq"]
    model = [c for c in feed.changes(game.info.game_id)[before:] if c.writer == "model"]
    assert not any("model" in change.data for change in model if change.topic.startswith("game:"))


def test_of_two_processes_one_speaks_and_the_other_takes_over(
    feed: Feed, recompute: Recompute, next_games: list[NextGame], published: Published
) -> None:
    game = next_games[0]
    game_id = game.info.game_id
    lock = published.day.draftkings.lock
    assert lock is not None
    eventually(recompute.seat.held, 20)
    second = Recompute(feed.settings, LEAGUE, clock=lambda: lock - timedelta(hours=1))
    second.start()
    try:
        feed.play(game, 0, 100)
        answered(feed, game, int(game.plays["seq"][99]))
        assert recompute.seat.held() and not second.seat.held()
        eventually(lambda: recompute.games.counts.answered > 0, 20)
        assert second.games.counts.answered == 0
        assert second.refresh_slates() == 0 and second.games.answer(game_id, time.time_ns()) == 0
        told = feed.topic("model", "registry", "model")
        recompute.seat.stop()
        eventually(second.seat.held, 20)
        feed.play(game, 100, 140)
        answered(feed, game, int(game.plays["seq"][139]))
        eventually(lambda: second.games.counts.answered > 0, 20)
        assert not recompute.seat.held()
        assert recompute.games.answer(game_id, time.time_ns()) == 0
        eventually(lambda: feed.topic("model", "registry", "model") == told, 10)
    finally:
        second.stop()
    seqs = [
        change.data["at_seq"] for change in feed.changes(game_id)
        if change.topic == f"game:{game_id}" and change.writer == "model" and "at_seq" in change.data
    ]  # fmt: skip
    assert seqs == sorted(set(seqs)) and seqs[-1] == int(game.plays["seq"][139])


def test_the_curve_of_a_game_is_kept_and_begins_anew_with_a_replay(
    feed: Feed, recompute: Recompute, next_games: list[NextGame]
) -> None:
    game = next_games[0]
    game_id = game.info.game_id
    partition = partition_of(key_of(game_id), feed.settings.stream_partitions)
    curves = Curves(feed.servers, LEAGUE)
    assert curves.of(partition, game_id) == []
    elapsed_s = []
    for start, end in ((0, 60), (60, 180), (180, 300)):
        feed.play(game, start, end)
        told = answered(feed, game, int(game.plays["seq"][end - 1]))
        elapsed_s.append(round(game.plays["elapsed_s"][end - 1]))
    eventually(lambda: curves.of(partition, game_id)[-1].elapsed_s == elapsed_s[-1], 10)
    points = curves.of(partition, game_id)
    seconds = [point.elapsed_s for point in points]
    assert set(elapsed_s) <= set(seconds) and seconds == sorted(set(seconds))
    assert seconds[0] < 10  # the first answer was about the 60th play: what came before was asked about, too
    assert points[-1].home_win_probability == told["home_win_probability"]
    assert points[-1].kind == ("abstained" if told["abstained"] else "called")
    with serving(feed.settings) as api:
        reply = api.get(f"/v1/live/games/{game_id}/curve", params={"league": LEAGUE})
        assert reply.json()["points"] == [point._asdict() for point in points]
        assert api.get("/v1/live/games/nobody/curve", params={"league": LEAGUE}).json()["points"] == []
        assert is_problem(api.get("/v1/live/games/nobody/curve", params={"league": "wnba"}), 422, "league")
    early = recompute.games._lines.answer(AskedGame(LEAGUE, game_id, plays=game.plays.head(30), tip=game.info.tip))
    turn = recompute.seat.turn()
    assert turn is not None
    curves.add(partition, game_id, early, b"of another process")
    assert curves.of(partition, game_id) == points
    curves.add(partition, game_id, early, turn)
    assert [point.elapsed_s for point in curves.of(partition, game_id)][-1] == round(game.plays["elapsed_s"][29])


@pytest.mark.slow
def test_a_killed_process_is_taken_over(feed: Feed, next_games: list[NextGame], published: Published) -> None:
    game = next_games[0]
    first = start_process(feed)
    try:
        feed.play(game, 0, 80)
        topic = f"game:{game.info.game_id}"
        eventually(lambda: feed.topic(topic, "model").get("at_seq") == int(game.plays["seq"][79]), 240)
        second = Recompute(feed.settings, LEAGUE)
        second.start()
        try:
            assert not second.seat.held()
            first.kill()
            first.wait()
            eventually(second.seat.held, 20)
            feed.play(game, 80, 130)
            answered(feed, game, int(game.plays["seq"][129]))
        finally:
            second.stop()
    finally:
        first.kill()
        first.wait()


def start_process(feed: Feed) -> subprocess.Popen[bytes]:
    """`python -m serving.live recompute` with the feed's settings."""
    settings = feed.settings
    environment = os.environ | {
        "FANTASY_HOME": str(settings.home.resolve()), "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_BUS_URL": settings.bus_url, "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri, "FANTASY_DEVICE": "cpu",
        "FANTASY_STREAM_PARTITIONS": str(settings.stream_partitions),
    }  # fmt: skip
    command = [sys.executable, "-m", "serving.live", "recompute", "--league", LEAGUE]
    return subprocess.Popen(command, env=environment)


@pytest.mark.slow
def test_the_process_answers_and_ends_when_told(feed: Feed, next_games: list[NextGame]) -> None:
    game = next_games[0]
    process = start_process(feed)
    try:
        feed.play(game, 0, 80)
        topic = f"game:{game.info.game_id}"
        eventually(lambda: feed.topic(topic, "model").get("at_seq") == int(game.plays["seq"][79]), 240)
        eventually(lambda: not feed.topic(topic, "model")["fallback"], 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait()
