"""Live accuracy of a league, from the predictions served and what then happened."""

from __future__ import annotations

from features.stores.database import Database
from features.workspace import League
from flows.settings import FlowSettings
from models.prequential import Cell, live_accuracy


def accuracy_of(league: League, *, target: str | None = None, asked_at: str | None = None) -> list[Cell]:
    """Every cell of `models.prequential` in the configured database; empty while no outcome is known."""
    database = Database(FlowSettings().database_url)
    try:
        database.migrate()
        return live_accuracy(database, league, target=target, asked_at=asked_at)
    finally:
        database.close()
