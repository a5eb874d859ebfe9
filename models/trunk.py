"""The part every network shares: standardised inputs with missing-value indicators, then residual layers.

Shape suffixes: B rows, F features, H hidden.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from features.errors import InvalidInput

#: Standardised inputs are held inside this many standard deviations: one absurd value must not throw an answer.
CLIP: Final = 8.0


def feature_matrix(rows: pl.DataFrame, features: tuple[str, ...]) -> NDArray[np.float32]:
    """Features of `rows` as float32 (n, F); null becomes NaN. Raises `InvalidInput` naming absent columns."""
    missing = [name for name in features if name not in rows.columns]
    if missing:
        raise InvalidInput(f"rows lack feature columns {missing}; assemble them with features.views")
    columns = rows.select(pl.col(features).cast(pl.Float32).fill_null(float("nan")))
    # A single column comes as a view that torch must not write to.
    return np.require(columns.to_numpy().reshape(rows.height, -1), np.float32, ["C", "W"])


class Standardise(nn.Module):
    """(x - mean) / scale of the fit slice, 0 where x is NaN, followed by one missing indicator per feature."""

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(n_features))
        self.register_buffer("scale_F", torch.ones(n_features))

    def fit(self, inputs_BF: NDArray[np.float32]) -> None:
        """Take mean and scale from the fit slice, ignoring NaN; a constant feature gets scale 1."""
        known = np.isfinite(inputs_BF)
        count = np.maximum(known.sum(axis=0), 1)
        wide = np.where(known, inputs_BF, 0).astype(np.float64)
        mean = wide.sum(axis=0) / count
        spread = np.sqrt((np.where(known, wide - mean, 0) ** 2).sum(axis=0) / count)
        self.mean_F.copy_(torch.from_numpy(mean.astype(np.float32)))
        self.scale_F.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1.0).astype(np.float32)))

    def forward(self, x_BF: Tensor) -> Tensor:
        """(B, 2F): clipped standard scores, then indicators."""
        missing_BF = torch.isnan(x_BF)
        z_BF = ((x_BF - self.mean_F) / self.scale_F).clamp(-CLIP, CLIP)
        return torch.cat(
            [torch.where(missing_BF, torch.zeros_like(z_BF), z_BF), missing_BF.to(z_BF.dtype)], dim=-1
        )


class ResidualLayer(nn.Module):
    """x + dropout(silu(linear(norm(x)))): keeps gradients alive and starts near the identity."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.linear = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h_BH: Tensor) -> Tensor:
        """(B, H) to (B, H)."""
        out: Tensor = self.dropout(nn.functional.silu(self.linear(self.norm(h_BH))))
        return h_BH + out


class Trunk(nn.Module):
    """Standardised inputs beside what the hidden layers make of them: (B, F) to (B, 2F + H).

    Passing the inputs through lets the heads hold a linear model, so that depth only has to learn the rest.
    """

    def __init__(self, n_features: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(n_features)
        self.enter = nn.Sequential(nn.Linear(2 * n_features, hidden), nn.SiLU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(*(ResidualLayer(hidden, dropout) for _ in range(max(layers - 1, 0))))
        self.width = 2 * n_features + hidden

    def forward(self, x_BF: Tensor) -> Tensor:
        """(B, 2F + H)."""
        z_BF = self.standardise(x_BF)
        h_BH = self.layers(self.enter(z_BF))
        return torch.cat([z_BF, h_BH.to(z_BF.dtype)], dim=-1)
