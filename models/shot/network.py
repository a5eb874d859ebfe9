"""P(a shot goes in), asked as it is taken.

Shape suffixes: B rows, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.shot.config import ShotConfig
from models.trunk import Standardise, Trunk


class ShotNetwork(nn.Module):
    """A logistic model on the standardised features, and hidden layers beside it where `hidden` is not 0."""

    def __init__(self, config: ShotConfig) -> None:
        super().__init__()
        self.config = config
        n = len(config.features)
        self.trunk = Trunk(n, config.hidden, config.layers, config.dropout) if config.hidden else Standardise(n)
        self.head = nn.Linear(2 * n + config.hidden, 1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F) by the fit slice; labels (n, 1) set the first guess to their base rate."""
        standardise = self.trunk.standardise if isinstance(self.trunk, Trunk) else self.trunk
        standardise.fit(inputs)
        rate = float(np.clip(np.nanmean(labels), 0.01, 0.99))
        with torch.no_grad():
            self.head.bias.fill_(float(np.log(rate / (1 - rate))))

    def forward(self, x_BF: Tensor) -> Tensor:
        """Uncalibrated logits (B,)."""
        trunk_BH = self.trunk(x_BF)
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            logits_B1: Tensor = self.head(trunk_BH.float())
        return logits_B1.squeeze(-1)

    def loss(self, x_BF: Tensor, y_B1: Tensor) -> Tensor:
        """Binary cross-entropy in nats."""
        return nn.functional.binary_cross_entropy_with_logits(self(x_BF), y_B1.squeeze(-1))
