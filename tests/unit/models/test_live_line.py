"""Live lines: rows that know only the past, answers for every odd case, lines and baselines judged as announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from scipy.special import ndtr, ndtri

from features.play.moments import EVENT, MOMENTS
from features.play.player_rows import LIVE_FEATURES
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import compute_views
from models.bundle import LoadedModel, load_bundle
from models.families import family_of, judged_of
from models.live_line import answers as judged
from models.live_line import data
from models.live_line.calibration import CELLS, cells, fit_cells, fit_temperatures
from models.live_line.network import LiveLineNetwork
from models.live_line.over import over_line, probability_over, recalibrated
from models.projection.config import LEVELS
from models.training.config import TrainingParams
from models.training.fit import Identity, RunOptions, learn
from tests.unit.models.live_cases import live_league

DK = "fantasy_points_draftkings"
PARAMS = {
    "train": {
        "seed": 3, "holdout_days": 5, "calibration_days": 10,
        "live_line": {"hidden": 16, "layers": 1, "dropout": 0.0, "batch_size": 256, "learning_rate": 0.01,
                      "max_epochs": 4, "patience": 4},
    }
}  # fmt: skip


@pytest.fixture(scope="module")
def played() -> tuple[Tables, Plays]:
    return live_league()


@pytest.fixture(scope="module")
def rows(played: tuple[Tables, Plays]) -> pl.DataFrame:
    tables, plays = played
    return data.labelled_rows(tables, compute_views(tables), plays=plays)


@pytest.fixture(scope="module")
def model(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("live_line")
    days = rows["game_date"].unique().sort()
    fit, rest = (rows.filter(c) for c in (pl.col("game_date") < days[50], pl.col("game_date") >= days[50]))
    bundle, _ = learn(
        "live_line", fit, rest, TrainingParams.read(PARAMS, "live_line"),
        Identity("nba-live_line", "nba", rows["as_of"].max()), RunOptions(folder / "checkpoints", device="cpu"),
        out=folder / "bundle",
    )  # fmt: skip
    return load_bundle(bundle.path)


def test_rows_hold_every_moment_and_lines_that_can_only_grow(rows: pl.DataFrame) -> None:
    counts = dict(rows.group_by("asked_at").len().iter_rows())
    assert set(counts) == {*MOMENTS, EVENT}
    assert counts["q1"] == counts["half"] == counts["q3"] > 1_000
    thinned = data.RANDOM_MOMENTS / data.ONE_IN * counts["q1"]
    assert counts[EVENT] == pytest.approx(thinned, rel=0.15)
    assert not set(data.TARGETS) & set(LIVE_FEATURES)
    for target in data.TARGETS[3:]:
        assert (rows[target] >= rows[f"{target}_so_far"]).all(), target
    absent = rows.filter(minutes_so_far=0, on_court=0)
    assert absent.height > 100 and (absent["points_so_far"] == 0).all()
    assert (absent["minutes_since_change"] * 60 - absent["elapsed_s"]).abs().max() < 1e-3
    assert rows.filter(asked_at="half")["share_left"].unique().to_list() == [0.5]


def test_features_never_see_the_rest_of_the_game(played: tuple[Tables, Plays], rows: pl.DataFrame) -> None:
    tables, plays = played
    game = rows.filter(season=2022)["game_id"].max()
    cut = rows.filter(asked_at="half", game_id=game)
    seq = cut["seq"][0]
    newest = pl.col("game_id") == game
    known = Plays((2021, 2022), lambda season: plays.read(season).filter(~newest | (pl.col("seq") <= seq + 1)))
    huge = [
        pl.when(newest).then(pl.lit(9_999)).otherwise(pl.col(c)).cast(pl.Int16).alias(c) for c in ("pts", "reb")
    ]
    changed = Tables(tables.games, tables.box.with_columns(huge))
    again = data.labelled_rows(changed, compute_views(changed), plays=known).filter(asked_at="half", game_id=game)
    assert again[DK].min() > 9_999
    assert_frame_equal(again.select("player_id", *LIVE_FEATURES), cut.select("player_id", *LIVE_FEATURES))


def test_without_plays_there_are_no_rows_but_all_columns(played: tuple[Tables, Plays], rows: pl.DataFrame) -> None:
    none = data.labelled_rows(played[0], compute_views(played[0]), plays=NO_PLAYS)
    assert none.is_empty() and none.schema == rows.schema


def test_the_family_offers_what_training_and_judging_ask_for() -> None:
    assert family_of("live_line").HORIZON == "game"
    assert "CRPS" in judged_of("live_line").METRIC


def test_answers_are_ordered_and_never_below_what_he_has(model: LoadedModel, rows: pl.DataFrame) -> None:
    output = model.outputs(rows)
    n, t = rows.height, len(data.TARGETS)
    assert output["mean"].shape == (n, t) and output["quantiles"].shape == (n, t, len(LEVELS))
    assert (np.diff(output["quantiles"], axis=2) >= 0).all()
    so_far = rows.select(f"{target}_so_far" for target in data.TARGETS[3:]).to_numpy()
    assert (output["mean"][:, 3:] >= so_far).all() and (output["quantiles"][:, 3:] >= so_far[:, :, None]).all()
    shown = model.predict(rows)
    assert (shown[f"{DK}_q10"] <= shown[f"{DK}_q90"]).all()
    label = rows[DK].cast(pl.Float64).to_numpy()
    assert np.abs(output["mean"][:, 0] - label).mean() < np.abs(label.mean() - label).mean()


def test_a_finished_player_keeps_exactly_his_line(model: LoadedModel, rows: pl.DataFrame) -> None:
    out = rows.head(20).with_columns(finished=pl.lit(1.0, pl.Float32))
    output = model.outputs(out)
    so_far = out.select(f"{target}_so_far" for target in data.TARGETS).to_numpy()
    assert np.array_equal(output["mean"], so_far)
    assert np.array_equal(output["quantiles"], np.repeat(so_far[:, :, None], len(LEVELS), axis=2))
    line = out["points_so_far"].cast(pl.Float64).to_numpy()
    assert over_line(output, model.config, "points", line - 0.5).tolist() == [1.0] * 20
    assert over_line(output, model.config, "points", line).tolist() == [0.0] * 20


def test_odd_rows_all_get_an_answer(model: LoadedModel, played: tuple[Tables, Plays]) -> None:
    tables, plays = played
    newest = tables.games["game_id"].max()
    overtime = plays.read(2022).filter(game_id=newest)
    assert overtime["period"].max() == 5
    blind = overtime.with_columns(home_lineup=pl.lit(None, pl.String), away_lineup=pl.lit(None, pl.String))
    first = pl.col("player_id") == 100
    box = tables.box.filter(~first | (pl.col("game_id") == newest)).with_columns(
        player_id=pl.when(pl.col("player_id") == 201, pl.col("game_id") != newest).then(105).otherwise("player_id")
    )
    for frame in (overtime, blind):
        source = Plays((2022,), lambda season, frame=frame: frame)
        odd = data.labelled_rows(replace(tables, box=box), compute_views(replace(tables, box=box)), plays=source)
        assert odd["dk_season"].null_count() > 0
        output = model.outputs(odd)
        assert all(np.isfinite(values).all() for values in output.values())
    assert odd["minutes_so_far"].null_count() == odd.height
    unknown = odd.with_columns(pl.lit(None, pl.Float32).alias(name) for name in LIVE_FEATURES)
    assert all(np.isfinite(values).all() for values in model.outputs(unknown).values())


def test_the_network_learns_what_is_still_to_come() -> None:
    rng = np.random.default_rng(0)
    config = data.config({"hidden": 8, "layers": 1, "dropout": 0.0})
    inputs = rng.normal(size=(128, len(config.features))).astype(np.float32)
    at = config.features.index
    inputs[:, at("seconds_left")], inputs[:, at("finished")] = rng.uniform(0, 2880, 128), 0
    so_far = inputs[:, [at(f"{name}_so_far") for name in config.targets]]
    labels = so_far + np.sqrt(inputs[:, [at("seconds_left")]] / 2880)
    torch.manual_seed(0)
    network = LiveLineNetwork(config)
    network.fit_scales(inputs, labels)
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    before = network.loss(x, y).item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = network.loss(x, y)
        loss.backward()
        optimiser.step()
    assert loss.item() < before / 2
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_chance_to_pass_a_line_is_that_of_the_distribution() -> None:
    levels = np.asarray(LEVELS)
    mean, sd = np.array([20.0, 35.0, 5.0]), np.array([5.0, 8.0, 0.0])
    grid = mean[:, None] + sd[:, None] * ndtri(levels)
    line = np.array([23.0, 60.0, 5.0])
    found = probability_over(grid, levels, mean, line)
    assert found[:2] == pytest.approx(1 - ndtr((line[:2] - mean[:2]) / sd[:2]), abs=1e-3)
    assert found[2] == 0 and probability_over(grid[2:], levels, mean[2:], np.array([4.5]))[0] == 1
    assert np.isnan(probability_over(grid[:1], levels, mean[:1], np.array([np.nan])))[0]
    lines = np.linspace(-20, 80, 300)
    curve = probability_over(np.repeat(grid[:1], 300, axis=0), levels, np.full(300, 20.0), lines)
    assert (np.diff(curve) <= 0).all() and curve[0] > 0.999 and curve[-1] < 0.001


def test_whole_lines_ask_the_same_as_the_half_above() -> None:
    grid = 20 + 5 * ndtri(np.asarray(LEVELS))
    output = {"mean": np.array([[20.0, 20.0]]), "quantiles": grid[None, None].repeat(2, axis=1)}
    output["temperature"] = np.array([[1.0, 2.0]])
    config = {"targets": ["points", DK], "levels": LEVELS}
    at = [over_line(output, config, "points", np.array([line]))[0] for line in (25.0, 25.5, 24.9)]
    assert at[0] == at[1] < at[2]
    softened = over_line(output, config, DK, np.array([25.0]))[0]
    plain = probability_over(grid[None], LEVELS, np.array([20.0]), np.array([25.0]))[0]
    assert plain < softened < 0.5
    assert recalibrated(np.array([0.0, 1.0]), np.array([2.0, 2.0])).tolist() == [0.0, 1.0]


def test_calibration_mends_each_cell_on_its_own() -> None:
    rng = np.random.default_rng(1)
    n = 12_000
    elapsed, expected = rng.choice([720.0, 1440.0, 2160.0], n), rng.choice([10.0, 30.0], n)
    cell = cells(elapsed, expected)
    assert len(np.unique(cell)) == 6 and cell.max() < CELLS
    label = rng.normal(0, np.where(elapsed == 720, 2.0, 1.0))[:, None]
    quantiles = np.tile(ndtri(np.asarray(LEVELS)), (n, 1, 1)) + 0.7
    mean = np.full((n, 1), 0.7)
    found = fit_cells(mean, quantiles, label, cell, LEVELS)
    moved, grid = found.apply(mean, quantiles, cell, np.ones(n, dtype=np.bool_))
    for number in np.unique(cell):
        mine = cell == number
        assert moved[mine].mean() == pytest.approx(label[mine].mean(), abs=1e-9)
        inside = (label[mine, 0] >= grid[mine, 0, 1]) & (label[mine, 0] <= grid[mine, 0, 17])
        assert inside.mean() == pytest.approx(0.8, abs=0.01)
    kept, same = found.apply(mean, quantiles, cell, np.zeros(n, dtype=np.bool_))
    assert np.array_equal(kept, mean) and np.array_equal(same, quantiles)
    assert type(found).from_json(found.as_json()).offsets == pytest.approx(found.offsets)


def test_temperatures_soften_claims_that_are_too_bold() -> None:
    rng = np.random.default_rng(2)
    n = 8_000
    centre, line = rng.normal(20, 5, n), np.full(n, 20.0)
    label = (centre + rng.normal(0, 6, n))[:, None]
    bold = (centre[:, None] + 2.0 * ndtri(np.asarray(LEVELS)))[:, None]
    cell = np.zeros(n, dtype=np.intp)
    found = fit_temperatures(centre[:, None], bold, label, {DK: [line]}, cell, [DK], LEVELS)
    assert found.shape == (CELLS, 1) and found[0, 0] > 2
    assert (fit_temperatures(centre[:, None], bold, label, {}, cell, [DK], LEVELS) == 1).all()


def judged_rows(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    day = date(2022, 11, 1)
    return judged.with_baselines(
        rows.filter(pl.col("game_date") >= day), rows.filter(pl.col("game_date") < day), tables
    )


def test_answers_are_given_to_every_target(
    model: LoadedModel, rows: pl.DataFrame, played: tuple[Tables, Plays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "ROTATION_MEAN", 8.0)
    asked = judged_rows(rows, played[0])
    found = {a.target: a for a in judged.answers(asked, model.outputs(asked), model.config)}
    assert set(found) == {*judged.POINTS, "over_season_mean", "over_projection"}
    points = found[DK]
    assert set(points.baselines) == {"pace", "season_mean", "ewma"} and points.primary == "pace"
    assert points.mean is not None and len(points.mean) == points.rows.height
    assert EVENT in points.rows["asked_at"].to_list() and points.rows["rotation"].any()
    over = found["over_season_mean"]
    assert set(over.rows["asked_at"]) == set(MOMENTS) and over.rows["rotation"].all()
    assert over.probability is not None and set(over.rows["finished"]) == {0.0, 1.0}
    settled = (over.probability == 0) | (over.probability == 1)
    assert (settled == (over.rows["finished"] == 1).to_numpy()).all()
    both = over.rows.join(points.rows, on=["game_id", "player_id", "asked_at"], suffix="_points")
    assert both.height == over.rows.height
    assert ((both["label_points"] > both["line"]) == (both["label"] == 1)).all()
    assert (both["line"] - both["baseline_season_mean"]).abs().max() == 0
    assert over.rows["baseline_pace"].is_between(0, 1).all()
    assert (
        over.rows.group_by("asked_at").agg(pl.col("baseline_base_rate").n_unique())["baseline_base_rate"].max()
        == 1
    )
    loss = judged.losses(asked, model.outputs(asked), model.config)
    assert loss.shape == (asked.height,) and (loss >= 0).all()


def test_the_projection_is_the_line_where_rows_carry_one(
    model: LoadedModel, rows: pl.DataFrame, played: tuple[Tables, Plays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "ROTATION_MEAN", 8.0)
    for frame, line in ((rows, "dk_expected"), (rows.with_columns(projection_draftkings=pl.lit(12.5)), None)):
        asked = judged_rows(frame, played[0])
        found = {a.target: a for a in judged.answers(asked, model.outputs(asked), model.config)}["over_projection"]
        assert found.rows.height > 0
        if line is None:
            assert found.rows["line"].unique().to_list() == [12.5]
        else:
            known = found.rows.join(asked, on=["game_id", "player_id", "asked_at"], how="left", suffix="_asked")
            assert (known["line"] == known[line].cast(pl.Float64)).all()


def test_pace_is_so_far_plus_the_season_mean_of_the_rest(rows: pl.DataFrame, played: tuple[Tables, Plays]) -> None:
    asked = judged_rows(rows, played[0]).filter(asked_at="q3").drop_nulls(f"baseline_{DK}_season_mean")
    expected = asked[f"{DK}_so_far"] + asked[f"baseline_{DK}_season_mean"] / 4
    assert (asked[f"baseline_{DK}_pace"] - expected).abs().max() < 1e-5


def test_the_pace_baseline_recovers_known_log_odds() -> None:
    rng = np.random.default_rng(4)
    ahead = rng.normal(0, 6, 40_000)
    label = (rng.random(ahead.size) < 1 / (1 + np.exp(-(0.2 * ahead - 0.5)))).astype(np.float64)
    assert judged._log_odds(ahead, label) == pytest.approx((0.2, -0.5), abs=0.04)


def test_baselines_without_a_past_have_no_answer(rows: pl.DataFrame, played: tuple[Tables, Plays]) -> None:
    alone = judged.with_baselines(rows, rows.clear(), played[0])
    assert alone["baseline_over_season_mean_pace"].null_count() == rows.height
    assert alone[f"baseline_{DK}_pace"].null_count() < rows.height


def test_a_bundle_is_read_back_with_its_calibration(model: LoadedModel, tmp_path: Path) -> None:
    numbers: dict[str, Any] = model.bundle.calibration
    assert np.shape(numbers["offsets"]) == (CELLS, len(data.TARGETS), len(LEVELS))
    assert np.shape(numbers["temperatures"]) == (CELLS, len(data.TARGETS))
    assert model.bundle.label == data.LABEL and model.features == LIVE_FEATURES
