"""A hyper-parameter sweep of one family on what was collected, with every trial a child run in MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from features.params import read_params
from features.play.plays import stored_plays
from features.stores.offline import OfflineStore
from features.workspace import Workspace
from models.champion import model_name
from models.lifecycle import Lineage, known_tables
from models.settings import ModelSettings
from models.tracking import TrainingRun, log_child_run, log_outcome, parent_run
from models.training.config import TrainingChoices, TrainingParams

if TYPE_CHECKING:
    from models.training.sweep import Trial

Progress = Callable[[str, int, int], None]
#: How a trial's end is called in MLflow.
ENDED: Final = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def sweep_family(
    family: str,
    workspace: Workspace,
    settings: ModelSettings,
    *,
    lineage: Lineage,
    as_of: datetime,
    trials: int,
    choices: TrainingChoices | None = None,
    excluded_seasons: Sequence[int] = (),
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Search and log; return the best parameters, the figures of all trials and the parent run, as plain JSON values.

    Nothing is registered: the found line goes into `params.yaml`, and a model is trained from there.
    """
    from models.training.fit import RunOptions, split_rows  # Lightning: seconds to import, and only here
    from models.training.sweep import sweep

    choices = choices or TrainingChoices()
    params = choices.applied(read_params(), family)
    chosen = TrainingParams.read(params, family)
    store = OfflineStore(workspace)
    plays = stored_plays(store, known_by=as_of, excluded_seasons=excluded_seasons)
    tables = known_tables(workspace, as_of, excluded_seasons)
    split = split_rows(family, tables, store.read_views(), chosen, as_of=as_of, plays=plays)
    options = RunOptions(
        workspace.bundles / f"{family}-sweep.checkpoints", settings.device, precision=choices.precision,
        devices=choices.devices,
    )  # fmt: skip
    tags = {
        **lineage.as_json(), "family": family, "as_of": as_of.isoformat(), "kind": "sweep",
        "fit_through": str(split.fit["game_date"].max()), "judged_through": str(split.calibrate["game_date"].max()),
    }  # fmt: skip
    name, best = model_name(workspace.league, family), [float("inf")]
    whole = {**chosen.size, **asdict(chosen.optimisation), "trials": trials}
    with parent_run(settings, TrainingRun(name, whole, tags={**tags, "run_name": f"{name} sweep"})) as parent:

        def heard(trial: Trial) -> None:
            log_child_run(settings, _run(name, trial, tags), parent, ended=ENDED[trial.state])
            if trial.state == "complete" and trial.loss is not None:
                best[0] = min(best[0], trial.loss)
            if on_progress is not None:
                on_progress(f"best loss {best[0]:.4f}", trial.number + 1, trials)

        found = sweep(family, (split.fit, split.calibrate), chosen, options, trials=trials, on_trial=heard)
        report = found.as_json()
        result = {f"best.{key}": value for key, value in found.best.params.items()}
        losses = {"calibration_loss": found.best.loss, "calibration_loss_first": found.first.loss}
        log_outcome(
            settings, parent, TrainingRun(name, result, {k: v for k, v in losses.items() if v is not None})
        )
    shutil.rmtree(options.checkpoints, ignore_errors=True)
    return {**report, "run": parent}


def _run(name: str, trial: Trial, tags: dict[str, str]) -> TrainingRun:
    curves: dict[str, list[float]] = {}
    for point in trial.curve:
        for key in point.keys() - {"epoch"}:
            curves.setdefault(key, []).append(float(point[key]))
    metrics = {} if trial.loss is None else {"best_calibration_loss": trial.loss}
    named = {**tags, "kind": "trial", "trial": str(trial.number), "trial_state": trial.state}
    named["run_name"] = f"{name} trial {trial.number}"
    return TrainingRun(name, trial.params, metrics, curves, named)
