"""Packed rows: every row once an epoch, the same order for a seed on every path, parts that make up whole batches."""

from __future__ import annotations

import pickle
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import TrainingError
from models.training.packed import EpochOrder, PackedBatches, PackedRows, Slice, ahead, fits, spilled

CPU = torch.device("cpu")


def _slice(rows: int) -> Slice:
    """Inputs whose first column numbers the rows, labels ten times as large."""
    number = np.arange(rows, dtype=np.float32)
    return np.stack([number, -number], axis=1), 10 * number[:, None]


def _numbers(batches: PackedBatches, epoch: int = 0) -> list[list[int]]:
    batches.sampler.set_epoch(epoch)
    found = []
    for inputs, labels in batches:
        assert torch.equal(labels[:, 0], 10 * inputs[:, 0]) and torch.equal(inputs[:, 1], -inputs[:, 0])
        found.append(inputs[:, 0].int().tolist())
    return found


def test_an_epoch_hands_out_every_row_once_in_an_order_of_its_own() -> None:
    batches = PackedBatches(PackedRows.of(_slice(64)), 16, 3, device=CPU)
    first, second = _numbers(batches, 0), _numbers(batches, 1)
    assert len(batches) == len(first) == 4
    for epoch in (first, second):
        assert sorted(chain.from_iterable(epoch)) == list(range(64))
    assert first != second
    assert first == _numbers(PackedBatches(PackedRows.of(_slice(64)), 16, 3, device=CPU), 0)
    assert first != _numbers(PackedBatches(PackedRows.of(_slice(64)), 16, 4, device=CPU), 0)


def test_the_epoch_counts_that_is_set_last_before_the_first_batch() -> None:
    batches = PackedBatches(PackedRows.of(_slice(64)), 16, 3, device=CPU)
    asked = iter(batches)
    batches.sampler.set_epoch(5)
    assert next(asked)[0][:, 0].int().tolist() == _numbers(batches, 5)[0]


def test_a_short_last_batch_is_left_out_and_few_rows_make_one() -> None:
    assert [len(batch) for batch in _numbers(PackedBatches(PackedRows.of(_slice(50)), 16, 0, device=CPU))] == [
        16
    ] * 3
    assert [len(batch) for batch in _numbers(PackedBatches(PackedRows.of(_slice(5)), 16, 0, device=CPU))] == [5]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_batch(world: int) -> None:
    rows = PackedRows.of(_slice(96))
    whole = _numbers(PackedBatches(rows, 24, 7, device=CPU))
    parts = [_numbers(PackedBatches(rows, 24, 7, device=CPU, rank=rank, world=world)) for rank in range(world)]
    assert [list(chain.from_iterable(batch)) for batch in zip(*parts, strict=True)] == whole


def test_a_batch_smaller_than_the_processes_is_refused() -> None:
    with pytest.raises(TrainingError, match="shared by 4"):
        PackedBatches(PackedRows.of(_slice(96)), 3, 7, device=CPU, world=4)


def test_rows_gathered_ahead_are_the_same_batches() -> None:
    rows, order = PackedRows.of(_slice(64)), EpochOrder(64, 3)
    picks = order.order().split(16)
    found = [inputs[:, 0].int().tolist() for inputs, _ in ahead(rows, iter(picks), pin=False)]
    assert found == _numbers(PackedBatches(rows, 16, 3, device=CPU))
    assert list(ahead(rows, iter(()), pin=False)) == []


def test_mapped_rows_give_the_same_batches_and_travel_as_a_name(tmp_path: Path) -> None:
    rows = PackedRows.of(_slice(4096))
    mapped = rows.stored(tmp_path / "rows")
    assert _numbers(PackedBatches(mapped, 512, 3, device=CPU)) == _numbers(PackedBatches(rows, 512, 3, device=CPU))
    sent = pickle.dumps(mapped)
    assert len(sent) < 1000 < rows.nbytes < len(pickle.dumps(rows))
    arrived = pickle.loads(sent)
    assert torch.equal(arrived.inputs, rows.inputs) and torch.equal(arrived.labels, rows.labels)


def test_only_large_slices_are_spilled(tmp_path: Path) -> None:
    small = _slice(10)
    assert spilled(small, tmp_path / "small")[0] is small[0] and not (tmp_path / "small").exists()
    inputs, labels = spilled(small, tmp_path / "large", least=1)
    assert np.array_equal(inputs, small[0]) and np.array_equal(labels, small[1])
    assert (tmp_path / "large" / "inputs.npy").is_file()


def test_rows_and_labels_of_other_lengths_are_refused() -> None:
    inputs, labels = _slice(10)
    with pytest.raises(TrainingError, match="10 rows of inputs but 9 of labels"):
        PackedRows.of((inputs, labels[:9]))


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [True, False])
def test_a_gpu_gets_the_same_batches(resident: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rows, device = PackedRows.of(_slice(4096)), torch.device("cuda")
    assert fits(rows, device)
    batches = PackedBatches(rows, 512, 3, device=device)
    if resident:
        found = [inputs[:, 0].int().tolist() for inputs, _ in batches]
    else:
        picks = batches.sampler.order().split(512)
        moved = (inputs.to(device, non_blocking=True) for inputs, _ in ahead(rows, iter(picks), pin=True))
        found = [inputs[:, 0].int().tolist() for inputs in moved]
    assert found == _numbers(PackedBatches(rows, 512, 3, device=torch.device("cpu")))
