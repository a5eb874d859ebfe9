"""Fit the ownership model's few weights to real contests, and judge it on contests it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.ownership.config import Weights
from models.ownership.model import SPARE, affordable, player_features, priced, shares_of, slot_bits

if TYPE_CHECKING:
    from features.contests import Contest
    from models.lineups.problem import Candidate

Floats = NDArray[np.float64]
#: Pull of the standardized weights towards 0: a handful of contests does not tell correlated features apart.
RIDGE: Final = 0.02
#: The players whose ownership matters most.
TOP: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One real contest: who could be picked, the share of its entries that held each (N,), and, where simulated, how
    often each was in a scenario's best lineup."""

    day: str
    candidates: tuple[Candidate, ...]
    contest: Contest
    drafted: Floats
    optimal_share: Floats | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Mean absolute error in shares on one contest: all its players and the 20 highest-owned. n players."""

    day: str
    n: int
    error: float
    top_error: float


def fit_weights(examples: Sequence[Example], *, ridge: float = RIDGE) -> Weights:
    """The weights of least cross-entropy between modelled and real shares. Raises `InvalidInput` without examples."""
    if not examples:
        raise InvalidInput("there are no contests to fit ownership to; give at least one")
    from scipy.optimize import minimize

    features = [player_features(e.candidates, e.contest, e.optimal_share) for e in examples]
    every = np.concatenate(features)
    spread = np.where(every.std(axis=0) > 1e-9, every.std(axis=0), 1.0)
    scaled = [(x - every.mean(axis=0)) / spread for x in features]

    def loss(weight: Floats) -> float:
        total = float(ridge * weight @ weight)
        for x, example in zip(scaled, examples, strict=True):
            size = example.contest.lineup_size
            share = np.maximum(_shares(x @ weight, example) / size, 1e-9)
            total -= float(example.drafted @ np.log(share)) / size / len(examples)
        return total

    found = minimize(loss, np.zeros(features[0].shape[1]), method="L-BFGS-B").x / spread
    return Weights(float(found[0]), float(found[1]), float(found[2]))


def _shares(score: Floats, example: Example) -> Floats:
    """The model's shares without the fine fit to rosters, which is too slow to fit by."""
    contest = example.contest
    if contest.salary_cap_usd is None:
        return shares_of(score, contest.lineup_size)
    salary = np.array([float(c.salary_usd) for c in example.candidates])
    return priced(score, salary, (1 - SPARE) * contest.salary_cap_usd, contest.lineup_size)


def leave_one_out(examples: Sequence[Example]) -> list[Judged]:
    """Judge each day's contests by weights fitted to the other days'. Raises `InvalidInput` with fewer than 2 days."""
    if len({e.day for e in examples}) < 2:
        raise InvalidInput("leaving one contest out needs contests of at least 2 days")
    judged = []
    for example in examples:
        weights = fit_weights([e for e in examples if e.day != example.day])
        judged.append(judge(example, modelled(example, weights)))
    return judged


def modelled(example: Example, weights: Weights) -> Floats:
    """The model's shares for a contest, candidates' own ownership set aside."""
    score = player_features(example.candidates, example.contest, example.optimal_share) @ np.array(
        [weights.value, weights.optimal, weights.points]
    )
    return affordable(score, example.candidates, example.contest, slot_bits(example.candidates, example.contest))


def judge(example: Example, shares: Floats) -> Judged:
    """How far shares (N,) are from the real ones."""
    error = np.abs(shares - example.drafted)
    top = np.argsort(-example.drafted, kind="stable")[:TOP]
    return Judged(example.day, len(error), float(error.mean()), float(error[top].mean()))
