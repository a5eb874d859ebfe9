"""The distribution of a player's fantasy points on every site and of every stat of his box line, given that he plays.

Shape suffixes: B rows, F features, T targets (sites first, then stats), K quantile levels, R = K + 1 raw outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
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
#: Weight of all stats together beside all sites together: fantasy points are what is asked most.
STATS_WEIGHT: Final = 0.5


def middle_level(levels: Sequence[float]) -> int:
    """Index of the level nearest to the median."""
    return int(np.argmin(np.abs(np.asarray(levels) - 0.5)))


def monotone(raw_BTR: Tensor, middle: int) -> tuple[Tensor, Tensor]:
    """Mean (B, T) and quantiles (B, T, K) of raw outputs: the median plus cumulated positive steps to either side."""
    mean_BT, middle_BT1, steps_BTR = raw_BTR[..., 0], raw_BTR[..., 1:2], raw_BTR[..., 2:]
    walk_BTK = nn.functional.pad(nn.functional.softplus(steps_BTR).cumsum(dim=-1), (1, 0))
    return mean_BT, middle_BT1 + walk_BTK - walk_BTK[..., middle : middle + 1]


def pinball(quantiles_BTK: Tensor, target_BT: Tensor, levels_K: Tensor) -> Tensor:
    """Pinball loss (B, T, K); its mean over levels is about half the CRPS."""
    gap_BTK = target_BT[..., None] - quantiles_BTK
    return torch.maximum(levels_K * gap_BTK, (levels_K - 1) * gap_BTK)


class ProjectionNetwork(nn.Module):
    """Mean and a monotone quantile grid per site and stat.

    Counts are learned with noise of ±½ around them, so that their grid is a continuous distribution whose rounding
    is the count's (Machado & Santos Silva 2005); minutes and fantasy points are learned as they are.
    """

    label_mean_S: Tensor
    label_scale_S: Tensor
    levels_K: Tensor
    counts_T: Tensor

    def __init__(self, config: ProjectionConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(len(config.features), config.hidden, config.layers, config.dropout)
        self.n_sites, self.n_targets = len(config.sites), len(config.targets)
        self.middle = middle_level(config.levels)
        self.head = nn.Linear(self.trunk.width, self.n_targets * (len(config.levels) + 1))
        self.register_buffer("label_mean_S", torch.zeros(self.n_targets))
        self.register_buffer("label_scale_S", torch.ones(self.n_targets))
        self.register_buffer("levels_K", torch.tensor(config.levels, dtype=torch.float32), persistent=False)
        counts = [name in config.counts for name in config.targets]
        self.register_buffer("counts_T", torch.tensor(counts, dtype=torch.float32), persistent=False)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.view(self.n_targets, -1)[:, 2:] = INITIAL_STEP
            self.head.bias.view(self.n_targets, -1)[:, :2] = 0.0

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F) and labels (n, T) by the fit slice."""
        self.trunk.standardise.fit(inputs)
        self.label_mean_S.copy_(torch.from_numpy(np.nanmean(labels, axis=0)))
        self.label_scale_S.copy_(torch.from_numpy(np.maximum(np.nanstd(labels, axis=0), 1e-3)))

    def standard(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, T) and quantiles (B, T, K) in standard deviations of the label."""
        trunk_BH = self.trunk(x_BF)
        # A mean near 60 points has no room in bf16's eight bits; the heads stay in fp32.
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            raw_BTR = self.head(trunk_BH.float()).view(x_BF.shape[0], self.n_targets, -1)
            return monotone(raw_BTR, self.middle)

    def forward(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, T) and quantiles (B, T, K) in the targets' own units."""
        mean_BT, quantiles_BTK = self.standard(x_BF)
        scale_T, shift_T = self.label_scale_S, self.label_mean_S
        return mean_BT * scale_T + shift_T, quantiles_BTK * scale_T[:, None] + shift_T[:, None]

    def loss(self, x_BF: Tensor, y_BT: Tensor) -> Tensor:
        """Pinball loss averaged over levels (about half the CRPS) plus the mean's squared error."""
        mean_BT, quantiles_BTK = self.standard(x_BF)
        if self.training and self.n_targets > self.n_sites:
            y_BT = y_BT + (torch.rand_like(y_BT) - 0.5) * self.counts_T
        target_BT = (y_BT - self.label_mean_S) / self.label_scale_S
        spread_T = 2 * pinball(quantiles_BTK, target_BT, self.levels_K).mean(dim=(0, 2))
        centre_T = nn.functional.mse_loss(mean_BT, target_BT, reduction="none").mean(dim=0)
        loss_T = spread_T + MEAN_WEIGHT * centre_T
        loss: Tensor = loss_T[: self.n_sites].mean()
        if self.n_targets > self.n_sites:
            loss = loss + STATS_WEIGHT * loss_T[self.n_sites :].mean()
        return loss
