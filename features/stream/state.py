"""Live state of a partition's games: what all its events add up to, in integers, whatever order they came in.

`PartitionState.apply` folds a batch; `pack` and `load` carry one game to and from Redis; `unpack` reads it without
compiled code. Two states that were given the same rows pack to the same bytes, which `checksum_of` compares.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from features.errors import FutureVersion, MalformedBatch
from features.scoring import DOUBLE_DOUBLE, SITES, TRIPLE_DOUBLE, WEIGHTS, Site
from features.stream import layout as of
from features.stream.directory import GameInfo
from features.stream.events import Rows
from features.stream.layout import STATS, Reject

__all__ = [
    "FUTURE_NS", "STATS", "Applied", "GameState", "KnowsGames", "PartitionState", "Reject", "checksum_of",
    "fantasy_points", "unpack", "warm",
]  # fmt: skip

#: How far a source's clock may be ahead before its events are taken for mistakes.
FUTURE_NS: Final = 300 * 10**9
PACK_VERSION: Final = 1
_HEAD: Final = struct.Struct("<BBHIqiiiiiiii")  # version, count width, players, key, then the game's columns
_STORED: Final = slice(of.GAME_EVENTS, of.FINAL + 1)
_EMPTY: Final = -1
_NAN_BITS: Final = 0x7FC0_0000


class KnowsGames(Protocol):
    """Where games are looked up: `Directory` or `LocalDirectory`."""

    def games(self, keys: Iterable[int], *, fresh: bool = False) -> dict[int, GameInfo]:
        """Those games that are known."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: `games` it changed (keys); rows `rejected` (indices) with `reasons` (codes of `Reject`);
    how many of the others were `late`, older than the newest play of their game."""

    games: tuple[int, ...]
    applied: int
    rejected: NDArray[np.intp]
    reasons: NDArray[np.uint8]
    late: int

    def reason_counts(self) -> dict[str, int]:
        """Rejected rows per reason."""
        codes, counts = np.unique(self.reasons, return_counts=True)
        return {Reject(code).name: int(count) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


@dataclass(frozen=True, slots=True)
class GameState:
    """One game as it stands. `players` int32[n] ascending, `sides` (1 home, -1 away) int8[n], `stats` int64[n, 16] in
    the columns STATS. None where no event said it."""

    key: int
    events: int
    seq: int
    period: int
    clock_s: float | None
    elapsed_s: float | None
    home_score: int
    away_score: int
    final: bool
    players: NDArray[np.int32]
    sides: NDArray[np.int8]
    stats: NDArray[np.int64]

    def line(self, player: int) -> dict[str, int] | None:
        """Counts of one player with `reb`, None if no event credited him."""
        at = int(np.searchsorted(self.players, player))
        if at == len(self.players) or self.players[at] != player:
            return None
        return _line(self.stats[at].tolist())

    def lines(self) -> dict[int, dict[str, int]]:
        """Counts of every player with `reb`."""
        return {p: _line(row) for p, row in zip(self.players.tolist(), self.stats.tolist(), strict=True)}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "key": self.key, "events": self.events, "seq": self.seq, "period": self.period, "clock_s": self.clock_s,
            "elapsed_s": self.elapsed_s, "home_score": self.home_score, "away_score": self.away_score,
            "status": "final" if self.final else "live", "players": self.lines(),
        }  # fmt: skip


class PartitionState:
    """State of the games of one partition. Not safe for several threads.

    Rows of games in `removed` (keys) are rejected, whatever the directory knows of them.
    """

    def __init__(self, directory: KnowsGames) -> None:
        self._directory = directory
        self.removed: Collection[int] = ()
        self.clear()

    def clear(self) -> None:
        """Forget everything, as after a transaction whose outcome is unknown; `load` what is stored afterwards."""
        self._at: dict[int, int] = {}  # row in _games of each game key
        self._order: list[int] = []
        self._keys = np.full(64, _EMPTY, np.int64)
        self._index = np.zeros(64, np.int64)
        self._games = np.zeros((32, of.GAME_COLUMNS), np.int64)
        self._touched = np.zeros(32, np.uint8)
        self._players = np.full(1024, _EMPTY, np.int64)
        self._stats = np.zeros((1024, len(STATS)), np.int64)
        self._votes = np.zeros(1024, np.int64)
        self._dirty = np.zeros(1024, np.uint8)
        self._sorted: dict[int, NDArray[np.intp]] = {}

    @property
    def games(self) -> tuple[int, ...]:
        """Keys of all games that were met."""
        return tuple(self._order)

    def apply(self, rows: Rows, *, now_ns: int) -> Applied:
        """Add what `rows` say. Rows that cannot be true are left out and named; nothing is applied twice here, but
        nothing is recognised either: rows that come again are the caller's to leave out.
        """
        rows = np.ascontiguousarray(rows)
        reasons = np.zeros(len(rows), np.uint8)
        counts = self._fold(rows, reasons, now_ns)
        late = int(counts[of.LATE])
        for seen, reason, fresh in (
            (of.UNKNOWN_GAMES, Reject.unknown_game, False),
            (of.UNKNOWN_PLAYERS, Reject.unknown_player, True),
        ):
            if counts[seen]:  # the directory may know more than it did
                again = np.flatnonzero(reasons == reason)
                if self._learn(np.unique(rows["game"][again]).tolist(), fresh):
                    part = np.zeros(len(again), np.uint8)
                    more = self._fold(rows[again], part, now_ns)
                    reasons[again], late = part, late + int(more[of.LATE])
                    counts[of.UNKNOWN_PLAYERS] = counts[of.UNKNOWN_PLAYERS] + more[of.UNKNOWN_PLAYERS]
        if counts[of.UNKNOWN_GAMES] and self.removed:
            unknown = np.flatnonzero(reasons == Reject.unknown_game)
            gone = np.isin(rows["game"][unknown], np.fromiter(self.removed, np.int64))
            reasons[unknown[gone]] = Reject.removed_game
        rejected = np.flatnonzero(reasons) if counts[of.REJECTED] else np.empty(0, np.intp)
        touched = np.flatnonzero(self._touched[: len(self._at)])
        self._touched[touched] = 0
        games = tuple(self._order[at] for at in touched.tolist())
        return Applied(games, len(rows) - len(rejected), rejected, reasons[rejected], late)

    def changed_players(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(game keys, player ids) whose lines changed since this was last asked."""
        slots = np.flatnonzero(self._dirty)
        self._dirty[slots] = 0
        games = np.array(self._order, np.int64)
        players = self._players[slots]
        return games[players >> 32], (players & 0x7FFF_FFFF).astype(np.int32)

    def pack(self, game: int) -> bytes:
        """The game as bytes: the same for the same events, in whatever order and batches they came."""
        from features.stream.fold import packer

        at = self._at[game]
        slots = self._slots(at)
        body = np.empty(len(slots) * (2 + len(STATS)), np.int32)
        n = packer()(slots, self._players, self._votes, self._stats, body)
        if n < 0:
            return self._pack_wide(game, at, slots)
        head = _HEAD.pack(PACK_VERSION, 4, n, game, *self._games[at, _STORED].tolist())
        return head + body[: n * (2 + len(STATS))].tobytes()

    def state(self, game: int) -> GameState:
        """The game as it stands."""
        return unpack(self.pack(game))

    def load(self, game: int, packed: bytes) -> None:
        """Replace the game with what `pack` gave. Raises `MalformedBatch` or `FutureVersion`."""
        players, votes, stats = _columns(packed)
        if game not in self._at:
            known = self._directory.games([game])
            self._add(game, known.get(game))
        at = self._at[game]
        mine = self._slots(at)
        self._stats[mine] = 0
        self._stats[mine, of.LAST_SEQ] = -1
        self._votes[mine] = 0
        self._games[at, _STORED] = _HEAD.unpack_from(packed)[4:]
        for player, vote, line in zip(players.tolist(), votes.tolist(), stats, strict=True):
            slot = self._place(at, player)
            self._stats[slot] = line
            self._votes[slot] = vote

    def ended(self) -> list[int]:
        """Keys of the games that are final."""
        return [game for game, at in self._at.items() if self._games[at, of.FINAL]]

    def drop(self, games: Collection[int]) -> None:
        """Forget games; rows of them that come later are of games not known here. Takes milliseconds."""
        kept = {game: self.pack(game) for game in self._order if game not in games}
        changed = [pair for pair in zip(*(each.tolist() for each in self.changed_players()), strict=True)]
        self.clear()
        for game, packed in kept.items():
            self.load(game, packed)
        for game, player in changed:
            if game in kept:
                self._dirty[self._place(self._at[game], player)] = 1

    def checksum(self) -> str:
        """Digest of all games that have events, to compare with another state."""
        return checksum_of(
            {game: self.pack(game) for game, at in self._at.items() if self._games[at, of.GAME_EVENTS]}
        )

    def _fold(self, rows: Rows, reasons: NDArray[np.uint8], now_ns: int) -> NDArray[np.int64]:
        from features.stream.fold import kernel

        counts = np.zeros(of.COUNTERS, np.int64)
        words = rows.view(np.int32).reshape(-1, rows.itemsize // 4)
        done = 0
        while True:
            done = kernel()(
                rows, words, done, now_ns + FUTURE_NS, self._keys, self._index, self._games, self._touched,
                self._players, self._stats, self._votes, self._dirty, self._room(), reasons, counts,
            )  # fmt: skip
            if done == len(rows):
                return counts
            self._grow_players()

    def _pack_wide(self, game: int, at: int, slots: NDArray[np.intp]) -> bytes:
        """The same with counts of 64 bits."""
        slots = slots[self._stats[slots, of.LAST_SEQ] >= 0]
        head = _HEAD.pack(PACK_VERSION, 8, len(slots), game, *self._games[at, _STORED].tolist())
        ids = (self._players[slots] & 0x7FFF_FFFF).astype("<i4")
        votes, stats = self._votes[slots].astype("<i4"), self._stats[slots].astype("<i8")
        return b"".join((head, ids.tobytes(), votes.tobytes(), stats.tobytes()))

    def _learn(self, keys: list[int], fresh: bool) -> bool:
        """Look games up; whether anything was learned. Keys that nobody registered stay unknown."""
        learned = False
        wanted = [key for key in keys if key not in self.removed]
        for key, info in self._directory.games(wanted, fresh=fresh).items():
            if key not in self._at:
                self._add(key, info)
                learned = True
            elif info.roster:
                at = self._at[key]
                before = int(self._games[at, of.PERSONS])
                for player in info.roster:
                    self._place(at, player)
                learned |= int(self._games[at, of.PERSONS]) > before
        return learned

    def _add(self, key: int, info: GameInfo | None) -> None:
        at = len(self._order)
        if at == len(self._games):
            self._games = np.concatenate([self._games, np.zeros_like(self._games)])
            self._touched = np.concatenate([self._touched, np.zeros_like(self._touched)])
        if 2 * at >= len(self._keys):
            self._keys = np.full(2 * len(self._keys), _EMPTY, np.int64)
            self._index = np.zeros(len(self._keys), np.int64)
            for index, known in enumerate(self._order):
                self._name(known, index)
        self._name(key, at)
        self._at[key] = at
        self._order.append(key)
        self._games[at, [of.GAME_SEQ, of.SCORE_SEQ]] = -1
        self._games[at, [of.CLOCK, of.ELAPSED]] = _NAN_BITS
        self._games[at, of.OPEN] = info is None or not info.roster
        for player in info.roster if info else ():
            self._place(at, player)

    def _name(self, key: int, index: int) -> None:
        place = _probe(self._keys, key)
        self._keys[place], self._index[place] = key, index

    def _place(self, at: int, player: int) -> int:
        """Slot of a player of the game at `at`, made if he has none."""
        if self._room() < 1:
            self._grow_players()
        key = at << 32 | player
        slot = _probe(self._players, key)
        if self._players[slot] == _EMPTY:
            self._players[slot] = key
            self._stats[slot, of.LAST_SEQ] = -1
            self._games[at, of.PERSONS] += 1
        return slot

    def _room(self) -> int:
        return len(self._players) // 2 - int(self._games[:, of.PERSONS].sum())

    def _grow_players(self) -> None:
        """Twice the slots; never more than half of them are taken."""
        old = np.flatnonzero(self._players != _EMPTY)
        keys = self._players[old]
        size = 2 * len(self._players)
        stats, votes, dirty = self._stats[old], self._votes[old], self._dirty[old]
        self._players = np.full(size, _EMPTY, np.int64)
        self._stats = np.zeros((size, len(STATS)), np.int64)
        self._votes, self._dirty = np.zeros(size, np.int64), np.zeros(size, np.uint8)
        for key, line, vote, changed in zip(keys.tolist(), stats, votes.tolist(), dirty.tolist(), strict=True):
            slot = _probe(self._players, key)
            self._players[slot], self._stats[slot], self._votes[slot], self._dirty[slot] = key, line, vote, changed
        self._sorted.clear()

    def _slots(self, at: int) -> NDArray[np.intp]:
        """Slots of a game's players, by player id."""
        known = self._sorted.get(at)
        if known is None or len(known) != self._games[at, of.PERSONS]:
            known = np.flatnonzero(self._players >> 32 == at)
            known = known[np.argsort(self._players[known])]
            self._sorted[at] = known
        return known


def warm() -> None:
    """Load or compile the fold now, so that the first batch of a standby does not wait for it (seconds)."""
    from features.stream.fold import kernel, packer

    kernel()
    packer()


def unpack(packed: bytes) -> GameState:
    """The game in `packed`. Raises `MalformedBatch` (reason "content") or `FutureVersion`."""
    players, votes, stats = _columns(packed)
    key, events, seq, period, clock, elapsed, _, home, away, final = _HEAD.unpack_from(packed)[3:]
    return GameState(
        key, events, seq, period, _seconds(clock), _seconds(elapsed), home, away, bool(final), players,
        np.sign(votes).astype(np.int8), stats,
    )  # fmt: skip


def checksum_of(packed: Mapping[int, bytes]) -> str:
    """Digest of packed games by key, the same in whatever order they are given."""
    digest = xxhash.xxh3_128()
    for key in sorted(packed):
        digest.update(key.to_bytes(4, "little") + packed[key])
    return digest.hexdigest()


def fantasy_points(stats: NDArray[np.int64]) -> dict[Site, NDArray[np.float64]]:
    """Fantasy points per site of lines in the columns STATS, as `features.scoring.fantasy_points` gives them."""
    columns = {name: stats[:, at] for at, name in enumerate(STATS)} | {"reb": stats[:, 1] + stats[:, 2]}
    tens = sum((columns[name] >= 10).astype(np.int8) for name in ("pts", "reb", "ast", "stl", "blk"))
    found: dict[Site, NDArray[np.float64]] = {}
    for site in SITES:
        total = np.zeros(len(stats))
        for name, weight in WEIGHTS[site].items():
            total += columns[name] * weight
        if site == "draftkings":
            total += DOUBLE_DOUBLE * (tens >= 2) + TRIPLE_DOUBLE * (tens >= 3)
        found[site] = total
    return found


def _columns(packed: bytes) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    if len(packed) < _HEAD.size:
        raise MalformedBatch(
            "content", f"packed game: {len(packed)} bytes, less than its head; delete it and replay"
        )
    version, width, n = _HEAD.unpack_from(packed)[:3]
    if version > PACK_VERSION:
        raise FutureVersion(f"packed game: version {version}, this software reads up to {PACK_VERSION}; update it")
    if width not in (4, 8) or len(packed) != _HEAD.size + n * (8 + len(STATS) * width):
        raise MalformedBatch("content", f"packed game: {len(packed)} bytes for {n} players; delete it and replay")
    ids = np.frombuffer(packed, "<i4", n, _HEAD.size)
    votes = np.frombuffer(packed, "<i4", n, _HEAD.size + 4 * n)
    stats = np.frombuffer(packed, f"<i{width}", n * len(STATS), _HEAD.size + 8 * n)
    return ids, votes, stats.reshape(n, len(STATS)).astype(np.int64)


def _probe(table: NDArray[np.int64], key: int) -> int:
    """Where `key` is, or the empty place where it would be: as `features.stream.fold` looks for it."""
    at = ((key * of.GOLDEN & 0xFFFF_FFFF_FFFF_FFFF) >> of.SHIFT) & (len(table) - 1)
    while table[at] not in (key, _EMPTY):
        at = (at + 1) & (len(table) - 1)
    return at


def _seconds(bits: int) -> float | None:
    (value,) = struct.unpack("<f", struct.pack("<i", bits))
    return None if math.isnan(value) else float(value)


def _line(stats: list[int]) -> dict[str, int]:
    line = dict(zip(STATS, stats, strict=True))
    return line | {"reb": line["oreb"] + line["dreb"]}
