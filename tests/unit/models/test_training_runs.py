"""Trainings that are killed, shared by processes, or asked for in another precision."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from features.errors import InvalidInput
from models.device import one_thread, training_precision
from models.errors import TrainingError
from models.projection.config import ProjectionConfig
from models.projection.network import ProjectionNetwork
from models.training.config import Optimisation, TrainingChoices, TrainingParams
from models.training.module import FitModule
from models.training.run import FitResult, Slice, fit_network
from models.training.throughput import MachineUse
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

FEATURES = tuple(f"f{n}" for n in range(6))
CPU = torch.device("cpu")
STEPS = ("epoch", "train_loss", "calibration_loss")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny matrices on a shared machine: more threads only wait for each other."""
    with one_thread():
        yield


def rows(n: int, seed: int = 0) -> Slice:
    """Points that are nearly linear in the first input."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, 6)).astype(np.float32)
    points = 20 + 6 * inputs[:, :1] + 3 * np.abs(inputs[:, 1:2]) + rng.normal(size=(n, 1))
    return inputs, np.repeat(points, 3, axis=1).astype(np.float32)


def network(dropout: float = 0.0) -> ProjectionNetwork:
    """Always the same untrained network."""
    torch.manual_seed(0)
    made = ProjectionNetwork(ProjectionConfig(FEATURES, (), hidden=24, layers=2, dropout=dropout))
    made.fit_scales(*rows(512))
    return made


def trained(folder: Path, chosen: Optimisation, *, dropout: float = 0.0, **options: Any) -> FitResult:
    """The network trained on 512 rows."""
    return fit_network(
        network(dropout), rows(512), rows(200, seed=9), chosen, checkpoints=folder, device="cpu", **options
    )


def curve(found: FitResult) -> list[list[float]]:
    """Epochs and losses, without timings."""
    return [[point[step] for step in STEPS] for point in found.curve]


KILLED = Optimisation(batch_size=64, max_epochs=6, patience=6, learning_rate=0.01)
CHILD = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    import test_training_runs as runs
    def slowly(*_): time.sleep(0.2)
    runs.trained(Path({folder!r}), runs.KILLED, dropout=0.2, on_progress=slowly)
"""


def test_resume_after_a_kill_gives_the_same_curve(tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    code = textwrap.dedent(CHILD.format(tests=str(Path(__file__).parent), folder=str(folder)))
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while not (folder / "best-002.ckpt").exists() and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, "the child ended before it could be killed"
    finally:
        child.kill()
    told: list[int] = []
    again = trained(
        folder, KILLED, dropout=0.2, resume=True, on_progress=lambda _what, done, _total: told.append(done)
    )
    assert min(told) >= 2, "the epochs before the kill were trained again"
    whole = trained(tmp_path / "whole", KILLED, dropout=0.2)
    assert curve(again) == curve(whole)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_an_epoch_without_progress_is_kept_for_a_resume(tmp_path: Path) -> None:
    inputs, labels = rows(48)
    noisy = labels + np.random.default_rng(1).normal(scale=8.0, size=labels.shape).astype(np.float32)
    chosen = Optimisation(batch_size=16, max_epochs=30, patience=30, learning_rate=0.03)
    found = fit_network(network(), (inputs, noisy), rows(200, seed=9), chosen, checkpoints=tmp_path, device="cpu")
    assert found.best_epoch < 29, "so few rows of noise were meant to be learned by heart"
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 29
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {f"best-{found.best_epoch:03d}.ckpt", "last.ckpt", "run.json"}


def test_resume_without_a_checkpoint_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path, Optimisation(batch_size=64, max_epochs=1), resume=True)
    assert "no checkpoint to resume from" in caplog.text


