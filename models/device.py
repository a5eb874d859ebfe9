"""Where tensors live and in which precision they are trained: the one place that decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import torch

from features.errors import InvalidInput

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
#: What `--precision` takes: `auto` is the fastest the device computes in.
WANTED: Final = ("auto", "32", "bf16-mixed", "16-mixed")


def resolve_device(name: str = "auto") -> torch.device:
    """`cpu`, `cuda`, or `auto` (CUDA when present). Raises `InvalidInput` for a device this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("device is 'cuda' but no CUDA device is visible; set FANTASY_DEVICE=cpu or auto")
    if name not in {"cpu", "cuda"}:
        raise InvalidInput(f"device is {name!r}; set FANTASY_DEVICE to auto, cpu or cuda")
    return torch.device(name)


def training_precision(device: torch.device, wanted: str = "auto") -> Precision:
    """The precision of a training on `device`; `auto` is bf16 wherever the device computes in it, else fp16.

    Raises `InvalidInput` for a precision the device lacks: on CPU Lightning would silently run bf16 for fp16, and
    a GPU without bf16 would emulate it slowly.
    """
    if wanted not in WANTED:
        raise InvalidInput(f"precision is {wanted!r}; use one of {', '.join(WANTED)}")
    has_bf16 = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "16-mixed" and device.type == "cpu":
        raise InvalidInput("precision is '16-mixed', which needs a CUDA device; on CPU use auto, bf16-mixed or 32")
    if wanted == "bf16-mixed" and not has_bf16:
        raise InvalidInput("precision is 'bf16-mixed', which this GPU only emulates; use auto, 16-mixed or 32")
    if wanted == "32":
        return "32-true"
    return "16-mixed" if wanted == "16-mixed" or not has_bf16 else "bf16-mixed"


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
