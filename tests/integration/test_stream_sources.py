"""Replays, feeds, load and polling through real producers, consumers and Redis servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
import redis
import requests

from features.errors import InvalidInput, StoreUnavailable
from features.sources.nba_http import NbaClient
from features.sources.simulated import SimulatedSource
from features.stores.offline import OfflineStore
from features.stream.directory import GameInfo, LocalDirectory
from features.stream.events import key_of
from features.stream.keys import Keys
from features.stream.poll import BOARD
from features.stream.reader import LiveState
from features.stream.recordings import Recording, archived, stored
from features.stream.replay import rows_of
from features.stream.runs import ENDED, Runs
from features.stream.state import PartitionState
from features.workspace import League, Workspace
from flows.settings import FlowSettings
from flows.streaming import Stop, Streams, generate_load, poll_nba, replay_feed, replay_games, until_told
from tests.fixtures import nba_vendor
from tests.fixtures.nba_vendor import Vendor, serving
from tests.fixtures.stream import LEAGUE, PARTITIONS, Process, Server, until

DAY = date(2023, 10, 26)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the first days of a simulated league were collected."""
    home = tmp_path_factory.mktemp("home")
    store = OfflineStore(Workspace(home, "simulated"))
    source = SimulatedSource(7, [2023], date(2023, 10, 28))
    for batch in source.batches(as_of=datetime(2024, 7, 1, tzinfo=UTC), seasons=None, cursors={}):
        store.upsert(batch.table, batch.season, batch.frame)
    return home


@pytest.fixture(scope="module")
def night(home: Path) -> Recording:
    """The games of `DAY`."""
    return stored(OfflineStore(Workspace(home, "simulated")), DAY)


def truth(recording: Recording, games: Sequence[GameInfo] | None = None) -> str:
    """Checksum of one state that was given every play once."""
    directory = LocalDirectory()
    rows = rows_of(recording.plays, recording.games, directory)
    state = PartitionState(directory)
    assert not len(state.apply(rows, now_ns=time.time_ns()).rejected)
    return state.checksum()


def test_a_replayed_night_becomes_its_state_once(streams: Streams, live: LiveState, night: Recording) -> None:
    done = replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    assert (done["plays"], done["games"], done["already_applied"]) == (night.plays.height, len(night.games), 0)
    assert live.checksum() == truth(night)
    for game in night.games:
        mine = night.plays.filter(pl.col("game_id") == game.game_id).sort("seq")
        assert live.plays(game.game_id).equals(mine)
        state = live.game(game.game_id)
        assert state is not None
        assert state.final
        assert (state.home_score, state.away_score) == mine.select("home_score", "away_score").row(-1)

    repeated = replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    assert (repeated["plays"], repeated["already_applied"]) == (0, night.plays.height)
    assert live.checksum() == truth(night)


def test_plays_that_cannot_be_true_are_told(streams: Streams, live: LiveState, night: Recording) -> None:
    late = pl.when(pl.col("period") > 1).then(-5.0).otherwise(pl.col("clock_s")).cast(night.plays["clock_s"].dtype)
    broken = replace(night, plays=night.plays.with_columns(late.alias("clock_s")))
    refused = broken.plays.filter(pl.col("clock_s") < 0).height
    done = replay_games(streams, broken, DAY, Stop(), speed=None, again=False)
    assert (done["plays"], done["lost"], done["put_aside"]) == (night.plays.height, 0, refused) and refused
    assert done["reasons"] == {"clock": refused}
    again = replay_games(streams, night, DAY, Stop(), speed=None, again=True)
    assert (again["put_aside"], again["reasons"], again["repeated"]) == (0, {}, 0)
    assert live.checksum() == truth(night)


def test_a_replay_begun_again_counts_from_nothing(streams: Streams, live: LiveState, night: Recording) -> None:
    replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    done = replay_games(streams, night, DAY, Stop(), speed=None, again=True)
    assert (done["plays"], done["already_applied"], done["life"]) == (night.plays.height, 0, 2)
    assert live.checksum() == truth(night)
    assert live.plays(night.games[0].game_id).height == night.plays.filter(
        pl.col("game_id") == night.games[0].game_id
    ).height  # fmt: skip


