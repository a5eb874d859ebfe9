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
from uuid import uuid4

import polars as pl

from features.errors import NotMaterialized
from features.play.tally import Tally
from features.recent import Recent
from features.stores.offline import OfflineStore
from features.stores.recorded_game import ABSENT, RECENT, RecordedGames
from features.views import Views
from features.views.entities import GAME_ENTITY
from features.workspace import League, Workspace
from models.live_game import (
    Known,
    LiveGame,
    Moment,
    entity_of,
    known_before,
    live_game,
    names_of,
    told_game,
    who_may_appear,
)
from serving.snapshot import Snapshot, Snapshots

#: Games, and line-ups of who is listed, kept per process.
KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class ToldGame:
    """A live feed's game as a tally; `read` gives the same plays in a frame."""

    tally: Tally
    read: Callable[[], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class AskedGame:
    """Which game, and as of when. `plays` are a live feed's (`models.live_game.as_plays`), None for the stored ones;
    `tip` is its tip-off where nothing stored tells. Of a game that is being `told`, the newest moment is meant."""

    league: League
    game_id: str
    asked_at: Moment = "now"
    seq: int | None = None
    plays: pl.DataFrame | None = None
    tip: datetime | None = None
    told: ToldGame | None = None

    @property
    def live(self) -> bool:
        """The plays are a feed's, not the stored ones."""
        return self.plays is not None or self.told is not None


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
    """What the offline store holds of a game: rows of games (as GAME_ENTITY, too), pbp and box, any of them empty."""

    row: pl.DataFrame
    entity: pl.DataFrame
    plays: pl.DataFrame
    box: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Listed:
    """Who may appear (`who_may_appear`), with names."""

    rows: pl.DataFrame
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Before:
    """What was known at tip-off, and when the newest of it happened."""

    known: Known
    data_timestamp: datetime | None


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
        self._listed: Recent[tuple[object, ...], _Listed] = Recent(KEPT)
        self._before: Recent[tuple[object, ...], _Before] = Recent(KEPT)
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
        if asked.told is not None:  # nobody asks twice after the same play
            return self._read(recorded, stamp, snapshot, asked, uuid4().hex)
        found = self._found.get(key)
        if found is None:
            content = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
            found = self._read(recorded, stamp, snapshot, asked, content)
            self._found.put(key, found)
        return found

    def _read(
        self, recorded: RecordedGames, stamp: object, snapshot: Snapshot | None, asked: AskedGame, content: str
    ) -> FoundGame:
        stored = self._kept_game(recorded, stamp, asked)
        game = self._game(stored, asked)
        history = self._history(recorded, stamp, snapshot, game)
        appeared = game.lines.select("player_id", "is_home").rows()
        key = (asked.league, stamp, history.origin, game.entity.row(0), game.fives, *appeared)
        listed = self._listed.get(key)
        if listed is None:
            names = {**names_of(history.recent), **_box_names(stored.box)}
            listed = _Listed(who_may_appear(game, history.recent), names)
            self._listed.put(key, listed)
        before = self._before.get((game.settled, *key))
        if before is None:
            views = history.views(listed.rows)
            known = known_before(game.entity, listed.rows, views, settled=game.settled)
            before = _Before(known, _newest(known.views, game.entity["as_of"][0]))
            self._before.put((game.settled, *key), before)
        return FoundGame(
            league=asked.league,
            game=game,
            known=before.known,
            listed=listed.rows,
            names=listed.names,
            box=stored.box if game.final and not asked.live else stored.box.clear(),
            data_timestamp=before.data_timestamp,
            view_versions=history.versions,
            content=content,
        )

    def _game(self, stored: _Stored, asked: AskedGame) -> LiveGame:
        if asked.told is not None:
            tally = asked.told.tally
            named = pl.DataFrame([tally.teams], schema=["home_team", "away_team"], orient="row")
            return told_game(tally, self._entity(stored, named, asked), asked.told.read)
        plays = stored.plays if asked.plays is None else asked.plays
        score = _score(stored.row) if asked.plays is None else None
        entity = self._entity(stored, plays, asked)
        return live_game(plays, entity, asked_at=asked.asked_at, seq=asked.seq, score=score)

    def _kept_game(self, recorded: RecordedGames, stamp: object, asked: AskedGame) -> _Stored:
        key = (asked.league, asked.game_id, stamp)
        found = self._stored.get(key)
        if found is None:
            row = recorded.game(asked.game_id)
            season = int(row["season"][0]) if row.height else None
            plays = recorded.plays(asked.game_id, season)
            box = recorded.box(asked.game_id, season) if season is not None else pl.DataFrame()
            entity = row.rename({"event_time": "as_of"}).select(
                pl.col(name).cast(dtype) for name, dtype in GAME_ENTITY.items()
            )
            found = _Stored(row, entity, plays, box)
            self._stored.put(key, found)
        return found

    def _entity(self, stored: _Stored, plays: pl.DataFrame, asked: AskedGame) -> pl.DataFrame:
        if stored.entity.height:
            return stored.entity
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
