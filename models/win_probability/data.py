"""Win-probability rows in and out: labelled games for training, a network's outputs as a column for users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.labels import game_labels
from features.tables import Tables
from features.views import Views, game_rows, player_rows
from features.views.entities import game_entities, played_entities
from models.announced import CASES, hide_announced, rows_by_case
from models.calibration import Temperature, fit_temperature
from models.device import one_thread
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

LABEL: Final = "1 when the home team wins the game, overtime included"
Outputs = dict[str, NDArray[Any]]


def labelled_rows(tables: Tables, views: Views, *, players: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row per finished game as of tip-off: entity columns, features and labels.

    Who is listed for each side is taken from who appeared: the inactives are published before tip-off.
    """
    appeared = player_rows(played_entities(tables), views) if players is None else players
    rows = game_rows(game_entities(tables), views, appeared)
    return rows.join(game_labels(tables), on="game_id", how="inner", maintain_order="left")


def labels(rows: pl.DataFrame, config: WinProbabilityConfig) -> NDArray[np.float32]:
    """Labels (n, 1)."""
    return np.array(rows.select(pl.col("home_win").cast(pl.Float32)).to_numpy())


def build(config: Mapping[str, Any]) -> WinProbabilityNetwork:
    """An untrained network of this shape."""
    return WinProbabilityNetwork(WinProbabilityConfig.from_json(config))


def forward(network: WinProbabilityNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Uncalibrated logits (n,) as float64."""
    device = network.head.weight.device
    with one_thread(), torch.inference_mode():
        logits: NDArray[np.float64] = network(torch.from_numpy(inputs).to(device)).double().cpu().numpy()
    return logits


def calibrate(
    network: WinProbabilityNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]
) -> dict[str, Any]:
    """The temperatures that fit the calibration slice, with the announced features and without."""
    seen = zip(CASES, (inputs, hide_announced(inputs, network.config)), strict=True)
    return {case: {"temperature": fit_temperature(forward(network, x), y[:, 0]).temperature} for case, x in seen}


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `home_win_probability` (n,) of feature rows (n, F)."""
    assert isinstance(network, WinProbabilityNetwork)  # noqa: S101 - narrows the family protocol for mypy
    logits, probability = forward(network, inputs), np.empty(len(inputs))
    for case, rows in rows_by_case(inputs, network.config).items():
        temperature = Temperature(float(calibration.get(case, {}).get("temperature", 1.0)))
        probability[rows] = temperature.apply(logits[rows])
    return {"home_win_probability": probability}


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """The output column `home_win_probability`."""
    return [pl.Series("home_win_probability", answer["home_win_probability"])]
