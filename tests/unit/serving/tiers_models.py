"""An in-game winner with random weights and a strong calibration, published as ONNX; and rows of games to ask it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from features.views.entities import GAME_ENTITY
from features.workspace import Workspace
from models.bundle import Bundle, LoadedModel, load_bundle, save_bundle
from models.families import family_of
from models.live_win.config import BUCKETS
from models.live_win.rows import FEATURES, STRENGTH, live_rows
from models.projection.config import LEVELS
from serving.tiers.publish import publish

VERSION = "7"
LEAGUE = "simulated"
MOMENTS = 60


def live_win_model(folder: Path, seed: int = 5) -> LoadedModel:
    """A bundle in `folder`, read back; its calibration differs in every bucket of the clock."""
    kind, rng = family_of("live_win"), np.random.default_rng(seed)
    config = kind.config({"hidden": 0, "layers": 0, "dropout": 0.0})
    inputs = inputs_of(rows(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: Any = kind.build(config.as_json())
        network.fit_scales(inputs, np.zeros((len(inputs), 2), np.float32))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    count = len(BUCKETS) + 1
    offsets = [
        {"offsets": rng.normal(scale=0.2, size=(1, len(LEVELS))).tolist(), "low": 4, "high": 14}
        for _ in range(count)
    ]  # fmt: skip
    calibration = {"temperatures": rng.uniform(0.6, 1.6, count).tolist(), "offsets": [None, *offsets[1:]]}
    day = date(2025, 1, 1)
    bundle = Bundle(
        family="live_win", name=f"{LEAGUE}-live_win", league=LEAGUE, path=folder, config=config.as_json(),
        calibration=calibration, view_versions={}, label=kind.LABEL, references={}, fit_through=day,
        calibrated_through=day, trained_through=day, created_at=datetime(2025, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    save_bundle(folder, bundle, network, inputs)
    return load_bundle(folder, version=VERSION)


def published(home: Path) -> LoadedModel:
    """The model, and its ONNX where the sessions of `home` look for it."""
    model = live_win_model(home / "bundle")
    publish(model.bundle.path, VERSION, Workspace(home, LEAGUE).onnx)
    return model


def rows(seed: int = 3, **state: float) -> pl.DataFrame:
    """`live_rows` of MOMENTS games, each at a moment of its own; `state` overrules what is so in all of them."""
    rng = np.random.default_rng(seed)
    ids = [f"g{number:03}" for number in range(MOMENTS)]
    games = pl.DataFrame(
        {
            "game_id": ids, "home_team": "AAA", "away_team": "BBB", "game_date": date(2025, 1, 1), "season": 2024,
            "season_type": "regular", "as_of": datetime(2025, 1, 2, tzinfo=UTC), "close_home_spread": None,
        },
        schema=GAME_ENTITY,
    )  # fmt: skip
    numbers = {name: rng.normal(scale=5.0, size=MOMENTS) for name in STRENGTH if name != "elo_logit"}
    pre = {"elo_home_win": rng.uniform(0.2, 0.8, MOMENTS), "playoffs": 0.0, "season_progress": rng.random(MOMENTS)}
    games = games.with_columns(
        **{name: pl.lit(v) if isinstance(v, float) else pl.Series(v) for name, v in {**numbers, **pre}.items()}
    ).with_columns(
        expected_margin=pl.when(pl.int_range(pl.len()) % 7 != 3).then(pl.col("expected_margin"))
    )  # fmt: skip
    left = rng.uniform(1.0, 2880.0, MOMENTS)
    states = pl.DataFrame(
        {
            "game_id": ids, "asked_at": "event", "seq": 100, "period": 2, "elapsed_s": 2880.0 - left,
            "margin": rng.integers(-25, 26, MOMENTS), "left_s": left, "ball": rng.integers(-1, 2, MOMENTS),
            "run_4min": rng.integers(-12, 13, MOMENTS), "pace": rng.uniform(0.9, 1.1, MOMENTS),
            "home_luck": rng.normal(size=MOMENTS), "away_luck": rng.normal(size=MOMENTS),
        }
    )  # fmt: skip
    return live_rows(games, states.with_columns(pl.lit(value).alias(name) for name, value in state.items()))


def inputs_of(frame: pl.DataFrame) -> Any:
    """Rows as the network takes them."""
    return np.ascontiguousarray(frame.select(FEATURES).fill_null(float("nan")).to_numpy(), dtype=np.float32)


def features_of(frame: pl.DataFrame, row: int) -> dict[str, float | None]:
    """The inputs of one row by name, as the topic of a game has them."""
    return frame.select(FEATURES).row(row, named=True)
