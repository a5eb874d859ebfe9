"""The walk-forward section of a card comes from the backtest report, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import InvalidInput
from flows.cards import walk_forward, write_cards

FIGURE = {"value": 0.61, "low": 0.6, "high": 0.62, "blocks": 90}
TOLD = {
    "family": "shot", "kind": "probability", "n": 5000, "dates": 90, "first_date": "2024-10-01",
    "last_date": "2025-04-01", "accuracy": FIGURE, "base_rate": 0.47, "baselines": {"type": {"accuracy": 0.58}},
    "slices": {"phase": {"playoffs": {"n": 400, "accuracy": FIGURE}}},
}  # fmt: skip
REPORT = {"seasons": [2024], "targets": {"shot_made": {"shot": TOLD}}}


def test_a_familys_figures_are_told_with_baselines_and_slices() -> None:
    text = "\n".join(walk_forward(REPORT, "shot"))
    assert "### shot_made, shot, seasons 2024" in text and "n = 5,000 on 90 dates" in text
    assert "| accuracy, all | 0.6100 | 0.6000 – 0.6200 (90) | 0.5800 |" in text
    assert "| phase: playoffs | 400 | 0.6100 | 0.6000 – 0.6200 |" in text


def test_other_families_and_older_reports_have_none() -> None:
    assert list(walk_forward(REPORT, "projection")) == []
    assert list(walk_forward({"home_win": {}}, "shot")) == []


def test_a_report_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "backtest.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInput, match="not a backtest report"):
        write_cards("nba", out=tmp_path, report=tmp_path / "backtest.json")
