"""Lineups that somebody follows, kept on the state Redis for `KEPT_S`; `recompute` tells how they stand.

Who may hear of topic `lineup:{id}` is for `serving.security.lineup_key` to say.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import redis

from features.contests import Contest, Slot, check_lineup
from features.errors import InvalidInput, StoreUnavailable
from features.slate import Slate
from features.stream.connections import TRANSIENT, Servers
from features.workspace import League
from serving.errors import Busy

BY_ID: Final = "fantasy:{lineups}:by_id"
ADDED: Final = "fantasy:{lineups}:added"
#: Longest that a lineup is followed, seconds; most that are at once, and most in one request.
KEPT_S: Final = 36 * 3600
MOST: Final = 20_000
MOST_AT_ONCE: Final = 500
#: Lineups added while others were being read may have an older time by so much.
OVERLAP_MS: Final = 10_000


class Followed(msgspec.Struct, frozen=True):
    """A lineup as it is kept: site ids in the contest's slot order; `entry_id` is the site's, where a file told."""

    lineup_id: str
    league: League
    slate_id: str
    players: tuple[str, ...]
    entry_id: str = ""

    @property
    def topic(self) -> str:
        """Where it is told how the lineup stands."""
        return f"lineup:{self.lineup_id}"


@dataclass(frozen=True, slots=True)
class _Seated:
    id: str
    slot: str


@dataclass(frozen=True, slots=True)
class _Roster:
    players: tuple[_Seated, ...]


def seated(players: Sequence[str], slate: Slate, contest: Contest) -> tuple[str, ...]:
    """The lineup's site ids in slot order; any order that fits the slots is taken.

    Raises `InvalidInput` naming what is illegal about it.
    """
    listed = {player.site_id: player for player in slate.players}
    unknown = [site_id for site_id in players if site_id not in listed]
    if unknown:
        raise InvalidInput(
            f"lineups: player {unknown[0]!r} is not on slate {slate.slate_id}; use its players' ids"
        )
    if len(players) != contest.lineup_size:
        raise InvalidInput(f"lineups: {len(players)} players where {contest.name} has {contest.lineup_size} slots")
    placed = _places(contest.slots, [listed[site_id].positions for site_id in players])
    order = range(contest.lineup_size) if placed is None else placed
    ids = tuple(players[at] for at in order)
    roster = tuple(_Seated(id_, slot.name) for id_, slot in zip(ids, contest.slots, strict=True))
    if problems := check_lineup(cast("Any", _Roster(roster)), slate, contest):
        raise InvalidInput(f"lineups: {', '.join(players)}: {'; '.join(problems)}")
    return ids


class LineupStore:
    """The lineups followed. Raises `StoreUnavailable` when the state Redis does not answer. For any thread."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def add(
        self, league: League, slate_id: str, lineups: Iterable[Sequence[str]], entry_ids: Sequence[str] = ()
    ) -> list[Followed]:
        """Follow these lineups (site ids in slot order). Raises `Busy` when there are too many already."""
        added = [
            Followed(secrets.token_hex(8), league, slate_id, tuple(players), entry_ids[at] if entry_ids else "")
            for at, players in enumerate(lineups)
        ]
        try:
            client = self._servers.client_of(BY_ID)
            now_ms = self._expire(client)
            kept = client.zcard(ADDED)
            if kept + len(added) > MOST:
                raise Busy(f"{kept} lineups are followed already, of {MOST} at most; try again later")
            with client.pipeline(transaction=True) as pipe:
                for each in added:
                    pipe.hset(BY_ID, each.lineup_id, msgspec.json.encode(each).decode())
                    pipe.zadd(ADDED, {each.lineup_id: now_ms})
                pipe.execute()
        except TRANSIENT as error:
            raise _away(error) from error
        return added

    def added_since(self, since_ms: int) -> tuple[list[Followed], int]:
        """Lineups added from `since_ms` (server time) on, some of them perhaps told before; and the time to ask from
        next."""
        try:
            client = self._servers.client_of(BY_ID)
            now_ms = self._expire(client)
            ids = cast("list[bytes]", client.zrangebyscore(ADDED, since_ms, "+inf"))
            stored = cast("list[bytes | None]", client.hmget(BY_ID, ids)) if ids else []
        except TRANSIENT as error:
            raise _away(error) from error
        return [_decode(each) for each in stored if each is not None], now_ms - OVERLAP_MS

    @staticmethod
    def _expire(client: redis.Redis) -> int:
        """Forget lineups that are too old; returns the server's time, ms."""
        seconds, micros = client.time()
        now_ms = seconds * 1000 + micros // 1000
        old = cast("list[bytes]", client.zrangebyscore(ADDED, "-inf", now_ms - 1000 * KEPT_S))
        if old:
            with client.pipeline(transaction=True) as pipe:
                pipe.hdel(BY_ID, *cast("Any", old))
                pipe.zrem(ADDED, *cast("Any", old))
                pipe.execute()
        return now_ms


def _places(slots: Sequence[Slot], positions: Sequence[Sequence[str]]) -> list[int] | None:
    """For each slot, which player fills it, each in one; as given where that fits, None where nothing does."""
    if all(slot.accepts(tuple(own)) for slot, own in zip(slots, positions, strict=True)):
        return list(range(len(slots)))
    holder: dict[int, int] = {}  # player -> slot

    def seat(slot: int, tried: set[int]) -> bool:
        for player, own in enumerate(positions):
            if player in tried or not slots[slot].accepts(tuple(own)):
                continue
            tried.add(player)
            if player not in holder or seat(holder[player], tried):
                holder[player] = slot
                return True
        return False

    if not all(seat(slot, set()) for slot in range(len(slots))):
        return None
    by_slot: Mapping[int, int] = {slot: player for player, slot in holder.items()}
    return [by_slot[slot] for slot in range(len(slots))]


def _away(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"the state Redis does not answer ({type(error).__name__}: {error}); start it, or set FANTASY_REDIS_URL"
    )


_decode: Final = msgspec.json.Decoder(Followed).decode
