"""What is told of games and players, and how often: critical events at once, the rest conflated per game."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.stream.deltas import DeltaWriter, Update
from features.stream.directory import GameInfo
from features.stream.events import Rows
from features.stream.layout import STATS
from features.stream.news import News
from features.stream.state import GameState, KnowsGames, PartitionState, fantasy_points

#: Counts of a player's line as the hub shows them; `reb` is made of two.
LINE: Final = tuple(name for name in STATS if name not in ("oreb", "dreb", "events", "last_seq"))
#: News of one subject that a client gets.
LATEST_NEWS: Final = 5
#: Games told per transaction, so that telling many never delays the events behind it.
GAMES_AT_ONCE: Final = 1


def game_topic(game: str) -> str:
    """Topic of a game id."""
    return f"game:{game}"


def player_topic(player: int) -> str:
    """Topic of a player id."""
    return f"player:{player}"


def game_whole(info: GameInfo, state: GameState) -> dict[str, Any]:
    """All that writer `state` says of a game."""
    return {
        "home_team": info.home_team,
        "away_team": info.away_team,
        "period": state.period,
        "clock_s": state.clock_s,
        "elapsed_s": state.elapsed_s,
        "home_score": state.home_score,
        "away_score": state.away_score,
        "status": "final" if state.final else "live",
        "seq": state.seq,
        "events": state.events,
    }


def player_wholes(
    info: GameInfo, state: GameState, players: NDArray[np.int32]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(topic, all that writer `state` says) of those of `players` who have a line."""
    at = np.flatnonzero(np.isin(state.players, players))
    stats = state.stats[at]
    points = {site: values.round(2).tolist() for site, values in fantasy_points(stats).items()}
    rows = zip(state.players[at].tolist(), state.sides[at].tolist(), stats.tolist(), strict=True)
    for i, (player, side, counts) in enumerate(rows):
        named = dict(zip(STATS, counts, strict=True))
        line = {name: named[name] for name in LINE} | {"reb": named["oreb"] + named["dreb"]}
        yield (
            player_topic(player),
            {
                "game_id": info.game_id,
                "side": "home" if side > 0 else "away",
                "line": line,
                "fantasy_points": {site: values[i] for site, values in points.items()},
            },
        )


@dataclass(slots=True)
class Board:
    """Changes of a partition that are still to be told. `every_s` is the least time between two tellings of a game."""

    directory: KnowsGames
    state: PartitionState
    writer: DeltaWriter
    news_writer: DeltaWriter
    every_s: float
    newest_ns: int = 0
    _changed: dict[int, set[int]] = field(default_factory=dict)
    _due: dict[int, float] = field(default_factory=dict)

    def note(self, games: Iterable[int], now: float) -> None:
        """`games` changed; to be told when they are due."""
        for game in games:
            if game not in self._changed:
                self._changed[game] = set()
                self._due.setdefault(game, now)

    def forget(self, games: Collection[int], game_ids: Collection[str]) -> None:
        """These games are told of no more."""
        for game in games:
            self._changed.pop(game, None)
            self._due.pop(game, None)
        self.writer.forget_games(game_ids)

    def at_once(self, games: Iterable[int], rows: Rows) -> list[Update]:
        """What critical `rows` changed in `games`."""
        players = np.unique(np.stack([rows["player"], rows["second"], rows["third"]]))
        return [update for game in games for update in self._tell(game, players, critical=True)]

    def due(self, now: float) -> list[Update]:
        """What has waited long enough, a few games at a time, the longest waiting first."""
        waiting = [game for game in self._changed if self._due[game] <= now]
        if not waiting:
            return []
        at, players = self.state.changed_players()  # since a game was told last, whichever it was
        for game, player in zip(at.tolist(), players.tolist(), strict=True):
            self._changed.setdefault(game, set()).add(player)
            self._due.setdefault(game, now)
        waiting.sort(key=self._due.__getitem__)
        updates: list[Update] = []
        for game in waiting[:GAMES_AT_ONCE]:
            told = np.fromiter(self._changed.pop(game), np.int32)
            self._due[game] = now + self.every_s
            updates += self._tell(game, told, critical=False)
        return updates

    def next_due(self) -> float | None:
        """When something is due (monotonic), None when nothing waits."""
        return min((self._due[game] for game in self._changed), default=None)

    def news(self, news: Iterable[News]) -> list[Update]:
        """News of players and slates, newest first; a subject that is only a name has no topic."""
        updates = []
        for each in news:
            if each.subject.startswith("name:"):
                continue
            before = self.news_writer.last(each.subject).get("news", ())
            told = {name: value for name, value in _plain(each).items() if name != "subject"}
            latest = [told, *(old for old in before if old["id"] != each.id)]
            latest.sort(key=lambda one: str(one["at"]), reverse=True)
            update = self.news_writer.changed(each.subject, {"news": latest[:LATEST_NEWS]}, critical=True)
            updates += [update] if update else []
        return updates

    def _tell(self, game: int, players: NDArray[np.int32], *, critical: bool) -> Iterator[Update]:
        info = self.directory.games([game]).get(game)
        if info is None:
            return
        state = self.state.state(game)
        wholes = [(game_topic(info.game_id), game_whole(info, state))]
        if len(players):
            wholes += player_wholes(info, state, players)
        for topic, whole in wholes:
            update = self.writer.changed(topic, whole, critical=critical)
            if update is not None:
                yield update


def _plain(news: News) -> dict[str, Any]:
    return {name: getattr(news, name) for name in news.__struct_fields__ if getattr(news, name) is not None}
