"""Projection rows in and out: labelled rows for training, a network's outputs as columns for users.

Shapes: n rows, S sites, K quantile levels. All points are fantasy points under the named site's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.labels import player_labels
from features.tables import Tables
from features.views import Views, player_rows
from features.views.entities import played_entities
from models.announced import CASES, hide_announced, rows_by_case
from models.calibration import ConformalOffsets, fit_offsets
from models.device import one_thread
from models.projection.availability import Availability
from models.projection.config import SHOWN, ProjectionConfig
from models.projection.network import ProjectionNetwork

LABEL: Final = "fantasy points of a player-game under each site's rules, given that the player plays"
Outputs = dict[str, NDArray[Any]]


def labelled_rows(tables: Tables, views: Views, *, players: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row per player-game as of tip-off: entity columns, features and labels."""
    rows = player_rows(played_entities(tables), views) if players is None else players
    return rows.join(player_labels(tables), on=["game_id", "player_id"], how="inner", maintain_order="left")


def labels(rows: pl.DataFrame, config: ProjectionConfig) -> NDArray[np.float32]:
    """Labels (n, S) in the order of `config.sites`."""
    columns = rows.select(pl.col(f"fantasy_points_{site}").cast(pl.Float32) for site in config.sites)
    return np.array(columns.to_numpy())


def build(config: Mapping[str, Any]) -> ProjectionNetwork:
    """An untrained network of this shape."""
    return ProjectionNetwork(ProjectionConfig.from_json(config))


def forward(network: ProjectionNetwork, inputs: NDArray[np.float32]) -> Outputs:
    """Uncalibrated `mean` (n, S) and `quantiles` (n, S, K) as float64."""
    device = network.label_mean_S.device
    with one_thread(), torch.inference_mode():
        mean, quantiles = network(torch.from_numpy(inputs).to(device))
    return {"mean": mean.double().cpu().numpy(), "quantiles": quantiles.double().cpu().numpy()}


def calibrate(network: ProjectionNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """Mean shift per site and quantile offsets on the calibration slice, with announced features and without."""
    config, result = network.config, {}
    for case, seen in zip(CASES, (inputs, hide_announced(inputs, config)), strict=True):
        raw = forward(network, seen)
        residual = np.nanmean(y.astype(np.float64) - raw["mean"], axis=0)
        offsets = fit_offsets(raw["quantiles"], config.levels, y.astype(np.float64))
        result[case] = {"mean_shift": residual.tolist(), **offsets.as_json()}
    return result


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `mean` (n, S), `quantiles` (n, S, K) and `p_play` (n,) of feature rows (n, F)."""
    assert isinstance(network, ProjectionNetwork)  # noqa: S101 - narrows the family protocol for mypy
    config, raw = network.config, forward(network, inputs)
    mean, quantiles = raw["mean"].copy(), raw["quantiles"].copy()
    # Line-ups come last, so whether they are known decides which calibration applies.
    for case, rows in rows_by_case(inputs, config).items():
        numbers = calibration.get(case)
        if numbers is not None and rows.any():
            mean[rows] += np.asarray(numbers["mean_shift"])
            quantiles[rows] = ConformalOffsets.from_json(numbers).apply(quantiles[rows])
    p_play = np.ones(len(inputs))
    if calibration.get("availability"):
        p_play = Availability.from_json(calibration["availability"]).probability(inputs, config.features)
    return {"mean": mean, "quantiles": quantiles, "p_play": p_play}


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """Columns for users: `p_play`, and per site `{site}_mean` and quantiles `{site}_q05` ... `{site}_q95`."""
    levels = np.asarray(config["levels"])
    found = {name: int(np.argmin(np.abs(levels - level))) for name, level in SHOWN.items()}
    series = [pl.Series("p_play", answer["p_play"])]
    for index, site in enumerate(config["sites"]):
        series.append(pl.Series(f"{site}_mean", answer["mean"][:, index]))
        series += [pl.Series(f"{site}_{name}", answer["quantiles"][:, index, k]) for name, k in found.items()]
    return series
