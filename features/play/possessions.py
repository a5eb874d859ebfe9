"""Play-by-play cut into possessions: who had the ball, from when to when, how it began and ended, what it brought.

A possession ends with a made shot (its and-one free throws belong to it), a made last free throw, a defensive
rebound, a turnover or the period; an offensive rebound continues it (Oliver, Basketball on Paper, 2004; event rules
as in pbpstats). Technical free throws belong to no trip; flagrant, clear-path, transition-take and other fouls that
leave the ball with the shooters do not end it. Read from shots, free throws, rebounds, turnovers, fouls and the clock
alone: rows of period starts and ends, jump balls and violations are not needed.

Invariant: the windows (`start_seq`, next `start_seq`] hold every play of a game once, so `points` and
`points_against` add up to the final score.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from features.play.moments import OVERTIME_S, QUARTER_S

#: How a possession began: what `start_seq` was.
BEGAN: Final = (
    "period_start", "made_shot", "free_throw", "defensive_rebound", "team_rebound", "steal", "turnover", "other",
)  # fmt: skip
#: How it ended; `miss` is a shot or free throw that the other side rebounded, `other` a ball lost without a play.
ENDED: Final = ("made_shot", "free_throw", "miss", "turnover", "period_end", "other")
#: Fouls after whose free throws the same side keeps the ball (NBA rule 12.B).
RETAINING: Final = ("FLAGRANT.FOUL.TYPE1", "FLAGRANT.FOUL.TYPE2", "C.P.FOUL", "Transition Take Foul")
#: Fouls that count towards the bonus; offensive, double and technical fouls do not (NBA rule 12.B.IV).
TEAM_FOULS: Final = (
    "S.FOUL", "P.FOUL", "L.B.FOUL", "Personal Take Foul", "Shooting Block Foul", "Personal Block Foul", "IN.FOUL",
    "AWAY.FROM.PLAY.FOUL", *RETAINING,
)  # fmt: skip
#: The bonus: the fifth team foul of a quarter, the fourth of an overtime, the second of the last two minutes.
BONUS_QUARTER, BONUS_OVERTIME, LATE_S = 5, 4, 120
#: pbpstats leaves possessions that began this late, and brought nothing, out of its counts.
UNCOUNTED_S: Final = 2.0
_ACTIONS: Final = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover")
_KEY: Final = ["game_id", "number"]
_GAME: Final = "game_id"


def possessions(plays: pl.DataFrame) -> pl.DataFrame:
    """One row per possession, by game and `number` (from 0). `plays` are in the columns of `features.play.plays`.

    Columns: game_id, number, period, offence, defence, offence_home; start_seq (the last play known when it began: -1
    before the first), start_clock_s, start_elapsed_s, began; end_seq (the play that ended it), end_elapsed_s,
    duration_s, ended; points (of the offence, technical free throws included) and points_against; shots,
    offensive_rebounds (a team's too); margin (of the offence at the start); offence_fouls, defence_fouls (towards the
    bonus, this period), bonus (the next common foul of the defence sends the offence to the line); home_lineup,
    away_lineup (who started it, substitutions made while the clock stood included; null where unknown); counted (False
    for what pbpstats does not count). The last row of a game in progress is the possession under way: `period_end`
    then only says that no play has ended it.
    """
    rows = plays.sort(_GAME, "seq")
    acted = _actions(rows)
    regained = (pl.col("event_type") == "rebound") & pl.col("subtype").is_in(["offensive", "team_offensive"])
    live = acted.filter(regained).select(_GAME, "seq", regained=pl.lit(True))
    rows = rows.join(live, on=[_GAME, "seq"], how="left", maintain_order="left")
    return _summed(_starts(acted, rows), rows).sort(_KEY)


def period_end() -> pl.Expr:
    """Seconds since tip at which `period` ends."""
    regular = pl.col("period").cast(pl.Float64) * QUARTER_S
    overtime = 4.0 * QUARTER_S + (pl.col("period").cast(pl.Float64) - 4) * OVERTIME_S
    return pl.when(pl.col("period") <= 4).then(regular).otherwise(overtime)


def _actions(rows: pl.DataFrame) -> pl.DataFrame:
    """Plays that show who has the ball, with `ends` (the side with the ball gives it up by this play)."""
    kind, subtype = pl.col("event_type"), pl.col("subtype").fill_null("")
    technical = pl.col("subtype").fill_null("").str.contains("(?i)technical")
    foul = (kind == "foul") & subtype.is_in((*TEAM_FOULS, "OFF.Foul", "Offensive Charge Foul"))
    acted = rows.with_columns(
        pl.when(foul).then(pl.col(name)).forward_fill().over(_GAME).alias(f"foul_{name}")
        for name in ("subtype", "elapsed_s")
    ).filter(
        kind.is_in(_ACTIONS), pl.col("team").is_not_null(), ~((kind == "free_throw") & technical)
    ).with_columns(subtype=subtype, trip=subtype.str.extract_groups(r"(?<shot>\d) of (?<shots>\d)"))  # fmt: skip
    last = (pl.col("trip").struct["shot"] == pl.col("trip").struct["shots"]).fill_null(True)
    acted = acted.with_columns(last=last).filter(_live())
    free, made = kind == "free_throw", kind == "made_shot"
    beside = (pl.col("team").shift() == pl.col("team")) & (pl.col("elapsed_s").shift() == pl.col("elapsed_s"))
    and_one = beside & made.shift()
    kept = pl.col("foul_subtype").is_in(RETAINING) & (pl.col("foul_elapsed_s") == pl.col("elapsed_s"))
    kept = kept | (subtype.str.contains("1 of 1") & ~and_one)
    followed = (beside & free).shift(-1).fill_null(False)
    ends = (made & ~followed) | (free & pl.col("last") & (pl.col("points") > 0) & ~kept.fill_null(False))
    return acted.with_columns(ends=(ends | (kind == "turnover")).over(_GAME))


def _live() -> pl.Expr:
    """Not the rebound of a free throw that was not the last: the ball is dead then."""
    before = pl.col("event_type").shift() == "free_throw"
    dead = before & ~pl.col("last").shift() & (pl.col("points").shift() == 0)
    return ~((pl.col("event_type") == "rebound") & dead.over(_GAME).fill_null(False))


def _starts(acted: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """One row per possession: its side, period, start and how the one before it ended."""
    after = acted.with_columns(
        *(pl.col(name).shift().over(_GAME).alias(f"last_{name}") for name in ("period", "team", "ends")),
        before_seq=pl.col("seq").shift().over(_GAME),
        before_elapsed=pl.col("elapsed_s").shift().over(_GAME),
        before_type=pl.col("event_type").shift().over(_GAME),
        stolen=pl.col("p2_id").shift().over(_GAME).is_not_null(),
    )
    opens = (pl.col("period") != pl.col("last_period")).fill_null(True)
    changed = pl.col("ends").shift().over(_GAME).fill_null(True) | (pl.col("team") != pl.col("last_team"))
    gained = pl.col("subtype").is_in(["defensive", "team_defensive"]) & ~opens
    gained = gained & ~pl.col("last_ends").fill_null(False)
    first = after.filter(opens | changed).with_columns(
        seq=pl.when(gained).then("seq").otherwise("before_seq"),
        elapsed=pl.when(gained).then("elapsed_s").otherwise("before_elapsed"),
        began=pl.when(opens).then(pl.lit("period_start"))
        .when(gained & (pl.col("subtype") == "defensive")).then(pl.lit("defensive_rebound"))
        .when(gained).then(pl.lit("team_rebound"))
        .when(pl.col("last_ends")).then(_given()).otherwise(pl.lit("other")),
    )  # fmt: skip
    edge = rows.group_by(_GAME, "period").agg(pl.col("seq").max().alias("edge")).with_columns(
        pl.col("period") + 1
    )  # fmt: skip
    opened = pl.col("began") == "period_start"
    begun = first.join(edge, on=[_GAME, "period"], how="left", maintain_order="left").select(
        _GAME, "period", offence="team", home_team="home_team", away_team="away_team", began="began",
        start_seq=pl.when(opened).then(pl.col("edge").fill_null(-1)).otherwise("seq").cast(pl.Int64),
        start_elapsed_s=pl.when(opened).then(period_end() - _length()).otherwise(pl.col("elapsed").cast(pl.Float64)),
        order=pl.lit(0),
    )  # fmt: skip
    late = pl.col("start_elapsed_s") < period_end()
    found = pl.concat([begun, _expired(acted)]).sort(_GAME, "period", "start_seq", "order", maintain_order=True)
    found = found.with_columns(ended=_ended(pl.col("began").shift(-1).over(_GAME, "period"))).filter(late)
    return found.drop("order").with_columns(number=pl.int_range(pl.len(), dtype=pl.Int32).over(_GAME))


def _given() -> pl.Expr:
    """How the ball was given up by the action before."""
    stolen = pl.when(pl.col("stolen")).then(pl.lit("steal")).otherwise(pl.lit("turnover"))
    return pl.when(pl.col("before_type") == "turnover").then(stolen).otherwise(pl.col("before_type"))


def _expired(acted: pl.DataFrame) -> pl.DataFrame:
    """Possessions in which nothing happened before the period ended: the ball was given up, and no action followed."""
    final = acted.group_by(_GAME, "period", maintain_order=True).last().filter("ends")
    at_home = pl.col("team") == pl.col("home_team")
    return final.with_columns(before_type="event_type", stolen=pl.col("p2_id").is_not_null()).select(
        _GAME, "period", offence=pl.when(at_home).then("away_team").otherwise("home_team"), home_team="home_team",
        away_team="away_team", began=_given(), start_seq=pl.col("seq").cast(pl.Int64),
        start_elapsed_s=pl.col("elapsed_s").cast(pl.Float64), order=pl.lit(1),
    )  # fmt: skip


def _length() -> pl.Expr:
    return pl.when(pl.col("period") <= 4).then(float(QUARTER_S)).otherwise(float(OVERTIME_S))


def _summed(starts: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """What happened within each possession and how things stood when it began."""
    next_seq, next_s = (pl.col(name).shift(-1).over(_GAME, "period") for name in ("start_seq", "start_elapsed_s"))
    framed = _standing(starts, rows).with_columns(
        next_seq=next_seq, end_elapsed_s=next_s.fill_null(period_end()),
        offence_home=pl.col("offence") == pl.col("home_team"),
    )  # fmt: skip
    told = framed.join(_windows(framed, rows), on=_KEY, how="left")
    points = pl.col("home_points"), pl.col("away_points")
    at_home = pl.col("offence_home")
    lead = pl.when(at_home).then("home_lead").otherwise(-pl.col("home_lead"))
    result = told.with_columns(
        defence=pl.when(at_home).then("away_team").otherwise("home_team"),
        start_clock_s=period_end() - pl.col("start_elapsed_s"),
        duration_s=pl.col("end_elapsed_s") - pl.col("start_elapsed_s"),
        end_seq=pl.coalesce("next_seq", "last_seq", "start_seq"),
        points=pl.when(at_home).then(points[0]).otherwise(points[1]).fill_null(0).cast(pl.Int8),
        points_against=pl.when(at_home).then(points[1]).otherwise(points[0]).fill_null(0).cast(pl.Int8),
        margin=lead.cast(pl.Int16),
        offence_fouls=pl.when(at_home).then("home_fouls").otherwise("away_fouls").cast(pl.Int8),
        defence_fouls=pl.when(at_home).then("away_fouls").otherwise("home_fouls").cast(pl.Int8),
        late_fouls=pl.when(at_home).then("away_late").otherwise("home_late"),
        shots=pl.col("shots").fill_null(0), offensive_rebounds=pl.col("offensive_rebounds").fill_null(0),
        home_lineup=pl.coalesce("home_lineup", "stood_home_lineup"),
        away_lineup=pl.coalesce("away_lineup", "stood_away_lineup"),
    )  # fmt: skip
    limit = pl.when(pl.col("period") <= 4).then(BONUS_QUARTER).otherwise(BONUS_OVERTIME)
    late = (pl.col("start_clock_s") <= LATE_S) & (pl.col("late_fouls") >= 1)
    return result.select(
        *_KEY, "period", "offence", "defence", "offence_home", "start_seq", "start_clock_s", "start_elapsed_s",
        "began", "end_seq", "end_elapsed_s", "duration_s", "ended", "points", "points_against", "shots",
        "offensive_rebounds", "margin", "offence_fouls", "defence_fouls",
        bonus=(pl.col("defence_fouls") >= limit - 1) | late,
        home_lineup="home_lineup", away_lineup="away_lineup",
        counted=(pl.col("start_clock_s") > UNCOUNTED_S) | (pl.col("points") > 0),
    )  # fmt: skip


def _ended(following: pl.Expr) -> pl.Expr:
    """`ended` of a possession from how the one after it in the period began."""
    return (
        pl.when(following.is_null()).then(pl.lit("period_end"))
        .when(following.is_in(["defensive_rebound", "team_rebound"])).then(pl.lit("miss"))
        .when(following == "steal").then(pl.lit("turnover"))
        .otherwise(following)
    )  # fmt: skip


def _standing(starts: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`starts` with score, team fouls and line-ups as they were after the play `start_seq`."""
    counts = (pl.col("event_type") == "foul") & pl.col("subtype").is_in(TEAM_FOULS).fill_null(False)
    late = counts & (pl.col("clock_s") <= LATE_S)
    sides = {"home": pl.col("team") == pl.col("home_team"), "away": pl.col("team") == pl.col("away_team")}
    tallies = {
        f"{side}_{name}": (which & of_side).fill_null(False).cast(pl.Int16).cum_sum().over(_GAME, "period")
        for side, of_side in sides.items()
        for name, which in (("fouls", counts), ("late", late))
    }
    stood = rows.select(
        _GAME, start_seq=pl.col("seq").cast(pl.Int64), stood_period="period",
        home_lead=pl.col("home_score") - pl.col("away_score"),
        stood_home_lineup="home_lineup", stood_away_lineup="away_lineup", **tallies,
    )  # fmt: skip
    same = pl.col("stood_period") == pl.col("period")
    return starts.join(stood, on=[_GAME, "start_seq"], how="left").with_columns(
        pl.col("home_lead").fill_null(0),
        *(pl.when(same).then(pl.col(name)).otherwise(0).alias(name) for name in tallies),
    )


