"""Possession rows in and out: labelled states for training, a network's outputs as columns for users.

Rows: of the newest SEASONS seasons, one possession in SHARE by a hash of game and number, and the end of each of
three quarters and EVENTS random plays of every game, told by both sides (`models.possession.rows`).

Why this model: one network for the points of a possession, its length, and the points of the next two minutes.
`benchmarks/results/backbone.json` compares its log loss with a logistic model's and boosted trees': a logistic model is
not significantly worse for the points of a possession, and was not taken because it would answer that alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.errors import InvalidInput
from features.play.plays import NO_PLAYS, Plays
from features.play.possessions import BEGAN
from features.tables import Tables
from features.views import Views, player_rows
from features.views.entities import played_entities
from models.device import one_thread
from models.possession.calibration import ClassScaling, fit_tilt, fit_vector
from models.possession.config import FEATURES, PossessionConfig
from models.possession.network import PossessionNetwork
from models.possession.rows import EVENTS, SHARE, season_states, seconds_band, with_state, with_strength
from models.projection.config import LEVELS

LABEL: Final = (
    "points of the possession that begins (0, 1, 2, 3 or more); points of a side in the next two minutes"
)
HORIZON: Final = "micro"
LEAST_ROWS: Final = (2000, 500)
TARGETS: Final = ("points", "points_next_2min", "duration_s", "following")
#: Newest seasons that are asked about.
SEASONS: Final = 6
_KEPT: Final = (
    "game_id", "game_date", "season", "season_type", "as_of", "asked_at", "seq", "team", "opp", "began", "number",
    "period", *TARGETS,
)  # fmt: skip
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables,
    views: Views,
    *,
    players: pl.DataFrame | None = None,
    plays: Plays = NO_PLAYS,
    share: int = SHARE,
    events: int = EVENTS,
) -> pl.DataFrame:
    """One row per question: keys, features and labels; a label is null where the row does not ask for it.

    Raises `InvalidInput` without play-by-play.
    """
    if not plays.seasons:
        raise InvalidInput("the possession family needs play-by-play; collect table pbp first")
    asked = plays.only(plays.seasons[-SEASONS:])
    recent = Tables(tables.games, tables.box.filter(pl.col("season").is_in(asked.seasons)))
    appeared = player_rows(played_entities(recent), views) if players is None else players
    parts = []
    for season, rows in asked.each():
        states = with_state(season_states(rows, share=share, events=events))
        games = tables.games.filter(pl.col("season") == season)
        told = with_strength(states, games, appeared, views)
        # Two columns may be feature and key at once, such as the period.
        features = [pl.col(name).cast(pl.Float32) for name in FEATURES if name not in _KEPT]
        parts.append(told.select(*_KEPT, *features))
    return pl.concat(parts)


def config(size: Mapping[str, Any]) -> PossessionConfig:
    """The network on every feature of a state."""
    return PossessionConfig(FEATURES, **size)


def labels(rows: pl.DataFrame, config: PossessionConfig) -> NDArray[np.float32]:
    """Labels (n, 4): class of points, points in two minutes, band of seconds, number in BEGAN of what followed."""
    followed = pl.col("following").replace_strict(
        list(BEGAN), list(range(len(BEGAN))), default=None, return_dtype=pl.Float32
    )
    ahead = pl.col("points_next_2min").clip(0, config.most_points)
    columns = (pl.col("points"), ahead, _band(), followed)
    found = rows.select(
        column.cast(pl.Float32).fill_null(float("nan")).alias(str(k)) for k, column in enumerate(columns)
    )
    return np.array(found.to_numpy())


def _band() -> pl.Expr:
    return pl.when(pl.col("duration_s").is_not_null()).then(seconds_band())


def build(config: Mapping[str, Any]) -> PossessionNetwork:
    """An untrained network of this shape."""
    return PossessionNetwork(PossessionConfig.from_json(config))


def forward(network: PossessionNetwork, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Uncalibrated logits of points (n, 4), of points in two minutes (n, P) and of seconds (n, D) as float64."""
    device = network.following_CS.device
    with one_thread(), torch.inference_mode():
        logits = network(torch.from_numpy(inputs).to(device))
    return tuple(head.double().cpu().numpy() for head in logits)


def calibrate(network: PossessionNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """Vector scaling of the points of a possession, a temperature and tilt of the points in two minutes."""
    points, ahead, _ = forward(network, inputs)
    asked, open_ = np.isfinite(y[:, 0]), np.isfinite(y[:, 1]) & ~np.isfinite(y[:, 0])
    return {
        "points": fit_vector(points[asked], y[asked, 0].astype(np.int64)).as_json(),
        "next": fit_tilt(ahead[open_], y[open_, 1].astype(np.int64)).as_json(),
    }


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `points` (n, 4), `seconds` (n, D), and of the points in two minutes `next` (n, P), `next_mean` (n,)
    and `next_quantiles` (n, K) at LEVELS."""
    assert isinstance(network, PossessionNetwork)  # noqa: S101 - narrows the family protocol for mypy
    points, ahead, seconds = forward(network, inputs)
    scaled = ClassScaling.from_json(calibration.get("points"), points.shape[1]).apply(points)
    chances = ClassScaling.from_json(calibration.get("next"), ahead.shape[1]).apply(ahead)
    return {
        "points": scaled,
        "seconds": ClassScaling.from_json(None, seconds.shape[1]).apply(seconds),
        "next": chances,
        "next_mean": chances @ np.arange(chances.shape[1]),
        "next_quantiles": count_quantiles(chances),
    }


def count_quantiles(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles (n, K) at LEVELS of counts with `chances` (n, P): the smallest count whose share below reaches it."""
    below = np.cumsum(chances, axis=1)
    return np.stack([(below < level - 1e-9).sum(axis=1) for level in LEVELS], axis=1).astype(np.float64)


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """`p0` ... `p3` of the possession's points, `next_2min_mean` and its quantiles `next_2min_q10`, `q50`, `q90`."""
    shown = {"q10": 0.10, "q50": 0.50, "q90": 0.90}
    return [
        *(pl.Series(f"p{k}", answer["points"][:, k]) for k in range(answer["points"].shape[1])),
        pl.Series("next_2min_mean", answer["next_mean"]),
        *(
            pl.Series(f"next_2min_{name}", answer["next_quantiles"][:, LEVELS.index(level)])
            for name, level in shown.items()
        ),
    ]
