"""Writes model cards: what the registry knows of each model, and its walk-forward figures where there are any."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from features.errors import InvalidInput, NotMaterialized
from features.files import replace_file
from features.workspace import League
from flows.progress import step
from flows.results.cells import optional, table
from flows.results.figures import TOLD, at, moments, shown
from flows.settings import FlowSettings
from models.cards import card_facts, card_text

#: The figure that slices are told by, per kind of answer.
_MAIN: Final = {"probability": "accuracy", "points": "mae", "classes": "log_loss"}


def write_cards(league: League, *, out: Path, report: Path | None = None) -> list[Path]:
    """One file per registered model of `league` in `out`; `report` is the JSON of a backtest, left out where absent.

    Raises `NotMaterialized` when nothing is registered, `InvalidInput` when the report is not JSON.
    """
    told = _read(report)
    written: list[Path] = []
    with step(f"cards of {league}") as shown_step:
        for facts in card_facts(league, FlowSettings()):
            text = card_text(facts, list(walk_forward(told, facts.template.family)) if league == "nba" else ())
            path = out / f"{facts.bundle.name}.md"
            out.mkdir(parents=True, exist_ok=True)
            _write(path, text)
            written.append(path)
        shown_step.summary = f"{len(written)} written to {out}"
    if not written:
        raise NotMaterialized(f"no model of league {league!r} is registered: `fantasy run` trains them")
    return written


def walk_forward(report: Mapping[str, Any], family: str) -> Iterator[str]:
    """Lines of Markdown with a family's figures in the report; none where it has none.

    Slices are told of its first target only; the report has them all.
    """
    if "targets" not in report:
        return
    first: str | None = None
    for target, moment, told in moments(dict(report)):
        if told["family"] != family:
            continue
        first = first or target
        yield f"### {target}, {moment}, seasons {', '.join(map(str, report['seasons']))}"
        yield ""
        yield f"n = {told['n']:,} on {told['dates']:,} dates, {told['first_date']} to {told['last_date']}."
        yield ""
        rivals = list(told["baselines"])
        rows = [shown(told, figure, rivals) for figure in TOLD[told["kind"]]]
        yield from table(("figure", "model", "95 % interval (dates)", *rivals), rows)
        yield ""
        slices = list(_slices(told)) if target == first else []
        if slices:
            yield from table(("slice", "n", _MAIN[told["kind"]], "95 % interval"), slices)
            yield ""


def _slices(told: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    name = _MAIN[told["kind"]]
    for dimension, parts in told.get("slices", {}).items():
        for part, figures in parts.items():
            value = at(figures, (name,))
            if isinstance(value, dict):
                ends = "–" if value["low"] is None else f"{value['low']:.4f} – {value['high']:.4f}"
                yield f"{dimension}: {part}", f"{figures['n']:,}", optional(value["value"]), ends


def _read(report: Path | None) -> dict[str, Any]:
    if report is None or not report.is_file():
        return {}
    try:
        told = json.loads(report.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(
            f"{report} is not a backtest report ({error}); write it with `fantasy backtest`"
        ) from error
    return told if isinstance(told, dict) else {}


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda draft: draft.write_text(text, encoding="utf-8"))
