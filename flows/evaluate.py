"""Pairs the challenger with the champion, or with the best baseline, on games neither was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec
from models.lifecycle import evaluate_challenger


@task(cache_policy=NO_CACHE)
def evaluate(spec: LineSpec, family: str, version: str, quarantined: Sequence[int]) -> dict[str, Any]:
    """Return the evidence and the gate's decision (promote, hold or reject, with reasons)."""
    with step(f"evaluate {family}") as shown:
        verdict = evaluate_challenger(
            family,
            spec.workspace,
            FlowSettings(),
            version=version,
            as_of=spec.as_of(),
            excluded_seasons=quarantined,
        )
        shown.summary = f"{verdict['action']}: {'; '.join(verdict['reasons'])}"
    return verdict
