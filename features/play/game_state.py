"""The state of a game after a play: score, time, ball, and how both sides have played so far.

A state is made of the rows up to its play and of nothing after it: running sums over the rows of a game in the
order of `seq`, read off at the moment's play. Clocks that run backwards (rows out of order) are held at the latest
time reached.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.errors import InvalidInput, SchemaError
from features.play.game_events import COUNTS, attacker, ball_after, check_plays, counted, side, team_foul
from features.play.moments import OVERTIME_S, QUARTER_S, REGULATION_S

SIDES: Final = ("home", "away")
MOMENT: Final = ("game_id", "asked_at", "seq", "period", "elapsed_s", "clock_s")
#: Runs are the change of the margin over so many seconds of play.
RUNS_S: Final[dict[str, int]] = {"run_2min": 120, "run_4min": 240}
FREE_THROWS_ENDING: Final = 0.44  # share of free throws that end a possession (Kubatko et al. 2007)
_PERIODS: Final = (1, 2, 3)
#: A lead that no single play, a foul on a three included, can take away.
SAFE_LEAD: Final = 5
DECIDING: Final = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover", "period_end")
PENDING: Final = "pending"


def game_states(plays: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """One row per row of `moments` (game_id, asked_at, seq, period, elapsed_s, clock_s), in their order.

    Columns: those six, home_team, away_team, home_score, away_score (points), margin (home minus away), total,
    left_s (seconds certain to be played still; a tie at the end counts an overtime), regulation_left_s,
    period_left_s, ball (1 home, -1 away, 0 nobody or unknown; at a break whose ball it is next), run_2min and
    run_4min (change of the margin), margin_q1..margin_q3 (at the ends of quarters reached, else null), per side
    `fouls_period`, the COUNTS so far (`luck`: points from shots and free throws over what the league makes of such
    shots; `luck3`: of threes only), `efg` (null before a shot), `possessions` (mean of both sides), `pace` (per 48
    minutes, null before a minute is played), `final` (Boolean: nothing is open any more, see `is_over`),
    home_lineup, away_lineup ('id|id|id|id|id', null where unknown).
    `elapsed_s` never runs backwards within a game. Before the first play all counts are 0.

    Raises `SchemaError` for absent columns or a team that plays on neither side, `InvalidInput` for a moment of a
    game that `plays` does not have.
    """
    check_plays(plays)
    lacking = [name for name in MOMENT if name not in moments.columns]
    if lacking:
        raise SchemaError(f"moments lack columns {lacking}; make them with features.play.moments")
    strange = moments.join(plays.select("game_id").unique(), on="game_id", how="anti")
    if strange.height:
        raise InvalidInput(f"moment of game {strange['game_id'][0]!r}: plays have no such game; check its id")
    asked = moments.select(MOMENT).with_row_index("order").sort("game_id", "seq", maintain_order=True)
    if asked.is_empty():
        # An empty as-of join has no types; one row gives them.
        first = plays.head(1).select("game_id", pl.lit("event").alias("asked_at"), *MOMENT[2:])
        return game_states(plays.head(1), first).clear()
    games = plays.join(moments.select("game_id").unique(), on="game_id", how="semi")
    running = _running(games.sort("game_id", "seq", maintain_order=True))
    states = asked.join_asof(
        running.drop("period", "home_team", "away_team"), on="seq", by="game_id", check_sortedness=False
    )
    names = games.group_by("game_id").agg(pl.col("home_team", "away_team").first())
    states = states.join(names, on="game_id", how="left", maintain_order="left")
    states = _timed(states)
    states = _with_runs(states, running)
    states = _with_quarters(states, running)
    return states.sort("order").select(
        *MOMENT, "home_team", "away_team", "home_score", "away_score", "margin", "total", "left_s",
        "regulation_left_s", "period_left_s", _ball().alias("ball"), *RUNS_S,
        *(f"margin_q{period}" for period in _PERIODS), *(f"{of}_fouls_period" for of in SIDES),
        *(f"{of}_{name}" for name in COUNTS for of in SIDES), *_rates(), "final", "home_lineup", "away_lineup",
    )  # fmt: skip


def is_over(plays: pl.DataFrame) -> pl.DataFrame:
    """Per game of `plays`: game_id, `final` (Boolean), home_score, away_score and period of the last row.

    Final: the scores differ at clock 0 of the fourth or a later period, and either the row that ends the period is
    there or no single play can turn the game any more (`SAFE_LEAD`, and no free throws pending). Clocks of whole
    seconds stand at 0 for up to a second of play (five games of 2016-17 turned in it), so a closer game of a season
    without such rows is not called final from its plays; its row in the games table says so.
    """
    newest = plays.group_by("game_id", maintain_order=True).agg(
        pl.lit("event").alias("asked_at"), pl.col("seq", "period", "elapsed_s", "clock_s").sort_by("seq").last()
    )
    return game_states(plays, newest).select("game_id", "final", "home_score", "away_score", "period")


def _final() -> pl.Expr:
    """The rule of `is_over` on running rows, where `deciding` names the newest row that can move a score."""
    at_end = (pl.col("period") >= 4) & (pl.col("reached_s") >= _end_s(pl.col("period"))) & (pl.col("margin") != 0)
    settled = (pl.col("deciding") == "period_end") | (
        (pl.col("margin").abs() >= SAFE_LEAD) & (pl.col("deciding") != PENDING)
    )
    return (at_end & settled).fill_null(False)


def _deciding() -> pl.Expr:
    """The newest kind of row that can move a score; `PENDING` when it leaves free throws open."""
    kind, more = pl.col("event_type"), pl.col("subtype").fill_null("").is_in(["1 of 2", "1 of 3", "2 of 3"])
    opened = (kind == "foul") | ((kind == "free_throw") & more)
    named = pl.when(opened).then(pl.lit(PENDING)).when(kind.is_in(DECIDING)).then(kind)
    return named.forward_fill().over("game_id")


def _scored(ordered: pl.DataFrame) -> pl.DataFrame:
    """`ordered` with scores filled where they are null: the last known score and the points made since."""
    by = pl.col("points").fill_null(0).cast(pl.Int32)
    filled = []
    for of, team in (("home", "home_team"), ("away", "away_team")):
        made = pl.when(pl.col("team") == pl.col(team)).then(by).otherwise(0).cum_sum().over("game_id")
        gap = (pl.col(f"{of}_score").cast(pl.Int32) - made).forward_fill().over("game_id").fill_null(0)
        filled.append((made + gap).alias(f"{of}_score"))
    return ordered.with_columns(filled)


def _end_s(period: pl.Expr) -> pl.Expr:
    """Seconds since tip-off at which a period ends."""
    of_overtime = REGULATION_S + (period.cast(pl.Int32) - 4) * OVERTIME_S
    return pl.when(period <= 4).then(period.cast(pl.Int32) * QUARTER_S).otherwise(of_overtime).cast(pl.Float64)


def _length_s(period: pl.Expr) -> pl.Expr:
    return pl.when(period <= 4).then(QUARTER_S).otherwise(OVERTIME_S)


def _clocked(ordered: pl.DataFrame) -> pl.DataFrame:
    """`period` and `elapsed_s` that never fall; a time outside its period is held at the period's edge."""
    rows = ordered.with_columns(pl.col("period").fill_null(1).cum_max().over("game_id"))
    period = pl.col("period")
    told = pl.coalesce(pl.col("elapsed_s").cast(pl.Float64), _end_s(period) - pl.col("clock_s").cast(pl.Float64))
    end = _end_s(period)
    held = told.clip(end - _length_s(period), end).forward_fill().cum_max().over("game_id").fill_null(0.0)
    return rows.with_columns(held.alias("reached_s"))


