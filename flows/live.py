"""Live collection: new and changed games into the tables and the online store, many times an evening."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.collect import collect
from flows.materialize import materialize
from flows.spec import LineSpec
from flows.validate import validate


@flow(name="live")
def live(spec: LineSpec) -> dict[str, Any]:
    """Collect, validate and materialize; never trains. A season that fails its checks is left out."""
    collected = collect(spec)
    report = validate(spec)
    views = materialize(spec, report["quarantined_seasons"])
    return {"collected": collected, "validation": report, "views": views}
