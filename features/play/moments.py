"""The moments at which a game in progress is asked about, and how much of it is left then."""

from __future__ import annotations

from typing import Final

import polars as pl

QUARTER_S: Final = 720
OVERTIME_S: Final = 300
REGULATION_S: Final = 4 * QUARTER_S
#: Named moments of a game: everything up to the end of that period is known.
MOMENTS: Final[dict[str, int]] = {"q1": 1, "half": 2, "q3": 3}
#: Name of the moments drawn at random, which teach but are not among the questions reported.
EVENT: Final = "event"


def named_moments(plays: pl.DataFrame) -> pl.DataFrame:
    """One row per game and named moment that its `plays` have reached and gone beyond.

    Columns: game_id, asked_at, seq (the last play known), period, elapsed_s (since tip), clock_s (0: it is a break).
    A game whose plays end within a period has not reached that period's end.
    """
    ends = plays.group_by("game_id", "period").agg(pl.col("seq").max())
    last = plays.group_by("game_id").agg(pl.col("period").max().alias("reached"))
    parts = [
        ends.filter(pl.col("period") == period)
        .join(last.filter(pl.col("reached") > period), on="game_id", how="semi")
        .select(
            "game_id", pl.lit(name).alias("asked_at"), "seq", pl.col("period").cast(pl.Int8),
            pl.lit(float(period * QUARTER_S)).alias("elapsed_s"), pl.lit(0.0).alias("clock_s"),
        )
        for name, period in MOMENTS.items()
    ]  # fmt: skip
    return pl.concat(parts).sort("game_id", "seq")


def random_moments(plays: pl.DataFrame, *, per_game: int, seed: int) -> pl.DataFrame:
    """`per_game` plays of every game, drawn by a hash of game and play: the same ones whatever else is in `plays`.

    Columns as `named_moments`; `asked_at` is EVENT. The last play of a game is never drawn: nothing is open then.
    """
    drawn = plays.filter(pl.col("seq") < pl.col("seq").max().over("game_id"), pl.col("clock_s").is_not_null())
    order = pl.struct("game_id", "seq").hash(seed)
    chosen = drawn.with_columns(order.alias("order")).filter(
        pl.col("order").rank("ordinal").over("game_id") <= per_game
    )
    return chosen.select(
        "game_id", pl.lit(EVENT).alias("asked_at"), "seq", "period", pl.col("elapsed_s").cast(pl.Float64),
        pl.col("clock_s").cast(pl.Float64),
    ).sort("game_id", "seq")  # fmt: skip


def moment_at(plays: pl.DataFrame, game_id: str, seq: int | None = None) -> pl.DataFrame:
    """The moment after play `seq` of one game (default: its newest play), in the columns of `named_moments`.

    Empty when the game has no play up to `seq`.
    """
    known = plays.filter(pl.col("game_id") == game_id)
    known = known if seq is None else known.filter(pl.col("seq") <= seq)
    return known.sort("seq").tail(1).select(
        "game_id", pl.lit(EVENT).alias("asked_at"), "seq", "period", pl.col("elapsed_s").cast(pl.Float64),
        pl.col("clock_s").cast(pl.Float64),
    )  # fmt: skip


def regulation_left() -> pl.Expr:
    """Seconds of regulation left at a moment; 0 in overtime."""
    return (REGULATION_S - pl.col("elapsed_s")).clip(lower_bound=0.0)


def period_left() -> pl.Expr:
    """Seconds certain to be played still: of regulation before its end, else of this overtime."""
    return pl.when(pl.col("period") > 4).then(pl.col("clock_s")).otherwise(regulation_left())
