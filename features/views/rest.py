"""View `rest`: when and where a team played last, for rest days, back-to-backs and road trips."""

from __future__ import annotations

from typing import Final

import polars as pl

NAME: Final = "rest"
NUMBER: Final = 1
KEYS: Final = ("team",)
#: How many of the newest game dates are kept.
DATES_KEPT: Final = 6
CARRIED: Final = ("dates", "away_streak", "home_streak")


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per team-game of `team_lines`: key, times, CARRIED (`dates` newest first)."""
    who = "team"
    stretch = (pl.col("is_home") != pl.col("is_home").shift(1)).fill_null(True).cum_sum().over(who)
    view = lines.with_columns(stretch.alias("stretch"))
    length = pl.int_range(1, pl.len() + 1, dtype=pl.Int16).over(who, "stretch")
    dates = pl.concat_list(pl.col("game_date").shift(n).over(who) for n in range(DATES_KEPT))
    return view.select(
        who, "event_time", "known_time",
        dates.alias("dates"),
        pl.when(pl.col("is_home")).then(0).otherwise(length).cast(pl.Int16).alias("away_streak"),
        pl.when(pl.col("is_home")).then(length).otherwise(0).cast(pl.Int16).alias("home_streak"),
    )  # fmt: skip
