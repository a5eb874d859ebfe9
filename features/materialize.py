"""Turns the tables into feature views, offline and, when a store is given, online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

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
    """Compute every view from what was known by `as_of`, without the quarantined seasons, and store it."""
    known = store.tables(known_by=as_of)
    kept = ~pl.col("season").is_in(list(excluded_seasons))
    tables = Tables(known.games.filter(kept), known.box.filter(kept))
    views = compute_views(tables)
    for name, view in views.items():
        store.write_view(name, view)
    directory = player_directory(tables)
    store.write_view("player_directory", directory)
    newest = tables.games["known_time"].max()
    data_timestamp = newest if isinstance(newest, datetime) else as_of
    if online is not None:
        online.materialize(league, views, directory=directory, data_timestamp=data_timestamp)
    return Materialized({name: view.height for name, view in views.items()}, dict(VIEW_VERSIONS), data_timestamp)
