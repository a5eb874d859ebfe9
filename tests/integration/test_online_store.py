"""The online store on a real Redis: parity with offline rows, whole generations, honest failures."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import redis
from polars.testing import assert_frame_equal

from features.as_of import newest
from features.errors import InvalidInput, NotMaterialized, StoreUnavailable
from features.play.plays import COLUMNS, Plays
from features.play.views import PLAY_VIEW_KEYS, play_views
from features.sources.simulated import SimulatedSource
from features.stores.online import GRACE_S, WRITING_S, OnlineStore, ProjectionKey
from features.tables import Tables
from features.views import (
    GAME_FEATURES,
    PLAYER_FEATURES,
    VIEW_KEYS,
    VIEW_VERSIONS,
    Views,
    compute_views,
    game_rows,
    player_rows,
)
from features.views.entities import game_entities, played_entities, player_directory
from tests.fixtures.league import small_league

LEAGUE = "simulated"


@dataclass
class Server:
    """A Redis process of this test and how to reach it."""

    url: str
    process: subprocess.Popen[bytes]


def start(port: int, folder: Path, *options: str) -> Server:
    program = Path(sys.executable).parent / "redis-server"
    process = subprocess.Popen(
        [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options],
        stdout=subprocess.DEVNULL,
    )
    server = Server(f"redis://127.0.0.1:{port}/0", process)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    process.kill()
    raise AssertionError("redis-server did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(free_port(), tmp_path_factory.mktemp("redis"))
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture
def raw(server: Server) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def store(server: Server, raw: redis.Redis) -> Iterator[OnlineStore]:
    online = OnlineStore(server.url)
    yield online
    online.close()


@pytest.fixture(scope="module")
def tables() -> Tables:
    return small_league()


@pytest.fixture(scope="module")
def views(tables: Tables) -> Views:
    return compute_views(tables)


def data_time(tables: Tables) -> datetime:
    newest = tables.games["known_time"].max()
    assert isinstance(newest, datetime)
    return newest


def put(store: OnlineStore, tables: Tables, views: Views) -> str:
    moment = data_time(tables)
    return store.materialize(LEAGUE, views, directory=player_directory(tables), data_timestamp=moment).generation


def future(entities: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """The same questions, asked about a slate three days after everything is known."""
    ahead = data_time(tables) + timedelta(days=3)
    return entities.with_columns(
        as_of=pl.lit(ahead).cast(pl.Datetime("us", "UTC")),
        game_date=pl.lit(ahead.date()),
        season=pl.lit(2021, pl.Int16),
    )


def test_rows_from_online_and_offline_views_are_the_same_to_the_bit(
    store: OnlineStore, tables: Tables, views: Views
) -> None:
    put(store, tables, views)
    online = store.read_views(LEAGUE)
    players = future(played_entities(tables).tail(70).with_columns(starter=pl.lit(None, pl.Boolean)), tables)
    games = future(game_entities(tables).tail(4), tables)
    for offline_rows, online_rows, features in (
        (player_rows(players, views), player_rows(players, online), PLAYER_FEATURES),
        (
            game_rows(games, views, player_rows(players, views)),
            game_rows(games, online, player_rows(players, online)),
            GAME_FEATURES,
        ),
    ):
        assert offline_rows.equals(online_rows)
        known = offline_rows.select(pl.col(features).is_not_null().mean()).row(0)
        assert sum(known) / len(features) > 0.9


def test_only_the_newest_row_per_entity_is_online(store: OnlineStore, tables: Tables, views: Views) -> None:
    put(store, tables, views)
    for name, view in store.read_views(LEAGUE).items():
        keys = list(VIEW_KEYS[name])
        assert view.schema == views[name].schema
        newest = views[name].group_by(keys).agg(pl.col("event_time").max())
        assert set(view.select(*keys, "event_time").rows()) == set(newest.select(*keys, "event_time").rows())


def test_single_entities_can_be_read(store: OnlineStore, tables: Tables, views: Views) -> None:
    put(store, tables, views)
    some = store.read_views(LEAGUE, player_ids=[301, 999_999], teams=["CCC"])
    assert some["player_form"]["player_id"].to_list() == [301]
    assert some["rotation"]["team"].to_list() == ["CCC"]
    everything = store.read_views(LEAGUE)
    assert some["minutes"].equals(everything["minutes"].filter(pl.col("player_id") == 301))
    nobody = store.read_views(LEAGUE, player_ids=[], teams=[])
    assert all(view.is_empty() for view in nobody.values())
    assert nobody["minutes"].schema == views["minutes"].schema


def test_stamp_and_directory(store: OnlineStore, tables: Tables, views: Views) -> None:
    with pytest.raises(NotMaterialized, match="fantasy run"):
        store.stamp(LEAGUE)
    with pytest.raises(NotMaterialized, match=LEAGUE):
        store.read_views(LEAGUE)
    generation = put(store, tables, views)
    stamp = store.stamp(LEAGUE)
    assert stamp.generation == generation
    assert stamp.data_timestamp == data_time(tables)
    assert stamp.view_versions == VIEW_VERSIONS
    assert stamp.rows["player_form"] == tables.box["player_id"].n_unique()
    assert store.directory(LEAGUE).equals(player_directory(tables))
    with pytest.raises(NotMaterialized):
        store.stamp("nba")


def test_views_of_other_versions_are_not_served(
    store: OnlineStore, tables: Tables, views: Views, raw: redis.Redis
) -> None:
    generation = put(store, tables, views)
    key = f"fantasy:{LEAGUE}:{generation}:meta"
    old = raw.get(key).decode().replace(VIEW_VERSIONS["matchup"], "0-old")  # type: ignore[union-attr]
    raw.set(key, old)
    with pytest.raises(NotMaterialized, match="matchup"):
        store.read_views(LEAGUE)


def test_a_generation_replaces_the_one_before_and_nothing_is_left_behind(
    store: OnlineStore, tables: Tables, views: Views, raw: redis.Redis
) -> None:
    first = put(store, tables, views)
    second = put(store, tables, views)
    current = [key.decode() for key in raw.scan_iter(f"fantasy:{LEAGUE}:{second}:*")]
    old = [key.decode() for key in raw.scan_iter(f"fantasy:{LEAGUE}:{first}:*")]
    assert len(current) == len(old) == len(views) + 2
    assert {raw.ttl(key) for key in current} == {-1}
    assert all(0 < int(raw.ttl(key)) <= GRACE_S for key in old)


def test_an_interrupted_write_is_never_seen_and_expires(
    store: OnlineStore, tables: Tables, views: Views, raw: redis.Redis
) -> None:
    generation = put(store, tables, views)
    broken = {**views, "no_such_view": views["rest"]}
    with pytest.raises(KeyError):
        put(store, tables, broken)
    unwritable = player_directory(tables).rename({"player_id": "id"})
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        store.materialize(LEAGUE, views, directory=unwritable, data_timestamp=data_time(tables))
    assert store.stamp(LEAGUE).generation == generation
    orphans = [k for k in raw.scan_iter(f"fantasy:{LEAGUE}:*:view:*") if generation not in k.decode()]
    assert len(orphans) == len(views)
    assert all(0 < int(raw.ttl(key)) <= WRITING_S for key in orphans)


def test_readers_see_one_generation_while_another_is_written(
    store: OnlineStore, tables: Tables, views: Views
) -> None:
    """Two worlds alternate; every read must be wholly of one of them."""
    worlds = []
    for shift in (0.0, 1000.0):
        floats = pl.col(pl.Float32) * 0 + shift
        worlds.append({name: view.with_columns(floats) for name, view in views.items()})
    put(store, tables, worlds[0])
    done = threading.Event()

    def write() -> None:
        for n in range(12):
            put(store, tables, worlds[(n + 1) % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        read = store.read_views(LEAGUE)
        values = {
            value
            for view in read.values()
            for column in view.iter_columns()
            if column.dtype == pl.Float32
            for value in column.drop_nulls().unique()
        }
        assert len(values) == 1
        assert read["player_form"].height == worlds[0]["player_form"]["player_id"].n_unique()
        seen |= values
    writer.join()
    assert seen == {0.0, 1000.0}


def test_a_cached_projection_is_found_only_under_exactly_its_key(store: OnlineStore, raw: redis.Redis) -> None:
    moment = datetime(2024, 12, 15, 23, tzinfo=UTC)
    key = ProjectionKey(LEAGUE, "simulated-projection", "7", "slate-1", moment, VIEW_VERSIONS)
    assert store.cached_projection(key) is None
    store.cache_projection(key, b"\x00rows", ttl_s=50)
    assert store.cached_projection(key) == b"\x00rows"
    assert 0 < int(raw.ttl(str(key))) <= 50
    for other in (
        replace(key, league="nba"),
        replace(key, model_name="other"),
        replace(key, model_version="8"),
        replace(key, slate_id="slate-2"),
        replace(key, data_timestamp=moment + timedelta(seconds=1)),
        replace(key, view_versions={**VIEW_VERSIONS, "rest": "9-x"}),
    ):
        assert store.cached_projection(other) is None


def test_a_store_that_is_down_says_where_and_what_to_do_and_recovers(
    tmp_path: Path, tables: Tables, views: Views
) -> None:
    port = free_port()
    secret = "hunter2"
    store = OnlineStore(f"redis://:{secret}@127.0.0.1:{port}/0")
    with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{port}/0.*FANTASY_REDIS_URL") as caught:
        store.ping()
    assert secret not in str(caught.value)
    assert caught.value.retryable
    with pytest.raises(StoreUnavailable):
        store.read_views(LEAGUE)
    server = start(port, tmp_path, "--requirepass", secret)
    store.ping()
    put(store, tables, views)
    server.process.kill()
    server.process.wait(10)
    with pytest.raises(StoreUnavailable) as broken:
        store.materialize(LEAGUE, views, directory=player_directory(tables), data_timestamp=data_time(tables))
    assert secret not in str(broken.value)
    store.close()


def test_a_wrong_password_is_unavailable_not_a_crash(tmp_path: Path) -> None:
    port = free_port()
    server = start(port, tmp_path, "--requirepass", "right")
    with pytest.raises(StoreUnavailable, match="Authentication"):
        OnlineStore(f"redis://:wrong@127.0.0.1:{port}/0").ping()
    server.process.terminate()
    server.process.wait(10)


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="FANTASY_REDIS_URL"):
        OnlineStore("http://localhost:6379")


def test_views_from_plays_come_back_to_the_bit_and_go_with_their_generation(
    store: OnlineStore, raw: redis.Redis
) -> None:
    source = SimulatedSource(4, [2023], date(2023, 11, 1))
    batches = source.batches(as_of=datetime(2023, 11, 1, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    league, plays = Tables(frames["games"], frames["box"]), frames["pbp"].select(COLUMNS).sort("game_id", "seq")
    views = compute_views(league)
    played = play_views(Plays((2023,), lambda _: plays), league.games)
    first = put(store, league, views | played)
    back = store.read_views(LEAGUE)
    assert set(back) == set(views) | set(PLAY_VIEW_KEYS)
    for name, keys in PLAY_VIEW_KEYS.items():
        assert_frame_equal(back[name].sort(keys), newest(played[name], by=keys).sort(keys), check_exact=True)
    put(store, league, views)
    assert set(store.read_views(LEAGUE)) == set(views)
    assert all(raw.ttl(key) > 0 for key in raw.scan_iter(f"fantasy:{LEAGUE}:{first}:*"))
