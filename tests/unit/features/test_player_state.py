"""A player's line so far: equal to a row-by-row reading, deaf to the future, silent where fives are unknown."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.play.moments import named_moments, random_moments
from features.play.player_actions import COUNTS
from features.play.player_quarters import QUARTER_FEATURES, quarter_lines, quarter_view, with_quarters
from features.play.player_state import player_states
from features.play.plays import recorded_plays
from features.scoring import DOUBLE_DOUBLE
from tests.unit.features.court_cases import AWAY, HOME, played_game, read_slowly

TIMES = ("seconds_played", "on_court", "seconds_since_change", "minutes_q1", "minutes_q2", "minutes_q3")


def moments_of(plays: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([named_moments(plays), random_moments(plays, per_game=12, seed=5)])


@pytest.mark.parametrize("overtime", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_states_equal_a_row_by_row_reading(seed: int, overtime: bool) -> None:
    plays = played_game(seed, overtime=overtime)
    moments = moments_of(plays)
    states = player_states(plays, moments)
    asked = 0
    for moment in moments.iter_rows(named=True):
        truth = read_slowly(plays, moment["seq"], moment["elapsed_s"])
        here = states.filter(seq=moment["seq"], asked_at=moment["asked_at"])
        active = {p for p, line in truth.items() if any(line[c] for c in (*COUNTS, "seconds", "on_court"))}
        assert active <= set(here["player_id"])
        for row in here.iter_rows(named=True):
            line = truth[row["player_id"]]
            assert {c: row[c] for c in COUNTS} == {c: int(line[c]) for c in COUNTS}
            assert row["seconds_played"] == pytest.approx(line["seconds"])
            assert row["on_court"] == (line["on_court"] == 1)
            assert (row["team"] == HOME) == (row["player_id"] < 200)
            asked += 1
    assert asked > 150


@pytest.mark.parametrize("seed", range(4))
def test_later_plays_never_move_an_earlier_state(seed: int) -> None:
    plays = played_game(seed, overtime=True)
    moments = moments_of(plays)
    whole = player_states(plays, moments)
    for moment in moments.iter_slices(1):
        seq = moment["seq"].item()
        known = player_states(plays.filter(pl.col("seq") <= seq), moment)
        assert_frame_equal(known, whole.join(moment, on=moment.columns, how="semi"))


def test_quarters_add_up_to_the_minutes_played() -> None:
    plays = played_game(3)
    states = player_states(plays, named_moments(plays)).with_columns(minutes=pl.col("seconds_played") / 60)
    ends = {name: states.filter(asked_at=name) for name in ("q1", "half", "q3")}
    assert ends["q1"]["minutes_q1"].to_list() == pytest.approx(ends["q1"]["minutes"].to_list())
    assert ends["q1"]["minutes_q2"].null_count() == ends["q1"].height
    total = ends["q3"].select(pl.sum_horizontal("minutes_q1", "minutes_q2", "minutes_q3")).to_series()
    assert total.to_list() == pytest.approx(ends["q3"]["minutes"].to_list())
    assert ends["q3"].group_by("team").agg(pl.col("minutes").sum())["minutes"].to_list() == pytest.approx(
        [180] * 2
    )


def test_a_side_without_a_recorded_five_has_no_times_but_a_line() -> None:
    plays = played_game(1)
    hidden = plays.with_columns(pl.when(pl.col("seq") < 150).then("home_lineup").alias("home_lineup"))
    moments = named_moments(plays)
    states, whole = (player_states(frame, moments) for frame in (hidden, plays))
    late = states.filter(pl.col("asked_at") == "q3")
    assert late.filter(team=HOME).select(pl.col(TIMES).is_null().all()).row(0) == (True,) * len(TIMES)
    away = pl.col("team") == AWAY
    assert_frame_equal(late.filter(away), whole.filter(away, asked_at="q3"))
    assert_frame_equal(states.filter(asked_at="q1"), whole.filter(asked_at="q1"))
    counted = late.filter(~away).join(whole, on=["seq", "player_id"], how="inner", suffix="_whole")
    assert counted.height >= 5
    assert all((counted[c] == counted[f"{c}_whole"]).all() for c in COUNTS)


def test_fouled_out_ejected_and_over_are_finished() -> None:
    base = played_game(2).filter(~pl.col("event_type").is_in(["foul", "free_throw"]))
    actor, other = 100, 201
    foul = base.head(1).with_columns(
        event_type=pl.lit("foul"), subtype=pl.lit("P.FOUL"), team=pl.lit(HOME), points=pl.lit(0, pl.Int8),
        p1_id=pl.lit(actor, pl.Int32), p2_id=pl.lit(None, pl.Int32), p3_id=pl.lit(None, pl.Int32),
    )  # fmt: skip
    ejection = foul.with_columns(event_type=pl.lit("ejection"), team=pl.lit(AWAY), p1_id=pl.lit(other, pl.Int32))
    plays = pl.concat([*[foul] * 6, ejection, base]).with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int16))
    last = plays.tail(1).with_columns(
        clock_s=pl.lit(0.0, pl.Float32), elapsed_s=pl.lit(2880.0, pl.Float32), home_score=pl.lit(99, pl.Int16),
    )  # fmt: skip
    plays = pl.concat([plays.head(-1), last])
    moment = {"asked_at": pl.lit("event"), "period": pl.col("period")}
    rows = plays.filter(pl.col("seq").is_in([4, 5, 6, plays.height - 1]))
    states = player_states(plays, rows.select("game_id", "seq", "elapsed_s", "clock_s", **moment))
    out = {(r["seq"], r["player_id"]): r["finished"] for r in states.iter_rows(named=True)}
    assert not out[4, actor] and out[5, actor] and not out[5, other] and out[6, other] and not out[6, 102]
    assert states.filter(seq=plays.height - 1)["finished"].all()


def test_the_double_double_bonus_counts_from_the_play_that_makes_it() -> None:
    plays = played_game(1, rows_per_period=400)
    states = player_states(plays, random_moments(plays, per_game=60, seed=2))
    tens = pl.sum_horizontal(pl.col("pts", "reb", "ast", "stl", "blk") >= 10)
    plain = sum(
        (
            pl.col(c) * w
            for c, w in (("pts", 1), ("fg3m", 0.5), ("reb", 1.25), ("ast", 1.5), ("stl", 2), ("blk", 2))
        ),
        -0.5 * pl.col("tov"),
    )
    bonus = states.select((pl.col("fantasy_points_draftkings") - plain).alias("bonus"), tens.alias("tens"))
    assert bonus.filter(pl.col("tens") == 2)["bonus"].unique().to_list() == [DOUBLE_DOUBLE]
    assert bonus.filter(pl.col("tens") < 2)["bonus"].abs().max() == 0


def test_usual_quarters_are_known_only_after_the_game(tmp_path: Path) -> None:
    first, second = (played_game(seed, game_id=f"002210000{seed}") for seed in (1, 2))
    times = pl.datetime_range(
        pl.datetime(2021, 11, 1), pl.datetime(2021, 11, 3), "2d", time_zone="UTC", eager=True
    )
    games = pl.DataFrame({"game_id": ["0022100001", "0022100002"], "event_time": times}).with_columns(
        known_time=pl.col("event_time") + pl.duration(hours=4)
    )
    lines = [quarter_lines(first), quarter_lines(second.filter(pl.col("period") < 4))]
    assert lines[1].is_empty()
    view = quarter_view([lines[0], quarter_lines(second)], games)
    asked = pl.DataFrame({"player_id": [100, 100, 100, 999]}, schema={"player_id": pl.Int32}).with_columns(
        as_of=pl.Series([times[0], times[1], times[1], times[1]])
    )
    rows = with_quarters(asked, view)
    assert rows.select(QUARTER_FEATURES).row(0) == (None,) * len(QUARTER_FEATURES)
    assert rows.select(QUARTER_FEATURES).row(3) == (None,) * len(QUARTER_FEATURES)
    played = lines[0].filter(player_id=100)
    assert rows["min_q1_ewm4"][1] == pytest.approx(played["q1"].item(), rel=1e-5)
    assert sum(played.select("q1", "q2", "q3", "q4").row(0)) > 0


@pytest.mark.real_data
@pytest.mark.slow
def test_final_states_equal_the_official_box(fantasy_data: Path) -> None:
    plays = recorded_plays(fantasy_data).read(2021)
    last = plays.filter(pl.col("seq") == pl.col("seq").max().over("game_id"))
    end = last.select("game_id", pl.lit("end").alias("asked_at"), "seq", "period", "elapsed_s", "clock_s")
    states = player_states(plays, end)
    box = pl.read_parquet(fantasy_data / "nba" / "box" / "season=2021.parquet").filter(
        pl.col("source") == "official", pl.col("game_id").is_in(states["game_id"].unique().implode())
    )
    both = box.join(states, on=["game_id", "player_id"], how="left", suffix="_so_far")
    assert both.height > 25_000
    for count in COUNTS:
        least = 0.995 if count == "pf" else 0.999
        assert (both[count] == both[f"{count}_so_far"]).fill_null(False).mean() >= least, count
    gap = (both["seconds_played"] / 60 - both["min"]).abs()
    assert (gap <= 0.1).fill_null(False).mean() >= 0.998
    assert states["finished"].all()
