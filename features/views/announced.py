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
from features.views import rotation as rotation_view

LEAST_ROSTER: Final = 7
LEAST_REGULAR_MIN: Final = 12.0

_VACATED: Final = ("vacated_minutes", "vacated_chances", "vacated_points", "vacated_starts")
_OF_SIDE: Final = (*_VACATED, "listed_minutes", "returning_minutes", "regulars_listed")
_SHARES: Final = ("dk_share_listed", "min_share_listed")
ANNOUNCED_FEATURES: Final[tuple[str, ...]] = (
    "announced_starter", "starter_change", "min_in_role", "dk_in_role", *_OF_SIDE, "opp_vacated_points", *_SHARES,
)  # fmt: skip
#: Strength of the players listed for each side of a game, home minus away.
_STRENGTHS: Final = (
    "vacated_points", "vacated_minutes", "returning_minutes", "listed_plus_minus", "listed_rate", "listed_top3",
)  # fmt: skip
GAME_ANNOUNCED_FEATURES: Final[tuple[str, ...]] = tuple(f"{name}_difference" for name in _STRENGTHS)
_SIDE: Final = ["game_id", "team", "as_of"]
#: Minutes a team shares out in regulation.
TEAM_MIN: Final = 240


def announced(rows: pl.DataFrame, rotation: pl.DataFrame) -> pl.DataFrame:
    """Add ANNOUNCED_FEATURES to assembled player rows, from the players listed for the same game and team."""
    sides = _sides(rows, rotation)
    theirs = sides.select("game_id", "as_of", opp="team", opp_vacated_points="vacated_points")
    out = (
        rows.join(sides, on=_SIDE, how="left", maintain_order="left")
        .join(theirs, on=["game_id", "opp", "as_of"], how="left", maintain_order="left")
        .with_columns(
            (pl.col("dk_expected") / pl.col("listed_points")).alias("dk_share_listed"),
            (TEAM_MIN * pl.col("min_ewm5") / pl.col("listed_minutes")).alias("min_share_listed"),
        )
    )
    return out.with_columns(*_role())


def listed_strength(games: pl.DataFrame, players: pl.DataFrame | None) -> pl.DataFrame:
    """Add GAME_ANNOUNCED_FEATURES to game rows from `player_rows` of the same games; null without them.

    Only regulars count here too: in backtests, who of the deep reserves appeared tells how the game went.
    """
    if players is None:
        return games.with_columns(pl.lit(None, pl.Float32).alias(name) for name in GAME_ANNOUNCED_FEATURES)
    regulars = players.filter(pl.col("min_ewm5") >= LEAST_REGULAR_MIN).sort(*_SIDE, "player_id")
    minutes = pl.col("min_share_listed")
    sides = regulars.group_by("game_id", "team", maintain_order=True).agg(
        *(pl.col(name).first() for name in ("vacated_points", "vacated_minutes", "returning_minutes")),
        ((pl.col("plus_minus_ewm20").fill_null(0) * minutes).sum() / minutes.sum()).alias("listed_plus_minus"),
        ((pl.col("dk_per_min40") * minutes).sum() / minutes.sum()).alias("listed_rate"),
        pl.col("dk_expected").top_k(3).sum().alias("listed_top3"),
    )
    for side in ("home", "away"):
        named = sides.rename({"team": f"{side}_team", **{name: f"{side}_{name}" for name in _STRENGTHS}})
        games = games.join(named, on=["game_id", f"{side}_team"], how="left", maintain_order="left")
    return games.with_columns(
        (pl.col(f"home_{name}") - pl.col(f"away_{name}")).alias(f"{name}_difference") for name in _STRENGTHS
    )


def _sides(rows: pl.DataFrame, rotation: pl.DataFrame) -> pl.DataFrame:
    """One row per game, team and moment: who of the rotation is absent, who is there; null below LEAST_ROSTER."""
    carried = (
        as_of_join(rows.select(_SIDE).unique(maintain_order=True), rotation, by=["team"])
        .explode("players", *rotation_view.LISTS)
        .drop_nulls("players")
        .rename({"players": "player_id"})
    )
    # Sums of floats depend on their order, and rows may come in any.
    listed = rows.select(*_SIDE, "player_id", "min_ewm5", "dk_expected").sort(*_SIDE, "player_id")
    absent = (
        carried.filter(pl.col("minutes") >= LEAST_REGULAR_MIN)
        .join(listed, on=[*_SIDE, "player_id"], how="anti")
        .group_by(_SIDE, maintain_order=True)
        .agg(pl.col(name.removeprefix("vacated_")).sum().alias(name) for name in _VACATED)
    )
    regular = pl.col("min_ewm5") >= LEAST_REGULAR_MIN
    carried_min = pl.col("minutes").fill_null(0)
    present = (
        listed.join(carried.select(*_SIDE, "player_id", "minutes"), on=[*_SIDE, "player_id"], how="left")
        .group_by(_SIDE, maintain_order=True)
        .agg(
            pl.len().alias("listed"),
            pl.col("min_ewm5").filter(regular).sum().alias("listed_minutes"),
            pl.col("dk_expected").filter(regular).sum().alias("listed_points"),
            regular.sum().alias("regulars_listed"),
            (pl.col("min_ewm5") - carried_min).filter(regular).clip(0).sum().alias("returning_minutes"),
        )
    )
    is_roster = pl.col("listed") >= LEAST_ROSTER
    return (
        present.join(absent, on=_SIDE, how="left")
        .with_columns(pl.col(name).fill_null(0) for name in _VACATED)
        .select(
            *_SIDE, *(pl.when(is_roster).then(pl.col(name)).alias(name) for name in (*_OF_SIDE, "listed_points"))
        )
    )


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
