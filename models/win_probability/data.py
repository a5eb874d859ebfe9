"""Win-probability rows in and out: labelled games for training, a network's outputs as columns for users.

Why this model: the mean of a logistic head and of P(margin > 0) from the margin's own distribution, so that winner,
margin and total come from one network. While this was made the blend was better than the head alone by no more than
the seed moves it; that comparison is not kept as a benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import nn

from features.labels import GAME_TARGETS, game_labels
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import GAME_ANNOUNCED_FEATURES, GAME_FEATURES, Views, game_rows, player_rows
from features.views.entities import game_entities, played_entities
from models.announced import CASES, hide_announced, rows_by_case
from models.calibration import ConformalOffsets, Temperature, fit_offsets, fit_temperature
from models.device import one_thread
from models.projection.config import SHOWN
from models.projection.distribution import probability_over
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

LABEL: Final = "1 when the home team wins the game, overtime included"
HORIZON: Final = "macro"
LEAST_ROWS: Final = (100, 30)
TARGETS: Final = GAME_TARGETS
#: Targets answered as distributions beside P(home win).
MARGIN: Final = "home_margin"
POINTS: Final = (MARGIN, "total_points")
ANCHORS: Final = ("", "recent_total")
#: Share of the calibration slice's mean error that is taken over: a few hundred games tell it to about half a point.
MEAN_SHIFT_KEPT: Final = 0.5
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables, views: Views, *, players: pl.DataFrame | None = None, plays: Plays = NO_PLAYS
) -> pl.DataFrame:
    """One row per finished game as of tip-off: entity columns, features and labels.

    Who is listed for each side is taken from who appeared: the inactives are published before tip-off.
    """
    appeared = player_rows(played_entities(tables), views) if players is None else players
    rows = game_rows(game_entities(tables), views, appeared)
    return rows.join(game_labels(tables), on="game_id", how="inner", maintain_order="left")


def config(size: Mapping[str, Any]) -> WinProbabilityConfig:
    """The network on every feature of a game row."""
    return WinProbabilityConfig(GAME_FEATURES, (GAME_ANNOUNCED_FEATURES,), points=POINTS, anchors=ANCHORS, **size)


def labels(rows: pl.DataFrame, config: WinProbabilityConfig) -> NDArray[np.float32]:
    """Labels (n, 1 + P): home_win, then `config.points`."""
    columns = [pl.col(name).cast(pl.Float32) for name in ("home_win", *config.points)]
    return np.require(rows.select(columns).to_numpy(), np.float32, ["C", "W"])


def build(config: Mapping[str, Any]) -> WinProbabilityNetwork:
    """An untrained network of this shape."""
    return WinProbabilityNetwork(WinProbabilityConfig.from_json(config))


def forward(network: WinProbabilityNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Uncalibrated logits (n,) as float64."""
    device = network.head.weight.device
    with one_thread(), torch.inference_mode():
        logits: NDArray[np.float64] = network(torch.from_numpy(inputs).to(device)).double().cpu().numpy()
    return logits


def forward_points(network: WinProbabilityNetwork, inputs: NDArray[np.float32]) -> Outputs:
    """Uncalibrated `mean` (n, P) and `quantiles` (n, P, K) as float64."""
    device = network.head.weight.device
    with one_thread(), torch.inference_mode():
        mean, quantiles = network.points(torch.from_numpy(inputs).to(device))
    return {"mean": mean.double().cpu().numpy(), "quantiles": quantiles.double().cpu().numpy()}


def winner_logits(network: WinProbabilityNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Uncalibrated logits (n,) of P(home win): the mean of the winner head's probability and of the margin's chance to
    be above 0, where the network answers the margin."""
    logits, config = forward(network, inputs), network.config
    if MARGIN not in config.points:
        return logits
    grid = forward_points(network, inputs)["quantiles"][:, config.points.index(MARGIN)]
    above = probability_over(grid, config.levels, np.zeros(len(grid)))
    return np.asarray(logit((expit(logits) + above) / 2))


def calibrate(
    network: WinProbabilityNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]
) -> dict[str, Any]:
    """Temperature, mean shift and quantile offsets that fit the calibration slice, with the announced features and
    without."""
    config, result = network.config, {}
    for case, x in zip(CASES, (inputs, hide_announced(inputs, config)), strict=True):
        result[case] = {"temperature": fit_temperature(winner_logits(network, x), y[:, 0]).temperature}
        if config.points:
            raw, points = forward_points(network, x), y[:, 1:].astype(np.float64)
            offsets = fit_offsets(raw["quantiles"], config.levels, points)
            shift = MEAN_SHIFT_KEPT * np.nanmean(points - raw["mean"], axis=0)
            result[case] |= {"mean_shift": shift.tolist(), **offsets.as_json()}
    return result


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `home_win_probability` (n,), and `points_mean` (n, P) and `points_quantiles` (n, P, K) of
    `config.points`, of feature rows (n, F)."""
    assert isinstance(network, WinProbabilityNetwork)  # noqa: S101 - narrows the family protocol for mypy
    config = network.config
    logits, probability = winner_logits(network, inputs), np.empty(len(inputs))
    points = forward_points(network, inputs) if config.points else {}
    for case, rows in rows_by_case(inputs, config).items():
        numbers = calibration.get(case, {})
        probability[rows] = Temperature(float(numbers.get("temperature", 1.0))).apply(logits[rows])
        if points and "offsets" in numbers and rows.any():
            points["mean"][rows] += np.asarray(numbers["mean_shift"])
            points["quantiles"][rows] = ConformalOffsets.from_json(numbers).apply(points["quantiles"][rows])
    return {"home_win_probability": probability, **{f"points_{name}": value for name, value in points.items()}}


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """Output columns: `home_win_probability`, and `{target}_mean` and `{target}_q05` ... `{target}_q95`."""
    series = [pl.Series("home_win_probability", answer["home_win_probability"])]
    if "points_mean" not in answer:
        return series
    levels = np.asarray(config["levels"])
    for index, target in enumerate(config["points"]):
        series.append(pl.Series(f"{target}_mean", answer["points_mean"][:, index]))
        series += [
            pl.Series(f"{target}_{name}", answer["points_quantiles"][:, index, np.argmin(np.abs(levels - level))])
            for name, level in SHOWN.items()
        ]
    return series
