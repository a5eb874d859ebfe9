"""Live state for other processes: games, plays and news as they were last committed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import redis

from features.errors import StoreUnavailable
from features.stream.connections import Servers
from features.stream.directory import Directory, GameInfo, partition_of
from features.stream.events import EVENT, Rows, key_of
from features.stream.keys import Keys
from features.stream.news import News, decode_json
from features.stream.plays import plays_of
from features.stream.state import GameState, checksum_of, unpack


class LiveState:
    """Reads what the consumers of a league committed. Raises `StoreUnavailable`. Not safe for several threads."""

    def __init__(self, redis_url: str, league: str, partitions: int) -> None:
        self._servers = Servers(redis_url)
        self._keys = [Keys(league, partition) for partition in range(partitions)]
        self.league = league

    def game(self, game_id: str) -> GameState | None:
        """One game, None when no event of it was applied."""
        key = key_of(game_id)
        keys = self._of(key)
        packed = self._ask(keys.state, lambda client: client.hget(keys.state, str(key)))
        return None if packed is None else unpack(packed)

    def games(self) -> dict[str, GameState]:
        """All games by id."""
        packed = self._packed()
        known = self._known(packed)
        return {known[key].game_id: unpack(value) for key, value in packed.items() if key in known}

    def rows(self, game_id: str) -> Rows:
        """EVENT rows of a game's kept plays, in the order they were applied."""
        key = key_of(game_id)
        name = self._of(key).plays(key)
        stored = self._ask(name, lambda client: client.lrange(name, 0, -1))
        return np.frombuffer(b"".join(stored), EVENT)

    def plays(self, game_id: str) -> pl.DataFrame:
        """Kept plays of a game, in `features.play.plays.COLUMNS`."""
        return plays_of(self.rows(game_id), self.directory())

    def news(self) -> list[News]:
        """The newest of every subject and kind, newest first."""
        found = [
            decode_json(value)
            for keys in self._keys
            for value in self._ask(keys.news, lambda client, name=keys.news: client.hvals(name))
        ]
        return sorted(found, key=lambda each: each.at, reverse=True)

    def metrics(self) -> dict[int, dict[str, Any]]:
        """What each partition's owner says of itself (`features.stream.metrics`); nothing of one never owned."""
        found: dict[int, dict[str, Any]] = {}
        for keys in self._keys:
            stored = self._ask(keys.metrics, lambda client, name=keys.metrics: client.hgetall(name))
            if stored:
                found[keys.partition] = {name.decode(): _value(value.decode()) for name, value in stored.items()}
        return found

    def checksum(self) -> str:
        """Digest of all games, as `PartitionState.checksum` of one state that was given every row."""
        return checksum_of(self._packed())

    def directory(self) -> Directory:
        """The league's texts and games."""
        return Directory(self._servers.client(), self.league)

    def close(self) -> None:
        """Close the connections."""
        self._servers.close()

    def _packed(self) -> dict[int, bytes]:
        return {
            int(key): value
            for keys in self._keys
            for key, value in self._ask(keys.state, lambda client, name=keys.state: client.hgetall(name)).items()
        }

    def _known(self, keys: Iterable[int]) -> dict[int, GameInfo]:
        return self.directory().games(keys)

    def _of(self, game: int) -> Keys:
        return self._keys[partition_of(game, len(self._keys))]

    def _ask(self, key: str, question: Any) -> Any:
        try:
            try:
                return question(self._servers.client_of(key))
            except redis.RedisError:  # a cluster's node may have moved, a server's connection be stale
                self._servers.refresh()
                return question(self._servers.client_of(key))
        except redis.RedisError as error:
            raise StoreUnavailable(
                f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
            ) from error


def _value(text: str) -> Any:
    """Numbers and JSON as what they are, other texts as texts."""
    if text and text[0] in "-0123456789{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text or None
