"""What is asked about: the live topics of an evening, and a published in-game winner."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from features.workspace import League, Workspace
from models import what_if
from models.bundle import Bundle, save_bundle
from models.families import family_of
from models.live_win.rows import FEATURES
from serving.tiers.publish import publish

LEAGUE: League = "simulated"
GAMES, PLAYERS, WHAT_IFS = 15, 300, 50


def published_model(home: Path) -> None:
    """An in-game winner of the usual size with untrained weights, as ONNX: time does not depend on what it learned."""
    kind = family_of("live_win")
    config = kind.config({"hidden": 32, "layers": 2, "dropout": 0.0})
    torch.manual_seed(0)
    network: Any = kind.build(config.as_json())
    inputs = np.stack([what_if.row_of(what_if.from_standing(n, 60.0 * n), FEATURES) for n in range(1, 40)])
    network.fit_scales(np.nan_to_num(inputs), np.zeros((len(inputs), 2), np.float32))
    day = date(2025, 1, 1)
    bundle = Bundle(
        family="live_win", name=f"{LEAGUE}-live_win", league=LEAGUE, path=home / "bundle", config=config.as_json(),
        calibration={"temperatures": [1.1] * 6, "offsets": [None] * 6}, view_versions={}, label=kind.LABEL,
        references={}, fit_through=day, calibrated_through=day, trained_through=day,
        created_at=datetime(2025, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    save_bundle(home / "bundle", bundle, network, inputs)
    publish(home / "bundle", "1", Workspace(home, LEAGUE).onnx)


def topics() -> dict[str, dict[str, Any]]:
    """The live topics of an evening, by name."""
    margin = {"mean": 1.0, "q10": -11.0, "q50": 1.0, "q90": 13.0}
    model = {"name": f"{LEAGUE}-live_win", "version": "1"}
    games = {
        f"game:{n}": {
            "home_team": f"H{n}", "away_team": f"A{n}", "status": "live", "period": 3, "clock_s": 300.0,
            "elapsed_s": 1860.0, "home_score": 80 + n, "away_score": 80, "seq": 300, "at_seq": 300, "model": model,
            "home_win_probability": 0.6, "home_margin": margin, "fallback": False,
            "features": what_if.from_standing(float(n), 1020.0, 2.0),
        }
        for n in range(GAMES)
    }  # fmt: skip
    players = {
        f"player:{n}": {
            "game_id": str(n % GAMES), "line": {"pts": 12}, "fantasy_points": {"draftkings": 22.5},
            "expected": {"draftkings": {"mean": 35.0, "q10": 26.0, "q50": 34.0, "q90": 45.0}}, "model": model,
        }
        for n in range(1, PLAYERS + 1)
    }  # fmt: skip
    return games | players
