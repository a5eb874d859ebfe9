"""A causal encoder of a game's possessions: one state after every token, shared by all heads.

Shape suffixes: G games, T tokens, V values, P players on court, E embedding, H hidden, Q questions, F features,
C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.backbone.tokens import (
    KINDS,
    NOBODY,
    ON_COURT,
    UNKNOWN,
    VALUES,
    Tokens,
    Vocabulary,
    pack,
    token_rows,
)
from models.device import one_thread
from models.live_win.network import MARGIN_WEIGHT, Raw
from models.possession.config import CLASSES
from models.projection.config import LEVELS
from models.trunk import Standardise

#: Width of the embedding of a token's kinds.
KIND_WIDTH: Final = 6
_FIVE: Final = ON_COURT // 2


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Size of the backbone. `forgotten` is the share of players who are told as unknown in each training step, so
    that a rookie's row is a learned one."""

    players: int
    hidden: int = 48
    embedding: int = 12
    dropout: float = 0.2
    forgotten: float = 0.15


@dataclass(frozen=True, slots=True)
class Inputs:
    """Tokens as tensors: values (G, T, V), kinds (G, T, 2), players (G, T, P)."""

    values: Tensor
    kinds: Tensor
    players: Tensor

    @classmethod
    def of(cls, tokens: Tokens, games: NDArray[np.int64] | None = None) -> Inputs:
        """Of all games, or of those at the places `games`, no longer than the longest of them."""
        at = np.arange(len(tokens.games)) if games is None else games
        longest = int(tokens.lengths[at].max(initial=1))
        parts = (tokens.values, tokens.kinds, tokens.players)
        return cls(*(torch.from_numpy(np.ascontiguousarray(part[at, :longest])) for part in parts))


