"""The in-game winner model: sane answers at any moment, learned from the past only, judged beside plain baselines."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import expit

from features.errors import SchemaError
from features.play.game_state import game_states
from features.play.moments import named_moments
from features.play.plays import COLUMNS, Plays
from features.sources.simulated import SimulatedSource
from features.tables import Tables
from features.views import Views, compute_views, game_rows
from features.views.entities import game_entities
from models.brownian import Brownian, fit_brownian
from models.bundle import LoadedModel, load_bundle
from models.errors import TrainingError
from models.live_win import answers as judged
from models.live_win import data
from models.live_win.config import BUCKETS, LiveWinConfig
from models.live_win.network import LiveWinNetwork
from models.live_win.public import public_states, same_states
from models.live_win.rows import FEATURES, live_rows
from models.training.config import TrainingParams
from models.training.fit import Identity, RunOptions, learn

SIZE = {"hidden": 0, "layers": 0, "dropout": 0.0}
PARAMS = {
    "train": {
        "seed": 7, "holdout_days": 5, "calibration_days": 8,
        "live_win": {**SIZE, "batch_size": 128, "accumulate": 1, "learning_rate": 0.003, "weight_decay": 0.01,
                     "max_epochs": 2, "patience": 2},
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def month() -> tuple[Tables, Plays]:
    """Three weeks of a simulated season and its play-by-play."""
    source = SimulatedSource(20261123, [2023], date(2023, 11, 16))
    frames = {
        b.table: b.frame
        for b in source.batches(as_of=datetime(2023, 11, 16, tzinfo=UTC), seasons=None, cursors={})
    }
    pbp = frames["pbp"].select(COLUMNS).sort("game_id", "seq")
    return Tables(frames["games"], frames["box"]), Plays((2023,), lambda season: pbp)


@pytest.fixture(scope="module")
def views(month: tuple[Tables, Plays]) -> Views:
    return compute_views(month[0])


@pytest.fixture(scope="module")
def rows(month: tuple[Tables, Plays], views: Views) -> pl.DataFrame:
    return data.labelled_rows(month[0], views, plays=month[1])


@pytest.fixture(scope="module")
def split(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Fit, calibrate and test rows, each later than the one before."""
    days = rows["game_date"].unique().sort()
    day = pl.col("game_date")
    fit, calibrate = rows.filter(day < days[-13]), rows.filter(day.is_between(days[-13], days[-5], closed="left"))
    return fit, calibrate, rows.filter(day >= days[-5])


