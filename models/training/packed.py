"""Rows packed once as contiguous arrays and handed out as whole batches, in an order that only the seed decides.

A batch is one gather by row numbers, never a loop over rows. On a GPU a slice that fits is moved there once and
shuffled there by index; one that does not is gathered into pinned memory by a thread, one batch ahead, and copied
without waiting. Every way gives the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import TrainingError

Slice = tuple[NDArray[np.float32], NDArray[np.float32]]
Batch = tuple[Tensor, Tensor]
#: A slice takes at most this share of the GPU memory that is free when training starts.
RESIDENT_SHARE: Final = 0.5
#: Slices from this size on are trained from a memory-mapped file, so that the kernel can take their pages back.
MAPPED_BYTES: Final = 1 << 30
_INPUTS, _LABELS = "inputs.npy", "labels.npy"


@dataclass(slots=True)
class PackedRows:
    """Inputs (n, F) and labels (n, targets), float32 and contiguous; `folder` holds them when they are mapped.

    Mapped rows are pickled as the name of their folder: another process maps the same pages.
    """

    inputs: Tensor
    labels: Tensor
    folder: Path | None = None

    @classmethod
    def of(cls, rows: Slice) -> PackedRows:
        """Rows in memory, without a copy when they are packed already."""
        inputs, labels = (np.require(array, np.float32, ["C", "W"]) for array in rows)
        if len(inputs) != len(labels):
            raise TrainingError(
                f"{len(inputs)} rows of inputs but {len(labels)} of labels; assemble them together"
            )
        return cls(torch.from_numpy(inputs), torch.from_numpy(labels))

    @classmethod
    def mapped(cls, folder: Path) -> PackedRows:
        """Rows that `stored` wrote; pages are read when they are asked for."""
        # Copy-on-write: torch refuses to wrap an array that it must not write to.
        parts = (np.load(folder / name, mmap_mode="c") for name in (_INPUTS, _LABELS))
        inputs, labels = (torch.from_numpy(part) for part in parts)
        return cls(inputs, labels, folder)

    def stored(self, folder: Path) -> PackedRows:
        """The same rows, mapped from files in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in ((_INPUTS, self.inputs), (_LABELS, self.labels)):
            np.save(folder / name, part.numpy())
        return PackedRows.mapped(folder)

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.inputs.nbytes + self.labels.nbytes

    def __len__(self) -> int:
        return len(self.inputs)

    def __getstate__(self) -> Any:
        return self.folder if self.folder is not None else (self.inputs, self.labels)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Path):
            known = PackedRows.mapped(state)
            self.inputs, self.labels, self.folder = known.inputs, known.labels, state
        else:
            (self.inputs, self.labels), self.folder = state, None


def spilled(rows: Slice, folder: Path, least: int = MAPPED_BYTES) -> Slice:
    """`rows` themselves, or from `least` bytes on the same rows mapped from files in `folder`."""
    packed = PackedRows.of(rows)
    if packed.nbytes < least:
        return rows
    mapped = packed.stored(folder)
    return mapped.inputs.numpy(), mapped.labels.numpy()


class EpochOrder:
    """The row numbers of each epoch in shuffled order; epoch e of seed s is always the same, also after a resume."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def order(self) -> Tensor:
        """A permutation (rows,) of int64, drawn on the CPU: the same on every device."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return torch.randperm(self.rows, generator=generator)


class PackedBatches:
    """Iterable over one epoch: shuffled whole batches of `rows`, a last short one left out.

    With `world` processes each takes its equal part of every batch, so that the mean of their gradients is that of
    the whole batch. Lightning tells the epoch through `sampler`.
    """

    def __init__(
        self, rows: PackedRows, batch_size: int, seed: int, *, device: torch.device, rank: int = 0, world: int = 1
    ) -> None:
        self.rows, self.sampler, self.device = rows, EpochOrder(len(rows), seed), device
        self.batch_size = min(batch_size, len(rows))
        self.rank, self.part = rank, self.batch_size // world
        if self.part < 1:
            raise TrainingError(f"batches of {self.batch_size} rows cannot be shared by {world} processes")
        self._resident: Batch | None = None

    def __len__(self) -> int:
        return len(self.rows) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        # Drawn at the first batch, not before: after a resume Lightning asks for an iterator, then sets the epoch.
        order = self.sampler.order()
        starts = [number * self.batch_size + self.rank * self.part for number in range(len(self))]
        if self.device.type != "cuda":
            for start in starts:
                yield _gathered(self.rows, order[start : start + self.part])
            return
        if self._resident is None and fits(self.rows, self.device):
            self._resident = self.rows.inputs.to(self.device), self.rows.labels.to(self.device)
        if self._resident is None:
            picks = (order[start : start + self.part] for start in starts)
            for batch in ahead(self.rows, picks, pin=True):
                yield _moved(batch, self.device)
            return
        (inputs, labels), on_device = self._resident, order.to(self.device)
        for start in starts:
            pick = on_device[start : start + self.part]
            yield inputs[pick], labels[pick]


def fits(rows: PackedRows, device: torch.device) -> bool:
    """Whether `rows` take at most RESIDENT_SHARE of what is free on `device`."""
    free, _ = torch.cuda.mem_get_info(device)
    return rows.nbytes <= RESIDENT_SHARE * free


def ahead(rows: PackedRows, picks: Iterator[Tensor], *, pin: bool) -> Iterator[Batch]:
    """The batches of `picks`, each gathered by a thread while the one before is in use; pinned for a GPU."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as gatherer:
        waiting = None
        for pick in picks:
            following = gatherer.submit(_gathered, rows, pick, pin=pin)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _gathered(rows: PackedRows, pick: Tensor, *, pin: bool = False) -> Batch:
    parts = []
    for whole in (rows.inputs, rows.labels):
        # torch's own allocator of pinned memory waits for the copies it was used in before it hands it out again.
        into = torch.empty((len(pick), *whole.shape[1:]), dtype=whole.dtype, pin_memory=pin)
        parts.append(torch.index_select(whole, 0, pick, out=into))
    return parts[0], parts[1]


def _moved(batch: Batch, device: torch.device) -> Batch:
    return batch[0].to(device, non_blocking=True), batch[1].to(device, non_blocking=True)
