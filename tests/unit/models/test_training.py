"""Networks learn, training is exact and resumable, and the leak controls react."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from features.tables import Tables
from features.views import PLAYER_FEATURES, Views
from models.device import one_thread, training_precision
from models.errors import TrainingError
from models.families import family_of
from models.metrics import absolute_errors, squared_errors
from models.projection.config import ProjectionConfig
from models.projection.data import forward
from models.projection.network import ProjectionNetwork
from models.training.config import Optimisation, TrainingParams
from models.training.fit import train
from models.training.module import FitModule
from models.training.run import Slice, fit_network
from models.trunk import feature_matrix
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

FEATURES = tuple(f"f{n}" for n in range(6))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny matrices on a shared machine: more threads only wait for each other."""
    with one_thread():
        yield


def _network(dropout: float = 0.0, seed: int = 0) -> ProjectionNetwork:
    torch.manual_seed(seed)
    return ProjectionNetwork(ProjectionConfig(FEATURES, (("f4",), ("f5",)), hidden=24, layers=2, dropout=dropout))


def _rows(n: int, seed: int = 0, noise: float = 1.0) -> Slice:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, 6)).astype(np.float32)
    points = 20 + 6 * inputs[:, :1] + 3 * np.abs(inputs[:, 1:2]) + noise * rng.normal(size=(n, 1))
    inputs[rng.random((n, 6)) < 0.05] = np.nan
    return inputs, np.repeat(points, 3, axis=1).astype(np.float32)


def _fit(network: Any, folder: Path, rows: Slice, optimisation: Optimisation, **options: Any) -> Any:
    network.fit_scales(*rows)
    return fit_network(network, rows, _rows(200, seed=9), optimisation, checkpoints=folder, **options)


def test_one_batch_can_be_learned_by_heart() -> None:
    network = _network()
    inputs, labels = _rows(32)
    network.fit_scales(inputs, labels)
    x, y = torch.from_numpy(inputs), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    first = network.loss(x, y).item()
    for _ in range(400):
        optimizer.zero_grad()
        network.loss(x, y).backward()
        optimizer.step()
    assert network.loss(x, y).item() < 0.1 * first


