"""What a play adds to box lines: to its actor, to who assisted, stole or blocked, and to both teams' totals."""

from __future__ import annotations

from typing import Final

import polars as pl

#: Counts of a line, by their names in the box table.
COUNTS: Final = ("pts", "reb", "ast", "stl", "blk", "tov", "fg3m", "fga", "fta", "pf")
#: Of a team, beside its players': `oreb` lets possessions be counted.
TEAM_COUNTS: Final = ("fga", "fta", "tov", "oreb")
#: Fouls of these kinds, and of none, are not personal fouls: they count towards no limit.
TECHNICAL: Final = ("T.FOUL", "HANGING.TECH.FOUL", "Non-Unsportsmanlike")
_FLAG: Final = pl.Int16()


def actions(plays: pl.DataFrame) -> pl.DataFrame:
    """One row per play and player it adds to: game_id, seq, player_id, is_home, COUNTS and `ejected` (Int16)."""
    kind, home = pl.col("event_type"), pl.col("team") == pl.col("home_team")
    shot = kind.is_in(("made_shot", "missed_shot"))
    of_actor = {
        "pts": pl.col("points").fill_null(0),
        "reb": (kind == "rebound") & pl.col("subtype").is_in(("offensive", "defensive")).fill_null(False),
        "tov": kind == "turnover",
        "fg3m": (kind == "made_shot") & (pl.col("shot_value") == 3).fill_null(False),
        "fga": shot,
        "fta": kind == "free_throw",
        "pf": (kind == "foul") & ~pl.col("subtype").is_in(TECHNICAL).fill_null(True),
        "ejected": kind == "ejection",
    }
    acted = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover", "foul", "ejection")
    return pl.concat(
        [
            _credited(plays.filter(kind.is_in(acted)), "p1_id", home, of_actor),
            _credited(plays.filter(kind == "made_shot"), "p2_id", home, {"ast": pl.lit(True)}),
            _credited(plays.filter(kind == "turnover"), "p2_id", ~home, {"stl": pl.lit(True)}),
            _credited(plays.filter(kind == "missed_shot"), "p3_id", ~home, {"blk": pl.lit(True)}),
        ]
    )


def lines_so_far(plays: pl.DataFrame) -> pl.DataFrame:
    """The line of a player after each play that added to it: game_id, player_id, is_home, seq, COUNTS, `ejected`."""
    columns = (*COUNTS, "ejected")
    who = ["game_id", "player_id"]
    return (
        actions(plays)
        .group_by(*who, "is_home", "seq")
        .agg(pl.col(columns).sum())
        .sort(*who, "seq")
        .with_columns(pl.col(columns).cum_sum().over(*who))
    )


def team_totals(plays: pl.DataFrame) -> pl.DataFrame:
    """Both teams' TEAM_COUNTS after each play: game_id, seq, `home_{count}`, `away_{count}` (Int32).

    Turnovers and rebounds of the team itself count too.
    """
    kind = pl.col("event_type")
    counted = {
        "fga": kind.is_in(("made_shot", "missed_shot")),
        "fta": kind == "free_throw",
        "tov": kind == "turnover",
        "oreb": (kind == "rebound") & pl.col("subtype").is_in(("offensive", "team_offensive")).fill_null(False),
    }
    sides = {"home": pl.col("home_team"), "away": pl.col("away_team")}
    return plays.select(
        "game_id", "seq",
        *(
            (flag & (pl.col("team") == team).fill_null(False)).cast(pl.Int32).cum_sum().over("game_id")
            .alias(f"{side}_{name}")
            for side, team in sides.items()
            for name, flag in counted.items()
        ),
    )  # fmt: skip


def _credited(plays: pl.DataFrame, player: str, is_home: pl.Expr, given: dict[str, pl.Expr]) -> pl.DataFrame:
    named = plays.filter((pl.col(player) > 0).fill_null(False), pl.col("team").is_not_null())
    return named.select(
        "game_id", "seq", pl.col(player).cast(pl.Int32).alias("player_id"), is_home.alias("is_home"),
        *(given.get(name, pl.lit(0)).cast(_FLAG).alias(name) for name in (*COUNTS, "ejected")),
    )  # fmt: skip
