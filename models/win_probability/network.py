"""P(home team wins), margin and total, asked before tip-off.

Shape suffixes: B rows, F features, P targets in points, K quantile levels, R = K + 1 raw outputs of a target.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.projection.network import INITIAL_STEP, MEAN_WEIGHT, middle_level, monotone, pinball
from models.trunk import CLIP, Trunk
from models.win_probability.config import WinProbabilityConfig

#: Weight of the points' loss beside the cross-entropy of the winner.
POINTS_WEIGHT: Final = 0.5


class WinProbabilityNetwork(nn.Module):
    """A logistic model on the standardised features plus a small hidden layer; beside the logit, a mean and a
    monotone quantile grid for each of `config.points`."""

    label_mean_P: Tensor
    label_scale_P: Tensor
    levels_K: Tensor
    anchors_PF: Tensor

    def __init__(self, config: WinProbabilityConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(len(config.features), config.hidden, config.layers, config.dropout)
        self.head = nn.Linear(self.trunk.width, 1)
        self.n_points, self.middle = len(config.points), middle_level(config.levels)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
        if self.n_points:
            self._add_points()

    def _add_points(self) -> None:
        self.points_head = nn.Linear(self.trunk.width, self.n_points * (len(self.config.levels) + 1))
        self.register_buffer("label_mean_P", torch.zeros(self.n_points))
        self.register_buffer("label_scale_P", torch.ones(self.n_points))
        self.register_buffer("levels_K", torch.tensor(self.config.levels, dtype=torch.float32), persistent=False)
        anchors_PF = torch.zeros(self.n_points, len(self.config.features))
        for row, name in zip(anchors_PF, self.config.anchors, strict=False):
            if name:
                row[self.config.features.index(name)] = 1.0
        self.register_buffer("anchors_PF", anchors_PF, persistent=False)
        with torch.no_grad():
            self.points_head.weight.mul_(0.1)
            self.points_head.bias.view(self.n_points, -1)[:, 2:] = INITIAL_STEP
            self.points_head.bias.view(self.n_points, -1)[:, :2] = 0.0

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F) and the points among labels (n, 1 + P) by the fit slice; the share of home wins
        sets the first guess."""
        self.trunk.standardise.fit(inputs)
        rate = float(np.clip(np.nanmean(labels[:, 0]), 0.01, 0.99))
        with torch.no_grad():
            self.head.bias.fill_(float(np.log(rate / (1 - rate))))
        if self.n_points:
            gaps = labels[:, 1:] - self._anchors(torch.from_numpy(inputs)).numpy()
            self.label_mean_P.copy_(torch.from_numpy(np.nanmean(gaps, axis=0)))
            self.label_scale_P.copy_(torch.from_numpy(np.maximum(np.nanstd(gaps, axis=0), 1e-3)))

    def forward(self, x_BF: Tensor) -> Tensor:
        """Uncalibrated logits (B,)."""
        return self._logits(self.trunk(x_BF))

    def points(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, P) and quantiles (B, P, K) in points."""
        mean_BP, quantiles_BPK = self._points(self.trunk(x_BF))
        scale_P, shift_BP = self.label_scale_P, self.label_mean_P + self._anchors(x_BF)
        return mean_BP * scale_P + shift_BP, quantiles_BPK * scale_P[:, None] + shift_BP[..., None]

    def _anchors(self, x_BF: Tensor) -> Tensor:
        """What each target is a difference from (B, P): its feature, held within CLIP deviations; the fit slice's mean
        where it is unknown; 0 without one."""
        scales = self.trunk.standardise
        z_BF = torch.nan_to_num((x_BF.float() - scales.mean_F) / scales.scale_F, nan=0.0).clamp(-CLIP, CLIP)
        # A total near 220 points has no room in bf16's eight bits.
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            return (z_BF * scales.scale_F + scales.mean_F) @ self.anchors_PF.T

    def _logits(self, trunk_BH: Tensor) -> Tensor:
        with torch.autocast(device_type=trunk_BH.device.type, enabled=False):
            logits_B1: Tensor = self.head(trunk_BH.float())
        return logits_B1.squeeze(-1)

    def _points(self, trunk_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, P) and quantiles (B, P, K) in standard deviations of the label."""
        with torch.autocast(device_type=trunk_BH.device.type, enabled=False):
            raw_BPR = self.points_head(trunk_BH.float()).view(trunk_BH.shape[0], self.n_points, -1)
            return monotone(raw_BPR, self.middle)

    def loss(self, x_BF: Tensor, y_BL: Tensor) -> Tensor:
        """Binary cross-entropy in nats, plus the pinball loss and squared error of the points in standard
        deviations; labels (B, 1 + P)."""
        trunk_BH = self.trunk(x_BF)
        total = nn.functional.binary_cross_entropy_with_logits(self._logits(trunk_BH), y_BL[:, 0])
        if self.n_points:
            mean_BP, quantiles_BPK = self._points(trunk_BH)
            target_BP = (y_BL[:, 1:] - self._anchors(x_BF) - self.label_mean_P) / self.label_scale_P
            spread = 2 * pinball(quantiles_BPK, target_BP, self.levels_K).mean()
            total = total + POINTS_WEIGHT * (spread + MEAN_WEIGHT * nn.functional.mse_loss(mean_BP, target_BP))
        return total
