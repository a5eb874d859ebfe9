"""Candidates from frames of either library, lineups as a frame."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

from features.contests import load_contest
from features.errors import SchemaError
from models.lineups.frames import LINEUP_SCHEMA, candidates_from_frame, lineups_frame
from models.lineups.optimize import optimize
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from tests.unit.models.test_lineups import slate

ROWS = {
    "id": ["1", "2"],
    "name": ["A", "B"],
    "positions": ["PG/SG", "C"],
    "team": ["BOS", "NYK"],
    "game": ["NYK@BOS", "NYK@BOS"],
    "salary_usd": [5000, 6200],
    "projection": [30.5, 28.0],
    "ceiling": [50.0, None],
    "batting_order": [None, 3],
    "weather": ["sun", "rain"],
}
WANTED = [
    Candidate("1", "A", ("PG", "SG"), "BOS", "NYK@BOS", 5000, 30.5, ceiling=50.0),
    Candidate("2", "B", ("C",), "NYK", "NYK@BOS", 6200, 28.0, batting_order=3),
]


def test_polars_and_pandas_frames_give_the_same_candidates() -> None:
    assert candidates_from_frame(pl.DataFrame(ROWS)) == WANTED
    assert candidates_from_frame(pd.DataFrame(ROWS)) == WANTED
    listed = pl.DataFrame(ROWS | {"positions": [["PG", "SG"], ["C"]]})
    assert candidates_from_frame(listed) == WANTED


def test_what_is_missing_or_wrong_is_named() -> None:
    frame = pl.DataFrame(ROWS)
    with pytest.raises(SchemaError, match="lack column salary_usd"):
        candidates_from_frame(frame.drop("salary_usd"))
    with pytest.raises(SchemaError, match="row 1 has no projection"):
        candidates_from_frame(frame.with_columns(pl.Series("projection", [1.0, None])))
    with pytest.raises(SchemaError, match=r"row 0 \(A\).*no whole number"):
        candidates_from_frame(frame.with_columns(pl.Series("salary_usd", [5000.5, 6200.0])))


def test_lineups_become_one_row_a_seat() -> None:
    result = optimize(slate(), load_contest("draftkings"), LineupRules(n=3))
    frame = lineups_frame(result)
    assert frame.schema == pl.Schema(LINEUP_SCHEMA)
    assert frame.height == 24
    totals = frame.group_by("lineup", maintain_order=True).agg(
        pl.col("projection").sum(), pl.col("salary").sum(), pl.col("lineup_projection").first()
    )
    assert totals["projection"].to_list() == pytest.approx([lineup.projection for lineup in result.lineups])
    assert totals["salary"].to_list() == [lineup.salary for lineup in result.lineups]
