"""The possession family: rows without leaks, classes that add up, and futures of a game whose law is known."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from features.errors import InvalidInput
from features.play.plays import COLUMNS, Plays
from features.play.possessions import BEGAN
from features.sources.simulated import SimulatedSource
from features.tables import Tables
from features.views import compute_views
from models.device import one_thread
from models.families import family_of, judged_of
from models.possession.calibration import ClassScaling, fit_tilt, fit_vector
from models.possession.config import FEATURES, SECONDS, STATE, PossessionConfig
from models.possession.data import build, calibrate, config, count_quantiles, labelled_rows, labels, outputs
from models.possession.remainder import CLOCKS, MARGINS, PERIODS, GameState, Law, law_of, simulate
from models.possession.rows import season_states, with_state
from models.projection.config import LEVELS
from models.trunk import feature_matrix

SMALL = {"hidden": 8, "layers": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def league() -> tuple[Tables, pl.DataFrame]:
    source = SimulatedSource(12, [2023], date(2023, 11, 5))
    batches = source.batches(as_of=datetime(2023, 11, 5, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    return Tables(frames["games"], frames["box"]), frames["pbp"].select(COLUMNS).sort("game_id", "seq")


@pytest.fixture(scope="module")
def rows(league: tuple[Tables, pl.DataFrame]) -> pl.DataFrame:
    tables, plays = league
    return labelled_rows(tables, compute_views(tables), plays=Plays((2023,), lambda season: plays))


@pytest.fixture(scope="module")
def trained(rows: pl.DataFrame) -> tuple[Any, dict[str, Any]]:
    shape = config(SMALL)
    torch.manual_seed(0)
    network = build(shape.as_json())
    x, y = feature_matrix(rows, FEATURES), labels(rows, shape)
    network.fit_scales(x, y)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    with one_thread():
        for _ in range(30):
            optimizer.zero_grad()
            torch.autograd.backward(network.loss(torch.from_numpy(x), torch.from_numpy(y)))
            optimizer.step()
    network.eval()
    return network, calibrate(network, x, y)


def test_rows_ask_at_starts_and_at_moments(rows: pl.DataFrame) -> None:
    starts, moments = (
        rows.filter(pl.col("asked_at") == "possession"),
        rows.filter(pl.col("asked_at") != "possession"),
    )
    assert starts["points"].null_count() == 0 and moments["points"].null_count() == moments.height
    assert set(starts["has_ball"]) == {1.0}
    both = moments.group_by("game_id", "asked_at", "seq").agg(pl.len(), pl.col("has_ball", "margin").sum())
    assert set(both["len"]) == {2} and set(both["has_ball"]) == {1.0} and set(both["margin"]) == {0.0}
    assert rows["clock_s"].min() >= 0 and rows["clock_s"].max() <= 720  # type: ignore[operator]
    assert rows["age_s"].max() < 120  # type: ignore[operator]
    named = moments.filter(pl.col("asked_at") != "event")
    assert set(named["elapsed_s"]) == {720.0, 1440.0, 2160.0} and set(named["began"]) == {"period_start"}
    assert rows.select(FEATURES).null_count().select(STATE).sum_horizontal().item() == 0


def test_points_in_two_minutes_are_those_of_the_plays(
    league: tuple[Tables, pl.DataFrame], rows: pl.DataFrame
) -> None:
    for row in rows.sample(40, seed=3).iter_rows(named=True):
        after = league[1].filter(
            pl.col("game_id") == row["game_id"], pl.col("seq") > row["seq"], pl.col("team") == row["team"],
            pl.col("elapsed_s") <= row["elapsed_s"] + 120,
        )  # fmt: skip
        assert row["points_next_2min"] == after["points"].cast(pl.Int64).sum()


def test_later_plays_move_no_earlier_state(league: tuple[Tables, pl.DataFrame]) -> None:
    cut = 150
    later = pl.col("seq") >= cut
    plays = league[1].with_columns(pl.col("home_score", "away_score").cast(pl.Int64))
    edited = plays.with_columns(
        home_score=pl.col("home_score") + later * 10**4,
        subtype=pl.when(later).then(pl.lit("edited")).otherwise("subtype"),
        event_type=pl.when(later & (pl.col("event_type") == "foul")).then(pl.lit("timeout")).otherwise("event_type"),
    )  # fmt: skip
    before, after = (
        with_state(season_states(frame, share=1, events=8)).filter(pl.col("seq") < cut - 1)
        for frame in (plays, edited)
    )
    keys = ["game_id", "asked_at", "seq", "team"]
    known = [*keys, *(name for name in STATE if name not in {"points"})]
    assert before.height > 2000
    assert before.select(known).sort(keys).equals(after.select(known).sort(keys))


def test_config_survives_json() -> None:
    plain = PossessionConfig(FEATURES, hidden=4)
    assert PossessionConfig.from_json(json.loads(json.dumps(plain.as_json()))) == plain


def test_absurd_and_missing_inputs_stay_probabilities() -> None:
    network = build(config({"hidden": 4}).as_json()).eval()
    inputs = np.full((3, len(FEATURES)), np.nan, np.float32)
    inputs[1:] = np.array([[1e30], [-np.inf]], np.float32)
    answer = family_of("possession").outputs(network, inputs, {})
    for name in ("points", "seconds", "next"):
        np.testing.assert_allclose(answer[name].sum(axis=1), 1.0)
    assert np.isfinite(answer["next_mean"]).all() and (np.diff(answer["next_quantiles"], axis=1) >= 0).all()


def test_without_play_by_play_the_family_says_so(league: tuple[Tables, pl.DataFrame]) -> None:
    with pytest.raises(InvalidInput, match="play-by-play"):
        labelled_rows(league[0], {})


def test_answers_are_one_per_target_with_their_baselines(rows: pl.DataFrame, trained: tuple[Any, Any]) -> None:
    judged: Any = judged_of("possession")
    cut = rows["game_date"].unique().sort()[-4]
    past, later = rows.filter(pl.col("game_date") < cut), rows.filter(pl.col("game_date") >= cut)
    asked = judged.with_baselines(later, past, None)
    output = outputs(trained[0], feature_matrix(later, FEATURES), trained[1])
    classes, ahead = judged.answers(asked, output, {})
    assert (classes.target, classes.kind, ahead.target, ahead.kind) == (
        "next_possession_points", "classes", "points_next_2min", "points",
    )  # fmt: skip
    assert set(classes.baselines) == {"base_rate", "offence", "began"}
    assert set(ahead.baselines) == {"efficiency", "pace"}
    shares = np.array(classes.rows["baseline_base_rate"].to_list())
    past_points = past.filter(pl.col("asked_at") == "possession")["points"].to_numpy()
    np.testing.assert_allclose(shares[0], np.bincount(past_points.astype(int)) / past_points.size, atol=1e-3)
    for name in classes.baselines:
        told = np.array(classes.rows[f"baseline_{name}"].to_list())
        np.testing.assert_allclose(told.sum(axis=1), 1.0, atol=1e-6)
    lost = judged.losses(asked, output, {})
    assert lost.shape == (later.height,) and np.isfinite(lost).all()
    bare = judged.with_baselines(later, past.clear(), None)
    assert bare["baseline_pace"].null_count() == 0


def test_vector_scaling_finds_the_shift_and_scale_that_were_applied() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(60_000, 4))
    truth = ClassScaling(1.25, (0.0, 0.1, -0.1, 0.0)).apply(logits)
    label = (truth.cumsum(axis=1) < rng.random((60_000, 1))).sum(axis=1)
    np.testing.assert_allclose(fit_vector(logits, label).apply(logits), truth, atol=0.012)
    tilted = ClassScaling(1.0, (0.0, 0.1, 0.2, 0.3)).apply(logits)
    label = (tilted.cumsum(axis=1) < rng.random((60_000, 1))).sum(axis=1)
    np.testing.assert_allclose(fit_tilt(logits, label).apply(logits), tilted, atol=0.012)


def test_count_quantiles_are_the_smallest_counts_that_reach_the_level() -> None:
    found = count_quantiles(np.array([[0.5, 0.25, 0.25]]))[0]
    told = dict(zip(LEVELS, found, strict=True))
    assert (told[0.05], told[0.5], told[0.55], told[0.75], told[0.8]) == (0, 0, 1, 1, 2)


def law(points: tuple[float, ...], band: int) -> Law:
    """Every possession lasts as long as `band` says and brings points with these chances."""
    shape = (len(PERIODS), len(CLOCKS), len(MARGINS), 2, len(BEGAN))
    seconds = np.zeros(len(SECONDS) + 1)
    seconds[band] = 1.0
    low = np.array([0.0, *SECONDS])
    following = np.cumsum(np.full((4, len(BEGAN)), 1 / len(BEGAN)), axis=1)
    return Law(
        np.broadcast_to(np.cumsum(points), (*shape, 4)), np.broadcast_to(np.cumsum(seconds), (*shape, seconds.size)),
        following, low, low,
    )  # fmt: skip


def test_a_law_without_chance_gives_the_score_one_can_count() -> None:
    """12 s and 2 points each: ten possessions in two minutes, 60 a quarter, and nobody pulls away."""
    sure = law((0.0, 0.0, 1.0, 0.0), SECONDS.index(12) + 1)
    state = GameState(lead=3, period=4, clock_s=240.0, ball_home=True, began="made_shot")
    futures = simulate(sure, state, futures=50, seed=0)
    assert (futures.soon == 10).all() and (futures.points == 20).all() and (futures.overtimes == 0).all()
    assert futures.win_probability(3) == 1.0
    whole = simulate(sure, GameState(3, 1, 720.0, True, "period_start", True), futures=10, seed=0)
    assert (whole.points == 240).all()


def test_a_level_game_goes_to_overtime_until_it_is_decided() -> None:
    even = law((0.55, 0.0, 0.45, 0.0), SECONDS.index(14) + 1)
    futures = simulate(even, GameState(0, 4, 60.0, True, "made_shot"), futures=4000, seed=1)
    assert (futures.points[:, 0] != futures.points[:, 1]).all()
    assert (futures.overtimes > 0).mean() > 0.1
    # Five possessions remain: with three of them the home side wins as often as it loses with two.
    other = simulate(even, GameState(0, 4, 60.0, False, "made_shot"), futures=4000, seed=2)
    assert abs(futures.win_probability(0) + other.win_probability(0) - 1) < 0.04
    assert futures.win_probability(0) > 0.55
    behind = simulate(even, GameState(-12, 4, 60.0, True, "made_shot"), futures=500, seed=1)
    assert behind.win_probability(-12) < 0.01


def test_the_same_seed_repeats_and_a_wrong_clock_is_refused() -> None:
    even = law((0.5, 0.1, 0.3, 0.1), 6)
    state = GameState(0, 2, 300.0, False, "steal")
    first, second = (simulate(even, state, futures=100, seed=5) for _ in range(2))
    assert (first.points == second.points).all()
    short = simulate(even, state, futures=100, seed=5, until_end=False)
    assert (short.soon == first.soon).mean() > 0 and (short.points.sum() < first.points.sum())
    with pytest.raises(InvalidInput, match="clock_s 800"):
        simulate(even, GameState(0, 2, 800.0, False, "steal"), futures=10, seed=0)


def test_a_trained_network_gives_a_law_of_sensible_futures(rows: pl.DataFrame, trained: tuple[Any, Any]) -> None:
    moment = rows.filter(pl.col("asked_at") == "half").sort("game_id", "at_home", descending=[False, True]).head(2)
    found = law_of(trained[0], trained[1], moment)
    np.testing.assert_allclose(found.points[..., -1], 1.0)
    home = moment.row(0, named=True)
    state = GameState(int(home["margin"]), home["period"], home["clock_s"], home["has_ball"] == 1, home["began"])
    futures = simulate(found, state, futures=400, seed=0)
    assert 35 < futures.points.mean() < 80 and 2 < futures.soon.mean() < 8
    with pytest.raises(InvalidInput, match="home and the away row"):
        law_of(trained[0], trained[1], moment.head(1))
