"""Parameters of the ownership model, read from the data file beside this module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from features.errors import InvalidInput

#: What the projections rest on: `averages` of a salary file know nothing of who plays tonight, `informed` ones do.
Basis = Literal["averages", "informed"]
PARAMETERS: Final = Path(__file__).with_name("parameters.toml")
#: No player is on every entry, however good he looks.
MOST: Final = 0.95


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of a player's log-odds of being picked: points per dollar over the slate's going rate, log optimal-lineup
    share, log points over the slate's mean pick."""

    value: float
    optimal: float
    points: float


@cache
def load_weights(basis: Basis, *, with_optimal: bool, path: Path = PARAMETERS) -> Weights:
    """Fitted weights for a basis; without optimal-lineup shares, those fitted without them.

    Raises `InvalidInput` when the file lacks them.
    """
    name = basis if with_optimal else f"{basis}_value_only"
    try:
        with path.open("rb") as file:
            section = tomllib.load(file)[name]
        return Weights(float(section["value"]), float(section["optimal"]), float(section["points"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"ownership parameters {path}, section {name!r}: {error}; reinstall the package"
        ) from error