@pytest.fixture(scope="module")
def model(split: tuple[pl.DataFrame, ...], tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A bundle trained, written and read back."""
    folder = tmp_path_factory.mktemp("live_win")
    chosen = TrainingParams.read(PARAMS, "live_win")
    identity = Identity("simulated-live_win", "simulated", datetime(2023, 11, 16, tzinfo=UTC))
    bundle, _ = learn(
        "live_win", split[0], split[1], chosen, identity, RunOptions(folder / "checkpoints", "cpu"),
        out=folder / "bundle",
    )  # fmt: skip
    return load_bundle(bundle.path, device="cpu")


def test_every_game_has_its_named_moments_and_as_many_drawn_plays(rows: pl.DataFrame) -> None:
    counts = rows.group_by("game_id").agg(
        *((pl.col("asked_at") == name).sum().alias(name) for name in ("q1", "half", "q3", "event"))
    )
    assert counts.select(pl.col("q1", "half", "q3").unique()).rows() == [(1, 1, 1)]
    assert counts["event"].unique().to_list() == [data.EVENTS_PER_GAME]
    assert set(FEATURES) <= set(rows.columns)
    assert not set(FEATURES) & {*data.TARGETS, "close_home_spread"}


def test_the_result_is_in_no_row(month: tuple[Tables, Plays], views: Views, rows: pl.DataFrame) -> None:
    """A million points after the third quarter change no feature of the moments up to it."""
    tables, plays = month
    changed = plays.read(2023).with_columns(
        pl.when(pl.col("period") >= 4).then(pl.lit(30_000)).otherwise(pl.col("home_score")).alias("home_score")
    )
    other = data.labelled_rows(tables, views, plays=Plays((2023,), lambda season: changed))
    early = pl.col("period") <= 3
    assert other.filter(early).select(FEATURES).equals(rows.filter(early).select(FEATURES))
    assert not other.filter(~early).select(FEATURES).equals(rows.filter(~early).select(FEATURES))


def test_a_league_without_plays_has_no_rows_but_their_columns(
    month: tuple[Tables, Plays], views: Views, rows: pl.DataFrame
) -> None:
    none = data.labelled_rows(month[0], views)
    assert none.is_empty()
    assert none.schema == rows.schema


def test_an_untrained_network_answers_as_its_anchor(rows: pl.DataFrame) -> None:
    network = LiveWinNetwork(LiveWinConfig(FEATURES, hidden=8, layers=1)).eval()
    with torch.no_grad():
        network.head.weight.zero_()
    inputs = rows.select(FEATURES).to_numpy().astype(np.float32)
    answer = data.outputs(network, inputs, {})
    np.testing.assert_allclose(answer["home_win_probability"], expit(rows["anchor_logit"].to_numpy()), atol=1e-6)
    np.testing.assert_allclose(answer["margin_mean"], rows["margin_anchor"].to_numpy(), atol=1e-4)


def test_answers_are_probabilities_and_ascending_quantiles(model: LoadedModel, rows: pl.DataFrame) -> None:
    unknown = np.full((1, len(FEATURES)), np.nan, np.float32)
    inputs = np.vstack([rows.select(FEATURES).to_numpy().astype(np.float32), unknown])
    answer = data.outputs(model.network, inputs, model.bundle.calibration)
    assert ((answer["home_win_probability"] > 0) & (answer["home_win_probability"] < 1)).all()
    assert (np.diff(answer["margin_quantiles"], axis=1) >= 0).all()
    assert np.isfinite(answer["margin_mean"]).all()
    names = [column.name for column in data.columns(answer, model.config)]
    assert names[:2] == ["home_win_probability", "margin_mean"]
    assert names[-1] == "margin_q95"


def test_more_lead_and_less_time_mean_more_certainty(
    model: LoadedModel, month: tuple[Tables, Plays], views: Views
) -> None:
    tables, plays = month
    games = game_rows(game_entities(tables), views).tail(1)
    known = plays.read(2023).filter(pl.col("game_id") == games["game_id"][0])
    state = game_states(known, named_moments(known)).filter(pl.col("asked_at") == "half")
    leads = pl.concat([state] * 5).with_columns(pl.Series("margin", [-20, -8, 0, 8, 20], pl.Int32))
    at_half = model.outputs(live_rows(games, leads))["home_win_probability"]
    late = leads.with_columns(pl.lit(60.0).alias("left_s"), pl.lit(2820.0).alias("elapsed_s"))
    at_end = model.outputs(live_rows(games, late))["home_win_probability"]
    assert (np.diff(at_half) > 0).all()
    assert at_end[1] < at_half[1]
    assert at_end[3] > at_half[3]
    assert at_end[4] > 0.99


def test_the_bundle_beats_elo_and_keeps_up_with_the_logistic(
    model: LoadedModel, split: tuple[pl.DataFrame, ...], month: tuple[Tables, Plays]
) -> None:
    past, test = pl.concat(split[:2]), split[2]
    rows = judged.with_baselines(test, past, month[0])
    output = model.outputs(test)
    won, margin = judged.answers(rows, output, model.config)
    assert (won.target, won.kind, margin.target, margin.kind) == (
        "home_win",
        "probability",
        "home_margin",
        "points",
    )
    assert set(won.baselines) == {"logistic", "brownian", "elo", "leader"}
    assert set(margin.baselines) == {"brownian", "lead"}
    label = won.rows["label"].to_numpy()

    def brier(values: Any) -> float:
        return float(np.mean((np.asarray(values) - label) ** 2))

    ours = brier(won.probability)
    assert ours < brier(won.rows["baseline_elo"]) - 0.02
    assert ours < brier(won.rows["baseline_logistic"]) + 0.01
    np.testing.assert_allclose(judged.losses(rows, output, model.config).mean(), ours)
    assert won.rows.filter(pl.col("margin") == 0)["baseline_leader"].null_count() == (test["margin"] == 0).sum()


def test_baselines_learn_from_the_past_rows_alone(
    split: tuple[pl.DataFrame, ...], month: tuple[Tables, Plays]
) -> None:
    past, test = split[0], split[2]
    lied = test.with_columns(~pl.col("home_win"), -pl.col("home_margin"))
    told, untold = (judged.with_baselines(frame, past, month[0]) for frame in (test, lied))
    names = [name for name in told.columns if name.startswith("baseline_")]
    assert told.select(names).equals(untold.select(names))
    bare = judged.with_baselines(test, past.clear(), month[0])
    assert bare["baseline_logistic"].null_count() == bare["baseline_brownian"].null_count() == bare.height


def test_calibration_bends_to_the_slice_it_is_fitted_on(rows: pl.DataFrame) -> None:
    network = data.build(data.config(SIZE).as_json()).eval()
    inputs = rows.select(FEATURES).to_numpy().astype(np.float32)
    network.fit_scales(inputs, np.zeros((1, 2), np.float32))
    noise = np.random.default_rng(0)
    coin = np.column_stack([noise.random(len(rows)) < 0.5, rows["home_margin"].to_numpy()]).astype(np.float32)
    fitted = data.calibrate(network, inputs, coin)
    assert len(fitted["temperatures"]) == len(fitted["offsets"]) == len(BUCKETS) + 1
    # A coin decides: a slice of a few hundred rows softens the answers, held back by the prior.
    assert all(temperature > 1 for temperature in fitted["temperatures"])
    quantiles = data.outputs(network, inputs, fitted)["margin_quantiles"]
    below = (rows["home_margin"].to_numpy()[:, None] <= quantiles).mean(axis=0)
    np.testing.assert_allclose(below, network.config.levels, atol=0.03)


def test_config_survives_the_bundle() -> None:
    config = data.config({**SIZE, "hidden": 4})
    assert LiveWinConfig.from_json(config.as_json()) == config


def test_a_brownian_margin_is_recovered_from_its_own_paths() -> None:
    rng = np.random.default_rng(3)
    strength, share = rng.normal(size=20_000), rng.choice([0.25, 0.5, 0.75], 20_000)
    drift = 2.5 + 6 * strength
    lead = drift * (1 - share) + 12 * np.sqrt(1 - share) * rng.normal(size=20_000)
    final = lead + drift * share + 12 * np.sqrt(share) * rng.normal(size=20_000)
    fitted = fit_brownian(lead, strength, share, final)
    assert fitted.intercept == pytest.approx(2.5, abs=0.3)
    assert fitted.slope == pytest.approx(6, abs=0.3)
    assert fitted.sd == pytest.approx(12, abs=0.2)
    assert np.mean((fitted.probability(lead, strength, share) - (final > 0)) ** 2) < 0.2
    inside = final[:, None] <= fitted.margin_quantiles(lead, strength, share, [0.1, 0.9])
    np.testing.assert_allclose(inside.mean(axis=0), [0.1, 0.9], atol=0.01)


def test_brownian_answers_stern_s_own_figures() -> None:
    """With his estimates (home drift 4.87, deviation 15.82) his formula gives .59 for a tie at the half."""
    stern = Brownian(intercept=4.87, slope=0.0, sd=15.82)
    assert stern.probability([0], [0], [0.5])[0] == pytest.approx(0.59, abs=0.005)
    assert stern.probability([2], [0], [0.25])[0] == pytest.approx(0.66, abs=0.005)
    assert stern.probability([-3], [0], [0.0])[0] < 1e-6
    np.testing.assert_allclose(expit(stern.logit([5], [0], [0.3])), stern.probability([5], [0], [0.3]))
    with pytest.raises(TrainingError, match="too few"):
        fit_brownian([1.0], [0.0], [0.5], [2.0])


def test_public_states_are_answered_play_by_play(
    model: LoadedModel, month: tuple[Tables, Plays], views: Views, tmp_path: Path
) -> None:
    tables, plays = month
    games = game_rows(game_entities(tables), views).tail(3)
    known = plays.read(2023).filter(pl.col("game_id").is_in(games["game_id"].to_list()))
    won = tables.games.select("game_id", pl.col("home_win").cast(pl.Int8).alias("home_won"))
    file = known.select(
        "game_id", pl.col("event_num").alias("action_number"), pl.lit(0.5).alias("ref_home_wp")
    ).join(won, on="game_id")
    file.write_parquet(tmp_path / "public.parquet")
    told = same_states(model, public_states(tmp_path / "public.parquet"), known, games)
    assert told.height == known.height
    last = told.group_by("game_id", maintain_order=True).last()
    assert last["probability"].to_list() == last["label"].to_list()
    assert told["probability"].is_between(0, 1).all()
    with pytest.raises(SchemaError, match="event_num"):
        same_states(model, public_states(tmp_path / "public.parquet"), known.drop("event_num"), games)
    file.drop("home_won").write_parquet(tmp_path / "broken.parquet")
    with pytest.raises(SchemaError, match="home_won"):
        public_states(tmp_path / "broken.parquet")
