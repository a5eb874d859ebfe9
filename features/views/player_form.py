"""View `player_form`: a player's production after each of his games, that game included."""

from __future__ import annotations

from math import log
from typing import Final

import polars as pl

from features.views.lines import ewm

NAME: Final = "player_form"
NUMBER: Final = 1
KEYS: Final = ("player_id",)

#: Yahoo weighs a line as FanDuel does (features.scoring), so its points would be columns twice over.
POINTS: Final = ("dk", "fd")
STATS: Final = ("pts", "reb", "ast", "stl", "blk", "tov", "fg3m", "fga", "fta", "pf")
#: Half-lives in games: hot hand, form, level, ability.
FORM_HALF_LIVES: Final = (2, 5, 12, 30)
STAT_HALF_LIVES: Final = (5, 25)
RATE_HALF_LIVES: Final = (10, 40)
#: The newest half_life / ln 2 games hold most of an exponential weight.
LN2: Final = log(2)
#: League means per minute 2015-20 towards which a rate leans by this many minutes, so that one basket in a
#: player's only minute is no talent.
LEAGUE_RATES: Final = {"dk": 0.926, "fd": 0.913, "use": 0.458, "usage": 0.2}
LEANING_MIN: Final = 30.0
#: Weight of blocks, assists and threes beside a rebound when telling bigs from guards.
BLOCK_WEIGHT: Final = 2.0
ASSIST_WEIGHT: Final = 1.3

FEATURES: Final[tuple[str, ...]] = (
    *(f"{site}_ewm{h}" for site in POINTS for h in FORM_HALF_LIVES),
    *(f"{stat}_ewm{h}" for stat in STATS for h in STAT_HALF_LIVES),
    *(f"{stat}_per_min{h}" for stat in (*POINTS, "use") for h in RATE_HALF_LIVES),
    "usage_ewm10", "usage_ewm40", "dk_share10", "dk_std10", "dk_best20", "plus_minus_ewm20",
    "big_role", "dk_season", "fd_season", "dk_prior_season", "dk_career", "dk_career_per_min",
    "dk_last",
)  # fmt: skip


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per player-game of `player_lines`: key, times, `season` and FEATURES (Float32)."""
    who = "player_id"
    means = {
        **{f"{site}_ewm{h}": ewm(pl.col(site), h, who) for site in POINTS for h in FORM_HALF_LIVES},
        **{f"{stat}_ewm{h}": ewm(pl.col(stat), h, who) for stat in STATS for h in STAT_HALF_LIVES},
        **{f"{stat}_per_min{h}": _rate(stat, h) for stat in (*POINTS, "use") for h in RATE_HALF_LIVES},
        "usage_ewm10": _rate("usage", 10, pl.col("usage") * pl.col("min")),
        "usage_ewm40": _rate("usage", 40, pl.col("usage") * pl.col("min")),
        "dk_share10": ewm(pl.col("dk") / pl.col("team_dk"), 10, who),
        "dk_std10": pl.col("dk").ewm_std(half_life=10).over(who),
        "dk_best20": pl.col("dk").rolling_max(20, min_samples=1).over(who),
        "plus_minus_ewm20": ewm(pl.col("plus_minus"), 20, who),
        "dk_last": pl.col("dk"),
        **{f"{site}_season": _running_mean(site, [who, "season"]) for site in POINTS},
        "dk_career": _running_mean("dk", [who]),
        "dk_career_per_min": (pl.col("dk").cum_sum().over(who) + LEAGUE_RATES["dk"] * LEANING_MIN)
        / (pl.col("min").cum_sum().over(who) + LEANING_MIN),
    }
    view = lines.select(
        who, "event_time", "known_time", "season", *(value.alias(name) for name, value in means.items())
    )
    inside = pl.col("reb_ewm25") + BLOCK_WEIGHT * pl.col("blk_ewm25")
    outside = ASSIST_WEIGHT * pl.col("ast_ewm25") + pl.col("fg3m_ewm25")
    view = view.with_columns(_ratio(inside, inside + outside).alias("big_role"), _prior_season("dk_season"))
    return view.select(
        who, "event_time", "known_time", "season", *(pl.col(name).cast(pl.Float32) for name in FEATURES)
    )


def _rate(stat: str, half_life: int, amount: pl.Expr | None = None) -> pl.Expr:
    """`amount` (the stat itself by default) per minute, leaning towards the league while minutes are few."""
    who = "player_id"
    amount = pl.col(stat) if amount is None else amount.fill_null(0)
    games = pl.min_horizontal(pl.int_range(1, pl.len() + 1).over(who), pl.lit(half_life / LN2))
    leaning = LEANING_MIN / games
    made = ewm(amount, half_life, who) + LEAGUE_RATES[stat] * leaning
    return made / (ewm(pl.col("min"), half_life, who) + leaning)


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def _running_mean(column: str, by: list[str]) -> pl.Expr:
    return pl.col(column).cum_sum().over(by) / pl.col(column).cum_count().over(by)


def _prior_season(column: str) -> pl.Expr:
    """The season mean as it stood at the end of the player's season before this one."""
    first_of_season = pl.col("season") != pl.col("season").shift(1)
    carried = pl.when(first_of_season).then(pl.col(column).shift(1)).forward_fill().over("player_id")
    return carried.alias("dk_prior_season")
