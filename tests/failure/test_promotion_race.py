"""Eight processes promote at once: one winner, seven clear conflicts, and the audit equals the alias."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import uuid4

from features.stores.database import Database
from flows.settings import FlowSettings
from models.errors import PromotionConflict
from models.registry import Registry

PROCESSES = 8


def promote_once(
    settings: FlowSettings, name: str, version: str, expected: str, gate: Barrier, said: Queue[str]
) -> None:
    registry = Registry(settings, Database(settings.database_url))
    gate.wait(60)
    try:
        registry.promote(name, version, expected=expected, evidence={"by": version}, actor=f"process-{version}")
    except PromotionConflict as conflict:
        said.put(f"conflict: {conflict}")
    else:
        said.put(f"won: {version}")


def test_eight_processes_promoting_at_once_have_one_winner(
    flow_settings: FlowSettings, database: Database, make_bundle: Callable[[int], Path]
) -> None:
    from mlflow import MlflowClient  # noqa: F401  (forked children share the slow import)

    name = f"race-{uuid4().hex[:8]}"
    registry = Registry(flow_settings, database)
    versions = [
        registry.register(make_bundle(seed), name=name, metrics={}, tags={}, params={}).version
        for seed in range(PROCESSES + 1)
    ]
    registry.promote(name, versions[0], expected=None, evidence={}, actor="test")

    forked = multiprocessing.get_context("fork")
    gate, said = forked.Barrier(PROCESSES), forked.Queue()
    children = [
        forked.Process(target=promote_once, args=(flow_settings, name, version, versions[0], gate, said))
        for version in versions[1:]
    ]
    for child in children:
        child.start()
    answers = [said.get(timeout=120) for _ in children]
    for child in children:
        child.join(30)

    winners = [answer.removeprefix("won: ") for answer in answers if answer.startswith("won")]
    conflicts = [answer for answer in answers if answer.startswith("conflict")]
    champion = registry.alias(name)
    assert len(winners) == 1
    assert len(conflicts) == PROCESSES - 1
    assert all(f"champion of {name} is version {winners[0]}" in each for each in conflicts)
    assert champion is not None
    assert champion.version == winners[0]
    audit = registry.audit(name)
    assert [(row.from_version, row.to_version) for row in audit] == [
        (None, versions[0]),
        (versions[0], winners[0]),
    ]
    assert audit[-1].evidence == {"by": winners[0]}
