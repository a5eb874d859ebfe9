"""Moves the champion alias when the gate says so, or notes in the audit why it stays."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec
from models.lifecycle import apply_verdict


@task(cache_policy=NO_CACHE)
def promote(spec: LineSpec, family: str, verdict: dict[str, Any], actor: str = "daily") -> dict[str, Any]:
    """Compare-and-set the alias by the verdict; return which version is champion now."""
    with step(f"promote {family}") as shown:
        outcome = apply_verdict(family, spec.workspace, FlowSettings(), verdict, actor=actor)
        shown.summary = f"{verdict['action']}; champion is version {outcome['champion']}"
    return outcome
