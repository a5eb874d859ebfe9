"""The offline line as DVC stages: `python -m flows.stages STAGE`, the functions of the flows without any server.

State lives under `data/` of the repository, apart from a user's own `.fantasy`. Everything is a function of
`params.yaml` and the code, so `dvc repro` in a clean clone gives `metrics.json` bit for bit (on one kind of CPU).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from features.errors import InvalidInput, StoreUnavailable
from features.params import VARIABLE, read_params
from flows.commands.tables import console
from flows.spec import LineSpec

DATA: Final = Path("data")
METRICS: Final = Path("metrics.json")
SPEC: Final = LineSpec(source="simulated", home=DATA)


def collect() -> None:
    """Simulate the league into tables."""
    from features.ingest import collect as ingest

    # What an earlier run left is no input of this stage: its result must follow from code and parameters alone.
    shutil.rmtree(SPEC.workspace.raw, ignore_errors=True)
    counts = ingest(SPEC.open_source(), SPEC.workspace, as_of=SPEC.as_of(), seasons=SPEC.seasons)
    if counts.failed:
        raise StoreUnavailable(f"{counts.failed} records could not be written below {DATA}; free disk space")


def validate() -> None:
    """Run every suite; write which seasons may be used."""
    from features.validation import validate as run_suites

    report = run_suites(SPEC.store, as_of=SPEC.as_of())
    suites = {f"{suite.suite} {suite.season or ''}".strip(): suite.status for suite in report.suites}
    _write(DATA / "validation.json", {"usable_seasons": list(report.usable_seasons), "suites": suites})


def materialize() -> None:
    """Compute the feature views."""
    from features.materialize import materialize as build_views

    build_views(SPEC.store, None, league=SPEC.league, as_of=SPEC.as_of(), excluded_seasons=_excluded())


def train() -> None:
    """Train one bundle per family."""
    from features.play.plays import stored_plays
    from models.families import trainable
    from models.lifecycle import known_tables
    from models.training.fit import train as fit

    plays = stored_plays(SPEC.store, known_by=SPEC.as_of(), excluded_seasons=_excluded())
    tables, views = known_tables(SPEC.workspace, SPEC.as_of(), _excluded()), SPEC.store.read_views()
    for family in trainable(plays):
        out = SPEC.workspace.bundles / family
        checkpoints = DATA / "checkpoints" / family
        fit(
            family, tables, views, read_params(), as_of=SPEC.as_of(), out=out, league=SPEC.league,
            checkpoints=checkpoints, device="cpu", plays=plays,
        )  # fmt: skip
        shutil.rmtree(checkpoints)


def evaluate() -> None:
    """Judge each bundle against the best baseline; write the figures."""
    from features.play.plays import stored_plays
    from models.bundle import load_bundle
    from models.families import trainable
    from models.judgement import judge
    from models.lifecycle import known_tables

    plays = stored_plays(SPEC.store, known_by=SPEC.as_of(), excluded_seasons=_excluded())
    tables, views = known_tables(SPEC.workspace, SPEC.as_of(), _excluded()), SPEC.store.read_views()
    metrics: dict[str, Any] = {"source": "simulated"}
    for family in trainable(plays):
        model = load_bundle(SPEC.workspace.bundles / family)
        verdict = judge(model, None, tables, views, read_params(), as_of=SPEC.as_of(), plays=plays).as_json()
        evidence = verdict["evidence"]
        names = ("metric", "opponent", "first_date", "last_date", "comparison", "champion", "challenger")
        metrics[family] = {"action": verdict["action"], **{name: evidence[name] for name in names}}
    _write(METRICS, metrics)


STAGES: Final[dict[str, Callable[[], None]]] = {
    stage.__name__: stage for stage in (collect, validate, materialize, train, evaluate)
}


def _excluded() -> list[int]:
    usable = json.loads((DATA / "validation.json").read_text(encoding="utf-8"))["usable_seasons"]
    return [season for season in SPEC.store.seasons("games") if season not in usable]


def _write(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def main(words: list[str]) -> None:
    """Run the stage named by the first word."""
    if len(words) != 1 or words[0] not in STAGES:
        raise InvalidInput(f"name one stage of {', '.join(STAGES)}")
    if os.environ.get(VARIABLE):
        raise InvalidInput(f"{VARIABLE} is set, but DVC sees params.yaml only; unset it")
    console.print(f"stage {words[0]}")
    STAGES[words[0]]()


if __name__ == "__main__":
    main(sys.argv[1:])
