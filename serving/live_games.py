"""Finds a game in progress: its plays (stored, or sent with the question) and what was known of its sides at tip-off.

What was known comes from the online store while that ends before the tip-off, else from the offline views as they
were then. Both are kept while files and generation stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from features.errors import NotMaterialized
from features.recent import Recent
from features.stores.offline import OfflineStore
from features.stores.recorded_game import ABSENT, RECENT, RecordedGames
from features.views import Views
from features.views.entities import GAME_ENTITY
from features.workspace import League, Workspace
from models.live_game import Known, LiveGame, Moment, entity_of, known_before, live_game, names_of, who_may_appear
from serving.snapshot import Snapshot, Snapshots

#: Games, and line-ups of who is listed, kept per process.
KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class AskedGame:
    """Which game, and as of when. `plays` are a live feed's (`models.live_game.as_plays`), None for the stored ones;
    `tip` is its tip-off where nothing stored tells."""

    league: League
    game_id: str
    asked_at: Moment = "now"
    seq: int | None = None
    plays: pl.DataFrame | None = None
    tip: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundGame:
    """A game at the moment asked about. `content` names all its numbers depend on; `box` holds its final lines."""

    league: League
    game: LiveGame
    known: Known
    listed: pl.DataFrame
    names: Mapping[int, str]
    box: pl.DataFrame
    data_timestamp: datetime | None
    view_versions: dict[str, str]
    content: str

    @property
    def warnings(self) -> list[str]:
        """What is amiss with plays and history."""
        return [*self.game.warnings, *self.known.warnings]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the offline store holds of a game: rows of games, pbp and box, any of them empty."""

    row: pl.DataFrame
    plays: pl.DataFrame
    box: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _History:
    """Where what was known at tip-off comes from."""

    recent: pl.DataFrame
    views: Callable[[pl.DataFrame], Views]
    versions: dict[str, str]
    origin: str


class LiveGames:
    """Every league's games under `home`. `clock` gives the aware time now."""

    def __init__(self, home: Path, snapshots: Snapshots, clock: Callable[[], datetime]) -> None:
        self._home = home
        self._snapshots = snapshots
        self._clock = clock
        self._stored: Recent[tuple[object, ...], _Stored] = Recent(KEPT)
        self._known: Recent[tuple[object, ...], Known] = Recent(KEPT)
        self._found: Recent[tuple[object, ...], FoundGame] = Recent(KEPT)
        self._played: Recent[tuple[object, ...], pl.DataFrame] = Recent(KEPT)

    def find(self, asked: AskedGame) -> FoundGame:
        """The game as asked about. Raises `NotMaterialized` for a game, play or quarter that is not there, and
        `InvalidInput` for plays that cannot be read."""
        recorded = RecordedGames(OfflineStore(Workspace(self._home, asked.league)))
        stamp, snapshot = recorded.stamp(), self._snapshot(asked.league)
        generation = None if snapshot is None else snapshot.stamp.generation
        told = None if asked.plays is None else (asked.plays.height, asked.plays.hash_rows().sum())
        key = (asked.league, asked.game_id, asked.asked_at, asked.seq, told, asked.tip, stamp, generation)
        found = self._found.get(key)
        if found is None:
            found = self._read(
                recorded, stamp, snapshot, asked, hashlib.sha256(repr(key).encode()).hexdigest()[:24]
            )
            self._found.put(key, found)
        return found

    def _read(
        self, recorded: RecordedGames, stamp: object, snapshot: Snapshot | None, asked: AskedGame, content: str
    ) -> FoundGame:
        stored = self._kept_game(recorded, stamp, asked)
        plays = stored.plays if asked.plays is None else asked.plays
        entity = self._entity(stored, plays, asked)
        score = None if asked.plays is not None else _score(stored.row)
        game = live_game(plays, entity, asked_at=asked.asked_at, seq=asked.seq, score=score)
        history = self._history(recorded, stamp, snapshot, game)
        listed = who_may_appear(game, history.recent)
        key = (asked.league, asked.game_id, stamp, history.origin, entity.row(0), game.settled, *listed.rows())
        known = self._known.get(key)
        if known is None:
            known = known_before(entity, listed, history.views(listed), settled=game.settled)
            self._known.put(key, known)
        return FoundGame(
            league=asked.league,
            game=game,
            known=known,
            listed=listed,
            names={**names_of(history.recent), **_box_names(stored.box)},
            box=stored.box if game.final and asked.plays is None else stored.box.clear(),
            data_timestamp=_newest(known.views, entity["as_of"][0]),
            view_versions=history.versions,
            content=content,
        )

    def _kept_game(self, recorded: RecordedGames, stamp: object, asked: AskedGame) -> _Stored:
        key = (asked.league, asked.game_id, stamp)
        found = self._stored.get(key)
        if found is None:
            row = recorded.game(asked.game_id)
            season = int(row["season"][0]) if row.height else None
            plays = recorded.plays(asked.game_id, season)
            box = recorded.box(asked.game_id, season) if season is not None else pl.DataFrame()
            found = _Stored(row, plays, box)
            self._stored.put(key, found)
        return found

    def _entity(self, stored: _Stored, plays: pl.DataFrame, asked: AskedGame) -> pl.DataFrame:
        if stored.row.height:
            known = stored.row.rename({"event_time": "as_of"})
            return known.select(pl.col(name).cast(dtype) for name, dtype in GAME_ENTITY.items())
        if plays.is_empty():
            raise NotMaterialized(
                f"game_id {asked.game_id!r}: league {asked.league!r} has no such game; check the id, or send `plays`"
            )
        tip = asked.tip or (stored.plays["event_time"][0] if stored.plays.height else self._clock())
        return entity_of(asked.game_id, plays, tip=tip)

    def _history(
        self, recorded: RecordedGames, stamp: object, snapshot: Snapshot | None, game: LiveGame
    ) -> _History:
        """The online snapshot while it ends before the tip-off, else the offline views as they were then."""
        tip: datetime = game.entity["as_of"][0]
        if snapshot is not None and snapshot.stamp.data_timestamp <= tip:
            since = (tip - ABSENT).date()
            recent = snapshot.directory.filter(pl.col("last_played") >= since).select(*RECENT)
            online = snapshot.stamp
            return _History(recent, lambda _: snapshot.views, online.view_versions, online.generation)
        teams, key = game.teams, (game.teams, tip, stamp)
        played = self._played.get(key)
        if played is None:
            # Read once a game: every play of it asks for the same rows.
            played = recorded.recent_players(teams, tip)
            self._played.put(key, played)
        versions = {} if snapshot is None else snapshot.stamp.view_versions
        return _History(
            played, lambda listed: recorded.views(teams, listed["player_id"].to_list(), tip), versions, "offline"
        )

    def _snapshot(self, league: League) -> Snapshot | None:
        try:
            return self._snapshots.get(league)
        except NotMaterialized:
            return None


def _score(row: pl.DataFrame) -> tuple[int, int] | None:
    """The published final score, None while there is none."""
    if row.is_empty() or row["home_score"][0] is None or row["away_score"][0] is None:
        return None
    home, away = int(row["home_score"][0]), int(row["away_score"][0])
    return None if home == away else (home, away)


def _box_names(box: pl.DataFrame) -> dict[int, str]:
    return dict(box.select("player_id", "player_name").iter_rows()) if box.height else {}


def _newest(views: Views, tip: datetime) -> datetime | None:
    """The newest moment before tip-off that the teams' views know of."""
    newest = views["team_strength"].filter(pl.col("known_time") <= tip)["known_time"].max()
    return newest if isinstance(newest, datetime) else None
