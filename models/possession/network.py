"""What a possession brings and how long it lasts, and what a side scores in the next two minutes.

Shape suffixes: B rows, F features, C classes of points, P points in two minutes, D bands of seconds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from features.play.possessions import BEGAN
from models.possession.config import CLASSES, PossessionConfig
from models.trunk import Trunk

#: Columns of the labels; NaN where a row does not ask.
POINTS, NEXT, LENGTH, FOLLOWING = range(4)
#: Weight of the other losses beside the one of a possession's points.
WEIGHTS: Final = (1.0, 0.5, 0.5)
#: Possessions of a class that its own shares of what follows must outweigh.
LEANING: Final = 5.0


class PossessionNetwork(nn.Module):
    """Three categorical heads on one trunk, and a table of how the next possession begins after each class."""

    following_CS: Tensor

    def __init__(self, config: PossessionConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(len(config.features), config.hidden, config.layers, config.dropout)
        self.widths = (CLASSES, config.most_points + 1, len(config.seconds) + 1)
        self.of_points, self.of_next, self.of_length = (
            nn.Linear(self.trunk.width, width) for width in self.widths
        )
        self.register_buffer("following_CS", torch.full((CLASSES, len(BEGAN)), 1.0 / len(BEGAN)))
        with torch.no_grad():
            for head in self.heads:
                head.weight.mul_(0.1)
                head.bias.zero_()

    @property
    def heads(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """One per categorical label, in their order."""
        return self.of_points, self.of_next, self.of_length

    def fit_scales(self, inputs: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Standardise inputs (n, F); labels (n, 4) set the first guesses to their shares, and what follows."""
        self.trunk.standardise.fit(inputs)
        with torch.no_grad():
            for column, (head, width) in enumerate(zip(self.heads, self.widths, strict=True)):
                shares = _shares(labels[:, column], width)
                head.bias.copy_(torch.from_numpy(np.log(shares)).float())
        known = np.isfinite(labels[:, FOLLOWING]) & np.isfinite(labels[:, POINTS])
        asked = labels[known]
        overall = _shares(asked[:, FOLLOWING], len(BEGAN))
        for points in range(CLASSES):
            after = asked[asked[:, POINTS] == points, FOLLOWING].astype(np.int64)
            counts = np.bincount(after, minlength=len(BEGAN)) + LEANING * overall
            self.following_CS[points].copy_(torch.from_numpy(counts / counts.sum()).float())

    def forward(self, x_BF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Uncalibrated logits (B, C), (B, P) and (B, D)."""
        trunk_BH = self.trunk(x_BF)
        with torch.autocast(device_type=x_BF.device.type, enabled=False):
            points, following, length = (head(trunk_BH.float()) for head in self.heads)
        return points, following, length

    def loss(self, x_BF: Tensor, y_BT: Tensor) -> Tensor:
        """Weighted cross-entropies in nats, each over all rows so that batches without a kind of row count less."""
        total = x_BF.new_zeros(())
        for column, (weight, logits) in enumerate(zip(WEIGHTS, self(x_BF), strict=True)):
            label_B = y_BT[:, column]
            known_B = torch.isfinite(label_B)
            target_B = torch.where(known_B, label_B, torch.zeros_like(label_B)).long()
            each_B = nn.functional.cross_entropy(logits, target_B, reduction="none")
            total = total + weight * (each_B * known_B).mean()
        return total


def _shares(labels: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Share of each class (width,) among the known labels, none of them 0."""
    counts = np.bincount(labels[np.isfinite(labels)].astype(np.int64), minlength=width) + 1.0
    return np.asarray(counts / counts.sum())
