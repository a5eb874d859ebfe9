"""Projection rows in and out: labelled rows for training, a network's outputs as columns for users.

Shapes: n rows, S sites, M stats of the box line, K quantile levels. Points of a site are fantasy points under its
rules.

Why this model: quantile heads per site, beside heads for the box line whose quantiles are tied by a Gaussian copula.
The draws tell stat lines and double-doubles, the heads tell points: while this was made, points added up from the draws
were no better than heads of their own, and injury transactions as features hardly moved the error. Those comparisons
are not kept as benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import nn

from features.labels import BOX_LINE, PLAYER_TARGETS, player_labels
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import ANNOUNCED_FEATURES, PLAYER_FEATURES, Views, player_rows
from features.views.entities import played_entities
from models.announced import CASES, hide_announced, rows_by_case
from models.calibration import ConformalOffsets, fit_offsets
from models.device import one_thread
from models.projection.availability import Availability
from models.projection.config import SHOWN, ProjectionConfig
from models.projection.joint import fit_copula
from models.projection.network import ProjectionNetwork

LABEL: Final = "fantasy points of a player-game under each site's rules, given that the player plays"
HORIZON: Final = "macro"
LEAST_ROWS: Final = (500, 100)
TARGETS: Final = PLAYER_TARGETS
#: Announced features that need the starting five; the others need only the list of who is out.
LINE_UP: Final = ("announced_starter", "starter_change", "min_in_role", "dk_in_role")
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables, views: Views, *, players: pl.DataFrame | None = None, plays: Plays = NO_PLAYS
) -> pl.DataFrame:
    """One row per player-game as of tip-off: entity columns, features and labels."""
    rows = player_rows(played_entities(tables), views) if players is None else players
    return rows.join(player_labels(tables), on=["game_id", "player_id"], how="inner", maintain_order="left")


def config(size: Mapping[str, Any]) -> ProjectionConfig:
    """The network on every feature of a player row."""
    others = tuple(name for name in ANNOUNCED_FEATURES if name not in LINE_UP)
    return ProjectionConfig(PLAYER_FEATURES, (LINE_UP, others), stats=tuple(BOX_LINE), **size)


def labels(rows: pl.DataFrame, config: ProjectionConfig) -> NDArray[np.float32]:
    """Labels (n, S + M): points in the order of `config.sites`, then `config.stats`."""
    names = (*(f"fantasy_points_{site}" for site in config.sites), *config.stats)
    return np.require(
        rows.select(pl.col(name).cast(pl.Float32) for name in names).to_numpy(), np.float32, ["C", "W"]
    )


def build(config: Mapping[str, Any]) -> ProjectionNetwork:
    """An untrained network of this shape."""
    return ProjectionNetwork(ProjectionConfig.from_json(config))


def forward(network: ProjectionNetwork, inputs: NDArray[np.float32]) -> Outputs:
    """Uncalibrated `mean` (n, S + M) and `quantiles` (n, S + M, K) as float64."""
    device = network.label_mean_S.device
    with one_thread(), torch.inference_mode():
        mean, quantiles = network(torch.from_numpy(inputs).to(device))
    return {"mean": mean.double().cpu().numpy(), "quantiles": quantiles.double().cpu().numpy()}


def calibrate(network: ProjectionNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """Mean shift and quantile offsets per target on the calibration slice, with announced features and without, and
    the copula that ties the stats together."""
    config, result = network.config, {}
    spread = spread_counts(y.astype(np.float64), config)
    for case, seen in zip(CASES, (inputs, hide_announced(inputs, config)), strict=True):
        raw = forward(network, seen)
        residual = np.nanmean(y.astype(np.float64) - raw["mean"], axis=0)
        offsets = fit_offsets(raw["quantiles"], config.levels, spread)
        result[case] = {"mean_shift": residual.tolist(), **offsets.as_json()}
        if config.stats:
            first, grid = len(config.sites), offsets.apply(raw["quantiles"])
            result[case]["copula"] = fit_copula(grid[:, first:], config.levels, spread[:, first:]).as_json()
    return result


def spread_counts(y: NDArray[np.float64], config: ProjectionConfig) -> NDArray[np.float64]:
    """Labels (n, S + M) with noise of ±½ around whole-number stats, as the network has learned them; always the same
    noise for the same number of rows."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, y.shape)
    counts = np.array([name in config.counts for name in config.targets], dtype=np.float64)
    return np.asarray(y + noise * counts)


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `mean` (n, S), `quantiles` (n, S, K), `p_play` (n,) of feature rows (n, F); of networks that answer
    the box line also `stat_mean` (n, M), `stat_quantiles` (n, M, K), whose rounding is the count's, and `announced`
    (n,), 1 where the line-up was known."""
    assert isinstance(network, ProjectionNetwork)  # noqa: S101 - narrows the family protocol for mypy
    config, raw = network.config, forward(network, inputs)
    mean, quantiles = raw["mean"].copy(), raw["quantiles"].copy()
    # Line-ups come last, so whether they are known decides which calibration applies.
    cases = rows_by_case(inputs, config)
    for case, rows in cases.items():
        numbers = calibration.get(case)
        if numbers is not None and rows.any():
            mean[rows] += np.asarray(numbers["mean_shift"])
            quantiles[rows] = ConformalOffsets.from_json(numbers).apply(quantiles[rows])
    p_play = np.ones(len(inputs))
    if calibration.get("availability"):
        p_play = Availability.from_json(calibration["availability"]).probability(inputs, config.features)
    sites = len(config.sites)
    found = {"mean": mean[:, :sites], "quantiles": quantiles[:, :sites], "p_play": p_play}
    if config.stats:
        found |= {
            "stat_mean": np.maximum(mean[:, sites:], 0.0),
            "stat_quantiles": quantiles[:, sites:],
            "announced": cases[CASES[0]].astype(np.float64),
        }
    return found


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """Columns for users: `p_play`, per site `{site}_mean` and quantiles `{site}_q05` ... `{site}_q95`, and the same per
    stat of the box line."""
    levels = np.asarray(config["levels"])
    found = {name: int(np.argmin(np.abs(levels - level))) for name, level in SHOWN.items()}
    series = [pl.Series("p_play", answer["p_play"])]
    for index, site in enumerate(config["sites"]):
        series.append(pl.Series(f"{site}_mean", answer["mean"][:, index]))
        series += [pl.Series(f"{site}_{name}", answer["quantiles"][:, index, k]) for name, k in found.items()]
    for index, stat in enumerate(config.get("stats", ())):
        grid = np.maximum(answer["stat_quantiles"][:, index], 0.0)
        series.append(pl.Series(f"{stat}_mean", answer["stat_mean"][:, index]))
        series += [pl.Series(f"{stat}_{name}", grid[:, k]) for name, k in found.items()]
    return series
