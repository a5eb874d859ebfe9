"""Builds the feature views, offline in Parquet and online in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from features.materialize import materialize as build_views
from features.stores.database import Database
from features.stores.online import OnlineStore
from features.stores.slates import save_slate
from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec


@task(retries=1, retry_delay_seconds=5, cache_policy=NO_CACHE)
def materialize(spec: LineSpec, quarantined: Sequence[int]) -> dict[str, Any]:
    """Compute and store every view from the seasons that passed validation."""
    with step("materialize") as shown:
        settings = FlowSettings()
        online = OnlineStore(settings.redis_url)
        built = build_views(
            spec.store, online, league=spec.league, as_of=spec.as_of(), excluded_seasons=quarantined
        )
        publish_slates(spec, settings)
        shown.summary = ", ".join(f"{name} {rows:,}" for name, rows in built.rows.items())
    return built.as_json()


def publish_slates(spec: LineSpec, settings: FlowSettings) -> None:
    """Put the slates collected into the application database, where serving finds them."""
    database = Database(settings.database_url)
    database.migrate()
    for slate in spec.store.read_slates():
        save_slate(database, slate, spec.league)
    database.close()
