"""Checks what was collected; a season that breaks its expectations stops training on it, not the day."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from features.validation import validate as run_suites
from flows.progress import step
from flows.spec import LineSpec


@task(cache_policy=NO_CACHE)
def validate(spec: LineSpec) -> dict[str, Any]:
    """Run every suite; return whether all passed, the seasons quarantined and the report page."""
    with step("validate") as shown:
        report = run_suites(spec.store, as_of=spec.as_of(), seasons=spec.seasons, on_progress=shown.update)
        quarantined = sorted({s.season for s in report.suites if s.season} - set(report.usable_seasons))
        shown.summary = f"quarantined seasons {quarantined}" if quarantined else "all suites passed"
    return {
        "passed": report.passed,
        "quarantined_seasons": quarantined,
        "failed_slates": list(report.failed_slates),
        "failures": [suite.reason for suite in report.suites if suite.status == "failed"],
        "report": str(report.docs),
        "json": str(report.json),
    }
