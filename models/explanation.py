"""Why a model answers what it answers: Shapley values of groups of features, exact, so that they sum to the answer.

The base is the model's answer to the mean inputs of what it learned from; what is not known of the subject is not known
there either. A group's amount is what its values change, averaged over every order in which the groups could become
known (Shapley 1953; Lundberg and Lee 2017, arXiv 1705.07874, section 2.3). G groups take 2^G answers, in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import factorial
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InvalidInput
from features.views.groups import FEATURE_GROUPS
from models.bundle import LoadedModel
from models.families import family_of
from models.trunk import feature_matrix

Array = NDArray[np.float64]
#: Calibrated outputs of n rows to the one number per row (n,) that is explained.
Answer = Callable[[Mapping[str, NDArray[Any]]], Array]
#: Inputs named for a group: those furthest from what is usual.
NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Input:
    """A feature's value, and how many standard deviations it lies from its mean when the model learned."""

    feature: str
    value: float
    deviations: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a group of features adds to the base, in the answer's unit; `inputs` are its most unusual known values."""

    group: str
    amount: float
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`base` and the amounts of `contributions`, the largest first, sum to `answer`."""

    answer: float
    base: float
    contributions: tuple[Contribution, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def explain(model: LoadedModel, row: pl.DataFrame, answer: Answer) -> Explanation:
    """Explain the model's answer to one row of features.

    Raises `InvalidInput` for more or fewer rows, and for a family whose features have no groups.
    """
    groups = FEATURE_GROUPS.get(model.family)
    if groups is None or row.height != 1:
        raise InvalidInput(f"{model.name}: one row of {' or '.join(FEATURE_GROUPS)} can be explained")
    standard = model.network.get_submodule("trunk.standardise")
    mean, scale = (standard.get_buffer(name).cpu().numpy() for name in ("mean_F", "scale_F"))
    own = feature_matrix(row, model.features)[0]
    usual = np.where(np.isfinite(own), mean, np.float32(np.nan))
    of_feature = [groups.get(name, "other") for name in model.features]
    names = sorted(set(of_feature))
    member = np.array([[name == of for of in of_feature] for name in names])
    known = (np.arange(2 ** len(names))[:, None] >> np.arange(len(names))) & 1  # (2^G, G)
    inputs = np.where(known.astype(bool) @ member, own, usual).astype(np.float32)
    family = family_of(model.family)
    answers = answer(family.outputs(model.network, inputs, model.bundle.calibration))
    found = [
        Contribution(name, float(amount), _unusual(model.features, own, (own - mean) / scale, member[g]))
        for g, (name, amount) in enumerate(zip(names, shapley(answers), strict=True))
    ]
    found.sort(key=lambda each: -abs(each.amount))
    return Explanation(float(answers[-1]), float(answers[0]), tuple(found))


def shapley(answers: Array) -> Array:
    """Shapley values (G,) of players whose coalition with bits k is worth `answers[k]` (2^G,)."""
    count = len(answers).bit_length() - 1
    coalitions = np.arange(len(answers))
    sizes = np.array([int(k).bit_count() for k in coalitions])
    weights = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
    found = np.empty(count)
    for player in range(count):
        without = coalitions[coalitions >> player & 1 == 0]
        gains = answers[without | 1 << player] - answers[without]
        found[player] = float(weights[sizes[without]] @ gains)
    return found


def _unusual(
    features: tuple[str, ...], own: NDArray[np.float32], deviations: NDArray[np.float32], member: NDArray[np.bool_]
) -> tuple[Input, ...]:
    known = [int(k) for k in np.flatnonzero(member & np.isfinite(own))]
    known.sort(key=lambda k: -abs(deviations[k]))
    return tuple(Input(features[k], float(own[k]), round(float(deviations[k]), 2)) for k in known[:NAMED])
