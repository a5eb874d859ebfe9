"""Slates as read from the database before, for as long as their rows stay as they are."""

from __future__ import annotations

from typing import Final

from features.recent import Recent
from features.stores.database import Database
from features.stores.slates import StoredSlate, load_slate, slate_stamp

#: Slates kept; a day has a handful.
KEPT: Final = 32


class KeptSlates:
    """Asks for the row's stamp every time and reads the slate only when that is another.

    A slate that has not changed is the same object again, so that what was made of it can be found by it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: Recent[str, tuple[tuple[str, str], StoredSlate]] = Recent(KEPT)

    def get(self, slate_id: str) -> StoredSlate:
        """Return one slate as it is stored now. Raises as `load_slate`."""
        # Asked before the slate is read: one that changes in between is read again next time.
        stamp = slate_stamp(self._database, slate_id)
        kept = self._kept.get(slate_id)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        stored = load_slate(self._database, slate_id)
        self._kept.put(slate_id, (stamp, stored))
        return stored
