"""The state of a game is what a reader of its plays so far would write down, and nothing that comes later."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from features.errors import InvalidInput, SchemaError
from features.play.game_state import game_states, is_over
from features.play.moments import moment_at, named_moments, random_moments
from features.play.plays import COLUMNS
from features.sources.simulated import SimulatedSource

COUNTED = ("fgm", "fga", "fg3m", "fg3a", "ftm", "fta", "tov", "oreb", "dreb")


@pytest.fixture(scope="module")
def plays() -> pl.DataFrame:
    """A week of a simulated season."""
    source = SimulatedSource(20261123, [2023], date(2023, 10, 31))
    batches = source.batches(as_of=datetime(2023, 10, 31, tzinfo=UTC), seasons=None, cursors={})
    frames = [batch.frame for batch in batches if batch.table == "pbp"]
    return pl.concat(frames).select(COLUMNS).sort("game_id", "seq")


@pytest.fixture(scope="module")
def moments(plays: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([named_moments(plays), random_moments(plays, per_game=12, seed=3)])


def counted_by_hand(rows: list[dict], side: str) -> dict[str, int]:
    """Box counts of one side, row by row."""
    count = dict.fromkeys(COUNTED, 0)
    for row in rows:
        if row["team"] != row[f"{side}_team"]:
            continue
        kind = row["event_type"]
        if kind in ("made_shot", "missed_shot"):
            made, three = kind == "made_shot", row["shot_value"] == 3
            count["fga"] += 1
            count["fgm"] += made
            count["fg3a"] += three
            count["fg3m"] += made and three
        elif kind == "free_throw":
            count["fta"] += 1
            count["ftm"] += row["points"] == 1
        elif kind == "turnover":
            count["tov"] += 1
        elif kind == "rebound":
            count["oreb"] += row["subtype"] == "offensive"
            count["dreb"] += row["subtype"] == "defensive"
    return count


def oracle(rows: list[dict], moment: dict) -> dict:
    """The state after the moment's play, by reading the game's rows one after the other."""
    known = [row for row in rows if row["seq"] <= moment["seq"]]
    last = known[-1]
    margin = last["home_score"] - last["away_score"]
    state = {"margin": margin, "total": last["home_score"] + last["away_score"]}
    now = max(row["elapsed_s"] for row in known)
    for name, seconds in (("run_2min", 120), ("run_4min", 240)):
        earlier = [row for row in known if row["elapsed_s"] <= now - seconds]
        then = earlier[-1]["home_score"] - earlier[-1]["away_score"] if earlier else 0
        state[name] = margin - then
    for side in ("home", "away"):
        state |= {f"{side}_{name}": value for name, value in counted_by_hand(known, side).items()}
        period = [row for row in known if row["period"] == last["period"]]
        fouls = [row for row in period if row["event_type"] == "foul" and row["team"] == row[f"{side}_team"]]
        state[f"{side}_fouls_period"] = sum(row["subtype"] != "OFF.Foul" for row in fouls)
    for period in (1, 2, 3):
        ended = moment["period"] > period or (moment["period"] == period and moment["clock_s"] <= 0)
        rows_of = [row for row in known if row["period"] <= period]
        end = rows_of[-1]["home_score"] - rows_of[-1]["away_score"] if rows_of else None
        state[f"margin_q{period}"] = end if ended else None
    state["home_lineup"] = last["home_lineup"]
    return state


def test_states_are_what_reading_the_plays_one_by_one_gives(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    asked = moments.sample(150, seed=5)
    states = game_states(plays, asked).to_dicts()
    by_game = {key[0]: part.to_dicts() for key, part in plays.partition_by("game_id", as_dict=True).items()}
    assert len(states) == 150
    for moment, state in zip(asked.to_dicts(), states, strict=True):
        expected = oracle(by_game[moment["game_id"]], moment)
        found = {name: state[name] for name in expected}
        assert found == expected, (moment["game_id"], moment["seq"])


def test_possession_is_told_by_who_shoots_next(plays: pl.DataFrame) -> None:
    shots = pl.col("event_type").is_in(["made_shot", "missed_shot"])
    before = plays.with_columns(
        (pl.when(pl.col("team") == pl.col("home_team")).then(1).otherwise(-1) * shots).shift(-1)
        .over("game_id", "period").alias("shoots")
    ).filter(pl.col("shoots") != 0)  # fmt: skip
    asked = before.select(
        "game_id", pl.lit("event").alias("asked_at"), "seq", "period", "elapsed_s", "clock_s", "shoots"
    )
    ball = game_states(plays, asked.drop("shoots"))["ball"]
    told = asked.with_columns(ball).filter(pl.col("ball") != 0)
    assert told.height > 0.95 * asked.height
    assert (told["ball"] == told["shoots"]).mean() > 0.97


def test_later_plays_do_not_change_an_earlier_state(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    asked = moments.filter(pl.col("game_id") == plays["game_id"][0])
    game = plays.filter(pl.col("game_id") == plays["game_id"][0])
    for moment in asked.iter_slices(1):
        later = pl.col("seq") > moment["seq"][0]
        absurd = game.with_columns(
            pl.when(later).then(pl.col(name) * 0 + 100).otherwise(pl.col(name)).alias(name)
            for name in ("points", "shot_value")
        ).with_columns(
            pl.when(later).then(10**6).otherwise(pl.col(name)).alias(name)
            for name in ("home_score", "away_score", "elapsed_s")
        ).with_columns(pl.when(later).then(pl.col("home_team")).otherwise(pl.col("team")).alias("team"))  # fmt: skip
        assert game_states(absurd, moment).equals(game_states(game, moment))
        assert game_states(game.filter(~later), moment).equals(game_states(game, moment))


def test_order_and_keys_of_the_moments_are_kept(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    shuffled = moments.sample(fraction=1.0, shuffle=True, seed=1)
    states = game_states(plays, shuffled)
    assert states.select("game_id", "asked_at", "seq").equals(shuffled.select("game_id", "asked_at", "seq"))


def test_missing_scores_are_counted_from_points(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    without = plays.with_columns(pl.lit(None, pl.Int16).alias(name) for name in ("home_score", "away_score"))
    scores = ("home_score", "away_score", "margin", "run_2min", "margin_q2")
    assert game_states(without, moments).select(scores).equals(game_states(plays, moments).select(scores))


def test_a_clock_that_runs_backwards_never_moves_the_time_back(plays: pl.DataFrame) -> None:
    game = plays.filter(pl.col("game_id") == plays["game_id"][0])
    third = pl.col("seq") % 3 == 0
    torn = game.with_columns(
        pl.when(third).then(pl.col("elapsed_s") - 90).otherwise(pl.col("elapsed_s")).alias("elapsed_s"),
        pl.when(third).then(pl.col("clock_s") + 90).otherwise(pl.col("clock_s")).alias("clock_s"),
    )
    every = torn.select(
        "game_id", pl.lit("event").alias("asked_at"), "seq", "period", "elapsed_s", "clock_s"
    ).sort("seq")
    states = game_states(torn, every)
    assert (states["elapsed_s"].diff().drop_nulls() >= 0).all()
    assert (states["left_s"] >= 0).all()
    assert states["margin"].to_list() == (game["home_score"] - game["away_score"]).to_list()


def test_seasons_without_breaks_and_lineups_give_states_all_the_same(
    plays: pl.DataFrame, moments: pl.DataFrame
) -> None:
    kinds = ["period_start", "period_end", "jump_ball", "violation"]
    bare = plays.filter(~pl.col("event_type").is_in(kinds)).with_columns(
        pl.lit(None, pl.String).alias("home_lineup"), pl.lit(None, pl.String).alias("away_lineup")
    )
    whole, states = game_states(plays, named_moments(plays)), game_states(bare, named_moments(bare))
    same = ("margin", "elapsed_s", "left_s", "home_fga", "away_luck", "ball", "margin_q1")
    assert states.select(same).equals(whole.select(same))
    assert states["home_lineup"].null_count() == states.height


def test_a_team_on_neither_side_is_refused_by_name(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    strange = plays.with_columns(
        pl.when(pl.col("seq") == 40).then(pl.lit("XYZ")).otherwise(pl.col("team")).alias("team")
    )
    with pytest.raises(SchemaError, match="'XYZ' is neither home_team"):
        game_states(strange, moments)
    with pytest.raises(SchemaError, match="shot_value"):
        game_states(plays.drop("shot_value"), moments)
    with pytest.raises(InvalidInput, match="no such game"):
        game_states(plays, moments.head(1).with_columns(pl.lit("0029999999").alias("game_id")))


def test_a_moment_before_the_first_play_is_the_tip_off(plays: pl.DataFrame) -> None:
    game = plays["game_id"][0]
    before = moment_at(plays, game).with_columns(
        pl.lit(-1).cast(pl.Int16).alias("seq"), pl.lit(1).cast(pl.Int8).alias("period"),
        pl.lit(0.0).alias("elapsed_s"), pl.lit(720.0).alias("clock_s"),
    )  # fmt: skip
    state = game_states(plays, before).to_dicts()[0]
    assert (state["margin"], state["home_fga"], state["left_s"], state["final"]) == (0, 0.0, 2880.0, False)


def test_no_moments_give_no_states_with_the_usual_columns(plays: pl.DataFrame, moments: pl.DataFrame) -> None:
    none = game_states(plays, moments.clear())
    assert none.is_empty()
    assert none.schema == game_states(plays, moments).schema


def test_a_game_is_over_at_its_last_play_and_open_before(plays: pl.DataFrame) -> None:
    assert is_over(plays)["final"].all()
    ended = is_over(plays).select("game_id", "home_score", "away_score").sort("game_id")
    last = plays.group_by("game_id").agg(pl.col("home_score", "away_score").last().cast(pl.Int32)).sort("game_id")
    assert ended.equals(last)
    assert not is_over(plays.filter(pl.col("period") < 4))["final"].any()


@pytest.mark.parametrize(
    ("kind", "subtype", "home", "final"),
    [("period_end", None, 101, True), ("made_shot", "Layup", 101, False), ("rebound", "defensive", 105, True),
     ("foul", "S.FOUL", 105, False), ("free_throw", "1 of 2", 105, False), ("period_end", None, 100, False)],
)  # fmt: skip
def test_only_what_no_play_can_turn_is_final(
    plays: pl.DataFrame, kind: str, subtype: str | None, home: int, final: bool
) -> None:
    game = plays.filter(pl.col("game_id") == plays["game_id"][0], pl.col("period") <= 4)
    last = game.tail(1).with_columns(
        pl.lit(kind).alias("event_type"), pl.lit(subtype, pl.String).alias("subtype"),
        pl.col("home_team").alias("team"), pl.lit(0.0).cast(pl.Float32).alias("clock_s"),
        pl.lit(2880.0).cast(pl.Float32).alias("elapsed_s"), pl.lit(home).cast(pl.Int16).alias("home_score"),
        pl.lit(100).cast(pl.Int16).alias("away_score"),
    )  # fmt: skip
    assert is_over(pl.concat([game.head(-1), last]))["final"].to_list() == [final]


@pytest.mark.real_data
def test_recorded_plays_end_in_the_recorded_scores(fantasy_data) -> None:
    from features.play.plays import recorded_plays

    games = pl.read_parquet(
        fantasy_data / "nba" / "games.parquet", columns=["game_id", "home_score", "away_score"]
    )
    plays = recorded_plays(fantasy_data).read(2018)
    over = is_over(plays)
    assert over["final"].all()
    both = over.join(games, on="game_id", suffix="_game")
    assert both.height == over.height
    assert (both["home_score"] == both["home_score_game"]).all()
    assert (both["away_score"] == both["away_score_game"]).all()
