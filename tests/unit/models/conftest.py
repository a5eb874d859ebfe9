"""The invented league, its views, and networks small enough to train on it in seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from features.tables import Tables
from features.views import Views, compute_views
from tests.fixtures.invented import invented_league


@pytest.fixture(scope="session")
def league() -> Tables:
    """Two invented seasons of 60 game dates."""
    return invented_league()


@pytest.fixture(scope="session")
def league_views(league: Tables) -> Views:
    """Feature views of `league`."""
    return compute_views(league)


@pytest.fixture(scope="session")
def league_as_of(league: Tables) -> datetime:
    """The moment after the last game of `league` is known."""
    newest = league.games["known_time"].max()
    assert isinstance(newest, datetime)
    return newest + timedelta(days=1)


@pytest.fixture(scope="session")
def small_params() -> dict[str, Any]:
    """Networks small enough to train in seconds."""
    steps = {"accumulate": 1, "weight_decay": 0.01, "patience": 4}
    return {
        "train": {
            "seed": 11, "holdout_days": 15, "calibration_days": 15,
            "projection": {"hidden": 16, "layers": 2, "dropout": 0.1, "batch_size": 512, "learning_rate": 0.01,
                           "max_epochs": 5, **steps},
            "win_probability": {"hidden": 4, "layers": 1, "dropout": 0.1, "batch_size": 64, "learning_rate": 0.01,
                                "max_epochs": 6, **steps},
        },
        "evaluate": {"bootstrap": 200, "alpha": 0.05, "gate": 0.70},
    }  # fmt: skip
