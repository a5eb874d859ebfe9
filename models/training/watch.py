"""The curve of a training as it grows: kept with every checkpoint, shown to whoever waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

import lightning.pytorch as pl
import torch

from models.errors import TrainingError

#: What, how much is done, out of how much.
Progress = Callable[[str, int, int], None]
#: Told after every epoch with its point of the curve; an error it raises ends the training.
EpochEnd = Callable[[dict[str, float]], None]
MONITOR: Final = "calibration_loss"
#: Seconds between two words about the batches of one epoch.
SAID_EVERY_S: Final = 1.0


class Watch(pl.Callback):
    """Keeps the curve (also across a resume), reports progress, and stops a run whose loss is not finite.

    A copy sent to another process tells nobody: who is told lives in the first one.
    """

    def __init__(
        self, max_epochs: int, on_progress: Progress | None = None, on_epoch: EpochEnd | None = None
    ) -> None:
        self.max_epochs, self.on_progress, self.on_epoch = max_epochs, on_progress, on_epoch
        self.curve: list[dict[str, float]] = []
        self._losses: list[torch.Tensor] = []
        self._rows, self._seconds, self._since, self._said = 0, 0.0, 0.0, 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "on_progress": None, "on_epoch": None}

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
        self._rows += len(batch[0]) * trainer.world_size
        now = time.perf_counter()
        self._seconds = now - self._since
        if self.on_progress is not None and now - self._said > SAID_EVERY_S:
            self._said = now
            self.on_progress(
                f"epoch {trainer.current_epoch + 1}, batch {_index + 1} of {trainer.num_training_batches}, "
                f"{self._rows / max(self._seconds, 1e-9):,.0f} rows/s",
                trainer.current_epoch, self.max_epochs,
            )  # fmt: skip

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop counting once the GPU has really done the epoch's work."""
        if self._losses and self._losses[-1].is_cuda:
            torch.cuda.synchronize(self._losses[-1].device)
            self._seconds = time.perf_counter() - self._since

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch. Raises `TrainingError` when a loss is not finite."""
        mean = torch.stack(self._losses).mean() if self._losses else torch.tensor(float("nan"))
        train_loss = float(trainer.strategy.reduce(mean, reduce_op="mean"))
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
            said = f"loss {point['calibration_loss']:.4f}, {point['samples_per_s']:,.0f} rows/s"
            self.on_progress(said, trainer.current_epoch + 1, self.max_epochs)
        if self.on_epoch is not None:
            self.on_epoch(point)