def test_starting_over_forgets_only_those_games(streams: Streams, live: LiveState, night: Recording) -> None:
    replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    gone, *kept = night.games
    client = redis.Redis.from_url(streams.settings.redis_url)
    keys = Keys(LEAGUE, gone.key % PARTITIONS)
    until(lambda: client.hexists(keys.topics, f"game:{gone.game_id}|state"))
    assert streams.runs.start_over("another source", [gone]) == 1
    assert live.game(gone.game_id) is None
    assert {game.game_id for game in kept} == set(live.games())
    told = [name.decode() for name in cast("list[bytes]", client.hkeys(keys.topics))]
    assert f"game:{gone.game_id}|state" not in told
    assert all(json.loads(whole).get("game_id") != gone.game_id for whole in client.hvals(keys.topics))


def test_an_ended_life_is_over(streams: Streams, live: LiveState, night: Recording) -> None:
    """What is still on its way when games start over counts for nothing."""
    rows = rows_of(night.plays, night.games, streams.directory())
    rows["created_ns"] = time.time_ns()
    with streams.producer("old", 1, from_start=True) as old:
        old.send_many(rows[:500])
        old.flush()
        assert streams.runs.begun("old", 1)
        assert streams.runs.start_over("old", night.games) == 2
        old.send_many(rows[500:1000])
    assert live.games() == {}
    assert streams.runs.life("old") == 2
    with streams.producer("old", 2, from_start=True) as new:
        new.send_many(rows)
        new.flush()
    assert live.checksum() == truth(night)
    assert all(streams.runs.applied("old", 1, p, critical=False) == ENDED for p in range(PARTITIONS))


def test_a_game_that_another_source_sent_is_refused(streams: Streams, live: LiveState, night: Recording) -> None:
    one = night.games[0]
    part = Recording((one,), night.plays.filter(pl.col("game_id") == one.game_id), night.at_ns[:1].repeat(
        night.plays.filter(pl.col("game_id") == one.game_id).height
    ))  # fmt: skip
    replay_games(streams, part, DAY, Stop(), speed=None, again=False)
    with pytest.raises(InvalidInput, match=rf"'{one.game_id}'\] are live already.*--again"):
        replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    assert live.checksum() == truth(part)
    replay_games(streams, night, DAY, Stop(), speed=None, again=True)
    assert live.checksum() == truth(night)


def test_a_stopped_replay_goes_on(streams: Streams, live: LiveState, night: Recording) -> None:
    stop = Stop()
    threading.Timer(0.4, stop.set).start()
    whole_s = float(night.at_ns[-1] - night.at_ns[0]) / 1e9
    begun = replay_games(streams, night, DAY, stop, speed=whole_s / 1.2, again=False)
    assert not begun["finished"]
    assert 0 < begun["plays"] < night.plays.height
    rest = replay_games(streams, night, DAY, Stop(), speed=None, again=False)
    assert rest["finished"]
    assert begun["plays"] + rest["plays"] == night.plays.height
    assert live.checksum() == truth(night)


def test_a_recorded_day_has_the_official_box_scores(streams: Streams, live: LiveState, fantasy_data: Path) -> None:
    day = date(2024, 12, 15)
    recording = archived(fantasy_data, day)
    replay_games(streams, recording, day, Stop(), speed=None, again=False)
    box = pl.read_parquet(fantasy_data / "nba" / "box" / "season=2024.parquet")
    columns = ("pts", "oreb", "dreb", "ast", "stl", "blk", "tov", "fgm", "fga", "fg3m", "fg3a", "ftm", "fta")
    differ = 0
    games = live.games()
    assert set(games) == {game.game_id for game in recording.games}
    official = box.filter(pl.col("game_id").is_in(list(games)))
    for row in official.iter_rows(named=True):
        line = games[row["game_id"]].lines().get(row["player_id"], dict.fromkeys(columns, 0))
        differ += any(line[name] != row[name] for name in columns)
    assert official.height > 100
    assert differ <= official.height // 200  # the data card: at least 99.9 % of player-games agree


