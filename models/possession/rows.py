"""Rows for the possession model: the game as it stood, told from one side, and what that side then scored.

Two kinds of question share the columns: at the start of a possession (asked_at `possession`, the side that has the
ball) and at a moment (`q1`, `half`, `q3`, `event`; both sides). Strengths are as of tip-off.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.as_of import as_of_join
from features.play.moments import REGULATION_S, named_moments, random_moments
from features.play.possessions import BEGAN, BONUS_OVERTIME, BONUS_QUARTER, period_end, possessions
from features.views import Views
from models.possession.config import FIVE, SECONDS, WITHIN

ASKED_AT: Final = "possession"
#: One possession in SHARE is asked about, and EVENTS random moments a game.
SHARE, EVENTS, SEED = 4, 4, 20261123
#: What is asked at a moment: points in this many seconds of play.
NEXT_S: Final = 120.0
#: Points and seconds per possession, 2015-20, and the possessions of a game that its own must outweigh.
LEAGUE_POINTS, LEAGUE_SECONDS, LEANING = 1.1, 14.5, 40.0
_RATINGS: Final = (
    "off_rating15", "off_rating40", "def_rating15", "def_rating40", "pace8", "pace25", "elo", "power",
)  # fmt: skip
_STATE: Final = (
    "game_id", "asked_at", "seq", "team", "opp", "at_home", "has_ball", "began", "period", "elapsed_s", "number",
    "age_s", "margin", "team_points", "opp_points", "team_fouls", "opp_fouls", "bonus", "opp_bonus", "lineup",
    "opp_lineup", "points", "duration_s", "following",
)  # fmt: skip


def season_states(plays: pl.DataFrame, *, share: int = SHARE, events: int = EVENTS) -> pl.DataFrame:
    """Every question asked of one season's `plays`, with its labels: `_STATE` and `points_next_2min`."""
    found = possessions(plays)
    asked = found.with_columns(following=pl.col("began").shift(-1).over("game_id", "period")).filter(
        pl.struct("game_id", "number").hash(SEED) % share == 0
    )
    moments = pl.concat([named_moments(plays), random_moments(plays, per_game=events, seed=SEED)])
    states = pl.concat([_at_starts(asked, plays), at_moments(moments, found, plays)])
    return _with_next(states, plays)


def state_features() -> list[list[pl.Expr]]:
    """`models.possession.config.STATE` from the columns of a state, in two steps."""
    left = (REGULATION_S - pl.col("elapsed_s")).clip(lower_bound=0.0)
    late = pl.when(pl.col("period") > 4).then(1.0).otherwise((1 - left / 300).clip(0, 1))
    played = pl.col("number") / 2 + LEANING
    ending = pl.when(pl.col("period") >= 4).then(pl.col("clock_s")).otherwise(NEXT_S)
    first = [
        *((pl.col("began") == name).alias(f"began_{name}") for name in BEGAN),
        *((1 - pl.col("clock_s") / s).clip(0, 1).alias(f"within_{s}") for s in WITHIN),
        ending.clip(0, NEXT_S).alias("window_s"),
        (pl.col("period") >= 4).alias("fourth"), (pl.col("period") > 4).alias("overtime"), late.alias("late"),
        ((pl.col("team_points") + LEAGUE_POINTS * LEANING) / played).alias("efficiency_so_far"),
        ((pl.col("opp_points") + LEAGUE_POINTS * LEANING) / played).alias("opp_efficiency_so_far"),
        ((pl.col("elapsed_s") + LEAGUE_SECONDS * LEANING) / (pl.col("number") + LEANING)).alias("pace_so_far"),
    ]  # fmt: skip
    close = pl.col("margin").clip(-12, 12)
    last = (1 - pl.col("clock_s") / 60).clip(0, 1) * pl.col("fourth")
    return [
        [(period_end() - pl.col("elapsed_s")).alias("clock_s")],
        first,
        [
            (close * pl.col("late")).alias("margin_late"),
            (pl.col("margin").is_between(1, 9) * last).alias("ahead_late"),
            (pl.col("margin").is_between(-9, -1) * last).alias("behind_late"),
            (pl.col("margin").abs() / 6 * pl.col("late")).clip(0, 3).alias("fouling_late"),
        ],
    ]


def with_state(states: pl.DataFrame) -> pl.DataFrame:
    """`states` with the columns of STATE that are computed."""
    for step in state_features():
        states = states.with_columns(step)
    return states


