"""The whole line on one screen: collect, validate, materialize, train, evaluate, promote, monitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect import flow

from features.play.plays import stored_plays
from flows.collect import collect
from flows.evaluate import evaluate
from flows.materialize import materialize
from flows.monitor import monitor
from flows.pin import pin
from flows.promote import promote
from flows.spec import Call, LineSpec
from flows.train import train
from flows.validate import validate
from models.families import trainable
from models.lifecycle import Lineage


@flow(name="daily")
def daily(spec: LineSpec) -> dict[str, Any]:
    """Run the line once. Quarantined seasons are left out; the champion moves only on evidence."""
    line = open_line(spec, lambda task: task)
    models: dict[str, Any] = {}
    for family in line.families:
        challenger = train(spec, family, line.lineage, line.quarantined)
        verdict = evaluate(spec, family, challenger["version"], line.quarantined)
        outcome = promote(spec, family, verdict)
        models[family] = {"challenger": challenger, "verdict": verdict, "outcome": outcome}
    watched = {family: monitor(spec, family) for family in line.families}
    return {**line.summary, "models": models, "monitoring": watched}


@dataclass(frozen=True, slots=True)
class Opened:
    """What the first steps leave: their `summary`, lineage, seasons left out, families that can learn."""

    summary: dict[str, Any]
    lineage: Lineage
    quarantined: list[int]
    families: tuple[str, ...]


def open_line(spec: LineSpec, call: Call) -> Opened:
    """The first steps, with which continuous learning begins, too; `call` says how a task is called."""
    collected = call(collect)(spec)
    report = call(validate)(spec)
    lineage = call(pin)(spec)
    quarantined = report["quarantined_seasons"]
    views = call(materialize)(spec, quarantined)
    summary = {
        "source": spec.source,
        "league": spec.league,
        "as_of": spec.as_of().isoformat(),
        "collected": collected,
        "validation": report,
        "lineage": lineage.as_json(),
        "views": views,
    }
    return Opened(summary, lineage, quarantined, trainable(stored_plays(spec.store, excluded_seasons=quarantined)))
