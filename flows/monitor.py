"""Says how the champion is doing: drift of its inputs, and how old it is."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec
from models.lifecycle import watch_champion


@task(cache_policy=NO_CACHE)
def monitor(spec: LineSpec, family: str) -> dict[str, Any]:
    """Compare the newest feature rows with those the champion was fitted on; return levels and gauges."""
    with step(f"monitor {family}") as shown:
        report = watch_champion(family, spec.workspace, FlowSettings(), as_of=spec.as_of())
        shown.summary = str(report["level"])
    return report
