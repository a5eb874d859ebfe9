"""The distribution of a player's final line in a game in progress: what he has, plus what is still to come.

Shape suffixes: B rows, F features, T targets, K quantile levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from features.play.moments import REGULATION_S
from models.live_line.config import LiveLineConfig
from models.trunk import Trunk

#: softplus(-1.8) is about .15 standard deviations: the first quantile grid roughly spans a normal distribution.
INITIAL_STEP: Final = -1.8
#: Weight of the mean's squared error beside the pinball loss (both in units of the amount to come).
MEAN_WEIGHT: Final = 0.5
#: Share of a game added under the root: at the last second there is still an overtime to come, at times.
LEAST_SHARE: Final = 0.02
#: Amounts that can fall: a turnover takes points away on every site.
FALLING: Final = "fantasy_points_"


class LiveLineNetwork(nn.Module):
    """Mean and a monotone quantile grid of the amount to come per target, in units that shrink with the time left.

    The spread of what a player still adds grows with the root of the time, so units of scale x root(share left) let
    every moment of the game weigh about the same.
    """

    remaining_mean_T: Tensor
    remaining_scale_T: Tensor
    levels_K: Tensor

    def __init__(self, config: LiveLineConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(len(config.features), config.hidden, config.layers, config.dropout)
        self.n_targets, self.n_levels = len(config.targets), len(config.levels)
        self.middle = int(np.argmin(np.abs(np.asarray(config.levels) - 0.5)))
        self.head = nn.Linear(self.trunk.width, self.n_targets * (self.n_levels + 1))
        self.register_buffer("remaining_mean_T", torch.zeros(self.n_targets))
        self.register_buffer("remaining_scale_T", torch.ones(self.n_targets))
        self.register_buffer("levels_K", torch.tensor(config.levels, dtype=torch.float32), persistent=False)
        at = config.features.index
        self.so_far = [at(f"{target}_so_far") for target in config.targets]
        self.left, self.finished = at("seconds_left"), at("finished")
        self.counts = self.counted(config.targets)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.view(self.n_targets, -1)[:, 2:] = INITIAL_STEP
            self.head.bias.view(self.n_targets, -1)[:, :2] = 0.0

    @staticmethod
    def counted(targets: Sequence[str]) -> list[bool]:
        """Which targets are counts, that never fall again; fantasy points do, by turnovers."""
        return [not target.startswith(FALLING) for target in targets]

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F), and what labels (n, T) add to the amounts so far, by the fit slice."""
        self.trunk.standardise.fit(inputs)
        x_BF = torch.from_numpy(inputs)
        added = (labels - self._so_far(x_BF).numpy()) / self._unit(x_BF).numpy()
        self.remaining_mean_T.copy_(torch.from_numpy(np.nanmean(added, axis=0)))
        self.remaining_scale_T.copy_(torch.from_numpy(np.maximum(np.nanstd(added, axis=0), 1e-3)))

    def standard(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, T) and quantiles (B, T, K) of the amount to come in its units."""
        trunk_BH = self.trunk(x_BF)
        # A mean near 60 points has no room in bf16's eight bits; the heads stay in fp32.
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            raw_BTR = self.head(trunk_BH.float()).view(-1, self.n_targets, self.n_levels + 1)
            mean_BT, middle_BT1, steps_BTR = raw_BTR[..., 0], raw_BTR[..., 1:2], raw_BTR[..., 2:]
            walk_BTK = nn.functional.pad(nn.functional.softplus(steps_BTR).cumsum(dim=-1), (1, 0))
            quantiles_BTK = middle_BT1 + walk_BTK - walk_BTK[..., self.middle : self.middle + 1]
        return mean_BT, quantiles_BTK

    def forward(self, x_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, T) and quantiles (B, T, K) of the final amounts.

        Counts never fall below what he has; whoever is `finished` keeps exactly that.
        """
        mean_BT, quantiles_BTK = self.standard(x_BF)
        unit_B1, so_far_BT = self._unit(x_BF), self._so_far(x_BF)
        scale_BT = unit_B1 * self.remaining_scale_T
        shift_BT = unit_B1 * self.remaining_mean_T
        mean_BT = mean_BT * scale_BT + shift_BT
        quantiles_BTK = quantiles_BTK * scale_BT[..., None] + shift_BT[..., None]
        lowest_T = torch.tensor([0.0 if count else -torch.inf for count in self.counts], device=x_BF.device)
        open_B1 = (x_BF[:, self.finished] != 1).unsqueeze(-1)
        mean_BT = torch.where(open_B1, torch.maximum(mean_BT, lowest_T), 0.0)
        quantiles_BTK = torch.where(open_B1[..., None], torch.maximum(quantiles_BTK, lowest_T[:, None]), 0.0)
        return so_far_BT + mean_BT, so_far_BT[..., None] + quantiles_BTK

    def loss(self, x_BF: Tensor, y_BT: Tensor) -> Tensor:
        """Pinball loss averaged over levels (about half the CRPS) plus the mean's squared error.

        y (B, T) are final amounts; rows of players who are finished teach nothing.
        """
        mean_BT, quantiles_BTK = self.standard(x_BF)
        added_BT = (y_BT - self._so_far(x_BF)) / self._unit(x_BF)
        target_BT = (added_BT - self.remaining_mean_T) / self.remaining_scale_T
        gap_BTK = target_BT[..., None] - quantiles_BTK
        pinball_B = torch.maximum(self.levels_K * gap_BTK, (self.levels_K - 1) * gap_BTK).mean(dim=(1, 2))
        squared_B = (mean_BT - target_BT).square().mean(dim=1)
        open_B = (x_BF[:, self.finished] != 1).to(squared_B.dtype)
        return ((2 * pinball_B + MEAN_WEIGHT * squared_B) * open_B).sum() / open_B.sum().clamp(min=1)

    def _so_far(self, x_BF: Tensor) -> Tensor:
        """(B, T); an amount nobody knows counts as none."""
        return x_BF[:, self.so_far].float().nan_to_num(0.0)

    def _unit(self, x_BF: Tensor) -> Tensor:
        """(B, 1) root of the share of regulation left; a whole game where the clock is not known."""
        left_B = x_BF[:, self.left].float().nan_to_num(float(REGULATION_S))
        return (left_B.clamp(min=0) / REGULATION_S + LEAST_SHARE).sqrt().unsqueeze(-1)
