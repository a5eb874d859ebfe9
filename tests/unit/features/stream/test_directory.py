"""Keys and what they stand for, on a real Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from features.errors import KeyCollision, StoreUnavailable
from features.stream import directory as module
from features.stream import keys
from features.stream.directory import Directory, GameInfo, LocalDirectory, partition_of
from features.stream.events import key_of

GAME = GameInfo("0022400001", 2024, "BOS", "NYK", datetime(2024, 10, 22, 23, 30, tzinfo=UTC), (1, 2, 3))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def league(client: redis.Redis) -> Iterator[str]:
    league = f"test-{uuid.uuid4().hex[:8]}"
    yield league
    client.delete(keys.texts(league), keys.games(league))


def test_another_process_reads_what_was_registered(client: redis.Redis, league: str) -> None:
    texts = [f"text {n} é" for n in range(2500)]
    given = Directory(client, league).register(texts)
    assert given == {text: key_of(text) for text in texts}
    assert Directory(client, league).texts(given.values()) == {key: text for text, key in given.items()}


def test_registering_again_changes_nothing(client: redis.Redis, league: str) -> None:
    first = Directory(client, league).register(["a", "b", "a"])
    assert Directory(client, league).register(["b", "c"])["b"] == first["b"]
    assert client.hlen(keys.texts(league)) == 3


def test_a_game_registered_later_is_found(client: redis.Redis, league: str) -> None:
    reader, writer = Directory(client, league), Directory(client, league)
    assert reader.game(GAME.key) is None
    assert writer.register_game(GAME) == key_of("0022400001")
    assert reader.game(GAME.key) == GAME
    assert reader.every_game() == {GAME.key: GAME}


def test_only_a_fresh_look_sees_a_grown_roster(client: redis.Redis, league: str) -> None:
    reader, writer = Directory(client, league), Directory(client, league)
    writer.register_game(GAME)
    assert reader.games([GAME.key])[GAME.key].roster == (1, 2, 3)
    writer.register_game(GameInfo("0022400001", 2024, "BOS", "NYK", GAME.tip, (1, 2, 3, 4)))
    assert reader.games([GAME.key])[GAME.key].roster == (1, 2, 3)
    assert reader.games([GAME.key], fresh=True)[GAME.key].roster == (1, 2, 3, 4)


@pytest.fixture
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys so short that they collide."""
    monkeypatch.setattr(module, "key_of", lambda text: key_of(text) % 97 + 1)


@pytest.mark.usefixtures("few_keys")
def test_texts_with_one_key_each_get_their_own(client: redis.Redis, league: str) -> None:
    texts = [f"text {n}" for n in range(40)]
    assert len({key_of(text) % 97 for text in texts}) < len(texts)
    given = Directory(client, league).register(texts)
    assert len(set(given.values())) == len(texts)
    other = Directory(client, league)
    assert other.register(reversed(texts)) == given  # whoever comes later gets the same keys
    assert other.texts(given.values()) == {key: text for text, key in given.items()}
    local = LocalDirectory()
    assert len(set(local.register(texts).values())) == len(texts)


@pytest.mark.usefixtures("few_keys")
def test_games_with_one_key_are_refused(client: redis.Redis, league: str) -> None:
    games = [GameInfo(f"game {n}", 2024, "A", "B", GAME.tip) for n in range(98)]
    for directory in (Directory(client, league), LocalDirectory()):
        with pytest.raises(KeyCollision, match="have the same key"):
            for game in games:
                directory.register_game(game)


def test_unknown_and_null_keys_have_no_text(client: redis.Redis, league: str) -> None:
    directory = Directory(client, league)
    assert directory.texts([0, 12345]) == {}
    assert directory.text(12345) is None
    assert LocalDirectory().texts([0, 12345]) == {}


def test_a_server_that_is_not_there_is_named() -> None:
    directory = Directory(redis.Redis(port=1, socket_connect_timeout=0.5), "test")
    with pytest.raises(StoreUnavailable, match="FANTASY_REDIS_URL"):
        directory.register(["a"])
    with pytest.raises(StoreUnavailable):
        directory.games([1])


def test_partitions_cover_all_keys() -> None:
    assert {partition_of(key, 4) for key in range(100)} == {0, 1, 2, 3}
    assert Directory.partition(GAME.key, 1) == 0
