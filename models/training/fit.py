"""Train a model of any family from tables and views, calibrate it, ship it as a bundle, and test it.

The newest games test, the games before them calibrate and stop training early, the rest fit: no number in the
bundle comes from a game of the test slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch

from features.errors import InvalidInput
from features.labels import player_labels
from features.scoring import SITES
from features.splits import Split, holdout
from features.tables import Tables
from features.views import (
    ANNOUNCED_FEATURES,
    GAME_ANNOUNCED_FEATURES,
    GAME_FEATURES,
    PLAYER_FEATURES,
    VIEW_VERSIONS,
    Views,
)
from models.baselines import player_baselines
from models.bundle import Bundle, LoadedModel, load_bundle, save_bundle
from models.calibration import fit_residual_spread
from models.device import Precision
from models.errors import TrainingError
from models.evaluation import flat
from models.families import family_of
from models.projection.availability import fit_availability
from models.projection.config import LEVELS, ProjectionConfig
from models.report import slice_report
from models.training.candidates import candidate_rows
from models.training.config import TrainingParams
from models.training.run import FitResult, Progress, fit_network
from models.trunk import feature_matrix
from models.win_probability.config import WinProbabilityConfig

#: Fewest rows worth fitting and calibrating on; below them a network only memorises.
LEAST_ROWS: Final[dict[str, tuple[int, int]]] = {"projection": (500, 100), "win_probability": (100, 30)}
#: Announced features that need the starting five; the others need only the list of who is out.
LINE_UP: Final = ("announced_starter", "starter_change", "min_in_role", "dk_in_role")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A bundle on disk and the evidence for it; `metrics` is `report` flattened, `curve` has a point per epoch."""

    family: str
    name: str
    bundle_path: Path
    metrics: dict[str, float]
    report: dict[str, Any]
    curve: tuple[dict[str, float], ...]
    params: dict[str, Any]
    fit_through: date
    calibrated_through: date
    trained_through: date
    tested_from: date
    tested_through: date
    rows: dict[str, int]
    best_epoch: int
    samples_per_s: float
    precision: Precision
    device: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What a bundle says of its origin. `references` names git SHA, data hash and parameters."""

    name: str
    league: str
    created_at: datetime
    references: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how to run: `checkpoints` folder, device, whether to resume, who hears of progress."""

    checkpoints: Path
    device: str = "auto"
    resume: bool = False
    on_progress: Progress | None = None
    show_bar: bool = False


def train(
    family: str,
    tables: Tables,
    views: Views,
    params: Mapping[str, Any],
    *,
    as_of: datetime,
    out: Path,
    league: str = "nba",
    created_at: datetime | None = None,
    references: Mapping[str, Any] | None = None,
    checkpoints: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    on_progress: Progress | None = None,
    show_bar: bool = False,
) -> TrainedModel:
    """Train `family` on everything known before the day of `as_of` and write its bundle to the folder `out`.

    `created_at` defaults to `as_of`; `checkpoints` to `{out}.checkpoints`. `resume` continues an interrupted run
    on the same data and parameters. Raises `TrainingError` when the data cannot carry a model.
    """
    chosen = TrainingParams.read(params, family)
    rows = family_of(family).labelled_rows(tables, views)
    try:
        split = holdout(rows, as_of, chosen.holdout_days, chosen.calibration_days)
    except InvalidInput as error:
        raise TrainingError(f"cannot train {family}: {error}") from error
    identity = Identity(f"{league}-{family}", league, created_at or as_of, dict(references or {}))
    options = RunOptions(
        checkpoints or out.with_name(f"{out.name}.checkpoints"), device, resume, on_progress, show_bar
    )
    bundle, fitted = learn(
        family, split.fit, split.calibrate, chosen, identity, options, out=out, tables=tables, views=views
    )
    return _tested(load_bundle(bundle.path), fitted, split, tables, params)


