"""What is told to the live hub: changed fields per topic, in one stream entry per transaction.

An entry has one field `u`, a JSON list of `{"t": topic, "w": writer, "c": 0|1, "d": {changed fields}, "at": ns}`; a
field set to null was removed. Values are absolute, so a delta that is read twice does no harm. The whole of every
topic and writer stands in the hash `Keys.topics`, written in the same transaction: a reader that takes the stream's
last id first and the hash after it misses nothing. The id of its entry is an update's offset, valid within `epoch`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import redis

from features.stream.keys import Keys

#: Entries of a partition's delta stream that are surely kept: at 200 entries/s, the last 100 s.
KEPT_ENTRIES: Final = 20_000
FIELD: Final = b"u"

_encode = msgspec.json.Encoder().encode


class Pipe(Protocol):
    """The two commands a writer queues; a redis-py pipeline has them."""

    def xadd(self, name: str, fields: Any, *, maxlen: int, approximate: bool) -> Any: ...
    def hset(self, name: str, *, mapping: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Update:
    """Fields of `topic` that changed; `critical` ones must reach every client, others only the newest."""

    topic: str
    data: Mapping[str, Any]
    critical: bool = False


class Change(msgspec.Struct, frozen=True):
    """An `Update` as read from the stream, with its writer and the time its cause was created (UNIX ns)."""

    topic: str = msgspec.field(name="t")
    writer: str = msgspec.field(name="w")
    data: dict[str, Any] = msgspec.field(name="d")
    critical: int = msgspec.field(name="c", default=0)
    at_ns: int = msgspec.field(name="at", default=0)


_decode = msgspec.json.Decoder(list[Change]).decode


def decode_entry(payload: bytes) -> list[Change]:
    """Updates of one entry's field `u`; raises `msgspec.DecodeError` or `ValidationError` when it is no such list."""
    return _decode(payload)


def encode_entry(changes: Sequence[Change]) -> bytes:
    """The field `u` of an entry with `changes`."""
    return _encode(changes)


def topic_field(topic: str, writer: str) -> str:
    """Field of the hash `Keys.topics`."""
    return f"{topic}|{writer}"


def split_field(field: bytes) -> tuple[str, str]:
    """(topic, writer) of a field of the hash `Keys.topics`."""
    topic, _, writer = field.decode().rpartition("|")
    return topic, writer


def fields_of(topics: Mapping[bytes, bytes], game_ids: Collection[str]) -> dict[bytes, bytes]:
    """What of `topics` (the whole hash) tells of games, or of players whose lines are of these games; of all writers,
    but not the players' news."""
    players = {
        split_field(name)[0]
        for name, whole in topics.items()
        if name.startswith(b"player:") and msgspec.json.decode(whole).get("game_id") in game_ids
    }
    gone = players | {f"game:{game_id}" for game_id in game_ids}
    return {
        name: whole
        for name, whole in topics.items()
        if split_field(name)[0] in gone and not name.endswith(b"|news")
    }


def removal(told: Mapping[bytes, bytes], *, at_ns: int) -> list[Change]:
    """Updates that take back `told` (a part of the hash `Keys.topics`): every field becomes null."""
    named = [(*split_field(name), msgspec.json.decode(whole)) for name, whole in told.items()]
    return [Change(topic, writer, dict.fromkeys(whole), 1, at_ns) for topic, writer, whole in named if whole]


def epoch(client: redis.Redis, league: str, partition: int) -> str:
    """Name of this life of a partition's delta stream, made when there is none; `client` reaches its server."""
    key = Keys(league, partition).epoch
    client.set(key, uuid.uuid4().hex[:8], nx=True)
    value = client.get(key)
    return f"{partition}:{value.decode() if isinstance(value, bytes) else value}"


class DeltaWriter:
    """Remembers what it said last of each topic, so that only what changed is said again.

    Not safe for several threads. After a transaction whose outcome is unknown, call `load` before going on.
    """

    def __init__(self, league: str, partition: int, writer: str) -> None:
        self.keys = Keys(league, partition)
        self.writer = writer
        self._last: dict[str, dict[str, Any]] = {}

    def load(self, topics: Mapping[bytes, bytes]) -> None:
        """Take over what is stored: `topics` is the whole hash `Keys.topics` (HGETALL)."""
        self._last = {}
        for field, whole in topics.items():
            topic, writer = split_field(field)
            if writer == self.writer:
                self._last[topic] = msgspec.json.decode(whole)

    def changed(self, topic: str, whole: Mapping[str, Any], *, critical: bool = False) -> Update | None:
        """What differs from what was said last of `topic`, a removed field as None; None when nothing does.

        A field that is None is one that is not there. `whole` is kept, so it must not be changed afterwards.
        """
        last = self._last.get(topic)
        if last is None:
            data = {name: value for name, value in whole.items() if value is not None}
        else:
            data = {name: value for name, value in whole.items() if last.get(name) != value}
            data.update((name, None) for name in last if last[name] is not None and name not in whole)
        if not data:
            return None
        self._last[topic] = dict(whole)
        return Update(topic, data, critical)

    def last(self, topic: str) -> Mapping[str, Any]:
        """The whole as it was said last, empty when nothing was."""
        return self._last.get(topic, {})

    def forget(self, topic: str) -> None:
        """Let the next `changed` of `topic` say all of it again."""
        self._last.pop(topic, None)

    def forget_games(self, game_ids: Collection[str]) -> None:
        """`forget` the topics of games, and of players whose lines are of these games."""
        gone = {f"game:{game_id}" for game_id in game_ids}
        for topic in [
            name for name, whole in self._last.items() if name in gone or whole.get("game_id") in game_ids
        ]:
            self.forget(topic)

    def queue(self, pipe: Pipe, updates: Iterable[Update], *, at_ns: int) -> None:
        """Add `updates` to a transaction: one entry of the stream, and the whole of each topic.

        `at_ns` is when the newest cause was created (UNIX ns). Several updates of one topic become one. A topic
        that was never given to `changed` is stored as its update says.
        """
        merged: dict[str, Change] = {}
        for update in updates:
            before = merged.get(update.topic)
            data = {**before.data, **update.data} if before else dict(update.data)
            critical = int(update.critical or bool(before and before.critical))
            merged[update.topic] = Change(update.topic, self.writer, data, critical, at_ns)
        if not merged:
            return
        payload = _encode(list(merged.values()))
        pipe.xadd(self.keys.deltas, {FIELD: payload}, maxlen=KEPT_ENTRIES, approximate=True)
        pipe.hset(
            self.keys.topics,
            mapping={
                topic_field(topic, self.writer): _encode(_present(self._last.get(topic, change.data)))
                for topic, change in merged.items()
            },
        )

    def publish(self, client: redis.Redis, updates: Iterable[Update], *, at_ns: int) -> None:
        """`queue` in a transaction of its own; `client` reaches the partition's server."""
        with client.pipeline(transaction=True) as pipe:
            self.queue(pipe, updates, at_ns=at_ns)
            pipe.execute()


def _present(whole: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if value is not None}
