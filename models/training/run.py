"""One training run: a network, its fit and calibration slices, and Lightning's trainer around them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn
from torch.multiprocessing.spawn import ProcessException

from features.errors import InvalidInput
from models.device import Precision, one_thread, resolve_device, training_precision
from models.errors import TrainingError
from models.training.checkpoints import LAST, PACKED, WholeCheckpoints, curve_of, keepers, prepared, run_identity
from models.training.config import Optimisation
from models.training.datamodule import SliceData
from models.training.module import GRADIENT_NORM, FitModule, hush
from models.training.packed import PackedRows, Slice
from models.training.throughput import MachineUse
from models.training.watch import MONITOR, EpochEnd, Progress, Watch

__all__ = ["FitResult", "Progress", "Slice", "fit_network"]


@dataclass(frozen=True, slots=True)
class FitResult:
    """A trained network (best epoch, in eval mode on CPU) and how the run went.

    `curve` has one entry per epoch: epoch, train_loss, calibration_loss, samples_per_s, seconds. `machine` is what
    it took of GPU and memory (`models.training.throughput`).
    """

    network: nn.Module
    curve: tuple[dict[str, float], ...]
    best_epoch: int
    samples_per_s: float
    precision: Precision
    device: str
    machine: Mapping[str, float] = field(default_factory=dict)


def fit_network(
    network: nn.Module,
    fit: Slice,
    calibrate: Slice,
    optimisation: Optimisation,
    *,
    checkpoints: Path,
    device: str = "auto",
    resume: bool = False,
    on_progress: Progress | None = None,
    show_bar: bool = False,
    precision: str = "auto",
    devices: int = 1,
    on_epoch: EpochEnd | None = None,
) -> FitResult:
    """Train `network` on `fit` until `calibrate` stops improving; return it with its best weights.

    `resume` continues from the last checkpoint in `checkpoints` when it belongs to the same data, network and
    parameters; otherwise the run starts anew. `devices` processes (GPUs, or CPU processes over gloo) share every
    batch; with more than one, progress is Lightning's own bar. Raises `TrainingError` when a loss is not finite or
    a process dies, `InvalidInput` for a device or precision this machine lacks.
    """
    target = resolve_device(device)
    check_devices(target, devices, asked_each_epoch=on_epoch is not None)
    chosen = training_precision(target, precision)
    slices = PackedRows.of(fit), PackedRows.of(calibrate)
    last = prepared(checkpoints, run_identity(network, slices, optimisation, chosen, devices), resume=resume)
    if devices > 1:
        slices = (
            slices[0].stored(checkpoints / PACKED / "fit"), slices[1].stored(checkpoints / PACKED / "calibrate"),
        )  # fmt: skip
    data = SliceData(*slices, batch_size=optimisation.batch_size, seed=optimisation.seed)
    best, newest = keepers(checkpoints)
    stop = EarlyStopping(monitor=MONITOR, patience=optimisation.patience, check_finite=False)
    watch = Watch(optimisation.max_epochs, on_progress, on_epoch)
    on_gpu = target.type == "cuda"
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[target] if on_gpu else []), one_thread():
        hush()
        trainer = pl.Trainer(
            accelerator="gpu" if on_gpu else "cpu", devices=devices, precision=chosen,
            strategy="ddp_spawn" if devices > 1 else "auto", max_epochs=optimisation.max_epochs,
            accumulate_grad_batches=optimisation.accumulate, gradient_clip_val=GRADIENT_NORM,
            callbacks=[watch, stop, best, newest], plugins=[WholeCheckpoints()], logger=False,
            enable_progress_bar=show_bar, enable_model_summary=False, num_sanity_val_steps=0,
            use_distributed_sampler=False, default_root_dir=checkpoints,
        )  # fmt: skip
        with MachineUse(range(devices) if on_gpu else ()) as use:
            _fit(trainer, FitModule(network, optimisation), data, last)
    # Several processes leave their curve, as their weights, in the checkpoints only.
    curve = tuple(watch.curve) if devices == 1 else curve_of(checkpoints / LAST)
    return _result(network, Path(best.best_model_path), curve, chosen, str(target), use.metrics)


def check_devices(target: torch.device, devices: int, *, asked_each_epoch: bool = False) -> None:
    """Raises `InvalidInput` when `devices` processes cannot train on `target`."""
    most = torch.cuda.device_count() if target.type == "cuda" else None
    if devices < 1 or (most is not None and devices > most):
        raise InvalidInput(f"devices is {devices}; use 1" + (f" to {most}" if most is not None else " or more"))
    if devices > 1 and asked_each_epoch:
        raise InvalidInput(f"devices is {devices}, but a sweep judges every epoch in one process; use 1")


def _fit(trainer: pl.Trainer, module: FitModule, data: SliceData, last: Path | None) -> None:
    try:
        # Our own file, but also the one way of reading it that runs no code.
        trainer.fit(module, data, ckpt_path=last, weights_only=True)
    except ProcessException as error:
        cause = str(error).strip().splitlines()[-1]
        raise TrainingError(f"a training process ended: {cause}; train again with --resume") from error


def _result(
    network: nn.Module, best: Path, curve: tuple[dict[str, float], ...], precision: Precision, device: str,
    machine: Mapping[str, float],
) -> FitResult:  # fmt: skip
    if not best.is_file():
        raise TrainingError(f"the best checkpoint {best} is gone; train again without --resume")
    state: dict[str, Any] = torch.load(best, map_location="cpu", weights_only=True)
    weights = {k.removeprefix("network."): v for k, v in state["state_dict"].items()}
    network.load_state_dict({k: v for k, v in weights.items() if k in network.state_dict()})
    rows = sum(point["seconds"] * point["samples_per_s"] for point in curve)
    seconds = sum(point["seconds"] for point in curve)
    return FitResult(
        network=network.cpu().eval(), curve=curve, best_epoch=int(state["epoch"]),
        samples_per_s=rows / max(seconds, 1e-9), precision=precision, device=device, machine=machine,
    )  # fmt: skip
