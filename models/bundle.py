"""What ships: a folder anyone can read and nobody can run code from.

bundle/
├── weights.safetensors   the network, standardisation included
├── bundle.json           family, config, calibration, view versions, label, references, dates
├── golden.safetensors    a few inputs and the outputs they must give
└── manifest.json         SHA-256 of the three files above

A bundle is loaded only when every checksum holds and the golden batch comes out within `TOLERANCE`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from features.errors import FantasyError
from models.device import resolve_device
from models.errors import BundleError
from models.families import family_of
from models.trunk import feature_matrix

FORMAT: Final = 1
WEIGHTS: Final = "weights.safetensors"
CARD: Final = "bundle.json"
GOLDEN: Final = "golden.safetensors"
MANIFEST: Final = "manifest.json"
#: Largest difference allowed between a golden output and its stored value, relative to max(1, |value|).
TOLERANCE: Final = 1e-5
#: Rows of the golden batch.
GOLDEN_ROWS: Final = 32


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything known of a trained model besides its weights.

    `config` rebuilds the network; `calibration` holds plain numbers; `references` names the git SHA, data hash
    and parameters it came from. `trained_through` is the newest game date that influenced any number in it.
    """

    family: str
    name: str
    league: str
    path: Path
    config: dict[str, Any]
    calibration: dict[str, Any]
    view_versions: dict[str, str]
    label: str
    references: dict[str, Any]
    fit_through: date
    calibrated_through: date
    trained_through: date
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The content of `bundle.json`."""
        return {
            "format": FORMAT, "family": self.family, "name": self.name, "league": self.league, "label": self.label,
            "config": self.config, "calibration": self.calibration, "view_versions": self.view_versions,
            "references": self.references, "fit_through": self.fit_through.isoformat(),
            "calibrated_through": self.calibrated_through.isoformat(),
            "trained_through": self.trained_through.isoformat(), "created_at": self.created_at.isoformat(),
        }  # fmt: skip


@dataclass(slots=True)
class LoadedModel:
    """A verified bundle ready to answer. `version` is set by whoever downloaded it from the registry."""

    bundle: Bundle
    network: nn.Module
    device: torch.device
    version: str = "local"
    features: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.features = tuple(self.bundle.config["features"])

    @property
    def name(self) -> str:
        """Registered name, e.g. `nba-projection`."""
        return self.bundle.name

    @property
    def family(self) -> str:
        """`projection` or `win_probability`."""
        return self.bundle.family

    @property
    def config(self) -> dict[str, Any]:
        """Network configuration."""
        return self.bundle.config

    @property
    def view_versions(self) -> dict[str, str]:
        """Versions of the feature views it was trained on."""
        return self.bundle.view_versions

    @property
    def trained_through(self) -> date:
        """Newest game date that influenced the model."""
        return self.bundle.trained_through

    def outputs(self, rows: pl.DataFrame) -> dict[str, NDArray[Any]]:
        """Calibrated outputs as arrays. Raises `InvalidInput` when `rows` lack feature columns."""
        inputs = feature_matrix(rows, self.features)
        return family_of(self.family).outputs(self.network, inputs, self.bundle.calibration)

    def predict(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with the family's output columns added (see `models/{family}/data.py`)."""
        return rows.with_columns(family_of(self.family).columns(self.outputs(rows), self.config))


def save_bundle(path: Path, bundle: Bundle, network: nn.Module, golden_inputs: NDArray[np.float32]) -> Bundle:
    """Write the folder `path` whole or not at all, replacing what was there; return the bundle with its path."""
    network = network.eval().cpu()
    inputs = np.ascontiguousarray(golden_inputs[:GOLDEN_ROWS], dtype=np.float32)
    answers = family_of(bundle.family).outputs(network, inputs, bundle.calibration)
    golden = {"inputs": inputs, **{f"output.{k}": np.ascontiguousarray(v) for k, v in answers.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        weights = {k: np.ascontiguousarray(v.detach().numpy()) for k, v in network.state_dict().items()}
        save_file(weights, draft / WEIGHTS)
        save_file(golden, draft / GOLDEN)
        (draft / CARD).write_text(json.dumps(bundle.as_json(), indent=2, sort_keys=True), encoding="utf-8")
        sums = {name: _sha256(draft / name) for name in (WEIGHTS, CARD, GOLDEN)}
        (draft / MANIFEST).write_text(json.dumps(sums, indent=2, sort_keys=True), encoding="utf-8")
        draft.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _read_card(path)


def load_bundle(path: Path, *, device: str = "cpu", version: str = "local") -> LoadedModel:
    """Verify the folder `path` and return its model on `device` (auto, cpu or cuda).

    Raises `BundleError` naming the file that is missing, altered, unreadable, or whose golden batch differs.
    """
    _verify(path)
    bundle = _read_card(path)
    target = resolve_device(device)
    try:
        network = family_of(bundle.family).build(bundle.config)
        state = {name: torch.from_numpy(value) for name, value in load_file(path / WEIGHTS).items()}
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError, TypeError, KeyError, FantasyError) as error:
        raise BundleError(f"{path / WEIGHTS} does not fit {CARD}: {error}; download the bundle again") from error
    model = LoadedModel(bundle, network.eval().to(target), target, version)
    _check_golden(path, model)
    return model


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _verify(path: Path) -> None:
    manifest = path / MANIFEST
    try:
        sums: Mapping[str, str] = json.loads(manifest.read_text(encoding="utf-8"))
        expected = {name: sums[name] for name in (WEIGHTS, CARD, GOLDEN)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{manifest} is missing or unreadable: {error!r}; download the bundle again") from error
    for name, digest in expected.items():
        if not (path / name).is_file():
            raise BundleError(f"{path / name} is missing; download the bundle again")
        if _sha256(path / name) != digest:
            raise BundleError(
                f"{path / name} does not match its checksum in {MANIFEST}; download the bundle again"
            )


def _read_card(path: Path) -> Bundle:
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise BundleError(
                f"{path / CARD} has format {card['format']}, this code reads {FORMAT}; train it again"
            )
        dates: dict[str, Any] = {
            k: date.fromisoformat(card[k]) for k in ("fit_through", "calibrated_through", "trained_through")
        }
        plain = ("family", "name", "league", "config", "calibration", "view_versions", "label", "references")
        created_at = datetime.fromisoformat(card["created_at"])
        return Bundle(path=path, created_at=created_at, **{k: card[k] for k in plain}, **dates)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path / CARD} is unreadable: {error!r}; download the bundle again") from error


def _check_golden(path: Path, model: LoadedModel) -> None:
    try:
        golden = load_file(path / GOLDEN)
        answers = family_of(model.family).outputs(model.network, golden["inputs"], model.bundle.calibration)
    except (SafetensorError, RuntimeError, KeyError, IndexError, ValueError) as error:
        raise BundleError(f"{path / GOLDEN} cannot be run: {error!r}; download the bundle again") from error
    for name, answer in answers.items():
        wanted = golden.get(f"output.{name}")
        if wanted is None or wanted.shape != answer.shape or not np.isfinite(answer).all():
            raise BundleError(f"{path / GOLDEN} lacks a usable output {name!r}; download the bundle again")
        gap = float(np.max(np.abs(answer - wanted) / np.maximum(1.0, np.abs(wanted)), initial=0.0))
        if gap > TOLERANCE:
            raise BundleError(f"{path / GOLDEN}: output {name!r} differs by {gap:.2g} (allowed {TOLERANCE:g})")
