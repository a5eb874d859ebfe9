"""What a model reads of a player in a game in progress: his line so far beside what was expected before tip-off.

The same code assembles training rows from recorded plays and live rows from the plays so far.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import polars as pl

from features.play.moments import QUARTER_S, REGULATION_S
from features.play.player_quarters import QUARTER_FEATURES
from features.play.player_state import FOUL_LIMIT, QUARTER_MINUTES
from features.scoring import SITES
from features.views.announced import LEAST_REGULAR_MIN

#: What a line consists of: name of the amount -> column of `player_states`.
AMOUNTS: Final[dict[str, str]] = {
    **{f"fantasy_points_{site}": f"fantasy_points_{site}" for site in SITES},
    "points": "pts", "rebounds": "reb", "assists": "ast", "threes": "fg3m", "steals": "stl", "blocks": "blk",
    "turnovers": "tov",
}  # fmt: skip
#: As-of features from before tip-off that still tell something once the game is on.
PREGAME: Final[tuple[str, ...]] = (
    "dk_expected", "dk_expected_recent", "dk_expected_matchup", "dk_season", "dk_ewm5", "dk_ewm12", "dk_ewm30",
    "dk_per_min40", "dk_per_min10", "fd_ewm12", "dk_std10", "dk_last", "min_ewm2", "min_ewm5", "min_ewm12",
    "min_std10", "min_last", "min_max10", "min_season", "starter_ewm3", "announced_starter", "starter_change",
    "min_in_role", "dk_in_role", "pts_ewm25", "reb_ewm25", "ast_ewm25", "stl_ewm25", "blk_ewm25", "tov_ewm25",
    "fg3m_ewm25", "fga_ewm25", "fta_ewm25", "pf_ewm25", "pts_ewm5", "reb_ewm5", "ast_ewm5", "usage_ewm40",
    "big_role", "allowed_dk_role", "expected_margin", "expected_pace", "expected_total", "vacated_minutes",
    "vacated_points", "returning_minutes", "dk_share_listed", "min_share_listed", "days_since_last",
    "team_games_missed", "games_season", "plus_minus_ewm20", "playoffs", "is_home_game",
)  # fmt: skip
_SO_FAR: Final = tuple(f"{name}_so_far" for name in AMOUNTS)
_STATE: Final = (
    "minutes_so_far", "fouls_so_far", "fga_so_far", "fta_so_far", "on_court", "minutes_since_change", "finished",
    "margin", "seconds_left", "elapsed_s", "period", *QUARTER_MINUTES,
)  # fmt: skip
_AGAINST: Final = (
    "share_left", "minutes_ahead", "minutes_to_come", "usual_minutes_left", "tonight_minutes", "court_minutes_left",
    "expected_left", "line_left", "projected", "projected_over_season", "projected_over_expected", "rate_tonight",
    "use_tonight", "lead", "blowout", "margin_to_come", "pace_tonight", "fouls_ahead", "period_left_s",
)  # fmt: skip
#: Float32 columns of `live_player_rows`.
LIVE_FEATURES: Final[tuple[str, ...]] = (*_SO_FAR, *_STATE, *_AGAINST, *PREGAME, *QUARTER_FEATURES)

#: Minutes of usual playing time that tonight's is weighed against, and minutes of usual production.
USUAL_MIN: Final = 24.0
USUAL_RATE_MIN: Final = 14.0
#: Shares of a game at the usual pace that tonight's is weighed against.
USUAL_PACE_SHARE: Final = 0.25
COURT_PLACES: Final = 5
_MOMENT: Final = ["game_id", "seq", "asked_at"]
_CLOCK: Final = ("period", "elapsed_s", "clock_s")
_TEAM: Final = ("margin", "possessions", "seconds_left", *_CLOCK)
_OWN: Final = (
    "seconds_played", "on_court", "seconds_since_change", "finished", "fga", "fta", "pf", *QUARTER_MINUTES,
)  # fmt: skip


def live_player_rows(states: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """One row per player of `players` and moment of his game, in the order of moments and players.

    `states` are `player_states`, `players` rows with the entity columns of a player, PREGAME and QUARTER_FEATURES.
    Adds asked_at, seq and LIVE_FEATURES (Float32, null where unknown), elapsed_s and period among them. Who has not
    appeared yet has a line of zeros.
    """
    rows = _all_players(states, players)
    entity = [name for name in players.columns if name not in (*PREGAME, *QUARTER_FEATURES)]
    rows = rows.with_columns(*_so_far()).with_columns(*_clocks())
    rows = rows.with_columns(*_against_usual()).with_columns(*_shares_of_court(), *_context())
    rows = rows.with_columns(*_projected())
    features = rows.select(pl.col(LIVE_FEATURES).cast(pl.Float32))
    value = pl.col(pl.Float32)
    features = features.with_columns(pl.when(value.is_finite()).then(value).name.keep())
    # elapsed_s and period describe the question and are features too: one column each.
    return pl.concat([rows.select(*entity, "asked_at", "seq"), features], how="horizontal")


def _all_players(states: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """Players times moments, with zeros for who has not appeared and the game's columns for everybody."""
    known = pl.col("on_court").is_not_null().any().alias("five_known")
    sides = states.group_by(*_MOMENT, "is_home", maintain_order=True).agg(pl.col(_TEAM).first(), known)
    own = states.select(*_MOMENT, "player_id", pl.lit(True).alias("appeared"), *_OWN, *AMOUNTS.values())
    rows = players.join(sides, on=["game_id", "is_home"], how="inner", maintain_order="left").join(
        own, on=[*_MOMENT, "player_id"], how="left", maintain_order="left"
    )
    zeros = [pl.col(name).fill_null(0) for name in ("fga", "fta", "pf", *AMOUNTS.values())]
    absent = pl.col("appeared").is_null()
    elapsed = pl.col("elapsed_s")
    unseen = absent & pl.col("five_known")
    return rows.with_columns(
        *zeros,
        pl.col("finished").fill_null((pl.col("period") >= 4) & (pl.col("clock_s") <= 0) & (pl.col("margin") != 0)),
        pl.when(unseen).then(0.0).otherwise("seconds_played").alias("seconds_played"),
        pl.when(unseen).then(False).otherwise("on_court").alias("on_court"),
        pl.when(unseen).then(elapsed).otherwise("seconds_since_change").alias("seconds_since_change"),
        *(
            pl.when(unseen & (elapsed >= QUARTER_S * number)).then(0.0).otherwise(name).alias(name)
            for number, name in enumerate(QUARTER_MINUTES, start=1)
        ),
    ).sort("game_id", "seq", "asked_at", "is_home", "player_id")


