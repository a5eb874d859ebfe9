"""Generated load: sound events of made-up games at any rate, the same for the same seed and sequence number.

Not basketball: shares of the kinds of plays are a real game's, who acts follows a Zipf law, clocks and scores are
random. Use features.sources.simulated for games that make sense. Rows are never kept for the models (`Flag.keep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.stream.directory import GameInfo, partition_of
from features.stream.events import EVENT, ROW_BYTES, Flag, Kind, Rows, blank

#: Rows per game after which the generated plays begin again, with new sequence numbers.
CYCLE: Final = 1024
#: Exponent of the players' share of all events.
ZIPF: Final = 1.3
_SHARES: Final = {
    Kind.made_shot: 0.18, Kind.missed_shot: 0.21, Kind.free_throw: 0.10, Kind.rebound: 0.22, Kind.turnover: 0.06,
    Kind.foul: 0.09, Kind.substitution: 0.11, Kind.timeout: 0.02, Kind.violation: 0.01,
}  # fmt: skip
#: numpy copies a structured type field by field, and opaque bytes much faster.
_OPAQUE: Final = np.dtype((np.void, ROW_BYTES))
_FIRST_PLAYER: Final = 900_000_000
_SEASON: Final = 2000


class Load:
    """`games` games of `players_per_game` players each; event number s is always that of game s % games.

    A producer that stopped can go on at any number, and what all events up to a number add up to can be recomputed.
    """

    def __init__(self, games: int = 15, players_per_game: int = 26, seed: int = 0) -> None:
        """Raises `InvalidInput` for fewer than one game or four players, or a negative seed."""
        if games < 1 or players_per_game < 4 or seed < 0:
            raise InvalidInput(
                f"load: {games} games, {players_per_game} players each, seed {seed}; "
                "use at least 1 game, 4 players and seed 0"
            )
        self.seed = seed
        self._roster = np.arange(games * players_per_game).reshape(games, players_per_game) + _FIRST_PLAYER
        tip = datetime(_SEASON, 11, 1, tzinfo=UTC)
        self.games = tuple(
            GameInfo(f"load-{seed}-{at}", _SEASON, f"H{at:02d}", f"A{at:02d}", tip, tuple(roster))
            for at, roster in enumerate(self._roster.tolist())
        )
        self._pool = self._made(games * CYCLE)

    def pool(self, n: int) -> Rows:
        """Events 0 to n - 1, created at 0."""
        return self.rows(0, n)

    def rows(self, first: int, n: int, created_ns: int | NDArray[np.int64] = 0) -> Rows:
        """Events `first` to `first + n - 1` as a new array, created at `created_ns` (one time, or one each)."""
        pool = self._pool.view(_OPAQUE)
        start = first % len(pool)
        pieces = [pool[start : start + n]]
        left = n - len(pieces[0])
        pieces += [pool] * (left // len(pool)) + [pool[: left % len(pool)]]
        rows: Rows = np.concatenate(pieces).view(EVENT)
        self.stamp(rows, first, created_ns)
        return rows

    def stamp(self, rows: Rows, first: int, created_ns: int | NDArray[np.int64]) -> None:
        """Make `rows`, taken from here, events `first` and following in place; `first` may differ from theirs only by
        a multiple of the number of games times CYCLE."""
        rows["created_ns"] = created_ns
        rows["seq"] = np.arange(first, first + len(rows)) // len(self.games)

    def resume(self, next_seq: Sequence[int]) -> tuple[Rows, int]:
        """Where a producer goes on whose partition p needs its event `next_seq[p]` next.

        Returns the events that some partitions still lack of those that others have, in order, and the number of the
        first event that no partition has.
        """
        orders = [self._turns(partition, len(next_seq)) for partition in range(len(next_seq))]
        heads = [self._number(turns, seq) for turns, seq in zip(orders, next_seq, strict=True) if len(turns)]
        for seq, turns in zip(next_seq, orders, strict=True):
            if seq and not len(turns):
                raise InvalidInput(
                    f"partition has {seq} events but no game of this load; use the same games and seed"
                )
        start, stop = min(heads), max(heads)
        rows = self.rows(start, stop - start)
        partition = partition_of(rows["game"], len(next_seq))
        number = np.arange(start, stop)
        reached = np.zeros(len(next_seq), np.int64)
        reached[[p for p, turns in enumerate(orders) if len(turns)]] = heads
        return rows[number >= reached[partition]], stop

    def _turns(self, partition: int, partitions: int) -> NDArray[np.int64]:
        """Which of the games belong to a partition."""
        mine = [partition_of(info.key, partitions) == partition for info in self.games]
        return np.flatnonzero(mine)

    def _number(self, turns: NDArray[np.int64], seq: int) -> int:
        """Number of the event that is the partition's event `seq`."""
        rounds, turn = divmod(seq, len(turns))
        return int(rounds * len(self.games) + turns[turn])

    def _made(self, n: int) -> Rows:
        rng = np.random.default_rng(self.seed)
        games, people = self._roster.shape
        rows = blank(n)
        game = np.arange(n) % games
        rows["game"] = np.array([info.key for info in self.games], np.uint32)[game]
        kinds = np.array([int(kind) for kind in _SHARES], np.uint8)
        share = np.array(list(_SHARES.values()))
        kind = rng.choice(kinds, n, p=share / share.sum())
        rows["kind"] = kind
        weight = 1.0 / np.arange(1, people + 1) ** ZIPF
        actor = rng.choice(people, n, p=weight / weight.sum())
        rows["player"] = self._roster[game, actor]
        rows["side"] = 1 + actor % 2  # players take turns in being of the home and away side
        self._others(rows, game, actor, rng)
        made, free = kind == Kind.made_shot, kind == Kind.free_throw
        shot = made | (kind == Kind.missed_shot)
        value = np.where(rng.random(n) < 0.4, 3, 2)
        rows["shot_value"][shot] = value[shot]
        rows["points"] = np.where(made, value, np.where(free, rng.random(n) < 0.77, 0))
        rows["flags"] = _flags(kind, rng)
        rows["period"] = 1 + rng.integers(0, 4, n)
        rows["clock_s"] = rng.integers(0, 720, n)
        rows["elapsed_s"] = rows["period"] * 720.0 - rows["clock_s"]
        rows["home_score"], rows["away_score"] = rng.integers(0, 130, n), rng.integers(0, 130, n)
        return rows

    def _others(self, rows: Rows, game: NDArray[np.int64], actor: NDArray[Any], rng: np.random.Generator) -> None:
        """Who assisted, stole or blocked: an assist by the actor's side, the others by the other side."""
        people = self._roster.shape[1]
        kind, drawn = rows["kind"], rng.random(len(rows))
        mate, rival = (actor + 2) % (people - people % 2), (actor + 1) % (people - people % 2)
        assisted = (kind == Kind.made_shot) & (drawn < 0.6)
        stolen = (kind == Kind.turnover) & (drawn < 0.5)
        blocked = (kind == Kind.missed_shot) & (drawn < 0.1)
        rows["second"][assisted] = self._roster[game, mate][assisted]
        rows["second"][stolen] = self._roster[game, rival][stolen]
        rows["third"][blocked] = self._roster[game, rival][blocked]


def _flags(kind: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    caught = np.where(rng.random(len(kind)) < 0.25, int(Flag.offensive), int(Flag.defensive))
    flags = np.where(kind == Kind.rebound, caught, np.where(kind == Kind.foul, int(Flag.personal), 0))
    return flags.astype(np.uint8)
