"""Projection models for questions about the past: each has learned only from games before the day it is asked on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from features.errors import InvalidInput
from features.tables import Tables
from features.views import Views
from features.views.entities import SEASON_STARTS_MONTH
from models.bundle import LoadedModel, load_bundle
from models.families import family_of
from models.training.config import TrainingParams
from models.training.fit import Identity, RunOptions, learn
from models.training.folds import TRAINING_SEASONS, slices_before
from models.training.run import Progress

FAMILY = "projection"


@dataclass(slots=True)
class AsOfModels:
    """Trains on demand from `tables` and their `views`; `params` are those of the line.

    `starts` are the days before which a model ends (see `training_days`). Models are kept, so asking again is free.
    """

    tables: Tables
    views: Views
    params: Mapping[str, Any]
    starts: Sequence[date]
    league: str = "nba"
    device: str = "auto"
    on_progress: Progress | None = None
    _models: dict[date, LoadedModel] = field(default_factory=dict)
    _rows: pl.DataFrame | None = None

    def before(self, day: date) -> LoadedModel:
        """The newest model whose games all lie before `day`.

        Raises `InvalidInput` when every start is later, `TrainingError` when too few games come before it.
        """
        earlier = [start for start in self.starts if start <= day]
        if not earlier:
            raise InvalidInput(f"no model ends before {day}; the first ends before {min(self.starts)}")
        start = max(earlier)
        if start not in self._models:
            self._models[start] = self._train(start)
        return self._models[start]

    def _train(self, start: date) -> LoadedModel:
        chosen = TrainingParams.read(self.params, FAMILY)
        if self._rows is None:
            self._rows = family_of(FAMILY).labelled_rows(self.tables, self.views)
        season = start.year if start.month >= SEASON_STARTS_MONTH else start.year - 1
        newest = pl.col("season") >= season - TRAINING_SEASONS[FAMILY]
        fit, calibrate = slices_before(self._rows.filter(newest), start, chosen.calibration_days)
        made = datetime.combine(start, datetime.min.time(), tzinfo=UTC)
        identity = Identity(f"{self.league}-{FAMILY}", self.league, made)
        with tempfile.TemporaryDirectory(prefix="fantasy-as-of-") as folder:
            options = RunOptions(Path(folder) / "checkpoints", self.device, on_progress=self.on_progress)
            bundle, _ = learn(
                FAMILY, fit, calibrate, chosen, identity, options, out=Path(folder) / "bundle",
                tables=self.tables, views=self.views,
            )  # fmt: skip
            return load_bundle(bundle.path, version=f"as-of-{start}")


def training_days(days: Sequence[date], every_days: int) -> tuple[date, ...]:
    """The days to train before, so that each of `days` has a model less than `every_days` old: the first, then whenever
    the last is too old. Raises `InvalidInput` for less than one day."""
    if every_days < 1:
        raise InvalidInput(f"retrain_days is {every_days}; train anew after 1 day or more")
    starts: list[date] = []
    for day in sorted(set(days)):
        if not starts or day - starts[-1] >= timedelta(days=every_days):
            starts.append(day)
    return tuple(starts)
