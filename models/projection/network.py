"""The full distribution of a player's fantasy points on every site, given that he plays.

Shape suffixes: B rows, F features, S sites, K quantile levels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.projection.config import ProjectionConfig
from models.trunk import Trunk

#: softplus(-1.8) is about .15 standard deviations: the first quantile grid roughly spans a normal distribution.
INITIAL_STEP: Final = -1.8
#: Weight of the mean's squared error beside the pinball loss (both in standard deviations of the label).
MEAN_WEIGHT: Final = 0.5


class ProjectionNetwork(nn.Module):
    """Mean and a monotone quantile grid per site: the median plus cumulated positive steps to either side."""

    label_mean_S: Tensor
    label_scale_S: Tensor
    levels_K: Tensor

    def __init__(self, config: ProjectionConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(len(config.features), config.hidden, config.layers, config.dropout)
        self.n_sites, self.n_levels = len(config.sites), len(config.levels)
        self.middle = int(np.argmin(np.abs(np.asarray(config.levels) - 0.5)))
        self.head = nn.Linear(self.trunk.width, self.n_sites * (self.n_levels + 1))
        self.register_buffer("label_mean_S", torch.zeros(self.n_sites))
        self.register_buffer("label_scale_S", torch.ones(self.n_sites))
        self.register_buffer("levels_K", torch.tensor(config.levels, dtype=torch.float32), persistent=False)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.view(self.n_sites, -1)[:, 2:] = INITIAL_STEP
            self.head.bias.view(self.n_sites, -1)[:, :2] = 0.0

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F) and labels (n, S) by the fit slice."""
        self.trunk.standardise.fit(inputs)
        self.label_mean_S.copy_(torch.from_numpy(np.nanmean(labels, axis=0)))
        self.label_scale_S.copy_(torch.from_numpy(np.maximum(np.nanstd(labels, axis=0), 1e-3)))

    def standard(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, S) and quantiles (B, S, K) in standard deviations of the label."""
        trunk_BH = self.trunk(x_BF)
        # A mean near 60 points has no room in bf16's eight bits; the heads stay in fp32.
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            raw_BSR = self.head(trunk_BH.float()).view(-1, self.n_sites, self.n_levels + 1)
            mean_BS, middle_BS1, steps_BSR = raw_BSR[..., 0], raw_BSR[..., 1:2], raw_BSR[..., 2:]
            walk_BSK = nn.functional.pad(nn.functional.softplus(steps_BSR).cumsum(dim=-1), (1, 0))
            quantiles_BSK = middle_BS1 + walk_BSK - walk_BSK[..., self.middle : self.middle + 1]
        return mean_BS, quantiles_BSK

    def forward(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, S) and quantiles (B, S, K) in fantasy points."""
        mean_BS, quantiles_BSK = self.standard(x_BF)
        scale_S, shift_S = self.label_scale_S, self.label_mean_S
        return mean_BS * scale_S + shift_S, quantiles_BSK * scale_S[:, None] + shift_S[:, None]

    def loss(self, x_BF: Tensor, y_BS: Tensor) -> Tensor:
        """Pinball loss averaged over levels (about half the CRPS) plus the mean's squared error."""
        mean_BS, quantiles_BSK = self.standard(x_BF)
        target_BS = (y_BS - self.label_mean_S) / self.label_scale_S
        gap_BSK = target_BS[..., None] - quantiles_BSK
        pinball = torch.maximum(self.levels_K * gap_BSK, (self.levels_K - 1) * gap_BSK).mean()
        return 2 * pinball + MEAN_WEIGHT * nn.functional.mse_loss(mean_BS, target_BS)
