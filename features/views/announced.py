"""Features that are announced shortly before tip-off: starters, and the minutes of teammates who are out.

The minutes left free are those of the team's rotation who are not among the entities of the same game: at
slate time the slate's players minus those marked out, in backtests the players who appeared. Only regulars
count (`LEAST_REGULAR_MIN`), because a regular who does not appear is nearly always on the list of inactives
that is published before tip-off, whereas a deep reserve may just not have been called upon. Where fewer
than `LEAST_ROSTER` players are listed the list is no roster, and these features are null.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.as_of import as_of_join

LEAST_ROSTER: Final = 7
LEAST_REGULAR_MIN: Final = 12.0

_VACATED: Final = ("vacated_minutes", "vacated_chances", "vacated_points", "vacated_starts")
_ROSTER: Final = (*_VACATED, "listed_minutes", "returning_minutes", "regulars_listed")
ANNOUNCED_FEATURES: Final[tuple[str, ...]] = (
    "announced_starter", "starter_change", "min_in_role", "dk_in_role", *_ROSTER, "dk_share_listed",
    "rotation_min_share",
)  # fmt: skip


def announced(rows: pl.DataFrame, rotation: pl.DataFrame) -> pl.DataFrame:
    """Add ANNOUNCED_FEATURES to assembled player rows, from the players listed for the same game and team."""
    side = ["game_id", "team", "as_of"]
    teams = rows.select(side).unique(maintain_order=True)
    carried = (
        as_of_join(teams, rotation, by=["team"])
        .explode("players", "minutes", "chances", "points", "starts")
        .drop_nulls("players")
        .rename({"players": "player_id"})
    )
    listed = rows.select(*side, "player_id", "min_ewm5", "dk_expected", pl.col("m_team").alias("last_team"))
    absent = (
        carried.filter(pl.col("minutes") >= LEAST_REGULAR_MIN)
        .join(listed, on=[*side, "player_id"], how="anti")
        .group_by(side)
        .agg(
            pl.col("minutes").sum().alias("vacated_minutes"),
            pl.col("chances").sum().alias("vacated_chances"),
            pl.col("points").sum().alias("vacated_points"),
            pl.col("starts").sum().alias("vacated_starts"),
        )
    )
    own = carried.select(*side, "player_id", pl.col("minutes").alias("rotation_min"))
    regular = pl.col("min_ewm5") >= LEAST_REGULAR_MIN
    present = (
        listed.join(own, on=[*side, "player_id"], how="left")
        .group_by(side)
        .agg(
            pl.len().alias("listed"),
            pl.col("min_ewm5").filter(regular).sum().alias("listed_minutes"),
            pl.col("dk_expected").filter(regular).sum().alias("listed_points"),
            regular.sum().alias("regulars_listed"),
            (pl.col("min_ewm5") - pl.col("rotation_min").fill_null(0)).filter(regular).clip(0).sum()
            .alias("returning_minutes"),
        )
    )  # fmt: skip
    known = pl.col("listed") >= LEAST_ROSTER
    out = (
        rows.join(absent, on=side, how="left", maintain_order="left")
        .join(present, on=side, how="left", maintain_order="left")
        .join(own, on=[*side, "player_id"], how="left", maintain_order="left")
        .with_columns(pl.col(name).fill_null(0) for name in _VACATED)
        .with_columns(
            (pl.col("dk_expected") / pl.col("listed_points")).alias("dk_share_listed"),
            (240 * pl.col("min_ewm5") / pl.col("listed_minutes")).alias("rotation_min_share"),
        )
        .with_columns(
            pl.when(known).then(pl.col(name)).alias(name)
            for name in (*_ROSTER, "dk_share_listed", "rotation_min_share")
        )
    )
    return out.with_columns(*_role())


def _role() -> list[pl.Expr]:
    """What the announced role has meant for this player before; null while no line-up is announced."""
    starter = pl.col("starter")
    by_role = {
        "min_in_role": ("min_as_starter", "min_as_reserve"),
        "dk_in_role": ("dk_as_starter", "dk_as_reserve"),
    }
    return [
        starter.cast(pl.Float32).alias("announced_starter"),
        (starter.cast(pl.Float32) - pl.col("starter_ewm3")).alias("starter_change"),
        *(
            pl.when(starter).then(pl.col(first)).when(~starter).then(pl.col(second)).alias(name)
            for name, (first, second) in by_role.items()
        ),
    ]
