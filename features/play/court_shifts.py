"""Who was on the court when: unbroken shifts of players, from the fives that every play is recorded with.

The five of a row played from the row before it up to that row; a substitution takes effect after its own row.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.play.moments import OVERTIME_S, QUARTER_S

#: Column of the five on court, by whether the side is at home.
FIVES: Final[dict[bool, str]] = {True: "home_lineup", False: "away_lineup"}
_PLAYER: Final = ["game_id", "player_id"]


def timed(plays: pl.DataFrame) -> pl.DataFrame:
    """`plays` in order with `now_s`, seconds played in the game so far, and `before_s`, from when its five played.

    That is the time of the row before, or the start of the period: some feeds have no row at the end of a period.
    Clocks that run backwards (rows recorded out of order) stand still instead, and missing ones repeat the last.
    """
    now = pl.col("elapsed_s").cast(pl.Float64).forward_fill().cum_max().over("game_id").fill_null(0.0)
    period = pl.col("period").cast(pl.Int64)
    start = QUARTER_S * (period - 1).clip(upper_bound=4) + OVERTIME_S * (period - 5).clip(lower_bound=0)
    before = pl.col("now_s").shift(1, fill_value=0.0).over("game_id")
    return (
        plays.sort("game_id", "seq")
        .with_columns(now.alias("now_s"))
        .with_columns(
            pl.min_horizontal("now_s", pl.max_horizontal(before, start.cast(pl.Float64))).alias("before_s")
        )
    )


def shifts(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per game, player and unbroken time on court, from `timed` rows; rows without a five give none.

    Columns: game_id, player_id, is_home, first_seq and last_seq (rows whose five he is in), start_s, end_s, and
    seconds_before (on court in earlier shifts of the game). Sorted by first_seq within player.
    """
    stints = pl.concat(_stints(rows, is_home) for is_home in FIVES)
    order = stints.explode("five").rename({"five": "player_id"}).sort(*_PLAYER, "number")
    fresh = (pl.col("number").diff().over(*_PLAYER) != 1).fill_null(True)
    merged = (
        order.with_columns(fresh.cum_sum().over(*_PLAYER).alias("shift"))
        .group_by(*_PLAYER, "is_home", "shift", maintain_order=True)
        .agg(
            pl.col("first_seq").first(), pl.col("last_seq").last(),
            pl.col("start_s").first(), pl.col("end_s").last(),
        )
    )  # fmt: skip
    length = pl.col("end_s") - pl.col("start_s")
    return merged.with_columns((length.cum_sum().over(*_PLAYER, "is_home") - length).alias("seconds_before")).drop(
        "shift"
    )


def on_court(rows: pl.DataFrame) -> pl.DataFrame:
    """Who is on court after each of the given rows of play, its own substitution included.

    Columns: game_id, seq, is_home, player_id; a side whose five is not known has no rows.
    """
    sides = [
        rows.select(
            "game_id", "seq", pl.lit(is_home).alias("is_home"), _five(column).alias("player_id"),
            *_change(is_home),
        ).explode("player_id")
        for is_home, column in FIVES.items()
    ]  # fmt: skip
    known = pl.concat(sides).drop_nulls("player_id")
    stay = known.filter(pl.col("player_id").ne_missing(pl.col("leaves"))).drop("leaves", "enters")
    come = known.filter(pl.col("enters").is_not_null()).with_columns(player_id="enters").drop("leaves", "enters")
    return pl.concat([stay, come]).unique(maintain_order=True)


def minutes_between(start_s: float, end_s: float) -> pl.Expr:
    """Aggregate of shifts: minutes on court between two times of the game."""
    inside = pl.col("end_s").clip(upper_bound=end_s) - pl.col("start_s").clip(lower_bound=start_s)
    return inside.clip(lower_bound=0.0).sum() / 60


def unknown_seconds(is_home: bool) -> pl.Expr:
    """Of `timed` rows: seconds so far during which nobody knows who was on court for a side."""
    length = (pl.col("now_s") - pl.col("before_s")).clip(lower_bound=0.0)
    lost = pl.when(pl.col(FIVES[is_home]).is_null()).then(length).otherwise(0.0)
    return lost.cum_sum().over("game_id")


def _stints(rows: pl.DataFrame, is_home: bool) -> pl.DataFrame:
    """Spans of rows with the same five of one side; `number` counts them within the game, unknown fives included."""
    column = FIVES[is_home]
    changed = pl.col(column).ne_missing(pl.col(column).shift(1)) | (
        pl.col("game_id") != pl.col("game_id").shift(1)
    )
    # What is left of a period after its last row was played by the five of that row.
    until = pl.coalesce(pl.col("before_s").shift(-1).over("game_id"), "now_s")
    return (
        rows.select(
            "game_id", "seq", "before_s", until.alias("until_s"), column,
            changed.fill_null(True).cum_sum().alias("number"),
        )
        .group_by("game_id", "number", maintain_order=True)
        .agg(
            pl.col(column).first(), pl.col("seq").first().alias("first_seq"), pl.col("seq").last().alias("last_seq"),
            pl.col("before_s").first().alias("start_s"), pl.col("until_s").last().alias("end_s"),
        )
        .drop_nulls(column)
        .select(
            "game_id", "number", pl.lit(is_home).alias("is_home"), _five(column).alias("five"), "first_seq",
            "last_seq", "start_s", "end_s",
        )
    )  # fmt: skip


def _five(column: str) -> pl.Expr:
    return pl.col(column).str.split("|").list.eval(pl.element().cast(pl.Int32))


def _change(is_home: bool) -> tuple[pl.Expr, pl.Expr]:
    """Who leaves and who enters with this row, on this side."""
    side = "home_team" if is_home else "away_team"
    mine = (pl.col("event_type") == "substitution") & (pl.col("team") == pl.col(side))
    return (
        pl.when(mine).then(pl.col("p1_id")).alias("leaves"),
        pl.when(mine).then(pl.col("p2_id")).alias("enters"),
    )
