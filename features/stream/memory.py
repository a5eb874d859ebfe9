"""What an owner knows of its partition: loaded from the state server, moved on by entries, written by transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from features.stream.commit import Transaction, news_field, rejected
from features.stream.connections import Command, Link, Servers, must
from features.stream.deltas import DeltaWriter
from features.stream.directory import Directory
from features.stream.intake import Intake
from features.stream.keys import Keys
from features.stream.marks import mark_of
from features.stream.member import Item
from features.stream.news import News, decode_json
from features.stream.retention import NEWS, Keep, Old, Retention
from features.stream.state import PartitionState
from features.stream.topics import Board

NOTHING: Final[NDArray[np.int64]] = np.empty(0, np.int64)


class Memory:
    """State, watermarks, news and what is still to be told, of one partition. Make it with `load`."""

    def __init__(self, keys: Keys, directory: Directory, tell_every_s: float, keep: Keep) -> None:
        self.state = PartitionState(directory)
        self.retention = Retention(keys, keep)
        self.intake = Intake()
        self._keys = keys
        self._directory = directory
        self._writers = tuple(DeltaWriter(keys.league, keys.partition, name) for name in ("state", NEWS))
        self.board = Board(directory, self.state, self._writers[0], self._writers[1], tell_every_s)
        self._news: dict[str, str] = {}
        self._games: set[int] = set()

    @classmethod
    def load(
        cls, link: Link, servers: Servers, keys: Keys, tell_every_s: float, keep: Keep, now_s: int
    ) -> tuple[Self, dict[bytes, bytes]]:
        """Everything as it is stored, and the metrics of the owner before."""
        names = (keys.state, keys.watermark, keys.topics, keys.news, keys.heard, keys.gone, keys.metrics)
        replies = [must(reply) for reply in link.call(*((b"HGETALL", name) for name in names))]
        state, marks, topics, news, heard, gone, metrics = (
            dict(zip(each[::2], each[1::2], strict=True)) for each in replies
        )
        directory = Directory(servers.client(), keys.league)
        directory.games(int(game) for game in state)  # all in one round trip
        memory = cls(keys, directory, tell_every_s, keep)
        for game, packed in state.items():
            memory.state.load(int(game), packed)
        memory.intake.marks.update((mark_of(name), int(value)) for name, value in marks.items())
        for writer in memory._writers:
            writer.load(topics)
        memory._news.update((name.decode(), decode_json(value).at) for name, value in news.items())
        memory.retention.load(heard, gone, (name.decode() for name in (*state, *news)), now_s)
        memory.state.removed = memory.retention.gone.keys()
        return memory, metrics

    def take(
        self, items: Iterable[Item], transaction: Transaction, counts: Counter[str], now: float, now_ns: int,
        *, critical: bool,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Fold entries of one lane into memory, and what that writes into `transaction`; returns when its rows were
        created (UNIX ns)."""
        taken = self.intake.take(items)
        rows, created = taken.rows, NOTHING
        if len(rows):
            applied = self.state.apply(rows, now_ns=now_ns)
            self._games.update(applied.games)
            self.retention.hear(applied.games, now_ns // 10**9)
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
            self.retention.hear(map(news_field, fresh), now_ns // 10**9)
            self._writers[1].queue(transaction, self.board.news(fresh), at_ns=now_ns)
            counts["news"] += len(taken.news)
        transaction.marks(taken.marks)
        transaction.dead(taken.dead)
        transaction.asks(taken.asks)
        counts["dead"] += len(taken.dead)
        counts.update(self.intake.counts)
        self.intake.counts.clear()
        return created

    def write(self, transaction: Transaction, now: float, *, tell: bool) -> None:
        """The games that changed, and with `tell` what is due to be told of them."""
        transaction.hset(self._keys.state, mapping={game: self.state.pack(game) for game in self._games})
        self._games.clear()
        if tell:
            self._writers[0].queue(transaction, self.board.due(now), at_ns=self.board.newest_ns)

    def old(self, now_s: int) -> Old:
        """What was kept long enough."""
        return self.retention.old(self.state.games, set(self.state.ended()), now_s)

    def remove(self, old: Old, topics: Mapping[bytes, bytes], now_s: int) -> list[Command]:
        """Forget `old`; returns the commands of the transaction that makes it so. `topics` is the whole hash."""
        ids = {info.game_id for info in self._directory.games(old.games).values()}
        self.board.forget(old.games, ids)
        self.state.drop(old.games)
        for name in old.news:
            self._news.pop(name, None)
        commands = self.retention.remove(old, now_s, topics, ids)
        for subject in {name.partition("|")[0] for name in old.news}:
            if not any(name.startswith(f"{subject}|") for name in self._news):
                self._writers[1].forget(subject)
        return commands

    def unregister(self, games: Collection[int]) -> None:
        """Take removed games out of the league's directory, which may stand on another server."""
        self._directory.remove_games(games)

    def _is_newest(self, news: News) -> bool:
        name = news_field(news)
        if self._news.get(name, "") > news.at:
            return False
        self._news[name] = news.at
        return True
