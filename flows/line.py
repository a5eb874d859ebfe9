"""Runs the daily flow once in this process and drafts a lineup from its slate."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from features.slate import Slate
from flows.drafting import BuiltLineups, build, project
from flows.progress import step
from flows.rules_file import PlayerRules
from flows.spec import LineSpec


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What the line did, and a lineup for its slate; `built` is None when the day has no slate."""

    summary: dict[str, Any]
    built: BuiltLineups | None

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy run --json`."""
        return {**self.summary, "lineup": self.built.as_json() if self.built else None}


def run_line(spec: LineSpec, *, prefect_api_url: str) -> LineOutcome:
    """Run the flow against the Prefect API at `prefect_api_url`, then draft one DraftKings lineup."""
    os.environ["PREFECT_API_URL"] = prefect_api_url
    with step("load Prefect"):
        from flows.daily import daily  # read after the environment says where its API is
    with quiet_prefect():
        summary = daily(spec)
    slate = draftkings_slate(spec, summary["collected"]["slates"])
    if slate is None:
        return LineOutcome(summary, None)
    with step("draft a lineup"):
        built = build(project(slate, league=spec.league), PlayerRules(n=1))
    return LineOutcome(summary, built)


@contextmanager
def quiet_prefect() -> Iterator[None]:
    """Keep Prefect's own lines off the terminal, and send them to its server before that may stop."""
    from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler

    names = ("prefect", "prefect.flow_runs", "prefect.task_runs")
    silenced = [
        (logging.getLogger(name), handler)
        for name in names
        for handler in logging.getLogger(name).handlers
        if isinstance(handler, PrefectConsoleHandler)
    ]
    for logger, handler in silenced:
        logger.removeHandler(handler)
    try:
        yield
    finally:
        for logger, handler in silenced:
            logger.addHandler(handler)
        APILogWorker.drain_all(timeout=10)


def draftkings_slate(spec: LineSpec, slate_ids: list[str]) -> Slate | None:
    """Return the day's DraftKings slate with most games, None when there is none."""
    slates = [spec.store.read_slate(slate_id) for slate_id in slate_ids]
    wanted = [s for s in slates if s.site == "draftkings" and s.mode == "classic"]
    return max(wanted, key=lambda slate: len(slate.games), default=None)
