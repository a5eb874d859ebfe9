"""The fit and calibration slices of one training as Lightning asks for them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import lightning.pytorch as pl
import torch

from models.training.packed import Batch, PackedBatches, PackedRows

#: Rows of one validation batch; only memory depends on it.
VALIDATION_ROWS: Final = 65_536


class InOrder:
    """Iterable over `rows` in order, VALIDATION_ROWS at a time."""

    def __init__(self, rows: PackedRows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / VALIDATION_ROWS)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.rows), VALIDATION_ROWS):
            part = slice(start, start + VALIDATION_ROWS)
            yield self.rows.inputs[part], self.rows.labels[part]


class SliceData(pl.LightningDataModule):
    """Fit slice for training, calibration slice for early stopping."""

    def __init__(self, fit: PackedRows, calibrate: PackedRows, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.fit_rows, self.calibration_rows = fit, calibrate
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> PackedBatches:
        """Whole shuffled batches, this process's part of each; a last short batch is left out."""
        rank, world, device = 0, 1, torch.device("cpu")
        if self.trainer is not None:
            rank, world, device = (
                self.trainer.global_rank,
                self.trainer.world_size,
                self.trainer.strategy.root_device,
            )
        return PackedBatches(self.fit_rows, self.batch_size, self.seed, device=device, rank=rank, world=world)

    def val_dataloader(self) -> InOrder:
        """The calibration slice in order; every process takes the whole of it, so that all stop at the same epoch
        and the figure is that of a single process."""
        return InOrder(self.calibration_rows)
