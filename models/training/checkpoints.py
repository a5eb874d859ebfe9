"""Checkpoints of one training: written whole or not at all, and resumed only by the run they belong to."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from models.device import Precision
from models.training.config import Optimisation
from models.training.packed import PackedRows
from models.training.watch import MONITOR

LAST: Final = "last.ckpt"
CARD: Final = "run.json"
#: Folder of memory-mapped rows beside the checkpoints.
PACKED: Final = "packed"
#: Rows hashed at once.
_ROWS: Final = 1 << 16
_log = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning's own way goes through the temporary folder, which may lie on
    another disk, and a kill during that copy leaves half a file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save to `path` atomically."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.partial")
        torch.save(checkpoint, draft)
        os.replace(draft, target)


def keepers(checkpoints: Path) -> tuple[ModelCheckpoint, ModelCheckpoint]:
    """Callbacks that keep the best epoch and the newest one; the newest is saved even when it is no better, so that
    a resume loses one epoch at most."""
    best = ModelCheckpoint(
        dirpath=checkpoints, filename="best-{epoch:03d}", auto_insert_metric_name=False, monitor=MONITOR,
        save_top_k=1,
    )  # fmt: skip
    last = ModelCheckpoint(dirpath=checkpoints, filename="last", enable_version_counter=False)
    return best, last


def prepared(checkpoints: Path, run_id: str, *, resume: bool) -> Path | None:
    """The checkpoint to resume from, or None with an empty folder."""
    card, last = checkpoints / CARD, checkpoints / LAST
    if resume and last.is_file() and card.is_file():
        if json.loads(card.read_text(encoding="utf-8"))["run"] == run_id:
            return last
        _log.warning("checkpoints in %s belong to other data or parameters; training starts anew", checkpoints)
    elif resume:
        _log.warning("no checkpoint to resume from in %s; training starts anew", checkpoints)
    shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(parents=True)
    card.write_text(json.dumps({"run": run_id}), encoding="utf-8")
    return None


def curve_of(checkpoint: Path) -> tuple[dict[str, float], ...]:
    """The curve that `Watch` kept in a checkpoint."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return tuple(dict(point) for point in state["callbacks"]["Watch"]["curve"])


def run_identity(
    network: nn.Module, slices: tuple[PackedRows, PackedRows], optimisation: Optimisation, precision: Precision,
    devices: int,
) -> str:  # fmt: skip
    """A digest of everything that decides the outcome of a run."""
    config: Any = network.config
    plain = {
        "config": config.as_json(), "optimisation": optimisation.as_json(), "precision": precision,
        "devices": devices,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for rows in slices:
        for tensor in (rows.inputs, rows.labels):
            digest.update(str(tuple(tensor.shape)).encode())
            for start in range(0, len(tensor), _ROWS):
                digest.update(np.ascontiguousarray(tensor[start : start + _ROWS].numpy()).data)
    return digest.hexdigest()
