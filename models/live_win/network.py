"""P(home team wins) and the final margin of a game in progress, as corrections to a Brownian margin.

Shape suffixes: B rows, F features, H hidden, K quantile levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor, nn

from models.live_win.config import ANCHORS, LiveWinConfig
from models.trunk import Standardise, Trunk

#: Weight of the margin's pinball loss (in deviations of the margin) beside the winner's cross-entropy.
MARGIN_WEIGHT = 0.5
#: Bounds of the margin's correction: location in deviations, log of the spread.
WIDEST = 1.5


class Raw(NamedTuple):
    """Uncalibrated answers: log-odds of a home win, location and deviation of the final margin in points, each (B,)."""

    logit: Tensor
    location: Tensor
    spread: Tensor


class LiveWinNetwork(nn.Module):
    """Linear in the standardised features plus hidden layers, added to the Brownian answer in the inputs.

    Where the Brownian inputs are unknown (NaN) an even game of a league's usual spread takes their place.
    """

    levels_K: Tensor
    levels_z_K: Tensor
    typical_A: Tensor

    def __init__(self, config: LiveWinConfig) -> None:
        super().__init__()
        self.config = config
        inputs = len(config.features)
        self.trunk: Trunk | Standardise
        if config.hidden:
            self.trunk = Trunk(inputs, config.hidden, config.layers, config.dropout)
            width = self.trunk.width
        else:
            self.trunk, width = Standardise(inputs), 2 * inputs
        self.head = nn.Linear(width, 3)
        self.register_buffer("levels_z_K", torch.tensor(ndtri(np.asarray(config.levels)), dtype=torch.float32))
        self.register_buffer("levels_K", torch.tensor(config.levels, dtype=torch.float32))
        self.register_buffer("typical_A", torch.tensor([0.0, 0.0, 13.0]))
        self.anchors = [config.features.index(name) for name in ANCHORS]
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F) by the fit slice; labels (n, 2) need no scale: answers start at the Brownian."""
        scales = self.trunk.standardise if isinstance(self.trunk, Trunk) else self.trunk
        scales.fit(inputs)

    def forward(self, x_BF: Tensor) -> Raw:
        """Uncalibrated answers."""
        trunk_BH = self.trunk(x_BF)
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            moved_B3: Tensor = self.head(trunk_BH.float())
            anchors_BA = x_BF[:, self.anchors].float()
            anchors_BA = torch.where(torch.isnan(anchors_BA), self.typical_A, anchors_BA)
            unit_B = anchors_BA[:, 2]
            location_B = anchors_BA[:, 1] + unit_B * moved_B3[:, 1].clamp(-WIDEST, WIDEST)
            spread_B = unit_B * torch.exp(moved_B3[:, 2].clamp(-WIDEST, WIDEST))
            return Raw(anchors_BA[:, 0] + moved_B3[:, 0], location_B, spread_B)

    def quantiles(self, raw: Raw) -> Tensor:
        """Quantiles (B, K) of the final margin before calibration."""
        return raw.location[:, None] + raw.spread[:, None] * self.levels_z_K

    def loss(self, x_BF: Tensor, y_B2: Tensor) -> Tensor:
        """Cross-entropy of the winner plus the pinball loss of the margin in units of its Brownian deviation.

        y_B2: home_win (0 or 1), home_margin in points.
        """
        raw = self(x_BF)
        won = nn.functional.binary_cross_entropy_with_logits(raw.logit, y_B2[:, 0])
        unit_B = x_BF[:, self.anchors[2]].float()
        unit_B = torch.where(torch.isnan(unit_B), self.typical_A[2], unit_B)
        gap_BK = (y_B2[:, 1:2].float() - self.quantiles(raw)) / unit_B[:, None]
        pinball = torch.maximum(self.levels_K * gap_BK, (self.levels_K - 1) * gap_BK).mean()
        return won + MARGIN_WEIGHT * pinball
