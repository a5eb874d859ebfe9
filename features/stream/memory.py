"""What an owner knows of its partition: loaded from the state server, moved on by entries, written by transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from features.stream.commit import Transaction, news_field, rejected
from features.stream.connections import Link, Servers, must
from features.stream.deltas import DeltaWriter
from features.stream.directory import Directory
from features.stream.intake import Intake
from features.stream.keys import Keys
from features.stream.marks import mark_of
from features.stream.member import Item
from features.stream.news import News, decode_json
from features.stream.state import PartitionState
from features.stream.topics import Board

_NOTHING: Final[NDArray[np.int64]] = np.empty(0, np.int64)


class Memory:
    """State, watermarks, news and what is still to be told, of one partition. Make it with `load`."""

    def __init__(self, keys: Keys, directory: Directory, tell_every_s: float) -> None:
        self.state = PartitionState(directory)
        self.intake = Intake()
        self._keys = keys
        self._directory = directory
        self._writers = tuple(DeltaWriter(keys.league, keys.partition, name) for name in ("state", "news"))
        self.board = Board(directory, self.state, self._writers[0], self._writers[1], tell_every_s)
        self._news: dict[str, str] = {}
        self._games: set[int] = set()

    @classmethod
    def load(
        cls, link: Link, servers: Servers, keys: Keys, tell_every_s: float
    ) -> tuple[Self, dict[bytes, bytes]]:
        """Everything as it is stored, and the metrics of the owner before."""
        names = (keys.state, keys.watermark, keys.topics, keys.news, keys.metrics)
        replies = [must(reply) for reply in link.call(*((b"HGETALL", name) for name in names))]
        state, marks, topics, news, metrics = (dict(zip(each[::2], each[1::2], strict=True)) for each in replies)
        directory = Directory(servers.client(), keys.league)
        directory.games(int(game) for game in state)  # all in one round trip
        memory = cls(keys, directory, tell_every_s)
        for game, packed in state.items():
            memory.state.load(int(game), packed)
        memory.intake.marks.update((mark_of(name), int(value)) for name, value in marks.items())
        for writer in memory._writers:
            writer.load(topics)
        memory._news.update((name.decode(), decode_json(value).at) for name, value in news.items())
        return memory, metrics

    def take(
        self, items: Iterable[Item], transaction: Transaction, counts: Counter[str], now: float, now_ns: int,
        *, critical: bool,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Fold entries of one lane into memory, and what that writes into `transaction`; returns when its rows were
        created (UNIX ns)."""
        taken = self.intake.take(items)
        rows, created = taken.rows, _NOTHING
        if len(rows):
            applied = self.state.apply(rows, now_ns=now_ns)
            self._games.update(applied.games)
            good = np.ones(len(rows), np.bool_)
            good[applied.rejected] = False
            transaction.plays(rows, good)
            if len(applied.rejected):
                taken.dead.append(rejected(rows, applied.rejected, applied.reason_counts()))
                counts["rejected"] += len(applied.rejected)
            counts["critical" if critical else "events"] += len(rows)
            counts["late"] += applied.late
            created = rows["created_ns"].copy()
            if critical:
                told = self.board.at_once(applied.games, rows)
                self._writers[0].queue(transaction, told, at_ns=int(created.max()))
            else:
                self.board.newest_ns = int(created.max())
                self.board.note(applied.games, now)
        if taken.news:
            fresh = [each for each in taken.news if self._is_newest(each)]
            transaction.news(fresh)
            self._writers[1].queue(transaction, self.board.news(fresh), at_ns=now_ns)
            counts["news"] += len(taken.news)
        transaction.marks(taken.marks)
        transaction.dead(taken.dead)
        transaction.asks(taken.asks)
        counts["dead"] += len(taken.dead)
        counts.update(self.intake.counts)
        self.intake.counts.clear()
        return created

    def write(self, transaction: Transaction, now: float) -> None:
        """The games that changed, and what is due to be told of them."""
        transaction.hset(self._keys.state, mapping={game: self.state.pack(game) for game in self._games})
        self._games.clear()
        self._writers[0].queue(transaction, self.board.due(now), at_ns=self.board.newest_ns)

    def _is_newest(self, news: News) -> bool:
        name = news_field(news)
        if self._news.get(name, "") > news.at:
            return False
        self._news[name] = news.at
        return True
