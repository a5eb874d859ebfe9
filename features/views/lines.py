"""Player lines and team lines: the two frames that every view starts from.

A game is known when the last of its rows is known, so `known_time` here is the latest of the game's rows, and
along an entity's history it never falls: a row that was built from a late correction is itself late.
"""

from __future__ import annotations

import polars as pl

from features.scoring import fantasy_points
from features.tables import Tables

#: Share of field-goal attempts' worth of possession that a free throw ends (Oliver, Basketball on Paper).
FREE_THROW_POSSESSION = 0.44
REGULATION_MIN = 48.0
#: Offensive share of rebounds, league average 2015-24, for sources without oreb.
OFFENSIVE_REBOUND_SHARE = 0.23


def player_lines(tables: Tables) -> pl.DataFrame:
    """Box rows in order of player and time, with points per site, chances used, team totals and team game number.

    Adds dk, fd, yh (points), use (field goals, free-throw trips and turnovers), team_use, team_min, team_dk,
    usage (share of the team's chances while on court), team_game (Int32, counts the team's games so far).
    """
    use = pl.col("fga") + FREE_THROW_POSSESSION * pl.col("fta") + pl.col("tov")
    counts = ("min", "pts", "fga", "fg3m", "fta", "reb", "ast", "stl", "blk", "tov", "pf")
    numbers = [pl.col(name).cast(pl.Float64) for name in counts]
    lines = tables.box.sort("game_id", "player_id").select(
        "game_id", "player_id", "team", "opp", "is_home", "game_date", "season", "event_time", "known_time",
        pl.col("starter").cast(pl.Float64),
        pl.col("plus_minus").cast(pl.Float64),
        pl.coalesce(pl.col("oreb").cast(pl.Float64), pl.col("reb") * OFFENSIVE_REBOUND_SHARE).alias("oreb"),
        *numbers,
        fantasy_points("draftkings").alias("dk"),
        fantasy_points("fanduel").alias("fd"),
        fantasy_points("yahoo").alias("yh"),
        use.cast(pl.Float64).alias("use"),
    )  # fmt: skip
    side = ["game_id", "team"]
    lines = (
        lines.join(_team_games(tables), on=side, how="left")
        .with_columns(
            pl.col("known_time").max().over("game_id"),
            pl.col("use").sum().over(side).alias("team_use"),
            pl.col("min").sum().over(side).alias("team_min"),
            pl.col("dk").sum().over(side).alias("team_dk"),
        )
        .sort("player_id", "event_time", "game_id")
        .with_columns(pl.col("known_time").cum_max().over("player_id"))
    )
    on_court = pl.col("team_use") * pl.col("min") * 5 / pl.col("team_min")
    return lines.with_columns(pl.when(on_court > 0).then(pl.col("use") / on_court).alias("usage"))


def team_lines(tables: Tables) -> pl.DataFrame:
    """One row per team and finished game in order of team and time.

    Columns: keys, season, game_date, is_home, score, opp_score, margin, win, team_game, poss (per team, mean of
    both sides), pace (per 48 minutes), off_rating, def_rating (points per 100 possessions), times.
    """
    box = tables.box.sort("game_id", "player_id")
    totals = box.group_by("game_id", "team", maintain_order=True).agg(
        (
            pl.col("fga").sum() + FREE_THROW_POSSESSION * pl.col("fta").sum() + pl.col("tov").sum()
            - pl.coalesce(pl.col("oreb").cast(pl.Float64), pl.col("reb") * OFFENSIVE_REBOUND_SHARE).sum()
        ).alias("chances"),
        (pl.col("min").cast(pl.Float64).sum() / 5).alias("length_min"),
        pl.col("known_time").max().alias("box_known"),
    )  # fmt: skip
    finished = tables.games.filter(pl.col("home_score").is_not_null() & pl.col("away_score").is_not_null())
    sides = [
        finished.select(
            "game_id", "season", "season_type", "game_date", "event_time", "known_time",
            pl.col(f"{own}_team").alias("team"), pl.col(f"{other}_team").alias("opp"),
            pl.lit(own == "home").alias("is_home"),
            pl.col(f"{own}_score").cast(pl.Float64).alias("score"),
            pl.col(f"{other}_score").cast(pl.Float64).alias("opp_score"),
        )
        for own, other in (("home", "away"), ("away", "home"))
    ]  # fmt: skip
    both = pl.concat(sides).join(totals, on=["game_id", "team"], how="left")
    poss = pl.col("chances").mean().over("game_id")
    length = pl.when(pl.col("length_min") > 0).then(pl.col("length_min")).otherwise(REGULATION_MIN)
    both = both.with_columns(
        pl.when(poss > 0).then(poss).alias("poss"),
        pl.max_horizontal(pl.col("known_time"), pl.col("box_known")).max().over("game_id").alias("known_time"),
        (pl.col("score") - pl.col("opp_score")).alias("margin"),
    ).with_columns(
        (pl.col("poss") * REGULATION_MIN / length).alias("pace"),
        (100 * pl.col("score") / pl.col("poss")).alias("off_rating"),
        (100 * pl.col("opp_score") / pl.col("poss")).alias("def_rating"),
        (pl.col("margin") > 0).cast(pl.Float64).alias("win"),
    )
    return (
        both.sort("team", "event_time", "game_id")
        .join(_team_games(tables), on=["game_id", "team"], how="left", maintain_order="left")
        .with_columns(pl.col("known_time").cum_max().over("team"))
        .drop("chances", "box_known", "length_min")
    )


def ewm(value: pl.Expr, half_life_games: float, by: str) -> pl.Expr:
    """Exponentially weighted mean along `by` in row order, half-life in games, nulls skipped and carried over."""
    mean = value.ewm_mean(half_life=half_life_games, adjust=True, ignore_nulls=True)
    return mean.forward_fill().over(by)


def _team_games(tables: Tables) -> pl.DataFrame:
    """The number of each finished game in its team's history, from 1."""
    games = [tables.games.filter(pl.col("home_score").is_not_null() & pl.col("away_score").is_not_null()).select(
        "game_id", "event_time", pl.col(f"{side}_team").alias("team")) for side in ("home", "away")]  # fmt: skip
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("team").alias("team_game")
    return pl.concat(games).sort("team", "event_time", "game_id").with_columns(number).drop("event_time")