def fantasy(settings: FlowSettings, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of `fantasy`."""
    environment = os.environ | {
        "FANTASY_HOME": str(settings.home), "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_BUS_URL": settings.bus_url, "FANTASY_STREAM_PARTITIONS": str(PARTITIONS), "FANTASY_EMBEDDED": "false",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    return [sys.executable, "-c", "from flows.cli import main; main()", *arguments], environment


def simulated_consumer(settings: FlowSettings) -> Process:
    return Process((
        "-m", "features.stream", "consumer", "--league", "simulated", "--bus-url", settings.bus_url,
        "--redis-url", settings.redis_url, "--partitions", str(PARTITIONS),
    ))  # fmt: skip


def test_a_killed_command_goes_on_where_the_state_is(settings: FlowSettings, home: Path, night: Recording) -> None:
    settings = settings.model_copy(update={"home": home})
    live = LiveState(settings.redis_url, "simulated", PARTITIONS)
    consumer = simulated_consumer(settings)
    try:
        whole_s = float(night.at_ns[-1] - night.at_ns[0]) / 1e9
        replay = ("replay", "--source", "simulated", "--date", DAY.isoformat(), "--json", "--speed")
        command, environment = fantasy(settings, *replay, str(whole_s / 60))
        begun = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: sum(state.events for state in live.games().values()) > 20, timeout_s=120)
        finally:
            begun.kill()
            begun.wait()
        with Streams(settings, "simulated") as streams:
            told = replay_games(streams, night, DAY, Stop(), speed=None, again=False)
        assert told["plays"] + told["already_applied"] == night.plays.height
        assert told["already_applied"] > 20
        assert live.checksum() == truth(night)
    finally:
        live.close()
        assert consumer.stop() == 0


@pytest.mark.slow
def test_without_a_consumer_the_command_brings_one(settings: FlowSettings, home: Path, night: Recording) -> None:
    settings = settings.model_copy(update={"home": home})
    one = night.games[-1].game_id
    command, environment = fantasy(
        settings, "replay", "--source", "simulated", "--date", DAY.isoformat(), "--game", one, "--speed", "max"
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "one is started for this while" in done.stderr
    assert "games: 1" in done.stdout
    live = LiveState(settings.redis_url, "simulated", PARTITIONS)
    assert list(live.games()) == [one]
    live.close()
    runs = Runs(settings.redis_url, "simulated", PARTITIONS)
    until(lambda: runs.owned() == 0)  # it went with the command
    runs.close()


def test_a_feed_becomes_news(streams: Streams, live: LiveState, tmp_path: Path) -> None:
    base = {"date": date(2026, 3, 5), "team": "LAL", "slate": "Classic 3/5 7:00PM, 6 Games"}
    moments = [datetime(2026, 3, 5, 15, minute, tzinfo=UTC) for minute in range(3)]
    rows = [
        {**base, "ts": moment, "player": player, "injury_status": status, "proj_fp": 40.5 + step}
        for step, (moment, status) in enumerate(zip(moments, (None, "Day-To-Day", "Out"), strict=True))
        for player in ("Ann One", "Bo Two")
    ]
    path = tmp_path / "feed.parquet"
    pl.DataFrame(rows).write_parquet(path)
    box = pl.DataFrame({"player_id": [11], "player_name": ["Ann One"]})
    people = Workspace(tmp_path, cast("League", LEAGUE)).tables / "box" / "season=2025.parquet"
    people.parent.mkdir(parents=True)
    box.write_parquet(people)
    done = replay_feed(streams, path, Stop(), speed=None, again=False)
    assert (done["news"], done["already_applied"]) == (8, 0)
    newest = {(news.subject, news.field): (news.old, news.new) for news in live.news()}
    assert newest == {
        ("player:11", "injury_status"): ("Day-To-Day", "Out"),
        ("player:11", "proj_fp"): ("41.5", "42.5"),
        ("name:Bo Two", "injury_status"): ("Day-To-Day", "Out"),
        ("name:Bo Two", "proj_fp"): ("41.5", "42.5"),
    }
    assert replay_feed(streams, path, Stop(), speed=None, again=False)["already_applied"] == 8
    assert replay_feed(streams, path, Stop(), speed=None, again=True)["news"] == 8


def test_generated_load_all_arrives(streams: Streams, live: LiveState) -> None:
    done = generate_load(streams, Stop(), rate=20_000, seconds=0.5, games=5)
    assert (done["plays"], done["applied"], done["finished"]) == (10_000, 10_000, True)
    assert sum(state.events for state in live.games().values()) == 10_000
    assert live.rows("load-0-0").size == 0  # nothing of it is kept for the models


def test_starting_over_says_when_the_state_server_is_away(stream_servers: tuple[Server, Server]) -> None:
    runs = Runs(stream_servers[1].url, LEAGUE, PARTITIONS)
    stream_servers[1].kill()
    with pytest.raises(StoreUnavailable, match="FANTASY_REDIS_URL"):
        runs.start_over("s", ())
    runs.close()


GAME = "0022400061"
SHOT = nba_vendor.live(7, "3pt", shotResult="Made", personId=11, teamTricode="BOS", shotDistance=26.3, scoreHome="3",
                       assistPersonId=12, subType="Jump Shot")  # fmt: skip
LAYUP = nba_vendor.live(9, "2pt", shotResult="Made", personId=21, teamTricode="NYK", scoreHome="3", scoreAway="2",
                        clock="PT10M00.00S")  # fmt: skip


def nba(vendor: Vendor) -> NbaClient:
    session = requests.Session()
    session.trust_env = False
    return NbaClient(
        stats_url=f"{vendor.url}/stats", live_url=f"{vendor.url}/live", session=session, interval_s=0, attempts=1
    )


def polled(streams: Streams, vendor: Vendor, *actions: dict[str, Any]) -> dict[str, Any]:
    """Poll until two rounds are over."""
    vendor.put(f"/live/playbyplay/playbyplay_{GAME}.json", nba_vendor.live_pbp(GAME, list(actions)))
    stop = Stop()
    asked = len(vendor.requests)

    def end() -> None:
        boards = [path for path, _ in vendor.requests[asked:] if path == f"/live/{BOARD}"]
        stop.set() if len(boards) >= 3 else threading.Timer(0.05, end).start()

    end()
    return poll_nba(streams, stop, every_s=0.1, client=nba(vendor))


def test_polled_plays_count_once_over_restarts_and_corrections(streams: Streams, live: LiveState) -> None:
    entry = {"gameId": GAME, "gameStatus": 2, "gameTimeUTC": "2024-11-02T00:30:00Z",
             "homeTeam": {"teamTricode": "BOS"}, "awayTeam": {"teamTricode": "NYK"}}  # fmt: skip
    made = Vendor()
    made.put(f"/live/{BOARD}", {"scoreboard": {"gameDate": "2024-11-01", "games": [entry]}})
    made.put(f"/live/boxscore/boxscore_{GAME}.json", nba_vendor.live_box(GAME))
    with serving(made) as vendor:
        first = polled(streams, vendor, SHOT)
        assert (first["plays"], first["corrected"]) == (1, 0)
        second = polled(streams, vendor, SHOT, LAYUP)
        assert (second["plays"], second["corrected"]) == (1, 0)
        third = polled(streams, vendor, {**SHOT, "assistPersonId": 13}, LAYUP)
        assert (third["plays"], third["corrected"]) == (0, 1)
    state = live.game(GAME)
    assert state is not None
    assert (state.home_score, state.away_score, state.events) == (3, 2, 2)
    lines = state.lines()
    assert (lines[11]["pts"], lines[12]["ast"], lines[13]["ast"], lines[21]["pts"]) == (3, 0, 1, 2)
    assert live.plays(GAME)["p2_id"].to_list() == [13, None]
    assert key_of(GAME) % PARTITIONS in range(PARTITIONS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_waits(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with until_told() as stop:
        assert not stop()
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
        stop.sleep(60)
        assert stop()
        assert stop.pace(1.0).stopped()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "nothing given; give one of --date"),
        (("replay", "--date", "2024-12-15", "--simulated"), "--date and --simulated given"),
        (("replay", "--date", "yesterday"), "'yesterday' is not a day"),
        (("replay", "--date", "2024-12-15", "--speed", "fast"), "'fast' is not a number above 0"),
        (("replay", "--date", "2024-12-15", "--source", "moon"), "'moon' has no stream"),
        (("replay", "--kafka", "127.0.0.1:1"), "--kafka needs --topic"),
        (("poll", "--source", "simulated"), "'simulated' cannot be polled"),
        (("replay", "--source", "nba", "--date", "2024-12-15"), "run `fantasy run` first"),
    ],
)
def test_commands_say_what_is_wrong(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from flows import cli

    monkeypatch.setenv("FANTASY_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["fantasy", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert said in capsys.readouterr().err
