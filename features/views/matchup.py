"""View `matchup`: what a defence allows, relative to what its opponents' players were expected to produce.

Expected is each player's own rate per minute before the game times the minutes he played, so the ratio is
about the defence (and pace), not about who happened to come to town.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.views.lines import ewm

NAME: Final = "matchup"
NUMBER: Final = 1
KEYS: Final = ("team",)

STATS: Final = ("pts", "reb", "ast", "fg3m", "stl", "blk", "tov")
#: Half-life of a player's own rates, games.
RATE_HALF_LIFE: Final = 25
HALF_LIVES: Final = (10, 30)
STAT_HALF_LIFE: Final = 25
FEATURES: Final[tuple[str, ...]] = (
    *(f"allowed_dk{h}" for h in HALF_LIVES),
    *(f"allowed_{stat}" for stat in STATS),
    "allowed_dk_big", "allowed_dk_guard", "allowed_minutes_starters",
)  # fmt: skip


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per defending team and game, from `player_lines`: key, times, FEATURES (Float32 ratios)."""
    who, minutes = "player_id", pl.col("min")
    rate_min = ewm(minutes, RATE_HALF_LIFE, who)
    before = lines.with_columns(
        *(
            (ewm(pl.col(c), RATE_HALF_LIFE, who) / rate_min).shift(1).over(who).alias(f"{c}_rate")
            for c in ("dk", *STATS)
        ),
        rate_min.shift(1).over(who).alias("min_before"),
    ).filter(pl.col("dk_rate").is_finite())
    inside = pl.col("reb_rate") + 2 * pl.col("blk_rate")
    outside = 1.3 * pl.col("ast_rate") + pl.col("fg3m_rate")
    big = pl.when(inside + outside > 0).then(inside / (inside + outside)).otherwise(0.5)
    starts = pl.col("starter") == 1
    games = (
        before.sort("game_id", "player_id")
        .group_by("opp", "game_id", maintain_order=True)
        .agg(
            pl.col("event_time").first(),
            pl.col("known_time").max(),
            *(pl.col(c).sum().alias(f"{c}_made") for c in ("dk", *STATS)),
            *((pl.col(f"{c}_rate") * minutes).sum().alias(f"{c}_due") for c in ("dk", *STATS)),
            (pl.col("dk") * big).sum().alias("big_made"),
            (pl.col("dk_rate") * minutes * big).sum().alias("big_due"),
            (pl.col("dk") * (1 - big)).sum().alias("guard_made"),
            (pl.col("dk_rate") * minutes * (1 - big)).sum().alias("guard_due"),
            minutes.filter(starts).sum().alias("starters_made"),
            pl.col("min_before").filter(starts).sum().alias("starters_due"),
        )
    )
    games = games.rename({"opp": "team"}).sort("team", "event_time", "game_id")
    return games.select(
        "team", "event_time", pl.col("known_time").cum_max().over("team"),
        *(_allowed("dk", h).alias(f"allowed_dk{h}") for h in HALF_LIVES),
        *(_allowed(c, STAT_HALF_LIFE).alias(f"allowed_{c}") for c in STATS),
        _allowed("big", STAT_HALF_LIFE).alias("allowed_dk_big"),
        _allowed("guard", STAT_HALF_LIFE).alias("allowed_dk_guard"),
        _allowed("starters", STAT_HALF_LIFE).alias("allowed_minutes_starters"),
    )  # fmt: skip


def _allowed(column: str, half_life: int) -> pl.Expr:
    due = ewm(pl.col(f"{column}_due"), half_life, "team")
    return pl.when(due > 0).then(ewm(pl.col(f"{column}_made"), half_life, "team") / due).cast(pl.Float32)
