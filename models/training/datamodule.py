"""Rows of the fit and calibration slices as whole batches; the order of every epoch follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

#: Rows of one validation batch; only memory depends on it.
VALIDATION_ROWS = 65_536


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Inputs (n, F) and labels (n, targets), indexed by a whole batch of row numbers at once."""

    def __init__(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        self.inputs, self.labels = torch.from_numpy(inputs), torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        return self.inputs[batch], self.labels[batch]


class EpochBatches(Sampler[Tensor]):
    """Shuffled batches of row numbers; epoch e of seed s is always the same, also after a resume.

    With several processes each takes every `world_size`-th batch, so no row is seen twice in an epoch.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.rows, self.batch_size, self.seed = rows, min(batch_size, rows), seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole = self.rows // self.batch_size
        return max(whole // self.world_size, 1)

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(self.rows, generator=generator)
        for number in range(len(self)):
            start = (number * self.world_size + self.rank) * self.batch_size
            yield order[start : start + self.batch_size]


class SliceData(pl.LightningDataModule):
    """Fit slice for training, calibration slice for early stopping; both already dense arrays."""

    def __init__(
        self,
        fit: tuple[NDArray[np.float32], NDArray[np.float32]],
        calibrate: tuple[NDArray[np.float32], NDArray[np.float32]],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.fit_rows, self.calibration_rows = Rows(*fit), Rows(*calibrate)
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Whole shuffled batches; a last short batch is left out, another one each epoch."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = EpochBatches(len(self.fit_rows), self.batch_size, self.seed, rank=rank, world_size=world)
        # Without a generator of its own every new iterator draws from the global one, at another moment after a
        # resume than without, and dropout would no longer repeat.
        return DataLoader(self.fit_rows, sampler=batches, batch_size=None, generator=torch.Generator())

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The calibration slice in order."""
        rows = torch.arange(len(self.calibration_rows))
        parts = [rows[start : start + VALIDATION_ROWS] for start in range(0, len(rows), VALIDATION_ROWS)]
        return DataLoader(self.calibration_rows, sampler=parts, batch_size=None, generator=torch.Generator())
