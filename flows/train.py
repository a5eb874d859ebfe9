"""Trains a challenger of one model family and registers it with where it came from, or searches for its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import step
from flows.settings import FlowSettings
from flows.spec import LineSpec
from models.lifecycle import Lineage, train_challenger
from models.training.config import TrainingChoices


@task(cache_policy=NO_CACHE)
def train(
    spec: LineSpec,
    family: str,
    lineage: Lineage,
    quarantined: Sequence[int],
    choices: TrainingChoices | None = None,
) -> dict[str, Any]:
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
            choices=choices,
        )
        shown.summary = challenger.summary()
    return challenger.as_json()


def sweep(
    spec: LineSpec,
    family: str,
    lineage: Lineage,
    quarantined: Sequence[int],
    trials: int,
    choices: TrainingChoices | None = None,
) -> dict[str, Any]:
    """Search for better parameters of a family; every trial is logged, nothing is registered."""
    from models.sweeps import sweep_family

    with step(f"sweep {family}") as shown:
        report = sweep_family(
            family,
            spec.workspace,
            FlowSettings(),
            lineage=lineage,
            as_of=spec.as_of(),
            trials=trials,
            choices=choices,
            excluded_seasons=quarantined,
            on_progress=shown.update,
        )
        shown.summary = f"loss {report['first']['loss']:.4f} → {report['best']['loss']:.4f}"
    return report