def learn(
    family: str,
    fit: pl.DataFrame,
    calibrate: pl.DataFrame,
    chosen: TrainingParams,
    identity: Identity,
    options: RunOptions,
    *,
    out: Path,
    tables: Tables | None = None,
    views: Views | None = None,
) -> tuple[Bundle, FitResult]:
    """Fit on `fit`, stop and calibrate on `calibrate` (later), and write the bundle to `out`.

    With `tables` and `views` a projection bundle also carries P(plays) and the spread of file averages.
    """
    _check(family, fit, calibrate)
    kind = family_of(family)
    config = network_config(family, chosen.size)
    inputs = [feature_matrix(rows, config.features) for rows in (fit, calibrate)]
    targets = [kind.labels(rows, config) for rows in (fit, calibrate)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chosen.optimisation.seed)
        network: Any = kind.build(config.as_json())
    network.fit_scales(inputs[0], targets[0])
    fitted = fit_network(
        network, (inputs[0], targets[0]), (inputs[1], targets[1]), chosen.optimisation,
        checkpoints=options.checkpoints, device=options.device, resume=options.resume,
        on_progress=options.on_progress, show_bar=options.show_bar,
    )  # fmt: skip
    calibration = kind.calibrate(fitted.network, inputs[1], targets[1])
    through = _last(calibrate)
    if family == "projection" and tables is not None and views is not None:
        calibration["availability"] = _availability(tables, views, config.features, through)
        calibration["file_spread"] = _file_spread(tables, through)
    unknown = np.full((1, len(config.features)), np.nan, dtype=np.float32)
    bundle = Bundle(
        family=family, name=identity.name, league=identity.league, path=out, config=config.as_json(),
        calibration=calibration, view_versions=dict(VIEW_VERSIONS), label=kind.LABEL,
        references={**identity.references, "optimisation": chosen.optimisation.as_json()},
        fit_through=_last(fit), calibrated_through=through, trained_through=through,
        created_at=identity.created_at,
    )  # fmt: skip
    return save_bundle(out, bundle, fitted.network, np.vstack([unknown, inputs[1][-31:]])), fitted


def network_config(family: str, size: Mapping[str, Any]) -> ProjectionConfig | WinProbabilityConfig:
    """The network of a family on all the features its views offer."""
    if family == "win_probability":
        return WinProbabilityConfig(GAME_FEATURES, (GAME_ANNOUNCED_FEATURES,), **size)
    others = tuple(name for name in ANNOUNCED_FEATURES if name not in LINE_UP)
    return ProjectionConfig(PLAYER_FEATURES, (LINE_UP, others), **size)


def _check(family: str, fit: pl.DataFrame, calibrate: pl.DataFrame) -> None:
    least = LEAST_ROWS[family]
    if fit.height < least[0] or calibrate.height < least[1]:
        raise TrainingError(
            f"{family}: {fit.height} rows to fit and {calibrate.height} to calibrate are too few; collect more "
            f"games (at least {least[0]} and {least[1]} rows) or lower holdout_days and calibration_days in "
            "params.yaml"
        )
    column = "home_win" if family == "win_probability" else f"fantasy_points_{SITES[0]}"
    if fit[column].drop_nulls().n_unique() < 2:
        raise TrainingError(
            f"{family}: every label {column} in the fit slice is the same; check the scores collected"
        )
    if family == "projection" and not fit[column].is_finite().all():
        raise TrainingError(f"{family}: {column} holds values that are not finite; validate the box table")


def _availability(tables: Tables, views: Views, features: tuple[str, ...], through: date) -> dict[str, Any]:
    rows = candidate_rows(tables, views, through)
    return fit_availability(feature_matrix(rows, features), features, rows["played"].to_numpy()).as_json()


def _file_spread(tables: Tables, through: date) -> dict[str, Any]:
    """How far points fall from a player's season mean, per site: the interval of a file's own averages."""
    past = tables.box.filter(pl.col("game_date") <= through)
    known = player_baselines(past).join(player_labels(Tables(tables.games, past)), on=["game_id", "player_id"])
    known = known.filter(pl.col("earlier_games") >= 5)
    return {
        site: fit_residual_spread(
            known[f"season_mean_{site}"].to_numpy(), known[f"fantasy_points_{site}"].to_numpy(), np.asarray(LEVELS)
        ).as_json()
        for site in SITES
    }  # fmt: skip


def _tested(
    model: LoadedModel, fitted: FitResult, split: Split, tables: Tables, params: Mapping[str, Any]
) -> TrainedModel:
    report = slice_report(model, split.test, pl.concat([split.fit, split.calibrate]), tables, params)
    bundle = model.bundle
    first = split.test["game_date"].min()
    return TrainedModel(
        family=bundle.family, name=bundle.name, bundle_path=bundle.path, metrics=flat(report), report=report,
        curve=fitted.curve, params=dict(bundle.references["optimisation"]), fit_through=bundle.fit_through,
        calibrated_through=bundle.calibrated_through, trained_through=bundle.trained_through,
        tested_from=first if isinstance(first, date) else bundle.trained_through, tested_through=_last(split.test),
        rows={name: getattr(split, name).height for name in ("fit", "calibrate", "test")},
        best_epoch=fitted.best_epoch, samples_per_s=fitted.samples_per_s, precision=fitted.precision,
        device=fitted.device,
    )  # fmt: skip


def _last(rows: pl.DataFrame) -> date:
    newest = rows["game_date"].max()
    if not isinstance(newest, date):
        raise TrainingError("rows carry no game_date; assemble them with features.views.entities")
    return newest
