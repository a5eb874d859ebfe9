"""What each play adds to a game: the side that acted, the counts of a box score, and who has the ball after it.

Rows with a kind that some seasons lack (period_start, period_end, jump_ball, violation) add nothing here.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.errors import SchemaError

#: Columns of play-by-play that the state of a game is computed from.
NEEDED: Final = (
    "game_id", "seq", "period", "clock_s", "elapsed_s", "event_type", "subtype", "team", "points", "shot_value",
    "shot_dist", "home_team", "away_team", "home_score", "away_score", "home_lineup", "away_lineup",
)  # fmt: skip
#: Counts kept per side, each the running sum of one column of `counted`.
COUNTS: Final = ("fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "tov", "oreb", "dreb", "luck", "luck3")
#: League shares of shots made: threes, twos at the rim (3 feet or nearer, or no distance printed, which is how the
#: league prints most layups and dunks), other twos, free throws. Measured on 2015-16 and 2016-17 (shared/data).
THREE_MADE: Final = 0.356
RIM_MADE: Final = 0.615
OTHER_TWO_MADE: Final = 0.404
FREE_MADE: Final = 0.764
RIM_FT: Final = 3
#: Fouls that do not count towards the limit of a team, by how their printed kind begins or contains.
OFFENSIVE: Final = r"(?i)^off"
TECHNICAL: Final = r"(?i)T\.FOUL|TECH|TAUNT|UNSPORTSMAN|DELAY|COACH"


def check_plays(plays: pl.DataFrame) -> None:
    """Raise `SchemaError` naming absent columns, or a row whose side cannot be told."""
    missing = [name for name in NEEDED if name not in plays.columns]
    if missing:
        raise SchemaError(f"plays lack columns {missing}; read them with features.play.plays")
    home, away, team = pl.col("home_team"), pl.col("away_team"), pl.col("team")
    unnamed = home.is_null() | away.is_null() | (home == away)
    stranger = team.is_not_null() & (team != home) & (team != away)
    wrong = plays.filter(unnamed | stranger).head(1)
    if wrong.height:
        row = wrong.row(0, named=True)
        raise SchemaError(
            f"play {row['seq']} of game {row['game_id']}: team {row['team']!r} is neither home_team "
            f"{row['home_team']!r} nor away_team {row['away_team']!r}; correct or leave out the row"
        )


def side() -> pl.Expr:
    """1 for the home side, -1 for the away side, 0 where nobody acted (Int8)."""
    team = pl.col("team")
    return (
        pl.when(team == pl.col("home_team"))
        .then(1)
        .when(team == pl.col("away_team"))
        .then(-1)
        .otherwise(0)
        .cast(pl.Int8)
    )


def counted() -> dict[str, pl.Expr]:
    """Per name of COUNTS what a row adds for the side that acted (luck in points, all Float32)."""
    kind, made = pl.col("event_type"), pl.col("event_type") == "made_shot"
    shot = made | (kind == "missed_shot")
    three = pl.col("shot_value") == 3
    free, scored = kind == "free_throw", pl.col("points") > 0
    rebound = kind == "rebound"
    rim = pl.col("shot_dist").is_null() | (pl.col("shot_dist") <= RIM_FT)
    expected = pl.when(three).then(3 * THREE_MADE).when(rim).then(2 * RIM_MADE).otherwise(2 * OTHER_TWO_MADE)
    value = pl.when(made).then(pl.col("shot_value")).otherwise(0)
    luck = pl.when(shot).then(value - expected).when(free).then(scored.cast(pl.Int8) - FREE_MADE)
    adds = {
        "fgm": made, "fga": shot, "fg3m": made & three, "fg3a": shot & three, "ftm": free & scored, "fta": free,
        "tov": kind == "turnover", "oreb": rebound & (pl.col("subtype") == "offensive"),
        "dreb": rebound & (pl.col("subtype") == "defensive"), "luck": luck,
        "luck3": pl.when(shot & three).then(value - 3 * THREE_MADE),
    }  # fmt: skip
    return {name: expr.fill_null(0).cast(pl.Float32) for name, expr in adds.items()}


def team_foul() -> pl.Expr:
    """Whether a row is a foul that counts towards the limit of the team that made it."""
    subtype = pl.col("subtype").fill_null("")
    spared = subtype.str.contains(OFFENSIVE) | subtype.str.contains(TECHNICAL)
    return (pl.col("event_type") == "foul") & ~spared


def attacker() -> pl.Expr:
    """The side (1, -1) that had the ball in a row that shows it, else null."""
    shown = pl.col("event_type").is_in(["made_shot", "missed_shot", "turnover"])
    return pl.when(shown & (pl.col("side") != 0)).then(pl.col("side"))


def ball_after() -> pl.Expr:
    """Who has the ball after a row: 1 home, -1 away, 0 nobody (a miss that is still loose), null: as before."""
    side, kind, subtype = pl.col("side"), pl.col("event_type"), pl.col("subtype").fill_null("")
    last = subtype.is_in(["1 of 1", "2 of 2", "3 of 3"])
    more = subtype.is_in(["1 of 2", "1 of 3", "2 of 3"])
    loose = (kind == "missed_shot") | ((kind == "free_throw") & last & (pl.col("points") == 0))
    kept = (kind == "rebound") | ((kind == "free_throw") & more)
    kept = kept | ((kind == "foul") & subtype.str.contains(OFFENSIVE))
    lost = kind.is_in(["made_shot", "turnover"]) | ((kind == "free_throw") & last & (pl.col("points") > 0))
    lost = lost | ((kind == "foul") & ~subtype.str.contains(TECHNICAL))
    known = pl.when(loose).then(0).when(kept).then(side).when(lost).then(-side)
    return pl.when(side != 0).then(known).cast(pl.Int8)
