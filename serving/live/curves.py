"""The winner model's answers over a game, kept for pages that come later: one for each second of play.

A sorted set per game beside its topics: member JSON `[elapsed_s, home win probability, "called" | "abstained" |
"fallback"]`, score the second. An answer takes the place of all that were about its second or a later one (a play taken
back, or a new replay), so a game has at most as many as it lasts seconds.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from features.errors import StoreUnavailable
from features.stream.connections import TRANSIENT, Servers
from features.stream.keys import Keys
from features.workspace import League
from models.live_answers import answered
from serving.live.live_lines import PROBABILITY_DECIMALS, GameLines
from serving.live.turn import say

#: Seconds after the newest answer for which a game's curve is kept.
KEPT_S: Final = 48 * 3600
Kind = Literal["called", "abstained", "fallback"]


class Point(NamedTuple):
    """What the model said of a second of play."""

    elapsed_s: int
    home_win_probability: float
    kind: Kind


class Curves:
    """Curves of one league. Raises `StoreUnavailable` when the state Redis does not answer. For any thread."""

    def __init__(self, servers: Servers, league: League) -> None:
        self._servers = servers
        self._league = league

    def add(self, partition: int, game_id: str, answer: GameLines, turn: bytes) -> None:
        """Keep an answer; nothing when `turn` is over (`serving.live.turn`): another process keeps its own."""
        chance = answer.win.probability
        kind: Kind = "fallback" if answer.source.fallback else "called" if answered(chance) else "abstained"
        elapsed_s = answer.at_elapsed_s
        point = Point(elapsed_s, round(chance, PROBABILITY_DECIMALS), kind)
        key = _key(self._league, partition, game_id)

        def queue(pipe: Any) -> None:
            pipe.zremrangebyscore(key, elapsed_s, "+inf")
            pipe.zadd(key, {msgspec.json.encode(point): elapsed_s})
            pipe.expire(key, KEPT_S)

        try:
            say(self._servers.client_of(key), Keys(self._league, partition), turn, queue)
        except TRANSIENT as error:
            raise _away(error) from error

    def of(self, partition: int, game_id: str) -> list[Point]:
        """A game's answers in the order of play; none of a game nobody asked about."""
        key = _key(self._league, partition, game_id)
        try:
            stored: Any = self._servers.client_of(key).zrange(key, 0, -1)
        except TRANSIENT as error:
            raise _away(error) from error
        return [_decode(each) for each in cast("list[bytes]", stored)]


def _key(league: League, partition: int, game_id: str) -> str:
    return Keys(league, partition).topics + f":curve:{game_id}"


def _away(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
    )


_decode: Final = msgspec.json.Decoder(Point).decode