def with_strength(states: pl.DataFrame, games: pl.DataFrame, players: pl.DataFrame, views: Views) -> pl.DataFrame:
    """`states` with entity columns and `models.possession.config.STRENGTH`, by tip-off, game and play.

    `players` are `player_rows` of everybody who appeared; a line-up that is null gives null.
    """
    told = games.select("game_id", "game_date", "season", "season_type", pl.col("event_time").alias("as_of"))
    rows = states.join(told, on="game_id")
    view = views["team_strength"].select("team", "event_time", "known_time", *_RATINGS)
    for key in ("team", "opp"):
        teams = rows.select("game_id", key, "as_of").unique()
        rated = as_of_join(teams, view.rename({"team": key}), by=[key], prefix=f"{key}_").drop("as_of")
        rows = rows.join(rated, on=["game_id", key], how="left")
    fives = _fives(states, players)
    for key, prefix in (("lineup", "five_"), ("opp_lineup", "opp_five_")):
        named = fives.rename({name: f"{prefix}{name}" for name in FIVE} | {"lineup": key})
        rows = rows.join(named, on=["game_id", key], how="left")
    return rows.with_columns(
        (pl.col("season_type") == "playoffs").alias("playoffs"),
        *(((pl.col(f"team_{name}") + pl.col(f"opp_{name}")) / 2).alias(name) for name in ("pace8", "pace25")),
        *(
            (pl.col(f"team_{name}") - pl.col(f"opp_{name}")).alias(f"{name}_difference")
            for name in ("elo", "power")
        ),
    ).sort("as_of", "game_id", "asked_at", "seq", "team")


