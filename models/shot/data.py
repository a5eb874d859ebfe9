"""Shot rows in and out: labelled attempts for training, a network's outputs as a column for users.

Rows: a fixed share of the shots of the newest seasons, drawn by a hash of game and play (SHARE, SEASONS): shots of
one game hardly tell more than a third of them do, and ten seasons at once would not fit.

Why this model: logistic, without a hidden layer. While this was made, a network of 48 hidden units was worse; that
comparison is not kept as a benchmark (set `train.shot.hidden` in params.yaml to make it).
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
from features.play.moments import REGULATION_S
from features.play.plays import NO_PLAYS, Plays
from features.play.shots import (
    CELL,
    ZONES,
    defence_rates,
    shooter_rates,
    shots,
    tallies,
    type_rates,
    type_tallies,
)
from features.tables import Tables
from features.views import Views
from models.calibration import Temperature, fit_temperature
from models.device import one_thread
from models.shot.config import FEATURES, ShotConfig
from models.shot.network import ShotNetwork

LABEL: Final = "1 when the shot is made"
HORIZON: Final = "micro"
LEAST_ROWS: Final = (2000, 500)
TARGETS: Final = ("made",)
ASKED_AT: Final = "shot"
#: One shot in SHARE is asked about, in the newest SEASONS seasons; all earlier ones make the shooters' records.
SHARE, SEASONS, SEED = 3, 6, 20261123
#: Seconds of a period within which a shot may be a heave against the buzzer.
_BUZZER_S: Final = 3.0
_QUICK_S: Final = 3.0
Outputs = dict[str, NDArray[Any]]


def labelled_rows(
    tables: Tables,
    views: Views,
    *,
    players: pl.DataFrame | None = None,
    plays: Plays = NO_PLAYS,
    share: int = SHARE,
) -> pl.DataFrame:
    """One row per drawn shot (one in `share`): keys, features and `made`, as of the tip-off of its game for all that
    was earned in other games. Raises `InvalidInput` without play-by-play."""
    if not plays.seasons:
        raise InvalidInput("the shot family needs play-by-play; collect table pbp first")
    counted, types, taken = [], [], []
    newest = set(plays.seasons[-SEASONS:])
    for season, rows in plays.each():
        found = shots(rows)
        counted.append(tallies(rows, found))
        types.append(type_tallies(found, tables.games))
        if season in newest:
            taken.append(found.filter(pl.struct("game_id", "seq").hash(SEED) % share == 0))
    return shot_rows(pl.concat(taken), pl.concat(counted), pl.concat(types), tables)


def shot_rows(taken: pl.DataFrame, counted: pl.DataFrame, types: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`taken` (`shots`) with entity columns and FEATURES; records come from `counted` (`tallies`) of earlier games
    and `types` (`type_tallies`) of earlier dates."""
    games = tables.games
    told = games.select("game_id", "game_date", "season", "season_type", pl.col("event_time").alias("as_of"))
    rows = (
        taken.join(told, on="game_id")
        .join(shooter_rates(counted, games), on=["game_id", "player_id"], how="left")
        .join(defence_rates(counted, games), on=["game_id", "opp"], how="left")
        .join(type_rates(types), on=["game_date", *CELL], how="left", nulls_equal=True)
        .sort("as_of", "game_id", "seq")
    )
    return rows.with_columns(*own_features()).with_columns(
        asked_at=pl.lit(ASKED_AT), subtype=pl.col("subtype").fill_null("")
    )


def own_features() -> list[pl.Expr]:
    """Columns made of those of `shots` and of the records."""

    def of_zone(prefix: str) -> pl.Expr:
        return pl.coalesce(pl.when(pl.col("zone") == name).then(pl.col(f"{prefix}_{name}")) for name in ZONES)

    left = REGULATION_S - pl.col("elapsed_s").cast(pl.Float64)
    rate = of_zone("shooter")
    return [
        rate.alias("shooter_rate"), of_zone("recent").alias("recent_rate"), of_zone("allowed").alias("allowed_rate"),
        *((pl.col("zone") == name).cast(pl.Float32).alias(f"in_{name}") for name in ("rim", "short", "mid")),
        (pl.col("distance").cast(pl.Float32) ** 2).alias("distance_squared"),
        (pl.col("type_rate") / (1 - pl.col("type_rate"))).log().alias("type_logit"),
        pl.col("shooter_tries").log1p().alias("log_tries"),
        (pl.col("game_makes") - 0.46 * pl.col("game_attempts")).alias("game_edge"),
        (pl.col("zone_makes") - rate * pl.col("zone_attempts")).alias("zone_edge"),
        (pl.col("after_own") & (pl.col("since_s") <= _QUICK_S)).alias("quick_after_own"),
        (_BUZZER_S - pl.col("clock_s")).clip(lower_bound=0.0).alias("last_seconds"),
        (1 - left / 300).clip(0, 1).alias("late"),
        (pl.col("season_type") == "playoffs").alias("playoffs"),
    ]  # fmt: skip


def config(size: Mapping[str, Any]) -> ShotConfig:
    """The network on every feature of a shot."""
    return ShotConfig(FEATURES, **size)


def labels(rows: pl.DataFrame, config: ShotConfig) -> NDArray[np.float32]:
    """Labels (n, 1)."""
    return np.array(rows.select(pl.col("made").cast(pl.Float32)).to_numpy())


def build(config: Mapping[str, Any]) -> ShotNetwork:
    """An untrained network of this shape."""
    return ShotNetwork(ShotConfig.from_json(config))


def forward(network: ShotNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Uncalibrated logits (n,) as float64."""
    device = network.head.weight.device
    with one_thread(), torch.inference_mode():
        logits: NDArray[np.float64] = network(torch.from_numpy(inputs).to(device)).double().cpu().numpy()
    return logits


def calibrate(network: ShotNetwork, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
    """The temperature that fits the calibration slice."""
    return {"temperature": fit_temperature(forward(network, inputs), y[:, 0]).temperature}


def outputs(network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]) -> Outputs:
    """Calibrated `make_probability` (n,) of feature rows (n, F)."""
    assert isinstance(network, ShotNetwork)  # noqa: S101 - narrows the family protocol for mypy
    temperature = Temperature(float(calibration.get("temperature", 1.0)))
    return {"make_probability": temperature.apply(forward(network, inputs))}


def columns(answer: Outputs, config: Mapping[str, Any]) -> list[pl.Series]:
    """The output column `make_probability`."""
    return [pl.Series("make_probability", answer["make_probability"])]
