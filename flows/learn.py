"""Continuous learning, after final scores: states at once, calibrators daily, networks from the champion's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from features.stores.database import Database
from features.stores.outcomes import record_outcomes
from flows.daily import open_line
from flows.evaluate import evaluate
from flows.progress import step
from flows.promote import promote
from flows.settings import FlowSettings
from flows.spec import Call, LineSpec
from models.learning import KINDS, Kind, learn_from_new_games
from models.lifecycle import Lineage


@task(retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)
def outcomes(spec: LineSpec) -> dict[str, Any] | None:
    """Write what happened, and who plays where, to the application database; None without games."""
    with step("outcomes") as shown:
        database = Database(FlowSettings().database_url)
        try:
            database.migrate()
            written = record_outcomes(database, spec.store.tables(known_by=spec.as_of()), spec.league)
        finally:
            database.close()
        shown.summary = "no games yet" if written is None else written.summary()
    return None if written is None else written.as_json()


@task(cache_policy=NO_CACHE)
def lessons(
    spec: LineSpec, family: str, lineage: Lineage, quarantined: Sequence[int], kinds: Sequence[Kind]
) -> list[dict[str, Any]]:
    """Make a family's challengers from its champion; one that could not be made says why."""
    with step(f"learn {family}") as shown:
        made = learn_from_new_games(
            family, spec.workspace, FlowSettings(), lineage=lineage, as_of=spec.as_of(), kinds=kinds,
            excluded_seasons=quarantined, on_progress=shown.update,
        )  # fmt: skip
        shown.summary = "; ".join(f"{each.kind}: {each.summary()}" for each in made)
    return [each.as_json() for each in made]


@flow(name="learn")
def learn(spec: LineSpec, kinds: tuple[Kind, ...] = KINDS) -> dict[str, Any]:
    """Collect, bring every state up to date, record outcomes, and let each champion learn; the gate decides."""
    return _learning(spec, kinds, lambda one: one)


def learn_here(spec: LineSpec, kinds: Sequence[Kind] = KINDS) -> dict[str, Any]:
    """Do the same in this process, without a Prefect server; Redis, PostgreSQL and MLflow must answer."""
    return _learning(spec, kinds, lambda one: one.fn)


def _learning(spec: LineSpec, kinds: Sequence[Kind], call: Call) -> dict[str, Any]:
    line = open_line(spec, call)
    recorded = call(outcomes)(spec)
    models: dict[str, Any] = {}
    for family in line.families:
        models[family] = []
        for lesson in call(lessons)(spec, family, line.lineage, line.quarantined, kinds):
            told = {"lesson": lesson, "verdict": None, "outcome": None}
            if lesson["version"] is not None:
                told["verdict"] = call(evaluate)(spec, family, lesson["version"], line.quarantined)
                told["outcome"] = call(promote)(spec, family, told["verdict"], actor="learn")
            models[family].append(told)
    return {**line.summary, "outcomes": recorded, "models": models}
