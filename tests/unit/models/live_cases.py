"""A league of two teams whose box lines follow from their made-up plays, so that lines so far add up to them."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from features.play.player_state import player_states
from features.play.plays import Plays
from features.tables import FINAL_AFTER_TIP, Tables, conform, tip_time
from tests.unit.features.court_cases import AWAY, HOME, played_game

SEASONS = (2021, 2022)
GAMES = 36


def live_league() -> tuple[Tables, Plays]:
    """GAMES games a season on consecutive days, every ninth with overtime."""
    plays = {season: pl.concat([_game(season, n) for n in range(GAMES)]) for season in SEASONS}
    games = pl.concat([_games(season, frame) for season, frame in plays.items()])
    box = pl.concat([_box(frame, games) for frame in plays.values()])
    return Tables(games, box), Plays(SEASONS, plays.__getitem__)


def _game(season: int, number: int) -> pl.DataFrame:
    game_id = f"002{season % 100:02d}{number:05d}"
    seed = season * 1_000 + number
    return played_game(seed, game_id=game_id, season=season, rows_per_period=70, overtime=number % 9 == 8)


def _games(season: int, plays: pl.DataFrame) -> pl.DataFrame:
    ends = plays.sort("seq").group_by("game_id", maintain_order=True).last().with_row_index("number")
    frame = ends.select(
        "game_id", "season", pl.lit("regular").alias("season_type"),
        (pl.lit(date(season, 11, 1)) + pl.col("number") * timedelta(days=1)).alias("game_date"),
        pl.lit(1170).alias("tip_et_min"), "home_team", "away_team", "home_score", "away_score",
        (pl.col("home_score") > pl.col("away_score")).alias("home_win"),
    ).with_columns(event_time=tip_time())  # fmt: skip
    return conform("games", frame.with_columns(known_time=pl.col("event_time") + FINAL_AFTER_TIP))


def _box(plays: pl.DataFrame, games: pl.DataFrame) -> pl.DataFrame:
    last = plays.filter(pl.col("seq") == pl.col("seq").max().over("game_id"))
    end = last.select("game_id", pl.lit("end").alias("asked_at"), "seq", "period", "elapsed_s", "clock_s")
    lines = player_states(plays, end).drop("seq", "period", "asked_at", "elapsed_s", "clock_s", "is_home")
    known = games.select("game_id", "game_date", "season", "season_type", "event_time", "known_time")
    home = pl.col("team") == HOME
    return conform(
        "box",
        lines.join(known, on="game_id").with_columns(
            home.alias("is_home"), pl.when(home).then(pl.lit(AWAY)).otherwise(pl.lit(HOME)).alias("opp"),
            (pl.col("player_id") % 100 < 5).alias("starter"), (pl.col("seconds_played") / 60).alias("min"),
            pl.col("player_id").cast(pl.String).alias("player_name"), fgm=pl.lit(0), fg3a=pl.lit(0), ftm=pl.lit(0),
            oreb=pl.lit(0), dreb=pl.lit(0),
        ),
    )  # fmt: skip
