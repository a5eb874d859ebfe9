"""The training step of any family: its own loss, announced features hidden at random, AdamW with a cosine."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any, Final

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from models.training.config import Optimisation

#: Share of all steps over which the learning rate rises before the cosine takes it down.
WARM_UP: Final = 0.1
#: The cosine ends at this share of the learning rate.
FLOOR: Final = 0.02
GRADIENT_NORM: Final = 1.0
#: Lightning's remarks that do not concern us: batches are gathers from arrays in memory, which worker processes would
#: only copy; every process computes the whole calibration loss; the rest are about its own folders and internals.
_REMARKS: Final = (
    ".*does not have many workers.*", ".*Checkpoint directory .* exists.*", ".*log_every_n_steps.*", ".*LeafSpec.*",
    ".*sync_dist=True.*",
)  # fmt: skip


def hush() -> None:
    """Turn off Lightning's advertisements and the remarks that do not concern us, in this process."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in _REMARKS:
        warnings.filterwarnings("ignore", message=message)


class FitModule(pl.LightningModule):
    """Trains a network that offers `loss(inputs, labels)` and `config.{features,announced,announced_hidden}`."""

    announced_GF: Tensor

    def __init__(self, network: nn.Module, optimisation: Optimisation) -> None:
        super().__init__()
        self.network, self.optimisation = network, optimisation
        config: Any = network.config
        groups = torch.zeros(len(config.announced), len(config.features), dtype=torch.bool)
        for group, names in zip(groups, config.announced, strict=True):
            group[[config.features.index(name) for name in names]] = True
        self.register_buffer("announced_GF", groups, persistent=False)
        self.announced_hidden = float(config.announced_hidden)

    def setup(self, stage: str) -> None:
        """In a process of its own: quiet, and on CPU with one thread, as the first process is in a single run."""
        if self.trainer.world_size > 1:
            hush()
            if self.trainer.strategy.root_device.type == "cpu":
                torch.set_num_threads(1)

    def on_train_epoch_start(self) -> None:
        """Seed dropout and masking by epoch, so that a resumed run repeats the uninterrupted one exactly; processes
        draw their own, since they hold other rows of a batch."""
        torch.manual_seed(self.optimisation.seed * 7_919 + self.current_epoch + 1_000_003 * self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        """Loss of one batch."""
        inputs_BF, labels = batch
        groups_GF = self.announced_GF
        if self.announced_hidden > 0:
            hidden_BG = torch.rand(len(inputs_BF), len(groups_GF), device=inputs_BF.device) < self.announced_hidden
            inputs_BF = inputs_BF.masked_fill(hidden_BG.float() @ groups_GF.float() > 0, float("nan"))
        loss: Tensor = self.network.loss(inputs_BF, labels)  # type: ignore[operator]
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(inputs_BF))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Loss of the calibration slice, with everything announced."""
        inputs_BF, labels = batch
        loss: Tensor = self.network.loss(inputs_BF, labels)  # type: ignore[operator]
        self.log("calibration_loss", loss, batch_size=len(inputs_BF))

    def configure_optimizers(self) -> Any:
        """AdamW (no decay on biases and norms), warm-up, cosine."""
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        free = [p for p in self.network.parameters() if p.ndim <= 1]
        chosen = self.optimisation
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": chosen.weight_decay}, {"params": free, "weight_decay": 0.0}],
            lr=chosen.learning_rate,
        )
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        warm_up = max(int(WARM_UP * steps), 1)

        def factor(step: int) -> float:
            if step < warm_up:
                return (step + 1) / warm_up
            progress = (step - warm_up) / max(steps - warm_up, 1)
            return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