def _running(ordered: pl.DataFrame) -> pl.DataFrame:
    """Running state per play: game_id, seq, period, reached_s, scores, margin, counts, fouls, ball, opener."""
    rows = _clocked(_scored(ordered)).with_columns(
        side().alias("side"), team_foul().alias("team_foul"),
        (pl.col("home_score") - pl.col("away_score")).alias("margin"), **counted(),
    )  # fmt: skip
    rows = rows.with_columns(
        ball_after().alias("after"), attacker().alias("attacker"), _deciding().alias("deciding")
    )
    signs = {"home": 1, "away": -1}
    sums = [
        pl.when(pl.col("side") == sign).then(pl.col(name)).otherwise(0.0).cum_sum().over("game_id")
        .alias(f"{of}_{name}")
        for name in COUNTS for of, sign in signs.items()
    ]  # fmt: skip
    fouls = [
        (pl.col("team_foul") & (pl.col("side") == sign)).cast(pl.Int16).cum_sum().over("game_id", "period")
        .alias(f"{of}_fouls_period")
        for of, sign in signs.items()
    ]  # fmt: skip
    opener = pl.col("attacker").filter(pl.col("period") == 1).drop_nulls().first().over("game_id")
    return rows.select(
        "game_id", "seq", "period", "reached_s", "home_team", "away_team", "home_score", "away_score", "margin",
        *fouls, *sums, pl.col("after").forward_fill().over("game_id", "period").alias("ball"),
        opener.alias("opener"), pl.col("period").alias("row_period"), _final().alias("final"),
        "home_lineup", "away_lineup",
    )  # fmt: skip


