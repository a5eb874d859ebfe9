"""The model families: one module each with the same functions, so training and bundles know no family by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import nn

from features.errors import InvalidInput
from features.tables import Tables
from features.views import Views
from models.projection import data as projection
from models.win_probability import data as win_probability


class Family(Protocol):
    """What `models/{family}/data.py` offers. n rows, F features."""

    LABEL: str

    def labelled_rows(self, tables: Tables, views: Views, *, players: pl.DataFrame | None = None) -> pl.DataFrame:
        """Entity columns, features and labels, one row per question, as of the moment it was asked.

        `players` are the `player_rows` of everybody who appeared, for who has assembled them already.
        """
        ...

    def labels(self, rows: pl.DataFrame, config: Any) -> NDArray[np.float32]:
        """Labels (n, targets)."""
        ...

    def build(self, config: Mapping[str, Any]) -> nn.Module:
        """An untrained network."""
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


FAMILIES: Final[dict[str, Family]] = {"projection": projection, "win_probability": win_probability}


def family_of(name: str) -> Family:
    """The family called `name`. Raises `InvalidInput` listing the known ones."""
    if name not in FAMILIES:
        raise InvalidInput(f"model family {name!r} is unknown; use one of {sorted(FAMILIES)}")
    return FAMILIES[name]
