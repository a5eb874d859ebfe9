"""Runs of sources that can be sent again: which life is the newest, which games are live, and starting games over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import redis

from features.errors import StoreUnavailable
from features.stream.connections import TRANSIENT, Servers
from features.stream.deltas import fields_of
from features.stream.directory import GameInfo, partition_of
from features.stream.events import key_of
from features.stream.keys import Keys
from features.stream.marks import Mark, mark_of

#: Above every sequence number: whatever of an ended life is still on its way is old.
ENDED: Final = 1 << 62
#: Dead letters read at once: each may hold half a megabyte.
LETTERS: Final = 100


class Runs:
    """Lives of a league's sources on the state server at `state_url`.

    Methods raise `StoreUnavailable` when it does not answer.
    """

    def __init__(self, state_url: str, league: str, partitions: int) -> None:
        self._servers = Servers(state_url)
        self._keys = [Keys(league, partition) for partition in range(partitions)]

    def close(self) -> None:
        """Close the connections."""
        self._servers.close()

    def life(self, source: str) -> int:
        """Number of the life in which `source` goes on: its newest one, or the next when that was ended; from 1."""
        lives: dict[int, bool] = {}
        for marks in self._marks(source):
            for mark, applied in marks.items():
                lives[mark.epoch] = lives.get(mark.epoch, False) or applied >= ENDED
        newest = max(lives, default=0)
        return newest + 1 if lives.get(newest, True) else newest

    def owned(self) -> int:
        """How many partitions have a consumer now."""
        with _answering():
            return sum(bool(self._client(keys).exists(keys.owner)) for keys in self._keys)

    def applied(self, source: str, epoch: int, partition: int, *, critical: bool) -> int:
        """How many rows of a lane are applied."""
        keys = self._keys[partition]
        with _answering():
            value = self._client(keys).hget(keys.watermark, Mark(key_of(source), epoch, critical).field)
        return int(cast("bytes | None", value) or 0)

    def begun(self, source: str, epoch: int) -> bool:
        """True when something of this life is applied."""
        return any(
            applied and mark.epoch == epoch for marks in self._marks(source) for mark, applied in marks.items()
        )

    def live(self, games: Sequence[GameInfo]) -> list[GameInfo]:
        """Those of `games` that have state, or had it until they were removed."""
        found = []
        for game in games:
            keys = self._keys[partition_of(game.key, len(self._keys))]
            with _answering():
                client, field = self._client(keys), str(game.key)
                if client.hexists(keys.state, field) or client.hexists(keys.gone, field):
                    found.append(game)
        return found

    def start_over(self, source: str, games: Sequence[GameInfo]) -> int:
        """Forget the state of `games` and end every life of `source`; returns the number of its next life.

        The partition's owner loses its lease in the same transaction, so that it reads the state again and nothing
        it had begun takes effect; what is still on its way of an ended life is taken for old.
        """
        for keys, marks in zip(self._keys, self._marks(source), strict=True):
            mine = [game for game in games if partition_of(game.key, len(self._keys)) == keys.partition]
            lanes = {mark._replace(critical=critical) for mark in marks for critical in (False, True)}
            if not mine and not lanes:
                continue
            with _answering():
                client = self._client(keys)
                topics: Any = client.hgetall(keys.topics) if mine else {}
                told = fields_of(topics, {game.game_id for game in mine})
                with client.pipeline(transaction=True) as pipe:
                    pipe.delete(keys.owner)
                    if mine:
                        for name in (keys.state, keys.heard, keys.gone):
                            pipe.hdel(name, *(str(game.key) for game in mine))
                        pipe.delete(*(keys.plays(game.key) for game in mine))
                    if told:
                        pipe.hdel(keys.topics, *told)
                    if lanes:
                        pipe.hset(keys.watermark, mapping={lane.field: ENDED for lane in lanes})
                    pipe.execute()
        return self.life(source)

    def dead_ends(self) -> list[bytes]:
        """Where each partition's stream of dead letters ends now, for `dead_since`."""
        with _answering():
            newest: list[Any] = [self._client(keys).xrevrange(keys.dead, count=1) for keys in self._keys]
        return [entries[0][0] if entries else b"0-0" for entries in newest]

    def dead_since(self, ends: Sequence[bytes]) -> dict[str, int]:
        """Rows that were put aside after `ends`, by reason; of whichever source."""
        found: Counter[str] = Counter()
        for keys, end in zip(self._keys, ends, strict=True):
            after = end
            while True:
                with _answering():
                    letters: Any = self._client(keys).xrange(keys.dead, b"(" + after, count=LETTERS)
                for _, fields in letters:
                    found.update(_reasons(fields[b"reason"].decode(), int(fields[b"rows"])))
                if len(letters) < LETTERS:
                    break
                after = letters[-1][0]
        return dict(found)

    def _marks(self, source: str) -> list[dict[Mark, int]]:
        """Watermarks of `source` per partition."""
        key = key_of(source)
        found: list[dict[Mark, int]] = []
        for keys in self._keys:
            with _answering():
                fields = cast("dict[bytes, bytes]", self._client(keys).hgetall(keys.watermark))
            marks = {mark_of(name): int(applied) for name, applied in fields.items()}
            found.append({mark: applied for mark, applied in marks.items() if mark.source == key})
        return found

    def _client(self, keys: Keys) -> redis.Redis:
        return self._servers.client_of(keys.watermark)


def _reasons(said: str, rows: int) -> dict[str, int]:
    """Rows per reason of a dead letter: rejected rows of one batch may have several (`commit.rejected`)."""
    what, found, counts = said.partition("rejected: ")
    if what or not found:
        return {said: rows}
    pairs = (each.partition("=") for each in counts.split(", "))
    return {name: int(count) for name, _, count in pairs}


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (*TRANSIENT, redis.RedisError) as error:
        raise StoreUnavailable(
            f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
        ) from error
