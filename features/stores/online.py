"""The online store: the newest row of every view per entity in Redis, and cached projections.

Invariant: a reader sees one whole generation. A generation is written under its own keys, which expire by
themselves until the pointer is flipped to it in one transaction; the one before stays readable for
`GRACE_S`. Rows are JSON objects, one hash field per entity, so single entities can be read. Needs Redis 6.2.

Keys: `fantasy:{league}:current`, `fantasy:{league}:{generation}:{meta|directory|view:NAME}`,
`fantasy:{league}:projection:{model}:{version}:{views}:{data}:{slate}`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import polars as pl
import redis

from features.as_of import newest
from features.errors import InvalidInput, NotMaterialized, StoreUnavailable
from features.play.views import PLAY_VIEW_KEYS, PLAY_VIEW_VERSIONS
from features.views import VIEW_KEYS, VIEW_VERSIONS, Views

#: How long a generation may take to write, and how long a superseded one stays readable.
WRITING_S: Final = 3600
GRACE_S: Final = 600
PROJECTION_TTL_S: Final = 900
CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_S: Final = 10.0
#: Rows per command, so that no single command blocks the server for long.
CHUNK_ROWS: Final = 500

#: Every view that may be online; those made from play-by-play are there only where it was collected.
_KEYS: Final = VIEW_KEYS | PLAY_VIEW_KEYS
_VERSIONS: Final = VIEW_VERSIONS | PLAY_VIEW_VERSIONS

_TYPES: Final[dict[str, pl.DataType]] = {
    str(dtype): dtype
    for scalar in (
        pl.Boolean(), pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.UInt32(), pl.Float32(), pl.Float64(),
        pl.String(), pl.Date(), pl.Datetime("us", "UTC"),
    )
    for dtype in (scalar, pl.List(scalar))
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OnlineStamp:
    """What the current generation holds: its id, the newest moment it knows of, view versions, rows per view."""

    generation: str
    data_timestamp: datetime
    view_versions: dict[str, str]
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class ProjectionKey:
    """What a cached projection depends on; a change of any part is another key."""

    league: str
    model_name: str
    model_version: str
    slate_id: str
    data_timestamp: datetime
    view_versions: Mapping[str, str]

    def __str__(self) -> str:
        views = hashlib.sha256(json.dumps(dict(self.view_versions), sort_keys=True).encode()).hexdigest()[:12]
        moment = str(int(self.data_timestamp.timestamp() * 1000))
        model = f"{self.model_name}:{self.model_version}"
        return _key(self.league, "projection", model, views, moment, self.slate_id)


class OnlineStore:
    """Views, player directory and projection cache in one Redis database.

    Every method raises `StoreUnavailable` (naming the URL without its password) when Redis does not answer.
    """

    def __init__(self, redis_url: str) -> None:
        """Connect lazily to `redis_url`. Raises `InvalidInput` when it is no Redis URL."""
        self.url = _without_secret(redis_url)
        try:
            self._redis: redis.Redis = redis.Redis.from_url(
                redis_url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S
            )
        except ValueError as error:
            raise InvalidInput(
                f"redis_url {self.url!r} is not a Redis URL; set FANTASY_REDIS_URL to redis://host:port/db"
            ) from error

    def ping(self) -> None:
        """Return when Redis answers."""
        with self._answering():
            self._redis.ping()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def materialize(
        self, league: str, views: Views, *, directory: pl.DataFrame, data_timestamp: datetime
    ) -> OnlineStamp:
        """Replace what is online with the newest row per entity of each view, all at once for readers."""
        generation = uuid.uuid4().hex[:12]
        latest = {name: newest(view, by=_KEYS[name]) for name, view in views.items()}
        rows = {name: frame.height for name, frame in latest.items()}
        stamp = OnlineStamp(generation, data_timestamp, {n: _VERSIONS[n] for n in latest}, rows)
        with self._answering():
            for name, frame in latest.items():
                self._write(_view_key(league, generation, name), frame, _KEYS[name])
            self._write(_key(league, generation, "directory"), directory, ("player_id",))
            meta = {
                "data_timestamp": data_timestamp.isoformat(),
                "view_versions": stamp.view_versions,
                "rows": rows,
                "schemas": {n: _schema_names(f) for n, f in {**latest, "directory": directory}.items()},
            }
            self._redis.set(_key(league, generation, "meta"), json.dumps(meta), ex=WRITING_S)
            self._flip(league, generation)
        return stamp

    def stamp(self, league: str) -> OnlineStamp:
        """What is online for `league`. Raises `NotMaterialized` when nothing is."""
        generation, meta = self._meta(league)
        moment = datetime.fromisoformat(meta["data_timestamp"])
        return OnlineStamp(generation, moment, meta["view_versions"], meta["rows"])

    def read_views(
        self, league: str, *, player_ids: Iterable[int] | None = None, teams: Iterable[str] | None = None
    ) -> Views:
        """The newest rows of every view, all entities or only those named; entities unknown to it are absent.

        Views made from play-by-play are given where they are online in this code's version, and whole unless their
        key is one player or team. Raises `NotMaterialized` when nothing is online, or when it was written by other
        view versions.
        """
        generation, meta = self._meta(league)
        stale = sorted(n for n, version in VIEW_VERSIONS.items() if meta["view_versions"].get(n) != version)
        if stale:
            raise NotMaterialized(
                f"views {stale} of league {league!r} online have other versions; materialize again"
            )
        wanted: dict[tuple[str, ...], list[str] | None] = {
            ("player_id",): None if player_ids is None else [str(i) for i in player_ids],
            ("team",): None if teams is None else list(teams),
        }
        present = [n for n, version in _VERSIONS.items() if meta["view_versions"].get(n) == version]
        return {
            name: self._read(_view_key(league, generation, name), meta["schemas"][name], wanted.get(_KEYS[name]))
            for name in present
        }

    def directory(self, league: str) -> pl.DataFrame:
        """The player directory: `player_id`, `player_name`, `team`, `last_played`, by player id."""
        generation, meta = self._meta(league)
        frame = self._read(_key(league, generation, "directory"), meta["schemas"]["directory"], None)
        return frame.sort("player_id")

    def cached_projection(self, key: ProjectionKey) -> bytes | None:
        """What was cached under `key`, None when it was not or has expired."""
        with self._answering():
            return cast("bytes | None", self._redis.get(str(key)))

    def cache_projection(self, key: ProjectionKey, payload: bytes, *, ttl_s: int = PROJECTION_TTL_S) -> None:
        """Keep `payload` under `key` for `ttl_s` seconds."""
        with self._answering():
            self._redis.set(str(key), payload, ex=ttl_s)

    def _write(self, key: str, frame: pl.DataFrame, keys: Sequence[str]) -> None:
        encoded = _encode(frame, keys)
        for chunk in encoded.iter_slices(CHUNK_ROWS):
            self._redis.hset(key, mapping=dict(chunk.iter_rows()))
        if encoded.height:
            self._redis.expire(key, WRITING_S)

    def _read(self, key: str, schema: Mapping[str, str], fields: list[str] | None) -> pl.DataFrame:
        values: list[bytes | None] = []
        with self._answering():
            if fields is None:
                values.extend(cast("list[bytes]", self._redis.hvals(key)))
            for start in range(0, len(fields or ()), CHUNK_ROWS):
                part = cast("list[str]", fields)[start : start + CHUNK_ROWS]
                values.extend(cast("list[bytes | None]", self._redis.hmget(key, part)))
        return _decode([value for value in values if value is not None], schema)

    def _flip(self, league: str, generation: str) -> None:
        """Point readers at `generation` and let the one before it expire, in one transaction."""
        pointer = _key(league, "current")
        previous = cast("bytes | None", self._redis.get(pointer))
        with self._redis.pipeline(transaction=True) as pipe:
            for key in _keys_of(league, generation):
                pipe.persist(key)
            pipe.set(pointer, generation)
            if previous is not None:
                for key in _keys_of(league, previous.decode()):
                    pipe.expire(key, GRACE_S)
            pipe.execute()

    def _meta(self, league: str) -> tuple[str, dict[str, Any]]:
        with self._answering():
            pointer = cast("bytes | None", self._redis.get(_key(league, "current")))
            generation = "" if pointer is None else pointer.decode()
            raw = cast("bytes | None", self._redis.get(_key(league, generation, "meta"))) if generation else None
        if raw is None:
            raise NotMaterialized(f"no features of league {league!r} are online at {self.url}; run `fantasy run`")
        return generation, json.loads(raw)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise StoreUnavailable(
                f"Redis at {self.url} does not answer ({type(error).__name__}: {error}); "
                "start it, or set FANTASY_REDIS_URL"
            ) from error


def _key(league: str, *parts: str) -> str:
    return ":".join(("fantasy", league, *parts))


def _view_key(league: str, generation: str, name: str) -> str:
    return _key(league, generation, "view", name)


def _keys_of(league: str, generation: str) -> list[str]:
    views = [_view_key(league, generation, name) for name in _KEYS]
    return [*views, _key(league, generation, "directory"), _key(league, generation, "meta")]


def _schema_names(frame: pl.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.schema.items()}


def _physical(dtype: pl.DataType) -> pl.DataType:
    """The integer type that carries a date or time through JSON; other types carry themselves."""
    if isinstance(dtype, pl.List):
        return pl.List(_physical(cast("pl.DataType", dtype.inner)))
    if isinstance(dtype, pl.Datetime):
        return pl.Int64()
    return pl.Int32() if isinstance(dtype, pl.Date) else dtype


def _encode(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Two String columns: entity key, and the row as a JSON object."""
    plain = frame.cast({name: _physical(dtype) for name, dtype in frame.schema.items()})
    field = pl.concat_str([pl.col(k).cast(pl.String) for k in keys], separator="|")
    return plain.select(field.alias("field"), pl.struct(pl.all()).struct.json_encode().alias("row"))


def _decode(values: list[bytes], schema: Mapping[str, str]) -> pl.DataFrame:
    dtypes = {name: _TYPES[text] for name, text in schema.items()}
    if not values:
        return pl.DataFrame(schema=dtypes)
    struct = pl.Struct({name: _physical(dtype) for name, dtype in dtypes.items()})
    rows = pl.Series("row", [value.decode() for value in values]).str.json_decode(struct)
    return rows.struct.unnest().select(pl.col(name).cast(dtype) for name, dtype in dtypes.items())


def _without_secret(url: str) -> str:
    """The URL without user and password, for messages."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