@pytest.mark.slow  # two interpreters import torch and Lightning
def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    chosen = Optimisation(batch_size=64, max_epochs=3, patience=3, learning_rate=0.01)
    alone = trained(tmp_path / "one", chosen, precision="32")
    shared = trained(tmp_path / "two", chosen, precision="32", devices=2)
    np.testing.assert_allclose(curve(shared), curve(alone), rtol=1e-4)
    assert shared.best_epoch == alone.best_epoch
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(shared.network.state_dict()[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_what_ends_a_process_is_named(tmp_path: Path) -> None:
    inputs, labels = rows(128)
    labels[3] = np.inf
    chosen = Optimisation(batch_size=64, max_epochs=2)
    with pytest.raises(TrainingError, match="not finite"):
        fit_network(network(), (inputs, labels), rows(50), chosen, checkpoints=tmp_path, device="cpu", devices=2)


def test_bf16_trains_like_fp32(tmp_path: Path) -> None:
    chosen = Optimisation(batch_size=64, max_epochs=4, patience=4, learning_rate=0.01)
    plain = trained(tmp_path / "32", chosen, precision="32")
    mixed = trained(tmp_path / "bf16", chosen, precision="bf16-mixed")
    assert (plain.precision, mixed.precision) == ("32-true", "bf16-mixed")
    assert mixed.curve[-1]["calibration_loss"] == pytest.approx(plain.curve[-1]["calibration_loss"], rel=0.03)
    assert plain.curve[-1]["calibration_loss"] < 0.7 * plain.curve[0]["calibration_loss"]


@pytest.mark.parametrize(
    ("wanted", "message"), [("16-mixed", "needs a CUDA device"), ("fp16", "use one of auto, 32")]
)
def test_precisions_the_cpu_lacks_are_refused(wanted: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        training_precision(CPU, wanted)


def test_auto_on_cpu_is_bf16() -> None:
    assert training_precision(CPU, "auto") == "bf16-mixed"
    assert training_precision(CPU, "32") == "32-true"


def test_no_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="devices is 0"):
        trained(tmp_path, Optimisation(max_epochs=1), devices=0)


def test_a_training_step_learns_one_batch_by_heart() -> None:
    """The step that Lightning runs, hiding of announced features included, not the loss alone."""
    torch.manual_seed(0)
    made = ProjectionNetwork(ProjectionConfig(FEATURES, (("f4",), ("f5",)), hidden=24, layers=2, dropout=0.0))
    made.fit_scales(*rows(32))
    module = FitModule(made, Optimisation())
    module.log = lambda *_args, **_named: None  # type: ignore[method-assign]
    batch = tuple(torch.from_numpy(part) for part in rows(32))
    optimizer = torch.optim.AdamW(made.parameters(), 0.01)
    first = module.training_step(batch, 0).item()
    for _ in range(400):
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()
    assert module.training_step(batch, 0).item() < 0.2 * first


@pytest.mark.parametrize("hidden_layers", [1, 3])
def test_gradients_reach_every_parameter_through_any_depth(hidden_layers: int) -> None:
    networks: list[Any] = [
        ProjectionNetwork(ProjectionConfig(FEATURES, (), hidden=16, layers=hidden_layers, dropout=0.1)),
        WinProbabilityNetwork(WinProbabilityConfig(FEATURES, hidden=8, layers=hidden_layers)),
    ]
    inputs, points = rows(64)
    for made, labels in zip(networks, (points, (points[:, :1] > 22).astype(np.float32)), strict=True):
        made.fit_scales(inputs, labels)
        made.train()
        made.loss(torch.from_numpy(inputs), torch.from_numpy(labels)).backward()
        for name, parameter in made.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_rows_per_second_and_memory_are_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = trained(
        tmp_path, Optimisation(batch_size=64, max_epochs=2), on_progress=lambda *said: told.append(said)
    )
    assert [said[1:] for said in told if said[0].startswith("loss")] == [(1, 2), (2, 2)]
    assert all("rows/s" in said[0] for said in told)
    assert found.samples_per_s > 0
    assert found.machine["process_peak_memory_mib"] > 50
    assert "gpu_utilisation_percent" not in found.machine


def test_without_a_gpu_nothing_is_guessed() -> None:
    with MachineUse() as use:
        assert use.utilisation() is None
    assert set(use.metrics) == {"process_peak_memory_mib"}


def test_choices_change_the_parameters_and_are_named() -> None:
    section = {"seed": 1, "holdout_days": 5, "calibration_days": 5, "shot": {"hidden": 8, "max_epochs": 3}}
    asked = TrainingChoices(accumulate=4, max_epochs=9, precision="32")
    for params in (section, {"train": section}):
        chosen = TrainingParams.read(asked.applied(params, "shot"), "shot")
        assert (chosen.optimisation.accumulate, chosen.optimisation.max_epochs) == (4, 9)
    assert section["shot"] == {"hidden": 8, "max_epochs": 3}
    assert asked.as_tag() == "precision=32,accumulate=4,max_epochs=9"
    assert TrainingChoices(resume=True).as_tag() == ""
