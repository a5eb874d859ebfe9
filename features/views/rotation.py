"""View `rotation`: who carried a team's minutes lately, after each of its games.

Minutes are weighted means over the team's newest games with zero for a game missed, so a player who has been
out for long, or was traded away, fades from the list and his minutes count as already taken over.
"""

from __future__ import annotations

from typing import Final

import polars as pl

NAME: Final = "rotation"
NUMBER: Final = 1
KEYS: Final = ("team",)

#: Games looked back on, and how fast they fade.
WINDOW_GAMES: Final = 12
HALF_LIFE_GAMES: Final = 4
#: Below this many minutes a game a player is not part of the rotation.
LEAST_MINUTES: Final = 3.0
#: Lists of the view beside `players`.
LISTS: Final = ("minutes", "chances", "points", "starts")


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per team-game of `player_lines`: key, times, and lists over the rotation, largest minutes first.

    `players` List(Int32); per game and weighted: `minutes`, `chances` (shots, trips, turnovers), `points`
    (DraftKings), and `starts` (share of games started), each List(Float32).
    """
    appearances = lines.select(
        "team", "team_game", "player_id", minutes="min", chances="use", points="dk", starts="starter"
    ).drop_nulls("team_game")
    moments = (
        lines.drop_nulls("team_game")
        .group_by("team", "team_game")
        .agg(pl.col("event_time").first(), pl.col("known_time").max())
        .sort("team", "team_game")
        .with_columns(pl.col("known_time").cum_max().over("team"))
    )
    back = pl.DataFrame({"back": range(WINDOW_GAMES)}, schema={"back": pl.Int32()})
    fade = 0.5 ** (1 / HALF_LIFE_GAMES)
    games = pl.min_horizontal(pl.col("team_game"), WINDOW_GAMES)
    total_weight = (1 - fade**games) / (1 - fade)
    carried = (
        appearances.join(back, how="cross")
        .with_columns(pl.col("team_game") + pl.col("back"), (fade ** pl.col("back")).alias("weight"))
        .sort("team", "team_game", "player_id", "back")
        .group_by("team", "team_game", "player_id", maintain_order=True)
        .agg((pl.col(c) * pl.col("weight")).sum() for c in LISTS)
        .with_columns((pl.col(c) / total_weight).cast(pl.Float32) for c in LISTS)
        .filter(pl.col("minutes") >= LEAST_MINUTES)
        .sort("team", "team_game", "minutes", "player_id", descending=[False, False, True, False])
        .group_by("team", "team_game", maintain_order=True)
        .agg(pl.col("player_id").alias("players"), *LISTS)
    )
    return (
        moments.join(carried, on=["team", "team_game"], how="left", maintain_order="left")
        .select("team", "event_time", "known_time", "players", *LISTS)
    )  # fmt: skip
