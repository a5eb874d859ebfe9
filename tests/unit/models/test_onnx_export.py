"""Every family's network as ONNX: equal to torch, in batches of any size, with what a reader needs to know."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.bundle import TOLERANCE, Bundle, LoadedModel, load_bundle, save_bundle
from models.errors import BundleError
from models.families import FAMILIES, family_of
from models.onnx_export import Graph, export, metadata, open_session, run

SIZE = {"hidden": 16, "layers": 2, "dropout": 0.1}
SLATE = 500
#: Outputs that a graph of the family must hold calibrated.
CALIBRATED = {
    "projection": {"mean", "quantiles", "stat_mean", "stat_quantiles"},
    "win_probability": {"points_mean", "points_quantiles"},
    "shot": {"make_probability"},
}


def _inputs(rows: int, width: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(scale=3.0, size=(rows, width)).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.1] = np.nan
    inputs[0] = np.nan
    return inputs


def _offsets(targets: int, levels: int, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "mean_shift": rng.normal(size=targets).tolist(), "low": 4, "high": 14,
        "offsets": rng.normal(scale=0.3, size=(targets, levels)).tolist(),
    }  # fmt: skip


def _calibration(family: str, config: Any) -> dict[str, Any]:
    """Numbers far from doing nothing, so that a graph that left them out would show."""
    rng = np.random.default_rng(3)
    if family == "shot":
        return {"temperature": 1.7}
    if family == "win_probability":
        temperatures = {"announced": 1.4, "unannounced": 0.6}
        return {
            case: {"temperature": value, **_offsets(len(config.points), len(config.levels), rng)}
            for case, value in temperatures.items()
        }
    if family == "projection":
        return {
            case: _offsets(len(config.targets), len(config.levels), rng) for case in ("announced", "unannounced")
        }
    return {}


def _model(family: str, folder: Path, calibration: dict[str, Any] | None = None) -> LoadedModel:
    """A network with random weights and, where the graph holds it, a strong calibration."""
    kind = family_of(family)
    config = kind.config(SIZE)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = kind.build(config.as_json())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    day = date(2025, 1, 1)
    bundle = Bundle(
        family=family, name=f"nba-{family}", league="nba", path=folder, config=config.as_json(),
        calibration=calibration or _calibration(family, config), view_versions={}, label=kind.LABEL, references={},
        fit_through=day, calibrated_through=day, trained_through=day, created_at=datetime(2025, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    save_bundle(folder, bundle, network, _inputs(32, len(config.features), 0))
    return load_bundle(folder, version="4")


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_equals_torch_on_a_slate_in_one_batch(family: str, tmp_path: Path) -> None:
    model = _model(family, tmp_path / "bundle")
    made = export(model, tmp_path / "deep" / "model.onnx")
    assert made.worst_difference <= TOLERANCE
    assert set(made.calibrated) >= CALIBRATED.get(family, set())
    session = open_session(made.path)
    inputs = _inputs(SLATE, len(model.features), 1)
    answers = run(session, inputs)
    assert tuple(answers) == made.outputs and answers
    with torch.inference_mode():
        heads = Graph(model.network, family, {}).heads(torch.from_numpy(inputs))
    own = family_of(family).outputs(model.network, inputs, model.bundle.calibration)
    expected = {f"raw_{name}": value.numpy() for name, value in heads.items()}
    expected |= {name: own[name] for name in made.calibrated}
    assert set(expected) == set(answers)
    for name, answer in answers.items():
        gap = np.abs(answer - expected[name]) / np.maximum(1.0, np.abs(expected[name]))
        assert answer.shape[0] == SLATE and gap.max() <= TOLERANCE, name
    alone = run(session, inputs[7:8])
    for name, answer in answers.items():
        np.testing.assert_allclose(alone[name][0], answer[7], rtol=1e-4, atol=1e-4)

    told = metadata(session)
    assert json.loads(told["features"]) == list(model.features)
    assert json.loads(told["calibration"]) == model.bundle.calibration
    assert (told["family"], told["version"], told["trained_through"]) == (family, "4", "2025-01-01")
    assert json.loads(told["calibrated"]) == list(made.calibrated)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.onnx"]


def test_only_what_comes_out_as_the_familys_own_is_called_calibrated(tmp_path: Path) -> None:
    # A shift that float64 holds and the graph's float32 does not.
    shift = {"temperature": 1.0, "mean_shift": [1e39, 0.0], "low": 0, "high": 1, "offsets": [[0.0] * 19] * 2}
    model = _model("win_probability", tmp_path / "bundle", {"announced": shift, "unannounced": shift})
    made = export(model, tmp_path / "model.onnx")
    assert "points_mean" not in made.outputs
    assert "points_quantiles" in made.calibrated and "raw_mean" in made.outputs


def test_a_network_that_is_not_finite_leaves_no_file(tmp_path: Path) -> None:
    model = _model("shot", tmp_path / "bundle")
    with torch.no_grad():
        next(model.network.parameters()).fill_(float("nan"))
    with pytest.raises(BundleError, match="raw_logit"):
        export(model, tmp_path / "out" / "model.onnx")
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_a_bundle_without_its_golden_batch_is_not_exported(tmp_path: Path) -> None:
    model = _model("shot", tmp_path / "bundle")
    (model.bundle.path / "golden.safetensors").unlink()
    with pytest.raises(BundleError, match=r"golden\.safetensors"):
        export(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
