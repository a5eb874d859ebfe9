"""When finished games and old news leave Redis, the owner's memory and the screens.

A game that ended is kept for `live_keep_hours` after its last event, one that never did (postponed, abandoned) for
`live_keep_unfinished_hours`; then one transaction removes its state, plays and
topics, tells their readers, and leaves a note that it is gone, so that a late event of it is put aside and does not
begin it anew. News is kept for `NEWS_DAYS` after it came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from features.stream.commit import Transaction
from features.stream.connections import Command
from features.stream.deltas import FIELD, KEPT_ENTRIES, encode_entry, fields_of, removal, topic_field
from features.stream.keys import Keys

#: Writer of the topics of news.
NEWS: Final = "news"
NEWS_DAYS: Final = 7
#: Notes of removed games are kept this long; an event that late counts as a new game's, if somebody registers it.
GONE_DAYS: Final = 60
#: How often to look, or four times in the shorter time of `Keep` when that is less.
LOOK_S: Final = 30.0
DAY_S: Final = 86_400
#: One transaction removes that many, so that the events behind it do not wait.
GAMES_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Keep:
    """Seconds that a game is kept after its last event: one that ended, and one that never did."""

    ended_s: float
    unfinished_s: float


@dataclass(frozen=True, slots=True)
class Old:
    """What is to be removed: keys of games, fields of the hash of news, and notes of games that are long gone."""

    games: list[int]
    news: list[str]
    notes: list[int]

    def __bool__(self) -> bool:
        return bool(self.games or self.news or self.notes)


@dataclass(slots=True)
class Retention:
    """Times (UNIX s) of a partition: when each game and piece of news was last heard of, and when games were removed.

    Times travel to the hash `Keys.heard` once a second, with the metrics.
    """

    keys: Keys
    keep: Keep
    heard: dict[str, int] = field(default_factory=dict)
    gone: dict[int, int] = field(default_factory=dict)
    _unsaid: set[str] = field(default_factory=set)

    def load(
        self, heard: Mapping[bytes, bytes], gone: Mapping[bytes, bytes], names: Iterable[str], now_s: int
    ) -> None:
        """Take over what is stored; what is there (`names`) without a time was heard of now."""
        self.heard = {name.decode(): int(value) for name, value in heard.items()}
        self.gone = {int(game): int(value) for game, value in gone.items()}
        self.hear((name for name in names if name not in self.heard), now_s)

    def hear(self, names: Iterable[object], now_s: int) -> None:
        """Games (keys) and news (fields of the hash) that came now."""
        for name in map(str, names):
            if self.heard.get(name) != now_s:
                self.heard[name] = now_s
                self._unsaid.add(name)

    def write(self, transaction: Transaction) -> None:
        """Times that changed since this was last asked."""
        transaction.hset(self.keys.heard, mapping={name: self.heard[name] for name in self._unsaid})
        self._unsaid.clear()

    @property
    def look_s(self) -> float:
        """How long to wait between two looks."""
        return min(LOOK_S, self.keep.ended_s / 4, self.keep.unfinished_s / 4)

    def old(self, games: Iterable[int], ended: Collection[int], now_s: int) -> Old:
        """What has been kept long enough, of `games`, of which some `ended`, and of all news."""
        keep_s = {True: self.keep.ended_s, False: self.keep.unfinished_s}
        over = [game for game in games if self.heard.get(str(game), now_s) + keep_s[game in ended] < now_s]
        news = [name for name, at in self.heard.items() if "|" in name and at + NEWS_DAYS * DAY_S < now_s]
        notes = [game for game, at in self.gone.items() if at + GONE_DAYS * DAY_S < now_s]
        return Old(over[:GAMES_AT_ONCE], news, notes)

    def remove(
        self, old: Old, now_s: int, topics: Mapping[bytes, bytes], game_ids: Collection[str]
    ) -> list[Command]:
        """Forget `old`; returns what removes it from Redis and tells so, of the games `game_ids` and of news of whom
        nothing is left. `topics` is the whole hash."""
        keys = self.keys
        for game in old.games:
            self.gone[game] = now_s
        for note in old.notes:
            del self.gone[note]
        for name in (*map(str, old.games), *old.news):
            self.heard.pop(name, None)
            self._unsaid.discard(name)
        left = {name.partition("|")[0] for name in self.heard if "|" in name}
        silent = {
            topic_field(name.partition("|")[0], NEWS) for name in old.news if name.partition("|")[0] not in left
        }
        told = {name: whole for name, whole in topics.items() if name.decode() in silent}
        told.update(fields_of(topics, game_ids))
        removed = (
            (keys.state, old.games), (keys.gone, old.notes), (keys.heard, [*old.games, *old.news]),
            (keys.news, old.news), (keys.topics, list(told)),
        )  # fmt: skip
        transaction = Transaction(keys)
        transaction.commands += [(b"HDEL", name, *fields) for name, fields in removed if fields]
        transaction.commands += [(b"DEL", keys.plays(game)) for game in old.games]
        transaction.hset(keys.gone, mapping={game: now_s for game in old.games})
        if told:
            payload = encode_entry(removal(told, at_ns=now_s * 10**9))
            transaction.xadd(keys.deltas, {FIELD: payload}, maxlen=KEPT_ENTRIES)
        return transaction.commands
