"""The winner network is symmetric enough, calibrated by temperature, and safe on odd inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from features.slate import Slate, SlateGame, SlatePlayer
from features.tables import Tables
from features.views import GAME_ANNOUNCED_FEATURES, Views, compute_views
from models.announced import hide_announced
from models.bundle import load_bundle
from models.families import family_of
from models.training.fit import train
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.data import forward
from models.win_probability.network import WinProbabilityNetwork
from models.win_probability.slate import slate_game_rows
from tests.fixtures.invented import TEAMS

CONFIG = WinProbabilityConfig(("a", "b"), hidden=4)


def test_an_untrained_network_answers_near_the_base_rate() -> None:
    torch.manual_seed(0)
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    network.fit_scales(inputs, np.full((500, 1), 0.6, np.float32))
    answers = family_of("win_probability").outputs(network, inputs, {})["home_win_probability"]
    assert abs(answers.mean() - 0.6) < 0.05


def test_a_higher_temperature_pulls_answers_to_one_half() -> None:
    torch.manual_seed(0)
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.random.default_rng(1).normal(size=(100, 2)).astype(np.float32)
    family = family_of("win_probability")
    sharp, soft = (
        family.outputs(network, inputs, {"announced": {"temperature": t}})["home_win_probability"]
        for t in (1.0, 3.0)
    )
    assert (np.abs(soft - 0.5) <= np.abs(sharp - 0.5)).all()
    assert (np.abs(soft - 0.5) < np.abs(sharp - 0.5)).any()


def test_absurd_and_missing_inputs_stay_probabilities() -> None:
    network = WinProbabilityNetwork(CONFIG).eval()
    inputs = np.array([[1e30, -1e30], [np.nan, np.nan], [np.inf, 0.0]], np.float32)
    answers = family_of("win_probability").outputs(network, inputs, {})["home_win_probability"]
    assert np.isfinite(answers).all() and ((answers > 0) & (answers < 1)).all()


def test_config_survives_json() -> None:
    grouped = WinProbabilityConfig(("a", "b"), (("b",),), hidden=4)
    for config in (CONFIG, grouped):
        assert WinProbabilityConfig.from_json(json.loads(json.dumps(config.as_json()))) == config


def test_each_case_has_its_own_temperature() -> None:
    torch.manual_seed(0)
    network = WinProbabilityNetwork(WinProbabilityConfig(("a", "b"), (("b",),), hidden=4)).eval()
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(4000, 2)).astype(np.float32)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, :2] = torch.tensor([1.0, 1.0])
    # Without b the network is sure of half the story: it must be softened, and only then.
    label = (rng.random((4000, 1)) < 1 / (1 + np.exp(-inputs.sum(axis=1, keepdims=True)))).astype(np.float32)
    fitted = family_of("win_probability").calibrate(network, inputs, label)
    assert fitted["announced"]["temperature"] == pytest.approx(1.0, abs=0.1)
    assert fitted["unannounced"]["temperature"] > fitted["announced"]["temperature"] + 0.05
    hidden = hide_announced(inputs, network.config)
    calibration = {"announced": {"temperature": 1.0}, "unannounced": {"temperature": 2.0}}
    mixed = np.vstack([inputs[:3], hidden[:3]])
    answers = family_of("win_probability").outputs(network, mixed, calibration)["home_win_probability"]
    logits = forward(network, mixed)
    assert answers == pytest.approx(1 / (1 + np.exp(-logits / np.repeat([1.0, 2.0], 3))))


def test_who_is_out_moves_the_trained_answer(
    league: Tables, league_views: Views, league_as_of: datetime, small_params: dict[str, Any], tmp_path: Path
) -> None:
    made = train("win_probability", league, league_views, small_params, as_of=league_as_of, out=tmp_path / "w")
    model = load_bundle(made.bundle_path)
    assert set(GAME_ANNOUNCED_FEATURES) <= set(model.features)
    assert set(model.bundle.calibration) == {"announced", "unannounced"}
    rows = family_of("win_probability").labelled_rows(league, league_views).tail(100)
    assert rows["vacated_points_difference"].null_count() < 10
    silent = rows.with_columns(pl.lit(None, pl.Float32).alias(name) for name in GAME_ANNOUNCED_FEATURES)
    loud, quiet = (model.predict(r)["home_win_probability"].to_numpy() for r in (rows, silent))
    assert np.isfinite(quiet).all() and np.abs(loud - quiet).max() > 0.001


@pytest.fixture
def slate(league: Tables, league_as_of: datetime) -> Slate:
    """BOS at ATL, nine players each, one of ATL marked out."""
    lock = league_as_of + timedelta(days=1)
    players = tuple(
        SlatePlayer(f"{team}{n}", f"{team} {n}", ("PG",), 5000, team, opp, home, 20.0,
                    "O" if (team, n) == ("ATL", 0) else "", 1000 + 100 * TEAMS.index(team) + n)
        for team, opp, home in (("ATL", "BOS", True), ("BOS", "ATL", False))
        for n in range(9)
    )  # fmt: skip
    return Slate("s", "fanduel", "nba", "classic", lock, (SlateGame("BOS", "ATL", lock),), players)


def test_a_slate_with_injury_marks_tells_who_is_out_and_one_without_does_not(
    slate: Slate, league_views: Views
) -> None:
    marked = slate_game_rows(slate, league_views).row(0, named=True)
    assert marked["vacated_points_difference"] > 0 and marked["listed_top3_difference"] is not None
    unmarked = replace(slate, players=tuple(replace(player, injury_status="") for player in slate.players))
    row = slate_game_rows(unmarked, league_views).row(0, named=True)
    assert all(row[name] is None for name in GAME_ANNOUNCED_FEATURES)
    assert row["elo_home_win"] == marked["elo_home_win"]


def test_a_slate_player_away_for_long_counts_as_out_even_unmarked(slate: Slate, league: Tables) -> None:
    gone = 1000 + 100 * TEAMS.index("BOS")
    dates = league.games["game_date"].unique().sort()
    box = league.box.filter((pl.col("player_id") != gone) | (pl.col("game_date") < dates[-20]))
    views = compute_views(Tables(league.games, box))
    without = replace(slate, players=tuple(p for p in slate.players if p.player_id != gone))
    listed, left_out = (slate_game_rows(each, views) for each in (slate, without))
    assert listed.select(GAME_ANNOUNCED_FEATURES).equals(left_out.select(GAME_ANNOUNCED_FEATURES))


def _points_network(anchors: tuple[str, ...] = ()) -> WinProbabilityNetwork:
    torch.manual_seed(0)
    config = WinProbabilityConfig(("a", "b"), (("b",),), hidden=4, points=("home_margin", "total_points"),
                                  anchors=anchors)  # fmt: skip
    return WinProbabilityNetwork(config).eval()


def _points_labels(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(6)
    margin, total = rng.normal(2, 12, len(inputs)), 220 + inputs[:, 0] + rng.normal(0, 18, len(inputs))
    return np.stack([margin > 0, margin, total], axis=1).astype(np.float32)


def test_margin_and_total_are_calibrated_distributions() -> None:
    inputs = np.random.default_rng(5).normal(size=(3000, 2)).astype(np.float32)
    labels, network = _points_labels(inputs), _points_network()
    network.fit_scales(inputs, labels)
    family = family_of("win_probability")
    answer = family.outputs(network, inputs, family.calibrate(network, inputs, labels))
    assert answer["points_mean"].shape == (3000, 2) and (np.diff(answer["points_quantiles"]) >= 0).all()
    low, high = answer["points_quantiles"][:, :, 1], answer["points_quantiles"][:, :, -2]
    covered = ((labels[:, 1:] >= low) & (labels[:, 1:] <= high)).mean(axis=0)
    assert covered == pytest.approx([0.8, 0.8], abs=0.01)
    names = [series.name for series in family.columns(answer, network.config.as_json())]
    assert names[0] == "home_win_probability" and {"home_margin_mean", "total_points_q90"} <= set(names)


def test_the_winner_is_the_mean_of_both_heads() -> None:
    inputs = np.random.default_rng(7).normal(size=(200, 2)).astype(np.float32)
    network = _points_network()
    network.fit_scales(inputs, _points_labels(inputs))
    with torch.no_grad():
        network.head.bias.fill_(0.0)
        network.label_mean_P[0] = 1000.0
    answers = family_of("win_probability").outputs(network, inputs, {})["home_win_probability"]
    alone = 1 / (1 + np.exp(-forward(network, inputs)))
    assert answers == pytest.approx((alone + 1) / 2, abs=1e-6)


def test_an_anchored_total_moves_with_its_feature_and_survives_odd_inputs() -> None:
    inputs = np.random.default_rng(8).normal(220, 8, size=(500, 2)).astype(np.float32)
    labels = _points_labels(inputs)
    labels[:, 2] = inputs[:, 0] + np.random.default_rng(9).normal(0, 15, 500)
    network = _points_network(anchors=("", "a"))
    network.fit_scales(inputs, labels)
    network.points_head.weight.data.zero_()
    odd = np.array([[210, 220], [230, 220], [np.nan, np.nan], [np.inf, -np.inf]], np.float32)
    mean = family_of("win_probability").outputs(network, odd, {})["points_mean"]
    assert mean[1] - mean[0] == pytest.approx([0.0, 20.0], abs=1e-3)
    assert mean[2, 1] == pytest.approx(labels[:, 2].mean(), abs=1.5) and np.isfinite(mean).all()


def test_bundles_from_before_margins_still_load() -> None:
    old = {k: v for k, v in CONFIG.as_json().items() if k not in {"points", "anchors", "levels"}}
    network = family_of("win_probability").build(old)
    assert not [name for name in network.state_dict() if "points" in name or "label" in name]