def _timed(states: pl.DataFrame) -> pl.DataFrame:
    """Moments with a clock that does not run backwards, and zeros before the first play."""
    numbers = [name for name in states.columns if name.endswith(tuple(COUNTS)) or name.endswith("fouls_period")]
    states = states.with_columns(
        pl.col(*numbers, "home_score", "away_score", "margin").fill_null(0),
        pl.col("final").fill_null(False),
        pl.max_horizontal(
            pl.col("period").fill_null(1).cast(pl.Int8), pl.col("row_period").fill_null(1).cast(pl.Int8)
        ).alias("period"),
    )
    period = pl.col("period")
    end = _end_s(period)
    asked = pl.coalesce(pl.col("elapsed_s").cast(pl.Float64), 0.0).clip(end - _length_s(period), end)
    states = states.with_columns(pl.max_horizontal(asked, pl.col("reached_s").fill_null(0.0)).alias("elapsed_s"))
    states = states.with_columns((_end_s(period) - pl.col("elapsed_s")).alias("clock_s"))
    regulation = (REGULATION_S - pl.col("elapsed_s")).clip(lower_bound=0.0)
    tied_end = (period >= 4) & (pl.col("clock_s") <= 0) & (pl.col("margin") == 0)
    left = pl.when(period > 4).then(pl.col("clock_s")).otherwise(regulation)
    return states.with_columns(
        (pl.col("home_score") + pl.col("away_score")).alias("total"),
        regulation.alias("regulation_left_s"),
        pl.col("clock_s").alias("period_left_s"),
        pl.when(tied_end).then(float(OVERTIME_S)).otherwise(left).alias("left_s"),
    )


def _with_runs(states: pl.DataFrame, running: pl.DataFrame) -> pl.DataFrame:
    """Change of the margin since so many seconds ago; since tip-off in the first ones."""
    past = running.select("game_id", pl.col("reached_s").alias("since"), pl.col("margin").alias("then"))
    for name, seconds in RUNS_S.items():
        # A moment's own time may lie before the newest row's when the clock ran backwards: rows are in play order.
        since = pl.min_horizontal(pl.col("elapsed_s"), pl.col("reached_s").fill_null(0.0)) - seconds
        asked = states.with_columns(since.alias("since")).sort("game_id", "since")
        joined = asked.join_asof(past, on="since", by="game_id", check_sortedness=False)
        run = (pl.col("margin") - pl.col("then").fill_null(0)).alias(name)
        states = joined.with_columns(run).drop("since", "then")
    return states


def _with_quarters(states: pl.DataFrame, running: pl.DataFrame) -> pl.DataFrame:
    """`margin_qN` where quarter N is over at the moment: its last row is then among those known."""
    ends = running.filter(pl.col("period") <= 3).group_by("game_id", "period").agg(pl.col("margin").last())
    for period in _PERIODS:
        name = f"margin_q{period}"
        end = ends.filter(pl.col("period") == period).select("game_id", pl.col("margin").alias("end"))
        before = pl.col("period") > period
        now = (pl.col("period") == period) & (pl.col("clock_s") <= 0)
        states = states.join(end, on="game_id", how="left", maintain_order="left")
        states = states.with_columns(
            pl.when(before).then(pl.col("end")).when(now).then(pl.col("margin")).alias(name)
        ).drop("end")
    return states


def _ball() -> pl.Expr:
    """Who has the ball; at the start of a quarter the rule: the side that lost the tip opens the next two."""
    period, at_break = pl.col("period"), (pl.col("clock_s") <= 0) & (pl.col("period") < 4)
    opening = period.cast(pl.Int32) + at_break.cast(pl.Int32)
    opener = pl.col("opener").fill_null(0)
    due = pl.when(opening.is_in([2, 3])).then(-opener).when(opening == 4).then(opener).otherwise(0)
    running = pl.when(pl.col("row_period") == period).then(pl.col("ball"))
    return pl.when(at_break).then(due).otherwise(running.fill_null(due)).cast(pl.Int8)


def _rates() -> list[pl.Expr]:
    """`home_efg`, `away_efg`, `possessions`, `pace`."""
    used = [
        pl.col(f"{of}_fga") - pl.col(f"{of}_oreb") + pl.col(f"{of}_tov") + FREE_THROWS_ENDING * pl.col(f"{of}_fta")
        for of in SIDES
    ]
    efg = [
        pl.when(pl.col(f"{of}_fga") > 0)
        .then((pl.col(f"{of}_fgm") + 0.5 * pl.col(f"{of}_fg3m")) / pl.col(f"{of}_fga"))
        .alias(f"{of}_efg")
        for of in SIDES
    ]
    both = (used[0] + used[1]) / 2
    pace = pl.when(pl.col("elapsed_s") >= 60).then(both * REGULATION_S / pl.col("elapsed_s"))
    return [*efg, both.alias("possessions"), pace.alias("pace")]