class SequenceEncoder(nn.Module):
    """A GRU over tokens; the players on court come in as the mean of their embeddings per side."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.player = nn.Embedding(config.players, config.embedding, padding_idx=NOBODY)
        self.kind = nn.ModuleList(nn.Embedding(width, KIND_WIDTH, padding_idx=0) for width in KINDS)
        width = len(VALUES) + len(KINDS) * KIND_WIDTH + 2 * config.embedding
        self.enter = nn.Sequential(nn.Linear(width, config.hidden), nn.SiLU(), nn.Dropout(config.dropout))
        self.gru = nn.GRU(config.hidden, config.hidden, batch_first=True)
        self.before = nn.Parameter(torch.zeros(config.hidden))
        with torch.no_grad():
            self.player.weight.mul_(0.1)
            self.player.weight[NOBODY] = 0.0

    def forgotten(self, players: Tensor) -> Tensor:
        """`players` with a share of them told as unknown, the same ones in the whole step; as they are in eval."""
        if not self.training or self.config.forgotten <= 0:
            return players
        drawn = torch.rand(self.config.players, device=players.device) < self.config.forgotten
        return torch.where(drawn[players] & (players != NOBODY), torch.full_like(players, UNKNOWN), players)

    def fives(self, players: Tensor) -> Tensor:
        """Mean embeddings (..., 2, E) of both fives of `players` (..., P); 0 where nobody is known."""
        known = (players != NOBODY).to(self.player.weight.dtype)[..., None]
        split = (*players.shape[:-1], 2, _FIVE)
        total = (self.player(players) * known).reshape(*split, -1).sum(-2)
        return total / known.reshape(*split, 1).sum(-2).clamp_min(1.0)

    def forward(self, inputs: Inputs) -> Tensor:
        """States (G, T + 1, H): before the first token, then after each; state t depends on tokens before t only."""
        kinds = [table(inputs.kinds[..., column]) for column, table in enumerate(self.kind)]
        fives = self.fives(self.forgotten(inputs.players)).flatten(-2)
        after: Tensor
        after, _ = self.gru(self.enter(torch.cat([inputs.values, *kinds, fives], dim=-1)))
        before = self.before.expand(after.shape[0], 1, -1)
        return torch.cat([before, after], dim=1)


class Correction(nn.Module):
    """What a state adds to an answer: linear in standardised features, plus a hidden layer of both."""

    def __init__(self, features: int, state: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(features)
        self.linear = nn.Linear(2 * features, outputs)
        self.mixed = nn.Sequential(
            nn.Linear(2 * features + state, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )
        with torch.no_grad():
            for last in (self.linear, self.mixed[-1]):
                assert isinstance(last, nn.Linear)
                last.weight.mul_(0.1)
                last.bias.zero_()

    def forward(self, x_QF: Tensor, state_QH: Tensor) -> Tensor:
        """(Q, outputs)."""
        z_QF = self.standardise(x_QF)
        out: Tensor = self.linear(z_QF) + self.mixed(torch.cat([z_QF, state_QH], dim=-1))
        return out


class WinHead(nn.Module):
    """P(home wins) and the final margin at a moment, as corrections to an anchor (log-odds, margin, deviation)."""

    def __init__(self, features: int, config: EncoderConfig) -> None:
        super().__init__()
        self.correction = Correction(features, config.hidden, config.hidden, 3, config.dropout)
        self.register_buffer("levels_K", torch.tensor(LEVELS))
        normal = torch.distributions.Normal(0.0, 1.0)
        self.register_buffer("levels_z_K", normal.icdf(torch.tensor(LEVELS)))

    def forward(self, x_QF: Tensor, anchor_Q3: Tensor, state_QH: Tensor) -> Raw:
        """Uncalibrated answers."""
        moved = self.correction(x_QF, state_QH)
        logit, location, spread = anchor_Q3.unbind(-1)
        return Raw(
            logit + moved[:, 0], location + spread * moved[:, 1].clamp(-1.5, 1.5),
            spread * torch.exp(moved[:, 2].clamp(-1.5, 1.5)),
        )  # fmt: skip

    def loss(self, raw: Raw, anchor_Q3: Tensor, y_Q2: Tensor) -> Tensor:
        """As `LiveWinNetwork.loss`: cross-entropy of the winner, pinball loss of the margin in its deviations."""
        levels, z = self.get_buffer("levels_K"), self.get_buffer("levels_z_K")
        won = nn.functional.binary_cross_entropy_with_logits(raw.logit, y_Q2[:, 0])
        quantiles = raw.location[:, None] + raw.spread[:, None] * z
        gap = (y_Q2[:, 1:2] - quantiles) / anchor_Q3[:, 2:3]
        return won + MARGIN_WEIGHT * torch.maximum(levels * gap, (levels - 1) * gap).mean()


class PossessionHead(nn.Module):
    """Points of the possession that begins, as corrections to an anchor's logits; it also sees who is on court."""

    def __init__(self, features: int, config: EncoderConfig) -> None:
        super().__init__()
        wide = config.hidden + 2 * config.embedding
        self.correction = Correction(features, wide, config.hidden, CLASSES, config.dropout)

    def forward(self, x_QF: Tensor, anchor_QC: Tensor, state_QH: Tensor, fives_QE: Tensor) -> Tensor:
        """Uncalibrated logits (Q, C); fives_QE: mean embedding of the offence's five, then the defence's."""
        out: Tensor = anchor_QC + self.correction(x_QF, torch.cat([state_QH, fives_QE], dim=-1))
        return out


class Backbone(nn.Module):
    """One encoder and its heads."""

    def __init__(self, config: EncoderConfig, win_features: int, possession_features: int) -> None:
        super().__init__()
        self.encoder = SequenceEncoder(config)
        self.win = WinHead(win_features, config)
        self.possession = PossessionHead(possession_features, config)


def encode(
    encoder: SequenceEncoder, plays: pl.DataFrame, vocabulary: Vocabulary, strength: pl.DataFrame | None = None
) -> tuple[Tokens, NDArray[np.float32]]:
    """Tokens of the games in `plays`, by game id, and the states (G, T + 1, H) after each number of them.

    `tokens.known(moments)` tells which state is the newest at a moment. `strength`: see `token_rows`.
    """
    tokens = pack(token_rows(plays, strength), vocabulary)
    encoder.eval()
    with one_thread(), torch.inference_mode():
        states = encoder(Inputs.of(tokens))
    return tokens, states.numpy()