def _windows(framed: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Sums over each possession's plays, and the line-ups before the first of them at which the clock had moved."""
    begun = framed.select(_GAME, "number", "start_seq", "start_elapsed_s").sort(_GAME, "start_seq", "number")
    within = rows.with_columns(pl.col("seq").cast(pl.Int64)).join_asof(
        begun, left_on="seq", right_on="start_seq", by=_GAME, strategy="backward", allow_exact_matches=False,
        check_sortedness=False,
    )  # fmt: skip
    kind, ran = pl.col("event_type"), pl.col("elapsed_s").cast(pl.Float64) > pl.col("start_elapsed_s")
    home, away = (pl.col("team") == pl.col(f"{side}_team") for side in ("home", "away"))
    return within.group_by(_KEY, maintain_order=True).agg(
        home_points=pl.col("points").cast(pl.Int32).filter(home).sum(),
        away_points=pl.col("points").cast(pl.Int32).filter(away).sum(),
        last_seq=pl.col("seq").last(),
        shots=kind.is_in(["made_shot", "missed_shot"]).sum(),
        offensive_rebounds=pl.col("regained").sum(),
        home_lineup=pl.coalesce(pl.col("home_lineup").filter(ran).first(), pl.col("home_lineup").last()),
        away_lineup=pl.coalesce(pl.col("away_lineup").filter(ran).first(), pl.col("away_lineup").last()),
    )