@cache
def _so_far() -> list[pl.Expr]:
    return [
        *(pl.col(column).alias(f"{name}_so_far") for name, column in AMOUNTS.items()),
        (pl.col("seconds_played") / 60).alias("minutes_so_far"),
        (pl.col("seconds_since_change") / 60).alias("minutes_since_change"),
        pl.col("pf").alias("fouls_so_far"),
        pl.col("fga").alias("fga_so_far"),
        pl.col("fta").alias("fta_so_far"),
        (pl.col("elapsed_s") / 60).alias("elapsed_min"),
        (pl.col("seconds_left") / 60).alias("left_min"),
    ]


@cache
def _clocks() -> list[pl.Expr]:
    played_share = (pl.col("elapsed_s") / REGULATION_S).clip(0, 1)
    return [
        (pl.col("seconds_left") / REGULATION_S).alias("share_left"),
        played_share.alias("share_played"),
        pl.when(pl.col("clock_s") > 0)
        .then(pl.col("clock_s"))
        .otherwise(0)
        .clip(0, QUARTER_S)
        .alias("period_left_s"),
    ]


@cache
def _against_usual() -> list[pl.Expr]:
    usual, minutes = pl.col("min_ewm5"), pl.col("minutes_so_far")
    tonight = (USUAL_MIN * usual + 48 * minutes) / (USUAL_MIN + pl.col("elapsed_min"))
    production = pl.col("fantasy_points_draftkings_so_far") + USUAL_RATE_MIN * pl.col("dk_per_min40")
    pace = pl.col("possessions") + USUAL_PACE_SHARE * pl.col("expected_pace")
    share = pl.col("elapsed_s") / REGULATION_S + USUAL_PACE_SHARE
    use = pl.col("fga") + 0.44 * pl.col("fta") + pl.col("tov")
    return [
        (minutes - usual * pl.col("share_played")).alias("minutes_ahead"),
        (usual - minutes).clip(lower_bound=0).alias("minutes_to_come"),
        (usual * pl.col("share_left")).alias("usual_minutes_left"),
        tonight.clip(0, 48).alias("tonight_minutes"),
        (production / (minutes + USUAL_RATE_MIN)).alias("rate_tonight"),
        (use / (minutes + USUAL_RATE_MIN)).alias("use_tonight"),
        (pace / share / pl.col("expected_pace")).alias("pace_tonight"),
        (pl.col("fouls_so_far") - FOUL_LIMIT * pl.col("share_played")).alias("fouls_ahead"),
    ]


@cache
def _shares_of_court() -> list[pl.Expr]:
    """Minutes left for him if the time left is shared out as tonight's minutes suggest, among who can still play.

    Only regulars share: in backtests, who of the deep reserves appears tells how the game goes on.
    """
    weight = pl.col("tonight_minutes")
    regular = (pl.col("min_ewm5") >= LEAST_REGULAR_MIN).fill_null(False) & ~pl.col("finished")
    total = pl.when(regular).then(weight).sum().over(*_MOMENT, "is_home")
    share = COURT_PLACES * pl.col("left_min") * weight / total
    return [
        pl.when(pl.col("finished")).then(0.0).otherwise(pl.min_horizontal(share, "left_min"))
        .alias("court_minutes_left")
    ]  # fmt: skip


@cache
def _context() -> list[pl.Expr]:
    spread = (pl.col("left_min") + 1).sqrt()
    return [
        (pl.col("margin") / spread).alias("lead"),
        (pl.col("margin").abs() / spread).alias("blowout"),
        (pl.col("margin") + pl.col("expected_margin") * pl.col("share_left")).alias("margin_to_come"),
    ]


@cache
def _projected() -> list[pl.Expr]:
    so_far = pl.col("fantasy_points_draftkings_so_far")
    expected = pl.col("dk_expected") * pl.col("share_left")
    line = pl.col("court_minutes_left") * pl.col("rate_tonight")
    return [
        expected.alias("expected_left"),
        line.alias("line_left"),
        (so_far + line).alias("projected"),
        (so_far + line - pl.col("dk_season")).alias("projected_over_season"),
        (so_far + line - pl.col("dk_expected")).alias("projected_over_expected"),
    ]
