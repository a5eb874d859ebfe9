"""Five hundred days of games through one owner's memory: it never holds more than the last few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, cast

import numpy as np

from features.stream.commit import Transaction
from features.stream.directory import Directory, GameInfo, LocalDirectory
from features.stream.events import Flag, Rows, encode
from features.stream.keys import Keys
from features.stream.member import Item
from features.stream.memory import Memory
from features.stream.retention import DAY_S, GAMES_AT_ONCE, GONE_DAYS, Keep
from features.stream.sending import ENTRY_FIELD
from tests.fixtures.stream import some_games, some_rows

KEYS = Keys("test", 0)
A_DAY, DAYS, ROWS = 20, 500, 5
START_S = 1_700_000_000
#: One game in ten is abandoned, and stays for a week.
KEEP, ABANDONED = Keep(ended_s=12 * 3600, unfinished_s=7 * DAY_S), 10
MOST_GAMES = A_DAY + A_DAY // ABANDONED * 8


class Known(LocalDirectory):
    """A directory that forgets games, as the one on the state server does."""

    def remove_games(self, keys: Collection[int]) -> None:
        for key in keys:
            del self._games[key]


class Owner:
    """A memory whose transactions always succeed, and what they leave of the hash of topics."""

    def __init__(self) -> None:
        self.directory = Known()
        self.memory = Memory(KEYS, cast("Directory", self.directory), 0.0, KEEP)
        self.memory.state.removed = self.memory.retention.gone.keys()
        self.topics: dict[bytes, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.sent = 0

    def play(self, rows: Rows, now_s: int) -> None:
        """Fold rows, and tell of every game."""
        item = Item(b"1-0", {ENTRY_FIELD: encode(rows, source=1, epoch=1, first=self.sent)})
        self.sent += len(rows)
        transaction = Transaction(KEYS)
        self.memory.take([item], transaction, self.counts, 0.0, now_s * 10**9, critical=False)
        while self.memory.board.next_due() is not None:
            self.memory.write(transaction, 1.0, tell=True)
        self._apply(transaction.commands)

    def sweep(self, now_s: int) -> Iterator[int]:
        """Remove what is old, as the partition does; how many games each time."""
        while old := self.memory.old(now_s):
            self._apply(self.memory.remove(old, self.topics, now_s))
            self.memory.unregister(old.games)
            yield len(old.games)

    def _apply(self, commands: list[Any]) -> None:
        for name, key, *rest in commands:
            if key == KEYS.topics and name == b"HSET":
                self.topics.update(
                    (field.encode(), whole) for field, whole in zip(rest[::2], rest[1::2], strict=True)
                )
            elif key == KEYS.topics:
                for field in rest:
                    del self.topics[field]


def games_of(day: int) -> list[GameInfo]:
    """Games with players of their own, so that a line that stays behind is seen."""
    tip = some_games(1)[0].tip
    return [
        GameInfo(f"game-{n}", 2024, "HOM", "AWY", tip, tuple(range(10 * n, 10 * n + 10)))
        for n in range(day * A_DAY, (day + 1) * A_DAY)
    ]


def test_memory_is_bounded_over_ten_thousand_games() -> None:
    owner, removed = Owner(), 0
    memory, retention = owner.memory, owner.memory.retention
    for day in range(DAYS):
        now_s = START_S + day * DAY_S
        for each in owner.sweep(now_s):
            assert each <= GAMES_AT_ONCE  # none when only notes are old
            removed += each
        today = games_of(day)
        for game in today:
            owner.directory.register_game(game)
        rows = np.concatenate([some_rows(ROWS, [game], seed=day) for game in today])
        rows["created_ns"] = now_s * 10**9
        rows["flags"][np.arange(A_DAY // ABANDONED + 1, A_DAY + 1) * ROWS - 1] |= int(Flag.final)
        owner.play(rows, now_s)
        assert len(memory.state.games) <= MOST_GAMES and len(retention.heard) <= MOST_GAMES
        assert len(owner.directory._games) <= MOST_GAMES
        assert len(retention.gone) <= A_DAY * (GONE_DAYS + 2)
    assert owner.counts["rejected"] == owner.counts["dead"] == 0
    assert removed + len(memory.state.games) == A_DAY * DAYS
    told = {name.partition(b"|")[0].decode() for name in owner.topics}
    assert told == set(memory._writers[0]._last)  # what was removed is remembered nowhere
    assert len(told) <= 11 * MOST_GAMES
    assert len(memory.state._players) <= 4096 and len(memory.state._games) <= 256


def test_an_abandoned_game_stays_longer_than_one_that_ended() -> None:
    owner = Owner()
    ended, abandoned = games_of(0)[:2]
    for game in (ended, abandoned):
        owner.directory.register_game(game)
    rows = some_rows(40, [ended, abandoned])
    rows["created_ns"] = START_S * 10**9
    rows["flags"][np.flatnonzero(rows["game"] == ended.key)[-1]] |= int(Flag.final)
    owner.play(rows, START_S)
    assert list(owner.sweep(START_S + int(KEEP.ended_s))) == []
    assert list(owner.sweep(START_S + int(KEEP.ended_s) + 1)) == [1]
    assert owner.memory.state.games == (abandoned.key,)
    owner.play(rows[rows["game"] == abandoned.key], START_S + DAY_S)  # it goes on: the week begins again
    assert list(owner.sweep(START_S + int(KEEP.unfinished_s) + 1)) == []
    assert list(owner.sweep(START_S + DAY_S + int(KEEP.unfinished_s) + 1)) == [1]
    assert not owner.memory.state.games and not owner.topics
