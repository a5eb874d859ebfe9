"""A bundle is loaded whole and verified, or refused with the file named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from features.errors import InvalidInput
from features.tables import Tables
from features.views import PLAYER_FEATURES, Views
from models.bundle import CARD, GOLDEN, MANIFEST, WEIGHTS, _sha256, load_bundle
from models.errors import BundleError
from models.families import family_of
from models.training.fit import TrainedModel, train


@pytest.fixture(scope="session")
def trained(
    league: Tables,
    league_views: Views,
    league_as_of: datetime,
    small_params: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> TrainedModel:
    """A projection model of the invented league."""
    out = tmp_path_factory.mktemp("bundle") / "projection"
    return train("projection", league, league_views, small_params, as_of=league_as_of, out=out, league="simulated")


@pytest.fixture
def copy(trained: TrainedModel, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(trained.bundle_path, tmp_path / "copy"))


def _seal(bundle: Path) -> None:
    sums = {name: _sha256(bundle / name) for name in (WEIGHTS, CARD, GOLDEN)}
    (bundle / MANIFEST).write_text(json.dumps(sums), encoding="utf-8")


def test_loaded_model_says_what_it_is(trained: TrainedModel) -> None:
    model = load_bundle(trained.bundle_path, version="3")
    assert (model.name, model.family, model.version) == ("simulated-projection", "projection", "3")
    assert model.trained_through == trained.calibrated_through < trained.tested_from
    assert not list(trained.bundle_path.glob("*.p*kl*"))


def test_answers_are_ordered_and_complete(trained: TrainedModel, league: Tables, league_views: Views) -> None:
    rows = family_of("projection").labelled_rows(league, league_views).tail(200)
    found = load_bundle(trained.bundle_path).predict(rows)
    assert found.height == 200
    for site in ("draftkings", "fanduel", "yahoo"):
        grid = found.select(f"{site}_q{level}" for level in ("05", "10", "25", "50", "75", "90", "95")).to_numpy()
        assert (np.diff(grid, axis=1) >= 0).all()
        assert np.isfinite(found[f"{site}_mean"].to_numpy()).all()
    assert found["p_play"].is_between(0, 1).all()


def test_answers_before_announcements_are_finite_too(
    trained: TrainedModel, league: Tables, league_views: Views
) -> None:
    rows = family_of("projection").labelled_rows(league, league_views).tail(50)
    nothing = rows.with_columns(pl.lit(None, pl.Float32).alias(name) for name in PLAYER_FEATURES)
    assert np.isfinite(load_bundle(trained.bundle_path).predict(nothing)["draftkings_mean"].to_numpy()).all()


def test_missing_feature_columns_are_named(trained: TrainedModel) -> None:
    with pytest.raises(InvalidInput, match="dk_ewm5"):
        load_bundle(trained.bundle_path).predict(pl.DataFrame({"player_id": [1]}))


@pytest.mark.parametrize("name", [WEIGHTS, CARD, GOLDEN, MANIFEST])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load_bundle(copy)


@pytest.mark.parametrize("name", [WEIGHTS, CARD, GOLDEN])
def test_one_flipped_byte_is_named(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load_bundle(copy)


def test_other_weights_under_a_valid_manifest_fail_the_golden_batch(copy: Path) -> None:
    weights = load_file(copy / WEIGHTS)
    weights["head.bias"] = weights["head.bias"] + 0.01
    save_file(weights, copy / WEIGHTS)
    _seal(copy)
    with pytest.raises(BundleError, match="golden"):
        load_bundle(copy)


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    card = json.loads((copy / CARD).read_text(encoding="utf-8"))
    card["config"]["hidden"] += 1
    (copy / CARD).write_text(json.dumps(card), encoding="utf-8")
    _seal(copy)
    with pytest.raises(BundleError, match="weights"):
        load_bundle(copy)


def test_reading_a_model_never_imports_lightning() -> None:
    code = (
        "import sys, models.bundle, models.projection.slate, models.report\n"
        "bad = sorted({'lightning', 'mlflow', 'prefect', 'great_expectations'} & set(sys.modules))\n"
        "raise SystemExit(f'imported {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
