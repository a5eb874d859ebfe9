"""Live accuracy on answers whose score can be reckoned by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from features.stores.outcomes import SCORED
from models.prequential import BANDS, LEAST, TOO_FEW, accuracy_cells, band_name

TIP = datetime(2025, 1, 1, 23, 30, tzinfo=UTC)


def scored(n: int, *, hits: int = 0, probability: float | None = 0.75, **changed: Any) -> pl.DataFrame:
    """`n` answers on ten dates, the first `hits` of them right."""
    row = {
        "target": "home_win", "asked_at": "pregame", "model_name": "nba-win_probability", "model_version": "3",
        "fallback": False, "player_id": None, "probability": probability, "mean": None, "q10": None, "q50": None,
        "q90": None, **changed,
    }  # fmt: skip
    rows = [
        {
            "game_id": f"g{number}", "served_at": TIP, "event_time": TIP + timedelta(days=number // 20),
            "value": float(number < hits), **row,
        }
        for number in range(n)
    ]  # fmt: skip
    day = pl.col("event_time").dt.convert_time_zone("America/New_York").dt.date()
    return pl.DataFrame(rows, schema=SCORED).with_columns(day.alias("game_date"))


def test_below_two_hundred_nothing_but_n_is_shown() -> None:
    for cell in accuracy_cells(scored(LEAST - 1, hits=150)):
        assert cell.figures is None and cell.note == TOO_FEW
    assert [cell.n for cell in accuracy_cells(scored(LEAST - 1))] == [199, 0, 0, 199, 0, 0]


def test_from_two_hundred_on_figures_are_those_of_the_answers() -> None:
    cells = {cell.band: cell for cell in accuracy_cells(scored(LEAST, hits=150))}
    whole = cells["all"]
    assert whole.note == "" and whole.figures is not None and whole.n == 200
    assert whole.figures["hit_rate"]["value"] == 0.75 and whole.figures["claimed"]["value"] == 0.75
    assert whole.figures["honesty"]["value"] == 0
    # (1 - .75)² for 150 of 200, .75² for the others.
    assert whole.figures["brier"]["value"] == pytest.approx(0.75 * 0.0625 + 0.25 * 0.5625)
    assert whole.figures["hit_rate"]["blocks"] == whole.dates == 10
    assert whole.figures["hit_rate"]["low"] < 0.75 < whole.figures["hit_rate"]["high"]
    assert (whole.first_date, whole.last_date) == (date(2025, 1, 1), date(2025, 1, 10))
    assert cells[".70-.80"].figures == whole.figures
    assert cells[".50-.60"].n == 0 and cells[".50-.60"].figures is None and cells[".50-.60"].first_date is None


@pytest.mark.parametrize(
    ("probability", "band"),
    [
        (0.5, ".50-.60"), (0.6, ".60-.70"), (0.4, ".60-.70"), (0.3, ".70-.80"), (0.7, ".70-.80"), (0.9, ".90+"),
        (1.0, ".90+"), (0.0, ".90+"), (0.1, ".90+"), (0.699, ".60-.70"),
    ],
)  # fmt: skip
def test_an_answer_falls_into_one_band_of_its_confidence(probability: float, band: str) -> None:
    cells = list(accuracy_cells(scored(1, probability=probability)))
    assert [cell.band for cell in cells if cell.n and cell.band != "all"] == [band]
    assert len(cells) == 1 + len(BANDS) and band_name(*BANDS[-1]) == ".90+"


def test_a_call_of_the_away_side_hits_when_the_home_side_loses() -> None:
    (whole, *_) = accuracy_cells(scored(LEAST, hits=50, probability=0.2))
    assert whole.figures is not None
    assert whole.figures["hit_rate"]["value"] == 0.75 and whole.figures["claimed"]["value"] == pytest.approx(0.8)
    assert whole.figures["base_rate"]["value"] == 0.25


def test_points_are_told_by_their_error_and_interval() -> None:
    shape = {"probability": None, "target": "points", "mean": 1.5, "q10": 0.5, "q50": 1.0, "q90": 2.0}
    (cell,) = accuracy_cells(scored(LEAST, hits=120, **shape))
    assert (cell.kind, cell.band) == ("points", "all") and cell.figures is not None
    assert cell.figures["mae"]["value"] == pytest.approx(0.6 * 0.5 + 0.4 * 1.5)
    assert cell.figures["bias"]["value"] == pytest.approx(1.5 - 0.6)
    assert cell.figures["interval_80_coverage"]["value"] == pytest.approx(0.6)
    (bare,) = accuracy_cells(scored(LEAST, **{**shape, "q10": None}))
    assert bare.figures is not None and set(bare.figures) == {"mae", "bias"}
    (few,) = accuracy_cells(scored(LEAST - 1, **shape))
    assert few.figures is None and few.note == TOO_FEW


def test_versions_moments_and_fallbacks_are_told_apart() -> None:
    parts = [scored(3), scored(4, model_version="4"), scored(5, asked_at="half"), scored(6, fallback=True)]
    cells = [cell for cell in accuracy_cells(pl.concat(parts)) if cell.band == "all"]
    told = {(cell.model_version, cell.asked_at, cell.fallback): cell.n for cell in cells}
    assert told == {
        ("3", "pregame", False): 3, ("4", "pregame", False): 4, ("3", "half", False): 5, ("3", "pregame", True): 6,
    }  # fmt: skip
    assert list(accuracy_cells(scored(0))) == []
