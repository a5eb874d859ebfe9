"""One training run: a network, its fit and calibration slices, and Lightning's trainer around them."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from numpy.typing import NDArray
from torch import nn

from models.device import Precision, one_thread, resolve_device, training_precision
from models.errors import TrainingError
from models.training.config import Optimisation
from models.training.datamodule import SliceData
from models.training.module import GRADIENT_NORM, FitModule

#: What, how much is done, out of how much.
Progress = Callable[[str, int, int], None]
Slice = tuple[NDArray[np.float32], NDArray[np.float32]]
MONITOR: Final = "calibration_loss"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FitResult:
    """A trained network (best epoch, in eval mode on CPU) and how the run went.

    `curve` has one entry per epoch: epoch, train_loss, calibration_loss, samples_per_s, seconds.
    """

    network: nn.Module
    curve: tuple[dict[str, float], ...]
    best_epoch: int
    samples_per_s: float
    precision: Precision
    device: str


class Watch(pl.Callback):
    """Keeps the curve (also across a resume), reports progress, and stops a run whose loss is not finite."""

    def __init__(self, max_epochs: int, on_progress: Progress | None) -> None:
        self.max_epochs, self.on_progress = max_epochs, on_progress
        self.curve: list[dict[str, float]] = []
        self._losses: list[torch.Tensor] = []
        self._rows, self._seconds, self._since = 0, 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Saved with every checkpoint."""
        return {"curve": self.curve}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restored on resume."""
        self.curve = [dict(point) for point in state_dict["curve"]]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting."""
        self._losses, self._rows, self._since = [], 0, time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, _module: Any, outputs: Any, batch: Any, _index: int) -> None:
        """Count rows; losses are read only at the end, so a GPU never waits for them."""
        self._losses.append(outputs["loss"].detach() * trainer.accumulate_grad_batches)
        self._rows += len(batch[0])
        self._seconds = time.perf_counter() - self._since

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch. Raises `TrainingError` when a loss is not finite."""
        train_loss = float(torch.stack(self._losses).mean()) if self._losses else float("nan")
        point = {
            "epoch": trainer.current_epoch,
            "train_loss": train_loss,
            "calibration_loss": float(trainer.callback_metrics[MONITOR]),
            "seconds": self._seconds,
            "samples_per_s": self._rows / max(self._seconds, 1e-9),
        }
        self.curve.append(point)
        if not (math.isfinite(train_loss) and math.isfinite(point["calibration_loss"])):
            raise TrainingError(
                f"loss is not finite in epoch {trainer.current_epoch} (train {train_loss}); lower learning_rate "
                "in params.yaml or look for infinite labels"
            )
        if self.on_progress is not None:
            self.on_progress("train", trainer.current_epoch + 1, self.max_epochs)


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
) -> FitResult:
    """Train `network` on `fit` until `calibrate` stops improving; return it with its best weights.

    `resume` continues from the last checkpoint in `checkpoints` when it belongs to the same data, network and
    parameters; otherwise the run starts anew. Raises `TrainingError` when a loss is not finite.
    """
    target = resolve_device(device)
    precision = training_precision(target)
    last = _prepare(checkpoints, _run_id(network, fit, calibrate, optimisation, precision), resume=resume)
    data = SliceData(fit, calibrate, batch_size=optimisation.batch_size, seed=optimisation.seed)
    watch = Watch(optimisation.max_epochs, on_progress)
    best = ModelCheckpoint(
        dirpath=checkpoints, filename="best-{epoch:03d}", auto_insert_metric_name=False, monitor=MONITOR,
        save_top_k=1, save_last=True,
    )  # fmt: skip
    stop = EarlyStopping(monitor=MONITOR, patience=optimisation.patience, check_finite=False)
    on_gpu = target.type == "cuda"
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with torch.random.fork_rng(devices=[target] if on_gpu else []), one_thread(), warnings.catch_warnings():
        # Batches are slices of arrays in memory: worker processes would only copy them.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists.*")
        warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = pl.Trainer(
            accelerator="gpu" if on_gpu else "cpu", devices=1, precision=precision,
            max_epochs=optimisation.max_epochs, accumulate_grad_batches=optimisation.accumulate,
            gradient_clip_val=GRADIENT_NORM, callbacks=[watch, stop, best], logger=False,
            enable_progress_bar=show_bar, enable_model_summary=False, num_sanity_val_steps=0,
            use_distributed_sampler=False, default_root_dir=checkpoints,
        )  # fmt: skip
        trainer.fit(FitModule(network, optimisation), data, ckpt_path=last)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    weights = {k.removeprefix("network."): v for k, v in state["state_dict"].items()}
    network.load_state_dict({k: v for k, v in weights.items() if k in network.state_dict()})
    rows = sum(point["seconds"] * point["samples_per_s"] for point in watch.curve)
    seconds = sum(point["seconds"] for point in watch.curve)
    return FitResult(
        network.cpu().eval(),
        tuple(watch.curve),
        int(state["epoch"]),
        rows / max(seconds, 1e-9),
        precision,
        str(target),
    )


def _prepare(checkpoints: Path, run_id: str, *, resume: bool) -> Path | None:
    """The checkpoint to resume from, or None with an empty folder."""
    card, last = checkpoints / "run.json", checkpoints / "last.ckpt"
    if resume and last.is_file() and card.is_file():
        if json.loads(card.read_text(encoding="utf-8"))["run"] == run_id:
            return last
        _log.warning("checkpoints in %s belong to other data or parameters; training starts anew", checkpoints)
    shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(parents=True)
    card.write_text(json.dumps({"run": run_id}), encoding="utf-8")
    return None


def _run_id(
    network: nn.Module, fit: Slice, calibrate: Slice, optimisation: Optimisation, precision: Precision
) -> str:
    """A digest of everything that decides the outcome of a run."""
    config: Any = network.config
    plain = {"config": config.as_json(), "optimisation": optimisation.as_json(), "precision": precision}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for array in (*fit, *calibrate):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
