"""What 32-bit keys stand for: texts (subtypes, line-ups) and games, kept in Redis beside the state.

Whoever sends events registers their texts and games first, so a reader that meets a key it does not know has to look
once and finds it. A text whose key is taken gets the next free one (`register` says which); a game never does, since
its key is made from its id alone wherever it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, cast, overload

import msgspec
import numpy as np
import redis
from numpy.typing import NDArray

from features.errors import KeyCollision, StoreUnavailable
from features.stream import keys as names
from features.stream.connections import answering
from features.stream.events import key_of

#: Fields per command, so that no single command blocks the server for long.
CHUNK: Final = 1000
#: Keys tried for one text before giving up.
_TRIES: Final = 8


class GameInfo(msgspec.Struct, frozen=True):
    """A game that events may name: `season` is its start year, `tip` its planned start (aware, UTC).

    `roster` holds the player ids of both sides; an event that credits anybody else is rejected. Empty: not known,
    and everybody is taken.
    """

    game_id: str
    season: int
    home_team: str
    away_team: str
    tip: datetime
    roster: tuple[int, ...] = ()

    @property
    def key(self) -> int:
        """The game's key in event rows."""
        return key_of(self.game_id)


class Glossary(Protocol):
    """Both ways between keys and what they stand for; `Directory` and `LocalDirectory` are ones."""

    def register(self, texts: Iterable[str]) -> dict[str, int]:
        """Key of every text, made where there was none."""
        ...

    def register_game(self, info: GameInfo) -> int:
        """Make a game known, or replace what was known of it; returns its key."""
        ...

    def texts(self, keys: Iterable[int]) -> dict[int, str]:
        """Texts of those keys that are known."""
        ...

    def games(self, keys: Iterable[int], *, fresh: bool = False) -> dict[int, GameInfo]:
        """Those games that are known; `fresh` also looks again at games already known (a roster may have grown)."""
        ...


_decode: Final = msgspec.json.Decoder(GameInfo).decode


@overload
def partition_of(key: int, partitions: int) -> int: ...
@overload
def partition_of(key: NDArray[Any], partitions: int) -> NDArray[np.int64]: ...
def partition_of(key: int | NDArray[Any], partitions: int) -> int | NDArray[np.int64]:
    """The partition of a game's key (or of each of an array), or of the key of a topic that belongs to no game."""
    return key % partitions if isinstance(key, int) else key.astype(np.int64) % partitions


class Directory:
    """Texts and games of a league on the state server; what was read once is remembered.

    `client` is any redis-py client (cluster too). Methods raise `StoreUnavailable` when it does not answer. Not safe
    for several threads.
    """

    def __init__(self, client: redis.Redis, league: str) -> None:
        self._redis = client
        self.league = league
        self._keys: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._games: dict[int, GameInfo] = {}

    def register(self, texts: Iterable[str]) -> dict[str, int]:
        """Key of every text; those without one are written before this returns. Same text, same key, always."""
        wanted = dict.fromkeys(texts)
        fresh = [text for text in wanted if text not in self._keys]
        for start in range(0, len(fresh), CHUNK):
            _assign(fresh[start : start + CHUNK], self._claim, self._remember)
        return {text: self._keys[text] for text in wanted}

    def register_game(self, info: GameInfo) -> int:
        """Make a game known, or replace what was known of it. Raises `KeyCollision` if its key is another game's."""
        key = info.key
        _same_game(self.games([key], fresh=True).get(key), info)
        with answering():
            self._redis.hset(names.games(self.league), str(key), msgspec.json.encode(info))
        self._games[key] = info
        return key

    def text(self, key: int) -> str | None:
        """The text of a key, None when nobody registered it (0 is null)."""
        return self.texts([key]).get(key)

    def texts(self, keys: Iterable[int]) -> dict[int, str]:
        """Texts of those keys that are known."""
        wanted = dict.fromkeys(keys)
        unknown = [key for key in wanted if key and key not in self._texts]
        for key, text in zip(unknown, self._read(names.texts(self.league), unknown), strict=True):
            if text is not None:
                self._remember(text.decode(), key)
        return {key: self._texts[key] for key in wanted if key in self._texts}

    def game(self, key: int) -> GameInfo | None:
        """The game of a key, None when nobody registered it."""
        return self.games([key]).get(key)

    def games(self, keys: Iterable[int], *, fresh: bool = False) -> dict[int, GameInfo]:
        """Those games that are known; `fresh` also looks again at games already known (a roster may have grown)."""
        wanted = dict.fromkeys(keys)
        unknown = [key for key in wanted if fresh or key not in self._games]
        for key, info in zip(unknown, self._read(names.games(self.league), unknown), strict=True):
            if info is not None:
                self._games[key] = _decode(info)
        return {key: self._games[key] for key in wanted if key in self._games}

    def every_game(self) -> dict[int, GameInfo]:
        """All games that were registered, by key."""
        with answering():
            stored = cast("dict[bytes, bytes]", self._redis.hgetall(names.games(self.league)))
        self._games = {int(key): _decode(info) for key, info in stored.items()}
        return dict(self._games)

    def remove_games(self, keys: Collection[int]) -> None:
        """Forget games, here and on the server. Texts stay: other games may have them."""
        if keys:
            with answering():
                self._redis.hdel(names.games(self.league), *(str(key) for key in keys))
        for key in keys:
            self._games.pop(key, None)

    @staticmethod
    def partition(key: int, partitions: int) -> int:
        """The partition of a game's key."""
        return partition_of(key, partitions)

    def _remember(self, text: str, key: int) -> None:
        self._keys[text] = key
        self._texts[key] = text

    def _claim(self, wanted: Sequence[tuple[int, str]]) -> list[str]:
        """Whose each key is after trying to give it to the text beside it."""
        name = names.texts(self.league)
        with answering(), self._redis.pipeline(transaction=False) as pipe:
            for key, text in wanted:
                pipe.hsetnx(name, str(key), text)
            pipe.execute()
        holders = self._read(name, [key for key, _ in wanted])
        if None in holders:
            raise StoreUnavailable(
                "the state Redis drops what it is given; set its maxmemory-policy to noeviction"
            )
        return [holder.decode() for holder in holders if holder is not None]

    def _read(self, name: str, keys: Sequence[int]) -> list[bytes | None]:
        values: list[bytes | None] = []
        with answering():
            for start in range(0, len(keys), CHUNK):
                fields = [str(key) for key in keys[start : start + CHUNK]]
                values.extend(cast("list[bytes | None]", self._redis.hmget(name, fields)))
        return values


