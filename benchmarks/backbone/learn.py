"""Training of the backbone with both its heads on batches of games, stopped early on later games."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.backbone.encoder import Backbone, EncoderConfig, Inputs
from benchmarks.backbone.tokens import Tokens
from models.device import one_thread
from models.live_win.network import Raw

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
GRADIENT_NORM: Final = 1.0


@dataclass(frozen=True, slots=True)
class Steps:
    """How a backbone is trained: `games` a step, one annealed learning rate over at most `epochs`."""

    seed: int = 7
    games: int = 64
    epochs: int = 12
    patience: int = 3
    learning_rate: float = 0.004
    weight_decay: float = 0.02

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for the report."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions of one head: of which game (n,), after how many tokens (n,), features (n, F), anchor (n, A), labels
    (n, L); `players` (n, 10) are the offence's five and the defence's, for possessions."""

    game: Integers
    known: Integers
    features: Floats
    anchor: Floats
    labels: Floats
    players: Integers | None = None

    def of(self, games: Integers) -> tuple[Asked, Integers]:
        """The questions of the games at the places `games`, game renumbered by its place there; and which they are."""
        place = np.full(int(max(self.game.max(initial=0), games.max(initial=0))) + 1, -1, dtype=np.int64)
        place[games] = np.arange(len(games))
        rows = np.flatnonzero(place[self.game] >= 0)
        players = None if self.players is None else self.players[rows]
        parts = (self.known, self.features, self.anchor, self.labels)
        return Asked(place[self.game[rows]], *(part[rows] for part in parts), players), rows


@dataclass(frozen=True, slots=True)
class Lesson:
    """Tokens of some games and what is asked of them."""

    tokens: Tokens
    win: Asked
    possession: Asked


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained backbone (best epoch, eval mode), the losses per epoch, and the seconds taken."""

    network: Backbone
    curve: tuple[dict[str, float], ...]
    best_epoch: int
    seconds: float


def learn(fit: Lesson, stop: Lesson, config: EncoderConfig, steps: Steps) -> Learned:
    """Train on `fit` until the loss on `stop` no longer falls; the same seed gives the same weights on one CPU."""
    began = time.perf_counter()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(steps.seed)
        network = Backbone(config, fit.win.features.shape[1], fit.possession.features.shape[1])
        network.win.correction.standardise.fit(fit.win.features)
        network.possession.correction.standardise.fit(fit.possession.features)
        found = _trained(network, fit, stop, steps)
    return Learned(*found, time.perf_counter() - began)


def losses(network: Backbone, lesson: Lesson, games: Integers) -> tuple[Tensor, Tensor]:
    """Mean loss of the winner's head and of the possession's over the questions of the games at places `games`."""
    (win, possession), parts = _answered(network, lesson, games), _parts(lesson, games)
    asked = parts[0]
    won = network.win.loss(win, torch.from_numpy(asked.anchor), torch.from_numpy(asked.labels))
    points = torch.from_numpy(parts[1].labels[:, 0]).long()
    return won, torch.nn.functional.cross_entropy(possession, points)


def answers(network: Backbone, lesson: Lesson, step: int = 256) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Uncalibrated log-odds, margin and deviation (n, 3), and logits of points (m, 4), in the order asked."""
    win = np.zeros((len(lesson.win.game), 3))
    possession = np.zeros((len(lesson.possession.game), lesson.possession.anchor.shape[1]))
    network.eval()
    with one_thread(), torch.inference_mode():
        for start in range(0, len(lesson.tokens.games), step):
            games = np.arange(start, min(start + step, len(lesson.tokens.games)))
            raw, logits = _answered(network, lesson, games)
            win[lesson.win.of(games)[1]] = torch.stack(raw, dim=1).double().numpy()
            possession[lesson.possession.of(games)[1]] = logits.double().numpy()
    return win, possession


def _parts(lesson: Lesson, games: Integers) -> tuple[Asked, Asked]:
    return lesson.win.of(games)[0], lesson.possession.of(games)[0]


def _answered(network: Backbone, lesson: Lesson, games: Integers) -> tuple[Raw, Tensor]:
    win, possession = _parts(lesson, games)
    states = network.encoder(Inputs.of(lesson.tokens, games))
    at_win, at_possession = (states[each.game, each.known] for each in (win, possession))
    raw = network.win(torch.from_numpy(win.features), torch.from_numpy(win.anchor), at_win)
    assert possession.players is not None
    players = network.encoder.forgotten(torch.from_numpy(possession.players))
    logits = network.possession(
        torch.from_numpy(possession.features), torch.from_numpy(possession.anchor), at_possession,
        network.encoder.fives(players).flatten(-2),
    )  # fmt: skip
    return raw, logits


def _trained(
    network: Backbone, fit: Lesson, stop: Lesson, steps: Steps
) -> tuple[Backbone, tuple[dict[str, float], ...], int]:
    n, order = len(fit.tokens.games), np.random.default_rng(steps.seed)
    per_epoch = -(-n // steps.games)
    optimiser = torch.optim.AdamW(network.parameters(), steps.learning_rate, weight_decay=steps.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, steps.learning_rate, total_steps=steps.epochs * per_epoch, pct_start=0.2
    )
    curve: list[dict[str, float]] = []
    best, kept, best_epoch = np.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(steps.epochs):
        network.train()
        total = 0.0
        for games in np.array_split(order.permutation(n), per_epoch):
            loss = sum(losses(network, fit, games), torch.zeros(()))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) / per_epoch
        won, points = judged(network, stop)
        curve.append({"epoch": float(epoch), "fit": total, "stop_win": won, "stop_possession": points})
        if won + points < best:
            best, kept, best_epoch = won + points, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= steps.patience:
            break
    network.load_state_dict(kept)
    return network.eval(), tuple(curve), best_epoch


def judged(network: Backbone, lesson: Lesson) -> tuple[float, float]:
    """Losses of both heads over a whole lesson, without dropout."""
    network.eval()
    with torch.inference_mode():
        won, points = losses(network, lesson, np.arange(len(lesson.tokens.games)))
    return float(won), float(points)
