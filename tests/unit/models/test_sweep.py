"""The search for hyper-parameters: seeded, pruned, judged by the calibration loss, blind to the test slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.errors import InvalidInput
from models.device import one_thread
from models.families import family_of
from models.training.config import TrainingParams
from models.training.fit import RunOptions
from models.training.sweep import STARTUP_TRIALS, SweepResult, Trial, sweep

FAMILY = "shot"
PARAMS = {
    "seed": 5, "holdout_days": 1, "calibration_days": 1,
    FAMILY: {"hidden": 8, "layers": 1, "dropout": 0.0, "batch_size": 128, "learning_rate": 5e-4, "max_epochs": 2},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def _rows(n: int, day: date, seed: int) -> pl.DataFrame:
    """Shots whose making is told by the first feature."""
    features = family_of(FAMILY).config({}).features
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, len(features))).astype(np.float32)
    made = rng.random(n) < 1 / (1 + np.exp(-2 * inputs[:, 0]))
    frame = pl.DataFrame(inputs, schema=list(features), orient="row")
    return frame.with_columns(made=pl.Series(made), game_date=pl.lit(day))


def _slices() -> tuple[pl.DataFrame, pl.DataFrame]:
    first = date(2024, 1, 1)
    return _rows(4096, first, 1), _rows(1024, first + timedelta(days=40), 2)


def _sweep(folder: Path, trials: int, **options: Any) -> SweepResult:
    chosen = TrainingParams.read(PARAMS, FAMILY)
    return sweep(FAMILY, _slices(), chosen, RunOptions(folder, "cpu", **options), trials=trials)


def test_a_search_is_seeded_starts_with_the_present_and_beats_it(tmp_path: Path) -> None:
    heard: list[Trial] = []
    chosen = TrainingParams.read(PARAMS, FAMILY)
    found = sweep(FAMILY, _slices(), chosen, RunOptions(tmp_path, "cpu"), trials=8, on_trial=heard.append)
    assert tuple(heard) == found.trials and len(heard) == 8
    present = {"hidden": 8, "layers": 1, "batch_size": 128, "learning_rate": 5e-4, "max_epochs": 2}
    assert {key: found.first.params[key] for key in present} == pytest.approx(present)
    # A learning rate this small hardly moves the network in two epochs: larger is better.
    assert found.best.loss is not None and found.first.loss is not None
    assert found.best.loss < found.first.loss - 0.01
    assert found.best.params["learning_rate"] > 5e-4
    assert found.best.loss == min(trial.loss for trial in found.trials if trial.loss is not None)
    assert not list(tmp_path.glob("trial-*"))

    again = _sweep(tmp_path, 8)
    assert [(trial.params, trial.loss, trial.state) for trial in again.trials] == [
        (trial.params, trial.loss, trial.state) for trial in found.trials
    ]
    assert found.as_json()["params_yaml"].startswith("shot: {hidden: ")
    TrainingParams.read({**PARAMS, FAMILY: dict(found.best.params)}, FAMILY)


def test_hopeless_trials_end_early(tmp_path: Path) -> None:
    section = {**PARAMS[FAMILY], "learning_rate": 3e-3, "max_epochs": 4, "batch_size": 512}  # type: ignore[dict-item]
    chosen = TrainingParams.read({**PARAMS, FAMILY: section}, FAMILY)
    found = sweep(FAMILY, _slices(), chosen, RunOptions(tmp_path, "cpu"), trials=12)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned and all(trial.number >= STARTUP_TRIALS for trial in pruned)
    assert all(len(trial.curve) < 4 for trial in pruned)
    assert found.best.state == "complete"


def test_parameters_that_diverge_fail_alone(tmp_path: Path) -> None:
    fit, calibrate = _slices()
    endless = calibrate.with_columns(pl.lit(float("inf")).cast(pl.Float32).alias("made"))
    chosen = TrainingParams.read(PARAMS, FAMILY)
    found = sweep(FAMILY, (fit, endless), chosen, RunOptions(tmp_path, "cpu"), trials=2)
    assert [(trial.state, trial.loss) for trial in found.trials] == [("failed", None)] * 2
    with pytest.raises(Exception, match="no trial of shot ended well"):
        _ = found.best


@pytest.mark.parametrize(("trials", "devices", "message"), [(0, 1, "sweep is 0"), (2, 2, "devices is 2")])
def test_impossible_searches_are_refused(tmp_path: Path, trials: int, devices: int, message: str) -> None:
    options = replace(RunOptions(tmp_path, "cpu"), devices=devices)
    with pytest.raises(InvalidInput, match=message):
        sweep(FAMILY, _slices(), TrainingParams.read(PARAMS, FAMILY), options, trials=trials)
