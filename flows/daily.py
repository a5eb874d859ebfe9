"""The whole line on one screen: collect, validate, materialize, train, evaluate, promote, monitor."""

from __future__ import annotations

from typing import Any

from prefect import flow

from features.play.plays import stored_plays
from flows.collect import collect
from flows.evaluate import evaluate
from flows.materialize import materialize
from flows.monitor import monitor
from flows.pin import pin
from flows.promote import promote
from flows.spec import LineSpec
from flows.train import train
from flows.validate import validate
from models.families import trainable


@flow(name="daily")
def daily(spec: LineSpec) -> dict[str, Any]:
    """Run the line once. Quarantined seasons are left out; the champion moves only on evidence."""
    collected = collect(spec)
    report = validate(spec)
    lineage = pin(spec)
    quarantined = report["quarantined_seasons"]
    views = materialize(spec, quarantined)
    families, models = trainable(stored_plays(spec.store, excluded_seasons=quarantined)), dict[str, Any]()
    for family in families:
        challenger = train(spec, family, lineage, quarantined)
        verdict = evaluate(spec, family, challenger["version"], quarantined)
        outcome = promote(spec, family, verdict)
        models[family] = {"challenger": challenger, "verdict": verdict, "outcome": outcome}
    watched = {family: monitor(spec, family) for family in families}
    return {
        "source": spec.source,
        "league": spec.league,
        "as_of": spec.as_of().isoformat(),
        "collected": collected,
        "validation": report,
        "lineage": lineage.as_json(),
        "views": views,
        "models": models,
        "monitoring": watched,
    }
