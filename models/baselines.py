"""Plain answers every model must beat, each computed only from games that ended before the one it answers for."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from scipy.special import ndtr

from features.errors import SchemaError
from features.labels import BOX_LINE
from features.scoring import SITES, fantasy_points

#: Half-life of the exponentially weighted mean, in games the player played.
EWMA_HALF_LIFE: Final = 4.0
#: Standard deviation of the final margin around the closing spread (docs: shared/data/README.md).
SPREAD_SD: Final = 12.2
#: Elo as published by FiveThirtyEight for the NBA: K, home advantage, mean, share kept between seasons.
ELO_K: Final = 20.0
ELO_HOME: Final = 70.0
ELO_MEAN: Final = 1500.0
ELO_KEPT: Final = 0.75
#: Share of home wins assumed before any game is known, and the weight (games) of that assumption.
HOME_PRIOR: Final = 0.58
HOME_PRIOR_GAMES: Final = 100.0


def player_baselines(box: pl.DataFrame) -> pl.DataFrame:
    """Per player-game: `earlier_games` this season, and per site and stat the season mean and the EWMA so far.

    Columns: game_id, player_id, earlier_games, season_mean_{name}, ewma_{name} for the sites and the stats of
    `features.labels.BOX_LINE` (Float64; null when the player has no earlier game this season, or ever). `box` needs
    the archive columns and `event_time`.
    """
    values: dict[str, pl.Expr] = {site: fantasy_points(site) for site in SITES}
    values |= {stat: pl.col(column).cast(pl.Float64) for stat, column in BOX_LINE.items()}
    ordered = box.sort("event_time", "game_id", "player_id").select(
        "game_id", "player_id", "season", *(value.alias(name) for name, value in values.items())
    )
    season, career = ["player_id", "season"], ["player_id"]
    columns = [pl.int_range(pl.len(), dtype=pl.Int32).over(season).alias("earlier_games")]
    for name in values:
        points = pl.col(name)
        seen = pl.int_range(1, pl.len() + 1)
        columns += [
            (points.cum_sum() / seen).shift(1).over(season).alias(f"season_mean_{name}"),
            points.ewm_mean(half_life=EWMA_HALF_LIFE).shift(1).over(career).alias(f"ewma_{name}"),
        ]
    return ordered.select("game_id", "player_id", *columns)


def elo_probabilities(games: pl.DataFrame) -> pl.DataFrame:
    """Per game: `elo_probability` of a home win, from games that tipped off before it (columns game_id, season,
    home_team, away_team, home_score, away_score, event_time). Ratings drift to the mean between seasons."""
    ordered = games.sort("event_time", "game_id")
    ratings: dict[str, float] = {}
    answers: list[float] = []
    season = None
    columns = ("season", "home_team", "away_team", "home_score", "away_score")
    for year, home, away, home_score, away_score in ordered.select(columns).iter_rows():
        if year != season:
            ratings = {team: ELO_MEAN + ELO_KEPT * (r - ELO_MEAN) for team, r in ratings.items()}
            season = year
        gap = ratings.get(home, ELO_MEAN) + ELO_HOME - ratings.get(away, ELO_MEAN)
        expected = 1 / (1 + 10 ** (-gap / 400))
        answers.append(expected)
        if home_score is None or away_score is None:
            continue
        margin = home_score - away_score
        winner_gap = gap if margin > 0 else -gap
        moved = ELO_K * (abs(margin) + 3) ** 0.8 / (7.5 + 0.006 * winner_gap) * ((margin > 0) - expected)
        ratings[home] = ratings.get(home, ELO_MEAN) + moved
        ratings[away] = ratings.get(away, ELO_MEAN) - moved
    return ordered.select("game_id").with_columns(pl.Series("elo_probability", answers, dtype=pl.Float64))


def home_probabilities(games: pl.DataFrame) -> pl.DataFrame:
    """Per game: `home_probability`, the share of home wins on all earlier dates."""
    days = (
        games.group_by("game_date")
        .agg(pl.len().alias("games"), pl.col("home_win").sum().alias("wins"))
        .sort("game_date")
        .with_columns(pl.col("games", "wins").cum_sum().shift(1, fill_value=0))
    )
    share = (pl.col("wins") + HOME_PRIOR * HOME_PRIOR_GAMES) / (pl.col("games") + HOME_PRIOR_GAMES)
    return games.select("game_id", "game_date").join(
        days.select("game_date", share.alias("home_probability")), on="game_date", how="left"
    ).select("game_id", "home_probability")  # fmt: skip


def market_probability(spread: str = "close_home_spread") -> pl.Expr:
    """P(home win) of a closing spread (negative = home favoured), null where there is none."""
    return pl.col(spread).map_batches(
        lambda s: pl.Series(ndtr(-s.cast(pl.Float64).fill_null(np.nan).to_numpy() / SPREAD_SD)).fill_nan(None),
        return_dtype=pl.Float64,
    ).alias("market_probability")  # fmt: skip


def game_baselines(games: pl.DataFrame) -> pl.DataFrame:
    """Per game: game_id, elo_probability, home_probability, market_probability (null without a line).

    Raises `SchemaError` when `games` carries no `event_time`.
    """
    if "event_time" not in games.columns:
        raise SchemaError("games lacks event_time; read it through OfflineStore.tables()")
    market = games.select("game_id", market_probability())
    return (
        games.select("game_id")
        .join(elo_probabilities(games), on="game_id", how="left", maintain_order="left")
        .join(home_probabilities(games), on="game_id", how="left", maintain_order="left")
        .join(market, on="game_id", how="left", maintain_order="left")
    )
