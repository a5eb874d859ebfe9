"""Whether the arms of every experiment that was served may be compared."""

from __future__ import annotations

from features.stores.database import Database
from features.stores.exposures import exposed_arms
from flows.settings import FlowSettings
from models.experiments.health import ExperimentHealth, health_of


def experiments_served(settings: FlowSettings) -> list[ExperimentHealth]:
    """The newest first. Raises `StoreUnavailable` while PostgreSQL does not answer."""
    database = Database(settings.database_url)
    try:
        database.migrate()
        return [health_of(arms) for arms in exposed_arms(database)]
    finally:
        database.close()