@pytest.mark.parametrize("family", ["projection", "win_probability"])
def test_every_parameter_gets_a_gradient(family: str) -> None:
    inputs, labels = _rows(64)
    network: Any = _network() if family == "projection" else WinProbabilityNetwork(WinProbabilityConfig(FEATURES))
    labels = labels if family == "projection" else (labels[:, :1] > 22).astype(np.float32)
    network.fit_scales(inputs, labels)
    network.loss(torch.from_numpy(inputs), torch.from_numpy(labels)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_bf16_agrees_with_fp32() -> None:
    network = _network().eval()
    inputs, labels = _rows(256)
    network.fit_scales(inputs, labels)
    x = torch.from_numpy(inputs)
    plain, _ = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, quantiles = network(x)
    assert mixed.dtype == torch.float32
    assert torch.allclose(plain, mixed, atol=0.15)
    assert (quantiles.diff(dim=-1) > 0).all()


def test_cpu_trains_in_bf16() -> None:
    assert training_precision(torch.device("cpu")) == "bf16-mixed"


@pytest.mark.gpu
def test_a_gpu_trains_in_what_it_computes_in(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found = _fit(_network(), tmp_path, _rows(512), Optimisation(max_epochs=2, batch_size=64), device="cuda")
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    assert found.precision == ("bf16-mixed" if bf16 else "16-mixed")


def test_accumulating_two_halves_equals_one_batch(tmp_path: Path) -> None:
    rows = _rows(64)
    common = {"max_epochs": 1, "learning_rate": 0.01, "weight_decay": 0.0}
    once = _fit(_network(), tmp_path / "once", rows, Optimisation(batch_size=64, **common))
    halves = _fit(_network(), tmp_path / "halves", rows, Optimisation(batch_size=32, accumulate=2, **common))
    weights = torch.nn.utils.parameters_to_vector
    new, other, start = (weights(n.parameters()) for n in (once.network, halves.network, _network()))
    moved = (new - start).abs().mean()
    assert moved > 0.005
    # Adam turns gradients near zero into whole steps of either sign, so a few weights may differ in bf16.
    assert (new - other).abs().mean() < 0.1 * moved


class _Unplugged(Exception):
    """Stands for a machine that goes away."""


def test_resume_after_an_interrupt_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    rows, chosen = _rows(512), Optimisation(batch_size=64, max_epochs=5, patience=5, learning_rate=0.01)
    whole = _fit(_network(dropout=0.2), tmp_path / "whole", rows, chosen)

    def unplug(_stage: str, done: int, _total: int) -> None:
        if done == 4:
            raise _Unplugged

    with pytest.raises(_Unplugged):
        _fit(_network(dropout=0.2), tmp_path / "cut", rows, chosen, on_progress=unplug)
    again = _fit(_network(dropout=0.2, seed=5), tmp_path / "cut", rows, chosen, resume=True)
    steps = ("epoch", "train_loss", "calibration_loss")
    assert [[p[s] for s in steps] for p in again.curve] == [[p[s] for s in steps] for p in whole.curve]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_resume_ignores_checkpoints_of_other_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = Optimisation(batch_size=64, max_epochs=2)
    _fit(_network(), tmp_path, _rows(128), chosen)
    found = _fit(_network(), tmp_path, _rows(128, seed=1), chosen, resume=True)
    assert len(found.curve) == 2
    assert "other data" in caplog.text


def test_checkpoint_names_hold_no_equals_sign(tmp_path: Path) -> None:
    _fit(_network(), tmp_path, _rows(128), Optimisation(batch_size=64, max_epochs=2))
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 3 and not any("=" in name for name in names)


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    rows = _rows(64, noise=8.0)
    found = _fit(
        _network(), tmp_path, rows, Optimisation(batch_size=16, max_epochs=60, patience=2, learning_rate=0.03)
    )
    losses = [point["calibration_loss"] for point in found.curve]
    assert len(losses) < 60
    assert found.best_epoch == int(np.argmin(losses))


def test_infinite_labels_stop_with_advice(tmp_path: Path) -> None:
    inputs, labels = _rows(128)
    network = _network()
    network.fit_scales(inputs, labels)
    labels[3] = np.inf
    with pytest.raises(TrainingError, match="not finite"):
        fit_network(network, (inputs, labels), _rows(50), Optimisation(batch_size=64), checkpoints=tmp_path)


def test_announced_groups_are_hidden_independently_during_training() -> None:
    module = FitModule(_network(), Optimisation())
    seen: list[torch.Tensor] = []
    module.network.loss = lambda x, y: (seen.append(x), y.sum())[1]  # type: ignore[assignment]
    module.log = lambda *_args, **_named: None  # type: ignore[method-assign]
    torch.manual_seed(0)
    module.training_step((torch.zeros(4000, 6), torch.zeros(4000, 3)), 0)
    hidden = seen[0].isnan().float().mean(dim=0)
    assert hidden[:4].sum() == 0
    assert hidden[4:].tolist() == pytest.approx([0.3, 0.3], abs=0.04)
    both = (seen[0][:, 4].isnan() & seen[0][:, 5].isnan()).float().mean()
    assert both.item() == pytest.approx(0.09, abs=0.03)


def test_same_seed_gives_identical_metrics_and_another_seed_does_not(
    league: Tables, league_views: Views, league_as_of: datetime, small_params: dict[str, Any], tmp_path: Path
) -> None:
    def metrics(name: str, seed: int) -> dict[str, float]:
        params = {**small_params, "train": {**small_params["train"], "seed": seed}}
        out = tmp_path / name
        return train("win_probability", league, league_views, params, as_of=league_as_of, out=out).metrics

    first = metrics("a", 1)
    assert first == metrics("b", 1)
    assert first != metrics("c", 2)
    asked = "home_win_pregame"
    assert first[f"{asked}_brier"] < first[f"{asked}_baselines_home_brier"]


def _late(rows: pl.DataFrame) -> pl.Series:
    return rows["game_date"] >= rows["game_date"].unique().sort()[90]


def _error(rows: pl.DataFrame, shown: pl.DataFrame, folder: Path) -> float:
    """Late MAE of a network fitted on the early dates of `rows` with the features of `shown`."""
    config = ProjectionConfig(PLAYER_FEATURES, (), hidden=16, layers=1, dropout=0.0)
    late = _late(rows).to_numpy()
    inputs = feature_matrix(shown, config.features)
    labels = family_of("projection").labels(rows, config)
    torch.manual_seed(0)
    network = ProjectionNetwork(config)
    network.fit_scales(inputs[~late], labels[~late])
    steps = Optimisation(batch_size=256, max_epochs=6, patience=6, learning_rate=0.01)
    part = (inputs[~late], labels[~late])
    found = fit_network(network, part, part, steps, checkpoints=folder)
    return float(absolute_errors(forward(found.network, inputs[late])["mean"][:, 0], labels[late, 0]).mean())


def test_random_labels_fall_to_the_base_rate(league: Tables, league_views: Views, tmp_path: Path) -> None:
    family = family_of("win_probability")
    rows = family.labelled_rows(league, league_views)
    config = WinProbabilityConfig(tuple(name for name in rows.columns if name.endswith("_difference")), hidden=4)
    rng = np.random.default_rng(0)
    inputs, late = feature_matrix(rows, config.features), _late(rows).to_numpy()
    labels = (rng.random((rows.height, 1)) < 0.6).astype(np.float32)
    network = WinProbabilityNetwork(config)
    network.fit_scales(inputs[~late], labels[~late])
    steps = Optimisation(batch_size=64, max_epochs=4, patience=1, learning_rate=0.005)
    late_rows = (inputs[late], labels[late])
    found = fit_network(network, (inputs[~late], labels[~late]), late_rows, steps, checkpoints=tmp_path)
    answers = family.outputs(found.network, inputs[late], {})["home_win_probability"]
    rate = labels[late].mean()
    assert squared_errors(answers, labels[late, 0]).mean() > 0.95 * rate * (1 - rate)


def test_features_shifted_one_game_ahead_look_too_good(
    league: Tables, league_views: Views, tmp_path: Path
) -> None:
    rows = family_of("projection").labelled_rows(league, league_views).sort("player_id", "as_of")
    ahead = rows.with_columns(pl.col(name).shift(-1).over("player_id") for name in PLAYER_FEATURES)
    honest, leaked = _error(rows, rows, tmp_path / "honest"), _error(rows, ahead, tmp_path / "leaked")
    assert leaked < 0.6 * honest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"projection": {"hiden": 3}}, "hiden"),
        ({"projection": {"batch_size": 0}}, "batch_size"),
        ({"projection": None}, "projection"),
    ],
)
def test_wrong_parameters_are_named(small_params: dict[str, Any], change: dict[str, Any], message: str) -> None:
    section = {**small_params["train"], **change}
    if section["projection"] is None:
        del section["projection"]
    with pytest.raises(TrainingError, match=message):
        TrainingParams.read(section, "projection")


