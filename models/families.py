"""The model families: one folder each with the same functions, so training, bundles and reports know none by name.

`data.py` is what a bundle needs; `answers.py` is what judging needs: baselines and answers to every target.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Literal, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import nn

from features.errors import InvalidInput
from features.play.plays import NO_PLAYS, Plays
from features.tables import Tables
from features.views import Views
from models.answers import Answers
from models.metrics import Array

Horizon = Literal["micro", "game", "macro"]


class Family(Protocol):
    """What `models/{family}/data.py` offers. n rows, F features."""

    LABEL: str
    HORIZON: Horizon
    #: Fewest rows worth fitting and calibrating on; below them a network only memorises.
    LEAST_ROWS: tuple[int, int]
    #: Columns of `labelled_rows` that are what is to be predicted: never among the features.
    TARGETS: tuple[str, ...]

    def labelled_rows(
        self, tables: Tables, views: Views, *, players: pl.DataFrame | None = None, plays: Plays = NO_PLAYS
    ) -> pl.DataFrame:
        """Entity columns (with `game_date`, `season`, `season_type`, `as_of`), features and labels, one row per
        question, as of the moment it was asked; in-game families add `asked_at` and `elapsed_s`.

        `players` are the `player_rows` of everybody who appeared, for who has assembled them already.
        """
        ...

    def config(self, size: Mapping[str, Any]) -> Any:
        """The network's configuration on all the features there are; `size` is the family's section of params.yaml.
        It has `features` and `as_json()`."""
        ...

    def labels(self, rows: pl.DataFrame, config: Any) -> NDArray[np.float32]:
        """Labels (n, targets)."""
        ...

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """An untrained network, with `fit_scales(inputs, labels)`, `loss(x, y)` and `config`."""
        ...

    def calibrate(self, network: Any, inputs: NDArray[np.float32], y: NDArray[np.float32]) -> dict[str, Any]:
        """Calibration numbers for `bundle.json`, from a slice later than the fit slice."""
        ...

    def outputs(
        self, network: nn.Module, inputs: NDArray[np.float32], calibration: Mapping[str, Any]
    ) -> dict[str, NDArray[Any]]:
        """Calibrated outputs by name."""
        ...

    def columns(self, answer: dict[str, NDArray[Any]], config: Mapping[str, Any]) -> list[pl.Series]:
        """Outputs as columns for users."""
        ...


class Judged(Protocol):
    """What `models/{family}/answers.py` offers, for labelled rows whose label is known."""

    #: The loss that promotion compares, in words, e.g. `Brier score`.
    METRIC: str

    def with_baselines(self, rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
        """`rows` with `baseline_*` columns; `past` are labelled rows of earlier dates, which may teach a baseline."""
        ...

    def answers(
        self, rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
    ) -> list[Answers]:
        """One `Answers` per target from the calibrated `output` on `rows` (which have their baselines); rows that
        do not count for a target, such as random moments, are left out of it."""
        ...

    def losses(self, rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
        """Proper score per row (n,), lower is better: METRIC."""
        ...


#: Every family that is trained, in the order of the daily line.
FAMILIES: Final[tuple[str, ...]] = (
    "projection", "win_probability", "live_win", "live_line", "possession", "shot",
)  # fmt: skip
#: Those asked during a game: they need play-by-play.
IN_GAME: Final[tuple[str, ...]] = ("live_win", "live_line", "possession", "shot")

#: Seasons, the newest, that the daily line trains and judges an in-game family on: a bound on time and memory, tighter
#: than the walk-forward's (`models.training.folds`).
LINE_SEASONS: Final[Mapping[str, int]] = {"live_win": 5, "live_line": 3, "possession": 3, "shot": 3}


def line_plays(name: str, plays: Plays) -> Plays:
    """The play-by-play that the daily line gives the family called `name`."""
    return plays.only(plays.seasons[-LINE_SEASONS[name] :]) if name in LINE_SEASONS else plays


def trainable(plays: Plays) -> tuple[str, ...]:
    """The families that can be trained: without play-by-play, those asked before a game."""
    return FAMILIES if plays.seasons else tuple(name for name in FAMILIES if name not in IN_GAME)


def family_of(name: str) -> Family:
    """The family called `name`. Raises `InvalidInput` listing the known ones."""
    return cast(Family, import_module(f"models.{check_family(name)}.data"))


def judged_of(name: str) -> Judged:
    """How the family called `name` is judged. Raises `InvalidInput` listing the known ones."""
    return cast(Judged, import_module(f"models.{check_family(name)}.answers"))


def check_family(name: str) -> str:
    """Return `name`. Raises `InvalidInput` when no such model is trained."""
    if name not in FAMILIES:
        raise InvalidInput(f"model family {name!r} is unknown; use one of {', '.join(FAMILIES)}")
    return name
