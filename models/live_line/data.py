"""Live lines in and out: labelled player moments for training, a network's outputs as columns for users.

Shapes: n rows, T targets, K quantile levels. Amounts are final ones, overtime included.

Why this model: a network for what is still to come, with monotone quantiles that can fall no lower than what a player
has. While this was made boosted trees for the mean alone came close and were not better; that comparison is not kept
as a benchmark, the pace, the season mean and the EWMA beside it are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.labels import player_labels
from features.play.moments import EVENT, named_moments, random_moments
from features.play.player_quarters import quarter_lines, quarter_view, with_quarters
from features.play.player_rows import LIVE_FEATURES, PREGAME, live_player_rows
from features.play.player_state import player_states
from features.play.plays import COLUMNS, NO_PLAYS, Plays
from features.tables import PBP, Tables
from features.views import Views, player_rows
from features.views.entities import PLAYER_ENTITY, played_entities
from models.device import one_thread
from models.live_line.calibration import CellCalibration, cells, fit_cells, fit_temperatures
from models.live_line.config import TARGETS as AMOUNTS
from models.live_line.config import LiveLineConfig
from models.live_line.network import LiveLineNetwork
from models.projection.config import SHOWN

LABEL: Final = "final fantasy points and box line of a player, asked during the game, given that he appears in it"
HORIZON: Final = "game"
LEAST_ROWS: Final = (500, 100)
TARGETS: Final = AMOUNTS
#: Random moments of a game, beside the ends of its first three quarters, and the share of players asked about then.
RANDOM_MOMENTS: Final = 3
ONE_IN: Final = 3
SEED: Final = 20_261_123
#: Rows answered at once: a grid per target takes 1.5 kB a row, several times over.
CHUNK: Final = 32_768
#: As-of features that serve as the line when temperatures are fitted: the season mean and the pre-game projection.
_LINES: Final[dict[str, tuple[str, ...]]] = {
    "fantasy_points_draftkings": ("dk_season", "dk_expected"),
    "fantasy_points_fanduel": ("fd_ewm12",), "fantasy_points_yahoo": ("fd_ewm12",),
    "points": ("pts_ewm25",), "rebounds": ("reb_ewm25",), "assists": ("ast_ewm25",),
}  # fmt: skip
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables, views: Views, *, players: pl.DataFrame | None = None, plays: Plays = NO_PLAYS
) -> pl.DataFrame:
    """One row per moment and player who appears in the game: entity columns, `asked_at`, features and labels.

    All players at the ends of the first three quarters, one in ONE_IN at RANDOM_MOMENTS random plays.
    """
    everybody = player_rows(played_entities(tables), views) if players is None else players
    quarters = quarter_view([quarter_lines(season_plays) for _, season_plays in plays.each()], tables.games)
    known = with_quarters(everybody.select(*PLAYER_ENTITY, *PREGAME), quarters)
    labels = player_labels(tables).select("game_id", "player_id", *AMOUNTS)
    parts = [
        _season_rows(season_plays, known.filter(pl.col("season") == season)).join(
            labels, on=["game_id", "player_id"], how="inner", maintain_order="left"
        )
        for season, season_plays in plays.each()
    ]
    if not parts:
        return _season_rows(_no_plays(), known.clear()).join(labels.clear(), on=["game_id", "player_id"])
    return pl.concat(parts)


def config(size: Mapping[str, Any]) -> LiveLineConfig:
    """The network on every feature of a player in a game in progress."""
    return LiveLineConfig(LIVE_FEATURES, **size)


def labels(rows: pl.DataFrame, config: LiveLineConfig) -> NDArray[np.float32]:
    """Final amounts (n, T) in the order of `config.targets`."""
    return np.array(rows.select(pl.col(name).cast(pl.Float32) for name in config.targets).to_numpy())


def build(config: Mapping[str, Any]) -> LiveLineNetwork:
    """An untrained network of this shape."""
    return LiveLineNetwork(LiveLineConfig.from_json(config))


def forward(network: LiveLineNetwork, inputs: NDArray[np.float32]) -> Outputs:
    """Uncalibrated `mean` (n, T) and `quantiles` (n, T, K) as float64."""
    device = network.remaining_mean_T.device
    with one_thread(), torch.inference_mode():
        mean, quantiles = network(torch.from_numpy(inputs).to(device))
    return {"mean": mean.double().cpu().numpy(), "quantiles": quantiles.double().cpu().numpy()}


def calibrate(network: LiveLineNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """Shifts and temperatures per time of the game and role, on the rows that are still open."""
    config = network.config
    still = _open(inputs, config)
    inputs, label = inputs[still], y[still].astype(np.float64)
    raw, cell = forward(network, inputs), _cells(inputs, config)
    found = fit_cells(raw["mean"], raw["quantiles"], label, cell, config.levels)
    mean, quantiles = _calibrated(raw, found, inputs, config)
    at = config.features.index
    lines = {
        target: [inputs[:, at(name)].astype(np.float64) for name in names] for target, names in _LINES.items()
    }
    temperatures = fit_temperatures(mean, quantiles, label, lines, cell, config.targets, config.levels)
    return replace(found, temperatures=temperatures).as_json()


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated final `mean` (n, T), `quantiles` (n, T, K), and `temperature` (n, T) of chances to pass a line."""
    assert isinstance(network, LiveLineNetwork)  # noqa: S101 - narrows the family protocol for mypy
    found = CellCalibration.from_json(calibration) if calibration else None
    chunks = [inputs[start : start + CHUNK] for start in range(0, max(len(inputs), 1), CHUNK)]
    parts = [_answers(network, chunk, found) for chunk in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """Columns for users: per target `{target}_mean` and quantiles `{target}_q05` ... `{target}_q95`."""
    levels = np.asarray(config["levels"])
    found = {name: int(np.argmin(np.abs(levels - level))) for name, level in SHOWN.items()}
    series = []
    for index, target in enumerate(config["targets"]):
        series.append(pl.Series(f"{target}_mean", answer["mean"][:, index]))
        series += [pl.Series(f"{target}_{name}", answer["quantiles"][:, index, k]) for name, k in found.items()]
    return series


def _answers(network: LiveLineNetwork, inputs: NDArray[np.float32], found: CellCalibration | None) -> Outputs:
    raw = forward(network, inputs)
    if found is None:
        return {**raw, "temperature": np.ones_like(raw["mean"])}
    mean, quantiles = _calibrated(raw, found, inputs, network.config)
    return {
        "mean": mean,
        "quantiles": quantiles,
        "temperature": found.temperatures[_cells(inputs, network.config)],
    }


def _season_rows(plays: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """Rows of one season's moments, thinned at the random ones."""
    moments = pl.concat([named_moments(plays), random_moments(plays, per_game=RANDOM_MOMENTS, seed=SEED)])
    rows = live_player_rows(player_states(plays, moments), players)
    drawn = pl.struct("game_id", "seq", "player_id").hash(SEED) % ONE_IN == 0
    return rows.filter((pl.col("asked_at") != EVENT) | drawn)


def _no_plays() -> pl.DataFrame:
    return pl.DataFrame(schema={name: PBP[name] for name in COLUMNS})


def _calibrated(
    raw: Outputs, found: CellCalibration, inputs: NDArray[np.float32], config: LiveLineConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shifted mean and quantiles, counts never below what he has."""
    mean, quantiles = found.apply(raw["mean"], raw["quantiles"], _cells(inputs, config), _open(inputs, config))
    names = [f"{target}_so_far" for target in config.targets]
    so_far = np.nan_to_num(inputs[:, [config.features.index(name) for name in names]].astype(np.float64))
    lowest = np.where(LiveLineNetwork.counted(config.targets), so_far, -np.inf)
    return np.maximum(mean, lowest), np.maximum(quantiles, lowest[:, :, None])


def _cells(inputs: NDArray[np.float32], config: LiveLineConfig) -> NDArray[np.intp]:
    at = config.features.index
    return cells(inputs[:, at("elapsed_s")].astype(np.float64), inputs[:, at("dk_expected")].astype(np.float64))


def _open(inputs: NDArray[np.float32], config: LiveLineConfig) -> NDArray[np.bool_]:
    return np.asarray(inputs[:, config.features.index("finished")] != 1)
