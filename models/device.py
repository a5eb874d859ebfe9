"""Where tensors live and in which precision they are trained: the one place that decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from features.errors import InvalidInput

Precision = Literal["bf16-mixed", "16-mixed"]


def resolve_device(name: str = "auto") -> torch.device:
    """`cpu`, `cuda`, or `auto` (CUDA when present). Raises `InvalidInput` for a device this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("device is 'cuda' but no CUDA device is visible; set FANTASY_DEVICE=cpu or auto")
    if name not in {"cpu", "cuda"}:
        raise InvalidInput(f"device is {name!r}; set FANTASY_DEVICE to auto, cpu or cuda")
    return torch.device(name)


def training_precision(device: torch.device) -> Precision:
    """bf16 on CPU and on GPUs that compute in it; fp16 with loss scaling on older GPUs.

    On CPU fp16 is never chosen: Lightning would silently run bf16 instead.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "16-mixed"
    return "bf16-mixed"


@contextmanager
def one_thread() -> Iterator[None]:
    """Run CPU work on one thread, then restore the setting.

    Our matrices are small: OpenMP's threads mostly wait for each other (about ten times the CPU seconds on two
    cores at load 8), and sums split over threads would make results depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
