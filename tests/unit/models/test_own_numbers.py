"""The player's own projections in place of the champion's."""

from __future__ import annotations

import polars as pl

from models.projection.own_numbers import use_own_numbers
from models.projection.slate import SCHEMA, SlateProjections


def projections() -> SlateProjections:
    """Two players: a champion's answer and an out player."""
    shared = {"team": "AAA", "positions": ["PG"], "salary": 5000, "player_id": 1}
    rows = [
        {"site_id": "1", "name": "A", "mean": 30.0, "q10": 20.0, "q50": 30.0, "q90": 40.0, "p_play": 0.9,
         "basis": "champion", **shared},
        {"site_id": "2", "name": "B", "mean": 0.0, "q10": 0.0, "q50": 0.0, "q90": 0.0, "p_play": 0.0,
         "basis": "out", **shared},
    ]  # fmt: skip
    return SlateProjections(pl.DataFrame(rows, schema=SCHEMA), "m", "3", False, None, ())


def test_numbers_replace_means_and_the_interval_moves_along() -> None:
    changed = use_own_numbers(projections(), {"1": 34.0, "2": 12.0}, source="mine.csv")
    rows = changed.frame.to_dicts()
    assert [(r["mean"], r["q10"], r["q90"]) for r in rows] == [(34.0, 24.0, 44.0), (12.0, 12.0, 12.0)]
    assert {r["basis"] for r in rows} == {"user"}
    assert (changed.model_name, changed.model_version, changed.warnings) == ("mine.csv", "", ())


def test_who_is_not_named_is_projected_zero_and_that_is_said() -> None:
    changed = use_own_numbers(projections(), {"2": 12.0}, source="mine.csv")
    assert changed.frame["mean"].to_list() == [0.0, 12.0]
    assert changed.warnings == ("1 of 2 players have no number in mine.csv: projected 0",)


def test_the_salary_file_own_averages_are_called_so() -> None:
    changed = use_own_numbers(projections(), {"1": 1.0, "2": 2.0}, source="salaries")
    assert set(changed.frame["basis"]) == {"file_average"}
    assert changed.frame["q10"].min() >= 0.0
