"""The results page on the sequence backbone: what is kept, and differences with their sign."""

from __future__ import annotations

from typing import Any

from flows.results.backbone import backbone_section


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.001, "high": value + 0.001}


def report() -> dict[str, Any]:
    """Two targets: one at moments, one without."""
    moments = {"q1": 0.2, "half": 0.175, "q3": 0.13, "event": 0.16}
    run = {"parameters": 27_000, "best_epoch": 4, "curve": [{}] * 8, "seconds": 60}
    models = {
        "ships": {"loss": 0.17, "by_moment": moments, "above_best": interval(0.0005)},
        "backbone": {"loss": 0.1695, "by_moment": moments, "saved": interval(0.0005)},
    }
    points = {
        "base": {"loss": 1.1, "above_best": interval(0.02), "saved": interval(-0.02)},
        "ships": {"loss": 1.08},
    }
    return {
        "hardware": {"cpu": "some CPU", "cores": 2}, "rule": "the simplest", "seed": 7, "fit_seasons": [2018, 2019],
        "stop_days": 60, "test_season": 2021, "games": {"fit": 2_900, "stop": 480, "test": 1_317},
        "backbones": {"backbone": run}, "seconds": {"all": 300}, "peak_memory_mb": 2_500,
        "targets": {
            "home_win": {"metric": "Brier", "n": 3951, "dates": 210, "kept": "ships", "best": "backbone",
                         "models": models},
            "next_possession_points": {"metric": "log loss, nats", "n": 60_000, "dates": 210, "kept": "ships",
                                       "best": "ships", "models": points},
        },
    }  # fmt: skip


def test_the_section_says_what_is_kept_and_by_how_much() -> None:
    section = backbone_section(report())
    assert "| home win, ends of the first three quarters | ships | backbone | 3,951 | 210 |" in section
    assert "| ships | 0.1700 | 0.2000 | 0.1750 | 0.1300 | 0.1600 | +0.0005 [-0.0005, +0.0015] | – |" in section
    assert "| base | 1.1000 | +0.0200 [+0.0190, +0.0210] | -0.0200 [-0.0210, -0.0190] |" in section
    assert "best epoch 5 of 8" in section and "1,317 of 2021" in section
