"""Trains a challenger of one model family and registers it with where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec
from models.lifecycle import Lineage, train_challenger


@task(cache_policy=NO_CACHE)
def train(spec: LineSpec, family: str, lineage: Lineage, quarantined: Sequence[int]) -> dict[str, Any]:
    """Train, log and register one challenger; or name the version already trained on exactly this data."""
    with step(f"train {family}") as shown:
        challenger = train_challenger(
            family,
            spec.workspace,
            FlowSettings(),
            lineage=lineage,
            as_of=spec.as_of(),
            excluded_seasons=quarantined,
            retrain=spec.retrain,
            on_progress=shown.update,
        )
        shown.summary = challenger.summary()
    return challenger.as_json()
