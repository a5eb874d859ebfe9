"""In-game winner rows in and out: labelled moments for training, a network's outputs as columns for users.

Why this model: logistic, without a hidden layer, because hidden layers gave nothing while this was made (set
`train.live_win.hidden` in params.yaml to compare). `benchmarks/results/backbone.json` compares it with boosted trees, a
plain logistic model of strength, lead and clock, the Brownian margin and a sequence model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.labels import GAME_TARGETS, game_labels
from features.play.game_state import game_states
from features.play.moments import named_moments, random_moments
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import Views, game_rows, player_rows
from features.views.entities import game_entities, played_entities
from models.calibration import fit_offsets, fit_temperature
from models.device import one_thread
from models.live_win.calibration import buckets, calibrated
from models.live_win.config import BUCKETS, LiveWinConfig
from models.live_win.network import LiveWinNetwork, Raw
from models.live_win.rows import ANNOUNCED_FEATURES, FEATURES, live_rows
from models.projection.config import SHOWN

LABEL: Final = "1 when the home team wins the game, overtime included; and its final margin in points"
HORIZON: Final = "game"
LEAST_ROWS: Final = (500, 150)
TARGETS: Final = GAME_TARGETS
#: Plays drawn from every game beside the named moments: they teach the curve between the moments.
EVENTS_PER_GAME: Final = 16
DRAW_SEED: Final = 20261123
#: Standard deviation of log-temperature before any data. From season to season (2016-17 to 2020-21) the slope of the
#: winner on `anchor_logit` moved by about .04 at each named moment; a slice of 300 games alone cannot tell that much.
PRIOR: Final = 0.04
#: Rows a bucket of the clock needs before its quantiles are moved.
LEAST_BUCKET: Final = 200
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables, views: Views, *, players: pl.DataFrame | None = None, plays: Plays = NO_PLAYS
) -> pl.DataFrame:
    """One row per moment of a finished game: entity columns, asked_at, elapsed_s, features and labels.

    Moments are the named ones and `EVENTS_PER_GAME` drawn plays (asked_at "event"); a game without play-by-play has
    none. Play-by-play is read season by season.
    """
    appeared = player_rows(played_entities(tables), views) if players is None else players
    games = game_rows(game_entities(tables), views, appeared)
    labels = game_labels(tables)
    parts = [live_rows(games.clear(), _no_states())]
    for season, rows in plays.each():
        known = rows.join(games.select("game_id"), on="game_id", how="semi")
        if known.is_empty():
            continue
        drawn = random_moments(known, per_game=EVENTS_PER_GAME, seed=DRAW_SEED)
        states = game_states(known, pl.concat([named_moments(known), drawn]))
        parts.append(live_rows(games.filter(pl.col("season") == season), states))
    return (
        pl.concat(parts)
        .join(labels, on="game_id", how="inner", maintain_order="left")
        .sort("game_date", "game_id", "seq", maintain_order=True)
    )


def config(size: Mapping[str, Any]) -> LiveWinConfig:
    """The network on every feature there is."""
    return LiveWinConfig(FEATURES, (ANNOUNCED_FEATURES,), **size)


def labels(rows: pl.DataFrame, config: LiveWinConfig) -> NDArray[np.float32]:
    """Labels (n, 2): home_win, home_margin."""
    return np.array(
        rows.select(pl.col(name).cast(pl.Float32) for name in ("home_win", "home_margin")).to_numpy(), order="C"
    )


def build(config: Mapping[str, Any]) -> LiveWinNetwork:
    """An untrained network of this shape."""
    return LiveWinNetwork(LiveWinConfig.from_json(config))


def forward(network: LiveWinNetwork, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """Uncalibrated logits (n,), locations (n,) and quantiles (n, K) as float64."""
    device = network.head.weight.device
    with one_thread(), torch.inference_mode():
        raw: Raw = network(torch.from_numpy(inputs).to(device))
        parts = (raw.logit, raw.location, network.quantiles(raw))
        return tuple(part.double().cpu().numpy() for part in parts)


def calibrate(network: LiveWinNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """Per bucket of the clock a temperature and offsets of the margin's quantiles.

    Rows of one game share its result, so the prior of a temperature weighs as many times more as there are rows of a
    game in a bucket.
    """
    logits, _, quantiles = forward(network, inputs)
    bucket = buckets(inputs, network.config.features)
    prior = PRIOR / np.sqrt((EVENTS_PER_GAME + 3) / (len(BUCKETS) + 1))
    temperatures, offsets = [], []
    for number in range(len(BUCKETS) + 1):
        own = bucket == number
        temperatures.append(fit_temperature(logits[own], y[own, 0], prior).temperature if own.any() else 1.0)
        enough = int(own.sum()) >= LEAST_BUCKET
        fitted = (
            fit_offsets(quantiles[own, None, :], network.config.levels, y[own, 1:2].astype(np.float64))
            if enough
            else None
        )
        offsets.append(None if fitted is None else fitted.as_json())
    return {"temperatures": temperatures, "offsets": offsets}


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `home_win_probability` (n,), `margin_mean` (n,) and `margin_quantiles` (n, K; ascending)."""
    assert isinstance(network, LiveWinNetwork)  # noqa: S101 - narrows the family protocol for mypy
    logits, location, quantiles = forward(network, inputs)
    return calibrated(logits, location, quantiles, buckets(inputs, network.config.features), calibration)


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """`home_win_probability`, `margin_mean` and the margin's quantiles `margin_q05` to `margin_q95`."""
    levels = list(config["levels"])
    shown = [
        pl.Series(f"margin_{suffix}", answer["margin_quantiles"][:, levels.index(level)])
        for suffix, level in SHOWN.items()
    ]
    names = ("home_win_probability", "margin_mean")
    return [*(pl.Series(name, answer[name]) for name in names), *shown]


def _no_states() -> pl.DataFrame:
    """Types of states, for a league without play-by-play."""
    types = {
        "game_id": pl.String(), "asked_at": pl.String(), "seq": pl.Int16(), "period": pl.Int8(),
        "elapsed_s": pl.Float64(), "margin": pl.Int32(), "left_s": pl.Float64(), "ball": pl.Int8(),
        "run_4min": pl.Int32(), "pace": pl.Float64(), "home_luck": pl.Float32(), "away_luck": pl.Float32(),
    }  # fmt: skip
    return pl.DataFrame(schema=types)