class LocalDirectory:
    """The same, kept in this process alone: for tests, benchmarks and reading a recording."""

    def __init__(self, games: Iterable[GameInfo] = ()) -> None:
        self._keys: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._games: dict[int, GameInfo] = {}
        for info in games:
            self.register_game(info)

    def register(self, texts: Iterable[str]) -> dict[str, int]:
        """Key of every text."""
        wanted = dict.fromkeys(texts)
        _assign([text for text in wanted if text not in self._keys], self._claim, self._remember)
        return {text: self._keys[text] for text in wanted}

    def register_game(self, info: GameInfo) -> int:
        """Make a game known, or replace what was known of it. Raises `KeyCollision` if its key is another game's."""
        _same_game(self._games.get(info.key), info)
        self._games[info.key] = info
        return info.key

    def texts(self, keys: Iterable[int]) -> dict[int, str]:
        """Texts of those keys that are known."""
        return {key: self._texts[key] for key in keys if key in self._texts}

    def games(self, keys: Iterable[int], *, fresh: bool = False) -> dict[int, GameInfo]:
        """Those games that are known; there is nowhere to look again."""
        return {key: self._games[key] for key in keys if key in self._games}

    def _remember(self, text: str, key: int) -> None:
        self._keys[text] = key

    def _claim(self, wanted: Sequence[tuple[int, str]]) -> list[str]:
        return [self._texts.setdefault(key, text) for key, text in wanted]


def _assign(
    texts: Collection[str],
    claim: Callable[[Sequence[tuple[int, str]]], list[str]],
    remember: Callable[[str, int], None],
) -> None:
    """Give each text the first of its keys that is free or already its own."""
    left = list(texts)
    for attempt in range(_TRIES):
        wanted = [(_key(text, attempt), text) for text in left]
        left = []
        for (key, text), holder in zip(wanted, claim(wanted) if wanted else (), strict=True):
            if holder == text:
                remember(text, key)
            else:
                left.append(text)
        if not left:
            return
    raise KeyCollision(
        f"text {left[0]!r}: its {_TRIES} keys are all taken; delete the hash of texts when no game is live"
    )


def _key(text: str, attempt: int) -> int:
    """The first key is that of the text itself; the next ones that of the text with a number."""
    return key_of(text if attempt == 0 else f"{text}\0{attempt}")


def _same_game(known: GameInfo | None, info: GameInfo) -> None:
    if known is not None and known.game_id != info.game_id:
        raise KeyCollision(
            f"games {known.game_id!r} and {info.game_id!r} have the same key {info.key}; give one another game_id"
        )
