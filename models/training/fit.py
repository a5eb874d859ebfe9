"""Train a model of any family from tables and views, calibrate it, ship it as a bundle, and test it.

The newest games test, the games before them calibrate and stop training early, the rest fit: no number in the
bundle comes from a game of the test slice.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.labels import player_labels
from features.play.plays import NO_PLAYS, Plays
from features.scoring import SITES
from features.splits import Split, holdout
from features.tables import Tables
from features.views import VIEW_VERSIONS, Views
from models.baselines import player_baselines
from models.bundle import Bundle, LoadedModel, load_bundle, save_bundle
from models.calibration import fit_residual_spread
from models.device import Precision
from models.errors import TrainingError
from models.evaluation import flat
from models.families import family_of
from models.projection.availability import fit_availability
from models.projection.config import LEVELS
from models.report import slice_report
from models.training.candidates import candidate_rows
from models.training.config import Optimisation, TrainingChoices, TrainingParams
from models.training.packed import Slice, spilled
from models.training.run import FitResult, Progress, fit_network
from models.training.watch import EpochEnd
from models.trunk import feature_matrix


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
    machine: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a bundle says of its origin. `references` names git SHA, data hash and parameters."""

    name: str
    league: str
    created_at: datetime
    references: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how to run: `checkpoints` folder, device, whether to resume, who hears of progress, precision, how
    many processes, and who judges each epoch (see `fit_network`)."""

    checkpoints: Path
    device: str = "auto"
    resume: bool = False
    on_progress: Progress | None = None
    show_bar: bool = False
    precision: str = "auto"
    devices: int = 1
    on_epoch: EpochEnd | None = None


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
    plays: Plays = NO_PLAYS,
    checkpoints: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    on_progress: Progress | None = None,
    show_bar: bool = False,
    choices: TrainingChoices | None = None,
) -> TrainedModel:
    """Train `family` on everything known before the day of `as_of` and write its bundle to the folder `out`.

    `created_at` defaults to `as_of`; `checkpoints` to `{out}.checkpoints`. `resume` continues an interrupted run
    on the same data and parameters; `choices` are what the caller asks beside `params`. Raises `TrainingError` when
    the data cannot carry a model, `InvalidInput` for a choice this machine cannot serve.
    """
    choices = choices or TrainingChoices(resume=resume)
    chosen = TrainingParams.read(choices.applied(params, family), family)
    split = split_rows(family, tables, views, chosen, as_of=as_of, plays=plays)
    identity = Identity(f"{league}-{family}", league, created_at or as_of, dict(references or {}))
    options = RunOptions(
        checkpoints or out.with_name(f"{out.name}.checkpoints"), device, choices.resume, on_progress, show_bar,
        choices.precision, choices.devices,
    )  # fmt: skip
    bundle, fitted = learn(
        family, split.fit, split.calibrate, chosen, identity, options, out=out, tables=tables, views=views
    )
    return _tested(load_bundle(bundle.path), fitted, split, tables, params)


def split_rows(
    family: str, tables: Tables, views: Views, chosen: TrainingParams, *, as_of: datetime, plays: Plays = NO_PLAYS
) -> Split:
    """The family's labelled rows known before the day of `as_of`: to fit, to calibrate, to test.

    Raises `TrainingError` when there are too few dates.
    """
    rows = family_of(family).labelled_rows(tables, views, plays=plays)
    try:
        return holdout(rows, as_of, chosen.holdout_days, chosen.calibration_days)
    except InvalidInput as error:
        raise TrainingError(f"cannot train {family}: {error}") from error


@contextmanager
def arrays_of(
    family: str, fit: pl.DataFrame, calibrate: pl.DataFrame, config: Any, beside: Path
) -> Iterator[tuple[Slice, Slice]]:
    """Inputs and labels of both slices; large ones are mapped from files beside the folder `beside` until the end.

    Raises `TrainingError` when they cannot carry a model.
    """
    kind = family_of(family)
    # Named, not random: what a killed training left is overwritten by the next and removed.
    folder = beside.with_name(f".{beside.name}.rows")
    try:
        fitting, calibrating = (
            spilled((feature_matrix(rows, config.features), kind.labels(rows, config)), folder / name)
            for name, rows in (("fit", fit), ("calibrate", calibrate))
        )
        _check(family, fit, fitting[1], calibrate)
        yield fitting, calibrating
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fitted_network(
    family: str, config: Any, slices: tuple[Slice, Slice], optimisation: Optimisation, options: RunOptions
) -> FitResult:
    """A new network of this family, its scales taken from the fit slice, trained as asked."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(optimisation.seed)
        network: Any = family_of(family).build(config.as_json())
    network.fit_scales(*slices[0])
    return fit_network(
        network, *slices, optimisation, checkpoints=options.checkpoints, device=options.device,
        resume=options.resume, on_progress=options.on_progress, show_bar=options.show_bar,
        precision=options.precision, devices=options.devices, on_epoch=options.on_epoch,
    )  # fmt: skip


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
    kind = family_of(family)
    config = kind.config(chosen.size)
    with arrays_of(family, fit, calibrate, config, options.checkpoints) as slices:
        fitted = fitted_network(family, config, slices, chosen.optimisation, options)
        calibration = kind.calibrate(fitted.network, *slices[1])
        known = slices[1][0][-31:].copy()
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
    return save_bundle(out, bundle, fitted.network, np.vstack([unknown, known])), fitted


def _check(family: str, fit: pl.DataFrame, targets: NDArray[np.float32], calibrate: pl.DataFrame) -> None:
    least = family_of(family).LEAST_ROWS
    if fit.height < least[0] or calibrate.height < least[1]:
        raise TrainingError(
            f"{family}: {fit.height} rows to fit and {calibrate.height} to calibrate are too few; collect more "
            f"games (at least {least[0]} and {least[1]} rows) or lower holdout_days and calibration_days in "
            "params.yaml"
        )
    label = targets[:, 0]
    if len(np.unique(label[~np.isnan(label)])) < 2:
        raise TrainingError(
            f"{family}: every label in the fit slice is the same (targets: {', '.join(family_of(family).TARGETS)}); "
            "check the scores collected"
        )
    if np.isinf(targets).any():
        raise TrainingError(f"{family}: labels hold values that are not finite; validate the box table")


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
        device=fitted.device, machine=fitted.machine,
    )  # fmt: skip


def _last(rows: pl.DataFrame) -> date:
    newest = rows["game_date"].max()
    if not isinstance(newest, date):
        raise TrainingError("rows carry no game_date; assemble them with features.views.entities")
    return newest
