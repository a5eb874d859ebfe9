"""What the plain models say to the same questions: those that ship, boosted trees on their inputs, and baselines.

Networks, trees and the possession's logistic learn on `fit` and are calibrated on `stop`, the same way; baselines have
nothing to stop or calibrate and learn on both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks.backbone.questions import Slices
from features.tables import Tables
from models.bundle import LoadedModel, load_bundle
from models.calibration import Temperature, fit_temperature
from models.device import one_thread
from models.evaluation import matrix
from models.families import judged_of
from models.live_win import data as live_win
from models.live_win.config import BUCKETS, CLOCK
from models.live_win.network import LiveWinNetwork
from models.possession import data as possession
from models.possession.calibration import fit_vector
from models.possession.network import PossessionNetwork
from models.training.config import TrainingParams
from models.training.fit import Identity, RunOptions, learn
from models.trunk import feature_matrix

Array = NDArray[np.float64]
TREES: Final[dict[str, Any]] = {
    "learning_rate": 0.06, "max_iter": 120, "max_leaf_nodes": 15, "min_samples_leaf": 400, "l2_regularization": 10.0,
    "early_stopping": False, "random_state": 7,
}  # fmt: skip
#: Moments in play on which the winner is judged, pooled; drawn plays ("event") beside them.
NAMED: Final = ("q1", "half", "q3")


@dataclass(frozen=True, slots=True)
class Shipped:
    """A model as it ships, trained on the fit slice: calibrated answers to the test, raw ones to every slice."""

    model: LoadedModel
    raw: dict[str, Array]
    answers: dict[str, NDArray[Any]]


def shipped(family: str, slices: Slices, params: Mapping[str, Any]) -> Shipped:
    """Train `family` with its own trainer and parameters.

    Raw answers per slice: log-odds, margin and deviation (n, 3) of live_win; logits of points (n, 4) of possession.
    """
    chosen = TrainingParams.read(params, family)
    with tempfile.TemporaryDirectory(prefix="fantasy-backbone-") as folder:
        options = RunOptions(Path(folder) / "checkpoints", "cpu")
        identity = Identity(f"nba-{family}", "nba", datetime(2021, 10, 1, tzinfo=UTC))
        bundle, _ = learn(family, slices.fit, slices.stop, chosen, identity, options, out=Path(folder) / "bundle")
        model = load_bundle(bundle.path, device="cpu")
    raw = {name: _raw(model, getattr(slices, name)) for name in ("fit", "stop", "test")}
    return Shipped(model, raw, model.outputs(slices.test))


def _raw(model: LoadedModel, rows: pl.DataFrame) -> Array:
    inputs = feature_matrix(rows, model.features)
    network = model.network
    if isinstance(network, PossessionNetwork):
        return possession.forward(network, inputs)[0]
    assert isinstance(network, LiveWinNetwork)
    with one_thread(), torch.inference_mode():
        return torch.stack(network(torch.from_numpy(inputs)), dim=1).double().numpy()


def calibrated_winner(stop: Array, asked: Array, slices: Slices) -> Array:
    """P(home wins) (n,) of log-odds `asked` on the test, with a temperature per bucket of the clock from `stop`."""
    won = slices.stop["home_win"].cast(pl.Float64).to_numpy()
    known, now = (_buckets(rows) for rows in (slices.stop, slices.test))
    prior = live_win.PRIOR / np.sqrt((live_win.EVENTS_PER_GAME + len(NAMED)) / (len(BUCKETS) + 1))
    found = np.zeros(len(asked))
    for bucket in range(len(BUCKETS) + 1):
        at, own = known == bucket, now == bucket
        fitted = fit_temperature(stop[at], won[at], prior) if at.any() else Temperature()
        found[own] = fitted.apply(asked[own])
    return found


def calibrated_points(stop: Array, asked: Array, slices: Slices) -> Array:
    """Chances of 0, 1, 2, 3 points (n, 4) of logits `asked` on the test, by vector scaling from `stop`."""
    label = slices.stop["points"].cast(pl.Int64).to_numpy()
    return fit_vector(stop, label).apply(asked)


def tree_logits(slices: Slices, features: tuple[str, ...], label: str) -> tuple[Array, Array]:
    """Log-odds (n,) of a yes-no label, or log-chances (n, C) of classes, on `stop` and on the test."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # only this rival needs it

    trees = HistGradientBoostingClassifier(**TREES)
    trees.fit(feature_matrix(slices.fit, features), slices.fit[label].cast(pl.Int64).to_numpy())
    told = []
    for rows in (slices.stop, slices.test):
        chance = np.clip(trees.predict_proba(feature_matrix(rows, features)), 1e-6, 1 - 1e-6)
        logits = np.log(chance)
        told.append(logits if chance.shape[1] > 2 else logits[:, 1] - logits[:, 0])
    return told[0], told[1]


def class_logistic(slices: Slices, features: tuple[str, ...], label: str) -> tuple[Array, Array]:
    """Log-chances (n, C) on `stop` and the test of a multinomial logistic regression; unknown inputs at their mean."""
    from sklearn.impute import SimpleImputer  # only this rival needs it
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    model.fit(feature_matrix(slices.fit, features), slices.fit[label].cast(pl.Int64).to_numpy())
    stop, test = (model.predict_log_proba(feature_matrix(rows, features)) for rows in (slices.stop, slices.test))
    return stop, test


def baselines(family: str, slices: Slices, tables: Tables) -> dict[str, Array]:
    """Answers of the family's own baselines to the test, by name: chances, or (n, C) of classes; NaN where none."""
    past = pl.concat([slices.fit, slices.stop])
    known = judged_of(family).with_baselines(slices.test, past, tables)
    found = {}
    for name in known.columns:
        if name.startswith("baseline_"):
            column = known[name]
            values = matrix(column) if column.dtype == pl.List else column.cast(pl.Float64).to_numpy()
            found[name.removeprefix("baseline_")] = values
    return found


def _buckets(rows: pl.DataFrame) -> NDArray[np.int64]:
    share = rows[CLOCK].cast(pl.Float64).fill_null(1.0).to_numpy()
    return np.searchsorted(np.asarray(BUCKETS), share, side="left").astype(np.int64)
