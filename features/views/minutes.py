"""View `minutes`: a player's playing time, role and presence after each of his games."""

from __future__ import annotations

from typing import Final

import polars as pl

from features.views.lines import ewm

NAME: Final = "minutes"
NUMBER: Final = 1
KEYS: Final = ("player_id",)

HALF_LIVES: Final = (2, 5, 12, 30)
#: How many games back presence is counted.
PRESENCE_GAMES: Final = 10

FEATURES: Final[tuple[str, ...]] = (
    *(f"min_ewm{h}" for h in HALF_LIVES),
    "min_last", "min_last2", "min_last3", "min_std10", "min_max10", "min_min5", "min_season", "min_prior_season",
    "min_career", "games_season", "games_career", "starter_last", "starter_ewm3", "starter_ewm15",
    "starter_season", "min_as_starter", "min_as_reserve", "dk_as_starter", "dk_as_reserve", "min_share_ewm5",
)  # fmt: skip
#: Carried for the assembly, not features themselves.
CARRIED: Final = ("season", "team", "team_game", "team_game_ten_ago", "game_date", "dates")


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per player-game of `player_lines`: key, times, CARRIED and FEATURES (Float32)."""
    who, minutes = "player_id", pl.col("min")
    started = pl.col("starter") == 1
    in_season = [who, "season"]
    season_mean = minutes.cum_sum().over(in_season) / minutes.cum_count().over(in_season)
    values = {
        **{f"min_ewm{h}": ewm(minutes, h, who) for h in HALF_LIVES},
        "min_last": minutes,
        "min_last2": minutes.shift(1).over(who),
        "min_last3": minutes.shift(2).over(who),
        "min_std10": minutes.ewm_std(half_life=10).over(who),
        "min_max10": minutes.rolling_max(10, min_samples=1).over(who),
        "min_min5": minutes.rolling_min(5, min_samples=1).over(who),
        "min_season": season_mean,
        "min_career": minutes.cum_sum().over(who) / minutes.cum_count().over(who),
        "games_season": pl.int_range(1, pl.len() + 1).over(in_season),
        "games_career": pl.int_range(1, pl.len() + 1).over(who),
        "starter_last": pl.col("starter"),
        "starter_ewm3": ewm(pl.col("starter"), 3, who),
        "starter_ewm15": ewm(pl.col("starter"), 15, who),
        "starter_season": pl.col("starter").cum_sum().over(in_season) / pl.len().over(in_season),
        "min_as_starter": ewm(pl.when(started).then(minutes), 6, who),
        "min_as_reserve": ewm(pl.when(~started).then(minutes), 6, who),
        "dk_as_starter": ewm(pl.when(started).then(pl.col("dk")), 8, who),
        "dk_as_reserve": ewm(pl.when(~started).then(pl.col("dk")), 8, who),
        "min_share_ewm5": ewm(pl.when(pl.col("team_min") > 0).then(5 * minutes / pl.col("team_min")), 5, who),
    }
    values["starter_season"] = pl.col("starter").cum_sum().over(in_season) / values["games_season"]
    same_team = pl.col("team") == pl.col("team").shift(PRESENCE_GAMES - 1)
    ten_ago = pl.when(same_team).then(pl.col("team_game").shift(PRESENCE_GAMES - 1)).over(who)
    dates = pl.concat_list(pl.col("game_date").shift(n).over(who) for n in range(4))
    view = lines.select(
        who, "event_time", "known_time", "season", "team", "team_game", "game_date",
        ten_ago.alias("team_game_ten_ago"), dates.alias("dates"),
        *(value.alias(name) for name, value in values.items()),
    )  # fmt: skip
    first = pl.col("season") != pl.col("season").shift(1)
    prior = pl.when(first).then(pl.col("min_season").shift(1)).forward_fill().over(who)
    view = view.with_columns(prior.alias("min_prior_season"))
    return view.select(
        who, "event_time", "known_time", *CARRIED, *(pl.col(name).cast(pl.Float32) for name in FEATURES)
    )