def test_too_few_dates_say_what_to_do(
    league: Tables, league_views: Views, small_params: dict[str, Any], tmp_path: Path
) -> None:
    early = league.games.filter(pl.col("game_date") == league.games["game_date"].min())["event_time"][0]
    with pytest.raises(TrainingError, match="holdout_days"):
        train("projection", league, league_views, small_params, as_of=early, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_one_class_labels_are_refused(
    league: Tables, league_views: Views, league_as_of: datetime, small_params: dict[str, Any], tmp_path: Path
) -> None:
    always = league.games.with_columns(home_score=pl.lit(110, pl.Int16), away_score=pl.lit(90, pl.Int16))
    with pytest.raises(TrainingError, match="home_win"):
        train("win_probability", Tables(always, league.box), league_views, small_params,
              as_of=league_as_of, out=tmp_path / "x")  # fmt: skip


def test_a_few_hundred_rows_are_refused(
    league: Tables, league_views: Views, league_as_of: datetime, small_params: dict[str, Any], tmp_path: Path
) -> None:
    dates = league.games["game_date"].unique().sort()[-34:]
    few = pl.col("game_date").is_in(dates.implode())
    small = Tables(league.games.filter(few), league.box.filter(few))
    with pytest.raises(TrainingError, match="too few"):
        train("projection", small, league_views, small_params, as_of=league_as_of, out=tmp_path / "x")
