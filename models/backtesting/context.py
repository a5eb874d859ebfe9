"""What is known of a question's game and player afterwards: columns to slice the answers by, never features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from features.tables import Tables
from models.answers import Answers
from models.baselines import player_baselines

#: A rotation player has at least this mean of DraftKings points so far this season, from at least so many games.
ROTATION_MEAN: Final = 20.0
ROTATION_GAMES: Final = 5
#: Games after which a player who came from another team is no longer new.
NEW_TEAM_GAMES: Final = 10
GAME: Final = ("final_margin", "overtime", "home_spread", "month", "either_back_to_back")
PLAYER: Final = ("starter", "earlier_games", "rotation", "rookie", "new_team")
TEAM: Final = "back_to_back"


@dataclass(frozen=True, slots=True)
class Context:
    """Columns by game (GAME), by game and team (`back_to_back`), and by game and player (PLAYER)."""

    games: pl.DataFrame
    teams: pl.DataFrame
    players: pl.DataFrame

    def describe(self, answers: Answers) -> Answers:
        """The answers with every context column that their keys allow; columns of the same name are replaced."""
        rows = answers.rows
        for frame, keys in ((self.games, ["game_id"]), (self.players, ["game_id", "player_id"]),
                            (self.teams, ["game_id", "team"])):  # fmt: skip
            if all(key in rows.columns for key in keys):
                taken = [name for name in frame.columns if name not in keys and name in rows.columns]
                rows = rows.drop(taken).join(frame, on=keys, how="left", maintain_order="left")
        arrays = (answers.probability, answers.mean, answers.quantiles, answers.classes)
        return Answers(answers.target, answers.kind, rows, answers.primary, *arrays)


def context(tables: Tables) -> Context:
    """Context of every game and player-game in `tables`. Where nothing tells, a column is null: without a closing
    line, without periods, or `rookie` in the oldest season, before which nobody is known."""
    teams = _teams(tables.games)
    tired = teams.group_by("game_id").agg(pl.col(TEAM).any().alias("either_back_to_back"))
    games = tables.games.select(
        "game_id",
        (pl.col("home_score").cast(pl.Int32) - pl.col("away_score").cast(pl.Int32)).abs().alias("final_margin"),
        (pl.col("periods") > 4).alias("overtime"),
        pl.col("close_home_spread").alias("home_spread"),
        pl.col("game_date").dt.strftime("%m").alias("month"),
    ).join(tired, on="game_id", how="left")  # fmt: skip
    return Context(games, teams, _players(tables))


def _teams(games: pl.DataFrame) -> pl.DataFrame:
    sides = [
        games.select("game_id", "game_date", pl.col(f"{side}_team").alias("team")) for side in ("home", "away")
    ]
    since = (pl.col("game_date") - pl.col("game_date").shift(1).over("team")).dt.total_days()
    return (
        pl.concat(sides).sort("team", "game_date").with_columns((since == 1).fill_null(False).alias(TEAM))
        .select("game_id", "team", TEAM)
    )  # fmt: skip


def _players(tables: Tables) -> pl.DataFrame:
    oldest = tables.box["season"].min()
    first_season = pl.col("season").min().over("player_id")
    stint = (pl.col("team") != pl.col("team").shift(1).over("player_id")).fill_null(False)
    came = stint.cum_sum().over("player_id")
    games_there = pl.int_range(pl.len()).over("player_id", "stint")
    lines = (
        tables.box.sort("event_time", "game_id", "player_id")
        .with_columns(came.alias("stint"))
        .with_columns(((pl.col("stint") > 0) & (games_there < NEW_TEAM_GAMES)).alias("new_team"))
        .select(
            "game_id", "player_id", "starter", "new_team",
            pl.when(pl.col("season") > oldest).then(first_season == pl.col("season")).alias("rookie"),
        )
    )  # fmt: skip
    so_far = player_baselines(tables.box).select(
        "game_id", "player_id", "earlier_games",
        (
            (pl.col("season_mean_draftkings") >= ROTATION_MEAN) & (pl.col("earlier_games") >= ROTATION_GAMES)
        ).fill_null(False).alias("rotation"),
    )  # fmt: skip
    return lines.join(so_far, on=["game_id", "player_id"], how="left")
