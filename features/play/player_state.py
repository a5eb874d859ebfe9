"""A player's line so far at a moment of a game, and how the game stands for his team.

Invariant: a state is computed from the plays up to its moment's `seq` alone; later plays never move it.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.play.court_shifts import FIVES, minutes_between, on_court, shifts, timed, unknown_seconds
from features.play.moments import QUARTER_S, period_left
from features.play.player_actions import COUNTS, TEAM_COUNTS, lines_so_far, team_totals
from features.scoring import SITES, fantasy_points
from features.views.lines import FREE_THROW_POSSESSION

#: Personal fouls after which a player has to leave (NBA Rulebook, rule 12 B section I).
FOUL_LIMIT: Final = 6
REGULATION_PERIODS: Final = 4
#: Minutes on court in the quarters that can be over while a game is open.
QUARTER_MINUTES: Final = ("minutes_q1", "minutes_q2", "minutes_q3")
_MOMENT: Final = ["game_id", "seq"]
_WHO: Final = ["game_id", "player_id"]


def player_states(plays: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """One row per moment and player who has appeared by then; moments without plays have none.

    `plays` has the columns of `features.play.plays`, `moments` those of `features.play.moments`. Columns: those of
    the moment; player_id, team, is_home; COUNTS (Int16); `fantasy_points_{site}`, with the double-double bonus so
    far; seconds_played, on_court, seconds_since_change (since he came on or went off, since tip-off before his
    first shift); QUARTER_MINUTES (null until the quarter is over); finished (Boolean: fouled out, ejected, or the
    game is over); team_points, opp_points, margin (his team's), possessions (per team so far), seconds_left
    (certain to be played). Where the five on court is not recorded, seconds, minutes and on_court are null for that
    side from there on.
    """
    rows = timed(plays.join(moments.select("game_id").unique(), on="game_id", how="semi"))
    games = _games(rows, moments)
    spells = shifts(rows)
    lines = lines_so_far(rows)
    present = on_court(rows.join(games.select(_MOMENT), on=_MOMENT, how="semi"))
    states = _appeared(games, spells, lines, present)
    states = _with_lines(states, lines)
    states = _with_time(states, spells, present)
    return states.select(
        *moments.columns, "player_id",
        pl.when(pl.col("is_home")).then(pl.col("home_team")).otherwise(pl.col("away_team")).alias("team"),
        "is_home", *COUNTS, *(f"fantasy_points_{site}" for site in SITES),
        "seconds_played", "on_court", "seconds_since_change", *QUARTER_MINUTES,
        (pl.col("over") | (pl.col("pf") >= FOUL_LIMIT) | (pl.col("ejected") > 0)).alias("finished"),
        "team_points", "opp_points", (pl.col("team_points") - pl.col("opp_points")).alias("margin"),
        "possessions", "seconds_left",
    ).sort("game_id", "seq", "asked_at", "player_id")  # fmt: skip


def _games(rows: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """The moments with what their last play says of the game: score, totals, clock, which fives are unknown."""
    after = rows.join(team_totals(rows), on=_MOMENT, how="left", maintain_order="left").select(
        "game_id", "seq", "now_s", "home_team", "away_team",
        *(pl.col(f"{side}_score").forward_fill().over("game_id").fill_null(0) for side in ("home", "away")),
        *(f"{side}_{name}" for side in ("home", "away") for name in TEAM_COUNTS),
        *(unknown_seconds(is_home).alias(f"unknown_{is_home}") for is_home in FIVES),
        *(pl.col(column).is_null().alias(f"no_five_{is_home}") for is_home, column in FIVES.items()),
    )  # fmt: skip
    known = moments.join(after, on=_MOMENT, how="inner", maintain_order="left")
    chances = [
        pl.col(f"{side}_fga") + FREE_THROW_POSSESSION * pl.col(f"{side}_fta") + pl.col(f"{side}_tov")
        - pl.col(f"{side}_oreb")
        for side in ("home", "away")
    ]  # fmt: skip
    decided = pl.col("home_score") != pl.col("away_score")
    return known.with_columns(
        (sum(chances, pl.lit(0.0)) / 2).alias("possessions"),
        period_left().alias("seconds_left"),
        ((pl.col("period") >= REGULATION_PERIODS) & (pl.col("clock_s") <= 0) & decided).alias("over"),
        pl.max_horizontal(pl.col("elapsed_s") - pl.col("now_s"), pl.lit(0.0)).alias("since_play"),
    )


def _appeared(
    games: pl.DataFrame, spells: pl.DataFrame, lines: pl.DataFrame, present: pl.DataFrame
) -> pl.DataFrame:
    """Moments times the players who had been on court, or in a play, by then."""
    firsts = [
        spells.select(*_WHO, "is_home", pl.col("first_seq").alias("since")),
        # A technical from the bench is no appearance.
        lines.filter(pl.sum_horizontal(COUNTS) > 0).select(*_WHO, "is_home", pl.col("seq").alias("since")),
        present.select(*_WHO, "is_home", pl.col("seq").alias("since")),
    ]
    since = (
        pl.concat([part.with_columns(pl.col("since").cast(pl.Int32)) for part in firsts])
        .sort(*_WHO, "since", "is_home")
        .unique(_WHO, keep="first", maintain_order=True)
    )
    both = games.join(since, on="game_id", how="inner").filter(pl.col("since") <= pl.col("seq"))
    own, other = pl.col("home_score"), pl.col("away_score")
    return both.with_columns(
        pl.when(pl.col("is_home")).then(own).otherwise(other).alias("team_points"),
        pl.when(pl.col("is_home")).then(other).otherwise(own).alias("opp_points"),
        *(
            pl.when(pl.col("is_home")).then(pl.col(f"{name}_True")).otherwise(pl.col(f"{name}_False")).alias(name)
            for name in ("unknown", "no_five")
        ),
    )


def _with_lines(states: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    counted = states.sort("seq").join_asof(
        lines.drop("is_home").sort("seq"), on="seq", by=_WHO, strategy="backward", check_sortedness=False
    )
    filled = counted.with_columns(pl.col(name).fill_null(0) for name in (*COUNTS, "ejected"))
    return filled.with_columns(fantasy_points(site) for site in SITES)


def _with_time(states: pl.DataFrame, spells: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """`seconds_played`, `on_court`, `seconds_since_change` and QUARTER_MINUTES."""
    here = present.select("game_id", "seq", "player_id", pl.lit(True).alias("here"))
    newest = spells.drop("is_home").rename({"first_seq": "seq"}).sort("seq")
    joined = states.join(here, on=[*_MOMENT, "player_id"], how="left", maintain_order="left").join_asof(
        newest, on="seq", by=_WHO, strategy="backward", check_sortedness=False
    )
    here_now = pl.col("here").fill_null(False)
    inside = pl.col("seq") <= pl.col("last_seq")
    # The end of a shift that goes on lies in the future: only the clock of this play may be used.
    until = pl.when(inside).then(pl.col("now_s")).otherwise(pl.col("end_s"))
    ticking = pl.when(here_now).then(pl.col("since_play")).otherwise(0.0)
    joined = joined.join(_quarters(joined, spells), on=[*_MOMENT, "player_id"], how="left", maintain_order="left")
    shift_s = (until - pl.col("start_s")).fill_null(0.0)
    played = pl.col("seconds_before").fill_null(0.0) + shift_s + ticking
    came = pl.when(inside).then(pl.col("start_s")).otherwise(pl.col("now_s"))
    changed = (
        pl.when(here_now).then(came).otherwise(until).fill_null(pl.when(here_now).then("now_s").otherwise(0.0))
    )
    unknown = (pl.col("unknown") > 0) | pl.col("no_five")
    return joined.with_columns(
        pl.when(~unknown).then(played).alias("seconds_played"),
        pl.when(~unknown).then(here_now).alias("on_court"),
        pl.when(~unknown).then(pl.col("now_s") + pl.col("since_play") - changed).alias("seconds_since_change"),
        *(
            pl.when(~unknown & (pl.col("elapsed_s") >= QUARTER_S * number))
            .then(pl.col(name).fill_null(0.0))
            .alias(name)
            for number, name in enumerate(QUARTER_MINUTES, start=1)
        ),
    )


def _quarters(states: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    """Minutes on court in each of the first three quarters, up to the moment: game_id, seq, player_id, minutes."""
    asked = states.select(*_MOMENT, "player_id", "here", "now_s", "since_play").unique(
        [*_MOMENT, "player_id"], keep="first", maintain_order=True
    )
    spent = asked.join(spells.drop("is_home"), on=_WHO, how="inner").filter(pl.col("first_seq") <= pl.col("seq"))
    ticking = (
        pl.when(pl.col("here").fill_null(False)).then(pl.col("now_s") + pl.col("since_play")).otherwise("now_s")
    )
    until = pl.when(pl.col("seq") <= pl.col("last_seq")).then(ticking).otherwise(pl.col("end_s"))
    return (
        spent.with_columns(until.alias("end_s"))
        .group_by(*_MOMENT, "player_id", maintain_order=True)
        .agg(
            minutes_between(QUARTER_S * n, QUARTER_S * (n + 1)).alias(name)
            for n, name in enumerate(QUARTER_MINUTES)
        )
    )
