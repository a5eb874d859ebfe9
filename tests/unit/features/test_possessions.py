"""Possessions: a game written out by hand, a referee's walk over simulated plays, what a real season satisfies."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.play.plays import COLUMNS, recorded_plays
from features.play.possessions import BEGAN, ENDED, possessions
from features.sources.simulated import SimulatedSource

HOME, AWAY = "BOS", "PHI"
#: Rows that an unseen season lacks.
LACKING = ("period_start", "period_end", "jump_ball", "violation")


def play(kind: str, team: str | None, clock: float, subtype: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "event_type": kind,
        "team": team,
        "clock_s": clock,
        "subtype": subtype,
        "period": 1,
        "points": 0,
        **more,
    }


def game(plays: list[dict[str, Any]]) -> pl.DataFrame:
    """Plays of one game with seq, scores and elapsed seconds filled in."""
    rows, score = [], {HOME: 0, AWAY: 0}
    for seq, row in enumerate(plays):
        if row["team"] is not None:
            score[row["team"]] += row["points"]
        elapsed = row["period"] * 720.0 - row["clock_s"]
        five = {"home_lineup": row.get("five", "1|2|3|4|5"), "away_lineup": "6|7|8|9|10"}
        rows.append(
            {"game_id": "g", "season": 2018, "seq": seq, "elapsed_s": elapsed, "home_team": HOME, "away_team": AWAY,
             "home_score": score[HOME], "away_score": score[AWAY], "p1_id": 1, "p2_id": None,
             **five, **row}
        )  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col("p2_id").cast(pl.Int32))


@pytest.fixture(scope="module")
def simulated() -> pl.DataFrame:
    source = SimulatedSource(11, [2023], date(2023, 11, 1))
    frames = source.batches(as_of=datetime(2023, 11, 1, 12, tzinfo=UTC), seasons=None, cursors={})
    plays = {batch.table: batch.frame for batch in frames}["pbp"]
    return plays.select(COLUMNS).sort("game_id", "seq")


def test_a_game_written_out_by_hand() -> None:
    plays = game([
        play("missed_shot", HOME, 700),                                        # 0
        play("rebound", HOME, 698, "offensive"),                               # 1 goes on
        play("made_shot", HOME, 690, points=2),                                # 2 and one:
        play("foul", AWAY, 690, "S.FOUL"),                                     # 3
        play("substitution", HOME, 690, five="1|2|3|4|5"),                     # 4
        play("free_throw", HOME, 690, "1 of 1", points=1, five="1|2|3|4|11"),  # 5 ends it with 3
        play("foul", HOME, 680, "T.FOUL"),                                     # 6
        play("free_throw", AWAY, 680, "technical", points=1),                  # 7 no trip, no end
        play("turnover", AWAY, 670, "Bad Pass Turnover", p2_id=3),             # 8 ends it: a steal
        play("foul", AWAY, 660, "FLAGRANT.FOUL.TYPE1"),                        # 9
        play("free_throw", HOME, 660, "1 of 2", points=1),                     # 10
        play("free_throw", HOME, 660, "2 of 2", points=1),                     # 11 they keep the ball
        play("missed_shot", HOME, 650),                                        # 12
        play("rebound", AWAY, 648, "defensive"),                               # 13 ends it
        play("foul", HOME, 640, "S.FOUL"),                                     # 14
        play("free_throw", AWAY, 640, "1 of 2"),                               # 15
        play("rebound", AWAY, 640, "team_offensive"),                          # 16 dead ball
        play("free_throw", AWAY, 640, "2 of 2"),                               # 17
        play("rebound", HOME, 638, "team_defensive"),                          # 18 ends it
        play("made_shot", HOME, 3, points=3),                                  # 19, and 3 s remain
        play("missed_shot", AWAY, 700, period=2),                              # 20
    ])  # fmt: skip
    found = possessions(plays)
    told = found.select(
        "offence", "began", "start_seq", "end_seq", "ended", "points", "points_against", "duration_s"
    )
    assert told.rows() == [
        (HOME, "period_start", -1, 5, "free_throw", 3, 0, 30.0),
        (AWAY, "free_throw", 5, 8, "turnover", 1, 0, 20.0),
        (HOME, "steal", 8, 13, "miss", 2, 0, 22.0),
        (AWAY, "defensive_rebound", 13, 18, "miss", 0, 0, 10.0),
        (HOME, "team_rebound", 18, 19, "made_shot", 3, 0, 635.0),
        (AWAY, "made_shot", 19, 19, "period_end", 0, 0, 3.0),
        (AWAY, "period_start", 19, 20, "period_end", 0, 0, 720.0),
    ]
    assert found["margin"].to_list() == [0, -3, 2, -4, 4, -7, -7]
    assert found["offensive_rebounds"].to_list() == [1, 0, 0, 0, 0, 0, 0]
    assert found["home_lineup"].to_list()[:2] == ["1|2|3|4|5", "1|2|3|4|5"]
    # The away side has a shooting and a flagrant foul when its opponents get the ball back at seq 18.
    assert found["defence_fouls"].to_list() == [0, 0, 1, 0, 2, 1, 0]


def test_the_bonus_is_the_fifth_foul_or_the_second_of_the_last_two_minutes() -> None:
    fouls = [play("foul", AWAY, 600 - k, "P.FOUL") for k in range(4)]
    late = [play("foul", AWAY, 100, "P.FOUL", period=2)]
    ends = [play("turnover", HOME, 500), play("turnover", AWAY, 480), play("missed_shot", HOME, 470)]
    second = [play("turnover", HOME, 700, period=2), *late, play("turnover", AWAY, 90, period=2)]
    found = possessions(game([*fouls[:3], *ends, fouls[3] | {"clock_s": 460.0}, *ends[:2], ends[2], *second]))
    home = found.filter(pl.col("offence") == HOME)
    assert home.filter(pl.col("defence_fouls") >= 4, pl.col("period") == 1)["bonus"].all()
    assert not home.filter(pl.col("defence_fouls") < 4, pl.col("period") == 1)["bonus"].any()
    assert home.filter(pl.col("start_clock_s") == 90)["bonus"].to_list() == [True]


def test_a_walk_over_simulated_plays_finds_the_same(simulated: pl.DataFrame) -> None:
    found = possessions(simulated)
    for game_id in simulated["game_id"].unique().sort().to_list()[:20]:
        plays = simulated.filter(pl.col("game_id") == game_id)
        mine = found.filter(pl.col("game_id") == game_id)
        told = list(mine.select("period", "offence", "points", "ended").iter_rows())
        assert told == walked(plays)


def walked(plays: pl.DataFrame) -> list[tuple[int, str, int, str]]:
    """(period, side, points, how it ended) by following the ball play by play, as a referee would."""
    rows, found = plays.to_dicts(), []
    home, away = rows[0]["home_team"], rows[0]["away_team"]
    ball, points, began = "", 0, 0.0

    def over(period: int, how: str, clock: float) -> None:
        nonlocal ball, points, began
        found.append((period, ball, points, how))
        ball, points, began = (away if ball == home else home), 0, clock

    for at, row in enumerate(rows):
        kind, team, period = row["event_type"], row["team"], row["period"]
        if kind == "period_start":
            after = [
                r for r in rows[at:] if r["period"] == period and r["team"] and r["event_type"] != "jump_ball"
            ]
            first = next(r for r in after if r["event_type"] not in {"substitution", "timeout", "foul"})
            ball, points, began = first["team"], 0, row["clock_s"]
        elif kind == "period_end" and began > 0:
            over(period, "period_end", row["clock_s"])
        if kind in {"made_shot", "missed_shot", "free_throw", "rebound", "turnover"}:
            points += row["points"] if team == ball else 0
            following = next(r for r in rows[at + 1 :] if r["event_type"] not in {"substitution", "timeout"})
            fouled = following["subtype"] == "S.FOUL" and following["clock_s"] == row["clock_s"]
            if kind == "made_shot" and not fouled:
                over(period, "made_shot", row["clock_s"])
            elif kind == "turnover":
                over(period, "turnover", row["clock_s"])
            elif kind == "free_throw" and row["points"] and row["subtype"] in {"1 of 1", "2 of 2", "3 of 3"}:
                over(period, "free_throw", row["clock_s"])
            elif kind == "rebound" and team != ball:
                over(period, "miss", row["clock_s"])
    return found


def test_simulated_points_add_up_and_no_play_is_needed_that_unseen_seasons_lack(simulated: pl.DataFrame) -> None:
    found = possessions(simulated)
    final = (
        simulated.group_by("game_id").agg(pl.col("home_score", "away_score").last().cast(pl.Int64)).sort("game_id")
    )
    assert by_side(found).equals(final)
    # A period's end, where it is a row, is the newest play known when the next period begins.
    bare = possessions(simulated.filter(~pl.col("event_type").is_in(LACKING)))
    numbers = ["start_seq", "end_seq"]
    fives = ["home_lineup", "away_lineup"]
    assert bare.drop(*numbers, *fives).equals(found.drop(*numbers, *fives))
    # A substitution that no play follows shows in the line-ups of a period's end alone.
    followed = pl.col("ended") != "period_end"
    assert bare.filter(followed).select(fives).equals(found.filter(followed).select(fives))
    assert set(found["began"]) <= set(BEGAN) and set(found["ended"]) <= set(ENDED)
    assert found["duration_s"].min() >= 0  # type: ignore[operator]
    assert found.null_count().sum_horizontal().item() == 0


def by_side(found: pl.DataFrame) -> pl.DataFrame:
    """Points of both sides per game."""
    own, other = pl.col("points").cast(pl.Int64), pl.col("points_against").cast(pl.Int64)
    at_home = pl.col("offence_home")
    return found.group_by("game_id").agg(
        home_score=pl.when(at_home).then(own).otherwise(other).sum(),
        away_score=pl.when(at_home).then(other).otherwise(own).sum(),
    ).sort("game_id")  # fmt: skip


def test_later_plays_move_no_earlier_possession(simulated: pl.DataFrame) -> None:
    cut = 200
    later = pl.col("seq") >= cut
    wide = simulated.with_columns(pl.col("home_score", "away_score", "points").cast(pl.Int64))
    edited = wide.with_columns(
        pl.when(later).then(pl.col(name) + 10**6).otherwise(pl.col(name)) for name in ("home_score", "away_score")
    ).with_columns(
        home_lineup=pl.when(later).then(pl.lit("1|2|3|4|5")).otherwise("home_lineup"),
        subtype=pl.when(later).then(pl.lit("edited")).otherwise("subtype"),
    )  # fmt: skip
    before, after = (possessions(rows) for rows in (wide, edited))
    ended = pl.col("end_seq") < cut - 1
    assert before.filter(ended).equals(after.filter(ended)) and before.filter(ended).height > 1000
    # Nor does what is known at the start of the one that was under way.
    start = ["offence", "start_elapsed_s", "began", "margin", "offence_fouls", "defence_fouls", "bonus"]
    open_ = pl.col("start_seq") < cut - 1
    assert before.filter(open_).select(start).equals(after.filter(open_).select(start))


def test_a_game_without_line_ups_has_possessions_all_the_same(simulated: pl.DataFrame) -> None:
    bare = simulated.with_columns(pl.lit(None, pl.String).alias(name) for name in ("home_lineup", "away_lineup"))
    found = possessions(bare)
    assert found["home_lineup"].null_count() == found.height
    assert found.drop("home_lineup", "away_lineup").equals(
        possessions(simulated).drop("home_lineup", "away_lineup")
    )


def test_no_plays_no_possessions(simulated: pl.DataFrame) -> None:
    assert possessions(simulated.clear()).is_empty()


@pytest.mark.real_data
@pytest.mark.slow
def test_a_recorded_season_is_as_published(fantasy_data: Path) -> None:
    """2018-19: pace 100.0 and 110.4 points per 100 possessions (basketball-reference.com, NBA League Averages)."""
    plays = recorded_plays(fantasy_data).read(2018)
    found = possessions(plays)
    final = plays.group_by("game_id").agg(pl.col("home_score", "away_score").last().cast(pl.Int64)).sort("game_id")
    right = by_side(found).select(
        (pl.col("home_score") == final["home_score"]) & (pl.col("away_score") == final["away_score"])
    )
    assert right.to_series().mean() >= 0.999  # type: ignore[operator]
    counted = found.filter("counted").group_by("game_id").agg(
        gap=(pl.col("offence_home").sum().cast(pl.Int32) - (~pl.col("offence_home")).sum().cast(pl.Int32)).abs()
    )  # fmt: skip
    assert (counted["gap"] <= 3).mean() >= 0.99  # type: ignore[operator]
    minutes = plays.group_by("game_id").agg(pl.col("period").max().cast(pl.Int32))["period"]
    games = float((48 + 5 * (minutes - 4)).to_numpy().sum()) / 48
    assert abs(found.height / 2 / games - 100.0) < 0.6
    assert abs(found.filter("counted")["points"].cast(pl.Int64).mean() - 1.104) < 0.01  # type: ignore[operator]