def _at_starts(asked: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Possessions as states told by the side with the ball."""
    at_home = pl.col("offence_home")
    score = _scores(plays).rename({"seq": "start_seq"})
    rows = asked.join(score, on=["game_id", "start_seq"], how="left").with_columns(
        pl.col("home_score", "away_score").fill_null(0)
    )
    return rows.with_columns(
        asked_at=pl.lit(ASKED_AT), seq=pl.col("start_seq"), team="offence", opp="defence", at_home=at_home,
        has_ball=pl.lit(1.0), elapsed_s=pl.col("start_elapsed_s"), age_s=pl.lit(0.0),
        team_points=pl.when(at_home).then("home_score").otherwise("away_score"),
        opp_points=pl.when(at_home).then("away_score").otherwise("home_score"),
        team_fouls="offence_fouls", opp_fouls="defence_fouls", opp_bonus=_bonus("offence_fouls"),
        lineup=pl.when(at_home).then("home_lineup").otherwise("away_lineup"),
        opp_lineup=pl.when(at_home).then("away_lineup").otherwise("home_lineup"),
        points=pl.col("points").clip(0, 3).cast(pl.Float32), duration_s=pl.col("duration_s").cast(pl.Float32),
    ).select(_STATE)  # fmt: skip


def at_moments(moments: pl.DataFrame, found: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Moments as states told by both sides; who has the ball is what the plays until then say.

    A made shot gives the ball to the other side here even where an and-one followed: that was not known yet.
    """
    seen = plays.select(
        "game_id", pl.col("seq").cast(pl.Int64), "event_type", "home_score", "away_score", "home_lineup",
        "away_lineup", "home_team", "away_team", scorer="team",
    )  # fmt: skip
    current = found.select(
        "game_id", "number", "period", "start_seq", "start_elapsed_s", "began", "offence_home", "offence_fouls",
        "defence_fouls",
    ).sort("game_id", "start_seq", "number")  # fmt: skip
    rows = (
        moments.sort("game_id", "seq").drop("period").with_columns(pl.col("seq").cast(pl.Int64))
        .join_asof(current, left_on="seq", right_on="start_seq", by="game_id", strategy="backward",
                   check_sortedness=False)
        .join(seen, on=["game_id", "seq"], how="left").filter(pl.col("number").is_not_null())
    )  # fmt: skip
    made = pl.col("event_type") == "made_shot"
    holder = pl.when(made).then(pl.col("scorer") != pl.col("home_team")).otherwise("offence_home")
    home_fouls = pl.when("offence_home").then("offence_fouls").otherwise("defence_fouls")
    away_fouls = pl.when("offence_home").then("defence_fouls").otherwise("offence_fouls")
    age = (pl.col("elapsed_s") - pl.col("start_elapsed_s")).clip(lower_bound=0.0)
    rows = rows.with_columns(
        ball_home=holder, home_fouls=home_fouls, away_fouls=away_fouls,
        began=pl.when(made).then(pl.lit("made_shot")).otherwise("began"),
        age_s=pl.when(made).then(0.0).otherwise(age),
    )  # fmt: skip
    return pl.concat([_told_by(rows, "home", "away"), _told_by(rows, "away", "home")])


def _told_by(rows: pl.DataFrame, side: str, other: str) -> pl.DataFrame:
    has_ball = pl.col("ball_home") if side == "home" else ~pl.col("ball_home")
    unknown = pl.lit(None, pl.Float32)
    return rows.with_columns(
        team=f"{side}_team", opp=f"{other}_team", at_home=pl.lit(side == "home"), has_ball=has_ball.cast(pl.Float64),
        margin=(pl.col(f"{side}_score") - pl.col(f"{other}_score")).cast(pl.Int16),
        team_points=f"{side}_score", opp_points=f"{other}_score", team_fouls=f"{side}_fouls",
        opp_fouls=f"{other}_fouls", bonus=_bonus(f"{other}_fouls"), opp_bonus=_bonus(f"{side}_fouls"),
        lineup=f"{side}_lineup", opp_lineup=f"{other}_lineup", points=unknown, duration_s=unknown,
        following=pl.lit(None, pl.String),
    ).select(_STATE)  # fmt: skip


def _bonus(fouls: str) -> pl.Expr:
    limit = pl.when(pl.col("period") <= 4).then(BONUS_QUARTER).otherwise(BONUS_OVERTIME)
    return pl.col(fouls) >= limit - 1


def _scores(plays: pl.DataFrame) -> pl.DataFrame:
    return plays.select("game_id", pl.col("seq").cast(pl.Int64), "home_score", "away_score")


def _with_next(states: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Add `points_next_2min`: what the side scored after the state, up to NEXT_S seconds of play later."""
    at_home = pl.col("team") == pl.col("home_team")
    scored = plays.sort("game_id", "seq").select(
        "game_id", seq=pl.col("seq").cast(pl.Int64),
        until=pl.col("elapsed_s").cast(pl.Float64).cum_max().over("game_id"),
        **{
            f"{side}_sum": pl.when(mine).then(pl.col("points")).otherwise(0).cast(pl.Int32).cum_sum().over("game_id")
            for side, mine in (("home", at_home), ("away", ~at_home & pl.col("team").is_not_null()))
        },
    )  # fmt: skip
    then = scored.drop("seq").rename({"home_sum": "home_then", "away_sum": "away_then"})
    rows = states.with_columns(until=pl.col("elapsed_s").cast(pl.Float64) + NEXT_S).join(
        scored.drop("until"), on=["game_id", "seq"], how="left"
    ).sort("game_id", "until").join_asof(
        then, on="until", by="game_id", strategy="backward", check_sortedness=False
    )  # fmt: skip
    home = pl.col("home_then").fill_null(0) - pl.col("home_sum").fill_null(0)
    away = pl.col("away_then").fill_null(0) - pl.col("away_sum").fill_null(0)
    total = pl.when("at_home").then(home).otherwise(away).clip(lower_bound=0)
    return rows.with_columns(total.cast(pl.Float32).alias("points_next_2min")).drop(
        "until", "home_sum", "away_sum", "home_then", "away_then"
    )


def _fives(states: pl.DataFrame, players: pl.DataFrame) -> pl.DataFrame:
    """Per game and line-up: FIVE, the means of its players as they were known before the game."""
    both = [states.select("game_id", lineup=name).drop_nulls() for name in ("lineup", "opp_lineup")]
    each = pl.concat(both).unique().with_columns(player_id=pl.col("lineup").str.split("|")).explode("player_id")
    each = each.with_columns(pl.col("player_id").cast(pl.Int32, strict=False))
    minutes = pl.col("min_ewm30").clip(lower_bound=4.0)
    known = players.select(
        "game_id", "player_id", pl.col("pts_ewm25").alias("pts"),
        (pl.col("fga_ewm25") + 0.44 * pl.col("fta_ewm25")).alias("tries"),
        (pl.col("pts_ewm25") / minutes).alias("scoring"), pl.col("usage_ewm40").alias("usage"),
        (pl.col("fg3m_ewm25") / minutes).alias("threes"), (pl.col("fta_ewm25") / minutes).alias("free_throws"),
        (pl.col("reb_ewm25") / minutes).alias("rebounds"),
        ((pl.col("stl_ewm25") + pl.col("blk_ewm25")) / minutes).alias("steals_blocks"),
        pl.col("dk_per_min40").alias("dk_per_min"), pl.col("plus_minus_ewm20").alias("plus_minus"),
    )  # fmt: skip
    tried = pl.col("tries").sum()
    return (
        each.join(known, on=["game_id", "player_id"], how="left")
        .group_by("game_id", "lineup")
        .agg(
            pl.when(tried > 0).then(pl.col("pts").sum() / (2 * tried)).alias("shooting"),
            *(pl.col(name).mean() for name in FIVE if name != "shooting"),
        )
    )


def seconds_band() -> pl.Expr:
    """The band of `models.possession.config.SECONDS` that `duration_s` falls in."""
    return pl.sum_horizontal((pl.col("duration_s") > end).cast(pl.Float32) for end in SECONDS)
