"""The validation as pages and data: one self-contained HTML page (no network needed) and one JSON file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from features.validation.results import SuiteResult, ValidationReport

_TEMPLATE: Final = Path(__file__).parent / "report.html.j2"
_FEW_KEYS: Final = 20


def page(suites: Sequence[SuiteResult], *, as_of: datetime, title: str, data_docs: str | None = None) -> str:
    """HTML listing every expectation of `suites` with bound, observed value and result per season."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    counts = {
        status: sum(item.status == status for suite in suites for item in suite.results)
        for status in ("passed", "warning", "failed", "skipped")
    }
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        suites=suites, as_of=as_of, title=title, counts=counts, data_docs=data_docs,
        passed=all(suite.status != "failed" for suite in suites),
    )  # fmt: skip


def write_json(report: ValidationReport) -> None:
    """Write the report as JSON to `report.json`; at most twenty keys of bad rows per expectation."""
    payload = dataclasses.asdict(report)
    for suite in payload["suites"]:
        for item in suite["results"]:
            item["keys"] = item["keys"][:_FEW_KEYS]
    payload["usable_seasons"] = list(report.usable_seasons)
    payload["failed_seasons"] = {table: list(report.failed_seasons(table)) for table in ("games", "box", "pbp")}
    report.json.write_text(json.dumps(payload, indent=1, default=str), encoding="utf-8")
