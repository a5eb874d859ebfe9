"""Turns the tables into feature views, offline and, when a store is given, online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from features.play.plays import stored_plays
from features.play.views import PLAY_VIEW_VERSIONS, play_views
from features.tables import Tables
from features.views import VIEW_VERSIONS, compute_views
from features.views.entities import player_directory

if TYPE_CHECKING:
    from features.stores.offline import OfflineStore
    from features.stores.online import OnlineStore


@dataclass(frozen=True, slots=True)
class Materialized:
    """Rows per view, and the newest moment the views know of (`data_timestamp`, UTC)."""

    rows: dict[str, int]
    view_versions: dict[str, str]
    data_timestamp: datetime

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "data_timestamp": self.data_timestamp.isoformat()}


def materialize(
    store: OfflineStore,
    online: OnlineStore | None,
    *,
    league: str,
    as_of: datetime,
    excluded_seasons: Sequence[int] = (),
) -> Materialized:
    """Compute every view from what was known by `as_of`, without the quarantined seasons, and store it.

    The views made from play-by-play are among them where it was collected.
    """
    known = store.tables(known_by=as_of)
    kept = ~pl.col("season").is_in(list(excluded_seasons))
    tables = Tables(known.games.filter(kept), known.box.filter(kept))
    plays = stored_plays(store, known_by=as_of, excluded_seasons=excluded_seasons)
    views = compute_views(tables) | play_views(plays, tables.games)
    for name, view in views.items():
        store.write_view(name, view)
    directory = player_directory(tables)
    store.write_view("player_directory", directory)
    newest = tables.games["known_time"].max()
    data_timestamp = newest if isinstance(newest, datetime) else as_of
    if online is not None:
        online.materialize(league, views, directory=directory, data_timestamp=data_timestamp)
    versions = {name: version for name, version in (VIEW_VERSIONS | PLAY_VIEW_VERSIONS).items() if name in views}
    return Materialized({name: view.height for name, view in views.items()}, versions, data_timestamp)
