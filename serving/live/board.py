"""Which games a league plays now, for pages that have to know topics before they subscribe to any."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

import msgspec
import redis

from features.errors import StoreUnavailable
from features.stream.connections import Servers
from features.stream.deltas import split_field, topic_field
from features.stream.directory import GameInfo, partition_of
from features.stream.events import key_of
from features.stream.keys import Keys
from features.stream.news import News
from features.stream.reader import LiveState
from features.workspace import League
from serving.live.curves import Curves, Point

#: Games that tip off so long before or after the newest one belong to the same day.
SAME_DAY: Final = timedelta(hours=18)
#: One look at Redis answers every page that asks within so long.
KEPT_S: Final = 1.0
NEWS: Final = 40
GameStatus = Literal["planned", "live", "final"]


@dataclass(frozen=True, slots=True)
class BoardGame:
    """A game and the ids of who may play in it; its topics are `game:{game_id}` and `player:{id}`."""

    game_id: str
    home_team: str
    away_team: str
    tip: datetime
    status: GameStatus
    players: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BoardView:
    """A league's games in the order they tip off, and the newest news."""

    games: tuple[BoardGame, ...]
    news: tuple[News, ...]


class Board:
    """Reads leagues' games from the state server; for threads. `clock` gives seconds that only grow."""

    def __init__(self, redis_url: str, partitions: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = redis_url
        self._servers = Servers(redis_url)
        self._partitions = partitions
        self._states: dict[str, LiveState] = {}
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, BoardView]] = {}

    def view(self, league: str) -> BoardView:
        """The league's newest day. Raises `StoreUnavailable` when the state server does not answer."""
        with self._lock:
            kept = self._kept.get(league)
            if kept is not None and self._clock() - kept[0] < KEPT_S:
                return kept[1]
            try:
                view = self._read(league)
            except redis.RedisError as error:
                raise StoreUnavailable(
                    f"the state Redis does not answer ({error}); start it, or set FANTASY_REDIS_URL"
                ) from error
            self._kept[league] = (self._clock(), view)
            return view

    def curve(self, league: League, game_id: str) -> list[Point]:
        """The model's answers over a game so far. Raises `StoreUnavailable`."""
        partition = partition_of(key_of(game_id), self._partitions)
        return Curves(self._servers, league).of(partition, game_id)

    def close(self) -> None:
        """Close the connections."""
        for state in self._states.values():
            state.close()
        self._servers.close()

    def _read(self, league: str) -> BoardView:
        state = self._states.setdefault(league, LiveState(self._url, league, self._partitions))
        known = list(state.directory().every_game().values())
        told = self._told(league, known)
        day = _newest_day(known, told)
        players = self._players(league) if any(not info.roster for info in day) else {}
        games = tuple(
            BoardGame(
                game_id=info.game_id,
                home_team=info.home_team,
                away_team=info.away_team,
                tip=info.tip,
                status=_status(told.get(info.game_id)),
                players=info.roster or tuple(sorted(players.get(info.game_id, ()))),
            )
            for info in sorted(day, key=lambda info: (info.tip, info.game_id))
        )
        return BoardView(games, tuple(state.news()[:NEWS]))

    def _told(self, league: str, known: list[GameInfo]) -> dict[str, dict[str, Any]]:
        """What the consumer says of each game that has begun."""
        told: dict[str, dict[str, Any]] = {}
        for partition in range(self._partitions):
            mine = [info for info in known if partition_of(info.key, self._partitions) == partition]
            if not mine:
                continue
            key = Keys(league, partition).topics
            fields = [topic_field(f"game:{info.game_id}", "state") for info in mine]
            stored = cast("list[bytes | None]", self._servers.client_of(key).hmget(key, fields))
            told.update(
                (info.game_id, msgspec.json.decode(whole))
                for info, whole in zip(mine, stored, strict=True)
                if whole is not None
            )
        return told

    def _players(self, league: str) -> dict[str, list[int]]:
        """Who has done something, by game: for games whose rosters nobody knows."""
        found: dict[str, list[int]] = {}
        for partition in range(self._partitions):
            key = Keys(league, partition).topics
            for field, whole in self._servers.client_of(key).hscan_iter(key, match="player:*|state", count=1000):
                topic, _ = split_field(field)
                game_id = msgspec.json.decode(whole).get("game_id")
                found.setdefault(game_id, []).append(int(topic.partition(":")[2]))
        return found


def _newest_day(known: list[GameInfo], told: dict[str, dict[str, Any]]) -> list[GameInfo]:
    """Games around the newest one that has begun (or, while none has, the newest one planned)."""
    begun = [info.tip for info in known if info.game_id in told]
    newest = max(begun or [info.tip for info in known], default=None)
    return [] if newest is None else [info for info in known if abs(info.tip - newest) <= SAME_DAY]


def _status(told: dict[str, Any] | None) -> GameStatus:
    if told is None:
        return "planned"
    return "final" if told.get("status") == "final" else "live"
