"""The parts of a result that are told on their own, fixed before any result was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from models.answers import Answers

#: A slice of fewer rows or game dates says too little to be told.
LEAST_ROWS: Final = 50
LEAST_DATES: Final = 5
#: Points a blowout is won by, at least.
BLOWOUT: Final = 21
#: A favourite by this many points is a clear one.
CLEAR: Final = 6.5
MONTHS: Final = {
    "10": "October", "11": "November", "12": "December", "01": "January", "02": "February", "03": "March",
    "04": "April", "05": "May", "06": "June", "07": "July", "08": "August", "09": "September",
}  # fmt: skip
#: Names that the bars are read by.
ROTATION: Final = "rotation (season mean of 20 DraftKings points or more, 5 games or more)"
ROTATION_REGULAR: Final = "rotation, regular season"
SETTLED: Final = "5 earlier games or more"
SETTLED_REGULAR: Final = "5 earlier games or more, regular season"
_REGULAR: Final = pl.col("season_type") == "regular"
_DIMENSIONS: Final[dict[str, dict[str, pl.Expr]]] = {
    "role": {
        "starters": pl.col("starter"),
        "bench": ~pl.col("starter"),
        ROTATION: pl.col("rotation"),
        ROTATION_REGULAR: pl.col("rotation") & _REGULAR,
        SETTLED: pl.col("earlier_games") >= 5,
        SETTLED_REGULAR: (pl.col("earlier_games") >= 5) & _REGULAR,
    },
    "experience": {
        "first season in the data": pl.col("rookie"),
        "first 10 games with a new team": pl.col("new_team"),
    },
    "rest": {
        "second night of a back-to-back": pl.col("back_to_back"),
        "rested": ~pl.col("back_to_back"),
    },
    "rest of the teams": {
        "either team on a back-to-back": pl.col("either_back_to_back"),
        "neither": ~pl.col("either_back_to_back"),
    },
    "phase": {
        "regular season": _REGULAR,
        "playoffs": pl.col("season_type") == "playoffs",
        **{name: (pl.col("month") == number) & _REGULAR
           for number, name in MONTHS.items()},
    },
    "final score": {
        "blowout (by more than 20)": pl.col("final_margin") >= BLOWOUT,
        "closer": (pl.col("final_margin") < BLOWOUT) & (pl.col("overtime").fill_null(False).not_()),
        "overtime": pl.col("overtime"),
    },
    "closing line": {
        "home favoured by 6.5 or more": pl.col("home_spread") <= -CLEAR,
        "within 6": pl.col("home_spread").abs() < CLEAR,
        "away favoured by 6.5 or more": pl.col("home_spread") >= CLEAR,
        "no line": pl.col("home_spread").is_null(),
    },
}  # fmt: skip


def slices(answers: Answers) -> Iterator[tuple[str, str, Answers]]:
    """Dimension, name and answers of every slice that `answers` (with their context) have enough rows for."""
    for dimension, parts in _DIMENSIONS.items():
        for name, condition in parts.items():
            if not set(condition.meta.root_names()) <= set(answers.rows.columns):
                continue
            part = answers.where(condition)
            if part.rows.height >= LEAST_ROWS and part.rows["game_date"].n_unique() >= LEAST_DATES:
                yield dimension, name, part
