"""In which quarters a player is used to play, from his earlier games: who closes games and who rests when.

A view like those of `features.views`, but made from play-by-play: a row after each game, joined as of a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from features.as_of import as_of_join
from features.play.court_shifts import FIVES, minutes_between, shifts, timed, unknown_seconds
from features.play.moments import MOMENTS, QUARTER_S
from features.views.lines import ewm

#: Half-lives in games: the rotation of late, and the habit.
HALF_LIVES: Final = (4, 15)
_QUARTERS: Final = ("q1", "q2", "q3", "q4")
#: Float32 columns of `quarter_view`: weighted mean minutes; q4 is all that comes after three quarters.
QUARTER_FEATURES: Final[tuple[str, ...]] = tuple(f"min_{q}_ewm{h}" for q in _QUARTERS for h in HALF_LIVES)
_LINES: Final = {"game_id": pl.String(), "player_id": pl.Int32(), **dict.fromkeys(_QUARTERS, pl.Float64())}


def quarter_lines(plays: pl.DataFrame) -> pl.DataFrame:
    """Minutes on court per quarter of every player in the games of `plays` that were played to the end.

    Columns: game_id, player_id, q1 ... q4 (overtime included). Games with a five that is not recorded are left out.
    """
    if plays.is_empty():
        return pl.DataFrame(schema=_LINES)
    rows = timed(plays)
    unknown = [unknown_seconds(is_home).alias(f"unknown_{is_home}") for is_home in FIVES]
    ends = (
        rows.with_columns(unknown)
        .group_by("game_id")
        .agg(pl.col("period", *(f"unknown_{h}" for h in FIVES)).max())
    )
    whole = ends.filter(pl.col("period") > max(MOMENTS.values()), *(pl.col(f"unknown_{h}") == 0 for h in FIVES))
    starts = [QUARTER_S * number for number in range(len(_QUARTERS))]
    minutes = zip(_QUARTERS, starts, [*starts[1:], float("inf")], strict=True)
    return (
        shifts(rows)
        .join(whole.select("game_id"), on="game_id", how="semi")
        .group_by("game_id", "player_id", maintain_order=True)
        .agg(minutes_between(start, end).alias(name) for name, start, end in minutes)
    )


def quarter_view(lines: Sequence[pl.DataFrame], games: pl.DataFrame) -> pl.DataFrame:
    """One row per player and game of `lines` (from `quarter_lines`): player_id, times, QUARTER_FEATURES.

    `games` (game_id, event_time, known_time) says when each game was played and known.
    """
    who = "player_id"
    played = pl.concat([pl.DataFrame(schema=_LINES), *lines])
    ordered = played.join(games.select("game_id", "event_time", "known_time"), on="game_id", how="inner").sort(
        who, "event_time", "game_id"
    )
    return ordered.select(
        who, "event_time", pl.col("known_time").cum_max().over(who),
        *(ewm(pl.col(q), h, who).cast(pl.Float32).alias(f"min_{q}_ewm{h}") for q in _QUARTERS for h in HALF_LIVES),
    )  # fmt: skip


def with_quarters(players: pl.DataFrame, view: pl.DataFrame) -> pl.DataFrame:
    """`players` (rows with `player_id` and `as_of`) with QUARTER_FEATURES as known at that moment, null if never."""
    return as_of_join(players, view, by=["player_id"])
