"""The online features of a league as one consistent whole, decoded once per generation."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import polars as pl

from features.errors import NotMaterialized
from features.stores.online import OnlineStamp, OnlineStore
from features.views import Views
from features.workspace import League

_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest row of every view per entity, the player directory, and the stamp they were written under."""

    stamp: OnlineStamp
    views: Views
    directory: pl.DataFrame


class Snapshots:
    """The newest snapshot of every league. A generation never changes, so it is kept until another is current."""

    def __init__(self, online: OnlineStore) -> None:
        self._online = online
        self._kept: dict[League, Snapshot] = {}
        self._lock = threading.Lock()

    def stamp(self, league: League) -> OnlineStamp | None:
        """What is online now, None when nothing is. Raises `StoreUnavailable` when Redis does not answer."""
        try:
            return self._online.stamp(league)
        except NotMaterialized:
            return None

    def get(self, league: League) -> Snapshot:
        """Return the current generation. Raises `NotMaterialized` or `StoreUnavailable`."""
        with self._lock:
            for _ in range(_TRIES):
                stamp = self._online.stamp(league)
                kept = self._kept.get(league)
                if kept is not None and kept.stamp.generation == stamp.generation:
                    return kept
                views, directory = self._online.read_views(league), self._online.directory(league)
                # Views and directory are read apart: keep them only if no new generation came between.
                if self._online.stamp(league).generation == stamp.generation:
                    self._kept[league] = Snapshot(stamp, views, directory)
        raise NotMaterialized(f"features of league {league!r} are being replaced too often to read; try again")
