"""Brings in the games and slates that are not here yet."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE

from features.ingest import collect as ingest
from features.slate import Slate
from features.sources.base import Source
from flows.progress import step
from flows.spec import LineSpec

#: A slate day without games (All-Star break, off-season edge) moves on to the next, at most this far.
LOOK_AHEAD_DAYS: Final = 8


@task(retries=2, retry_delay_seconds=[5, 30], cache_policy=NO_CACHE)
def collect(spec: LineSpec) -> dict[str, Any]:
    """Ingest every new or changed game known by the run's moment; return the ingest counters."""
    with step(f"collect ({spec.source})") as shown:
        source = spec.open_source()
        counts = ingest(source, spec.workspace, as_of=spec.as_of(), seasons=spec.seasons, on_progress=shown.update)
        slates = upcoming_slates(spec, source)
        for slate in slates:
            spec.store.write_slate(slate)
        lost = f", {counts.failed} NOT WRITTEN (the next collect tries them again)" if counts.failed else ""
        shown.summary = (
            f"{counts.new} new, {counts.changed} changed, {counts.duplicate} known, {len(slates)} slates{lost}"
        )
    return {**asdict(counts), "slates": [slate.slate_id for slate in slates]}


def upcoming_slates(spec: LineSpec, source: Source) -> list[Slate]:
    """Return the slates of the first day at or after the slate day that has any."""
    first = spec.slate_day
    if first is None:
        return []
    for ahead in range(LOOK_AHEAD_DAYS):
        slates = source.slates(first + timedelta(days=ahead))
        if slates:
            return slates
    return []
