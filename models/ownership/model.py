"""Projected ownership: which share of the field's lineups holds each player, from what is known before lock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.ownership.config import MOST, Basis, Weights, load_weights

if TYPE_CHECKING:
    from features.contests import Contest
    from models.lineups.problem import Candidate

Floats = NDArray[np.float64]
#: Added to an optimal-lineup share before its logarithm: about one lineup in 300.
OPTIMAL_FLOOR: Final = 0.003
#: Points of a player per the mean pick's, before its logarithm.
POINTS_FLOOR: Final = 0.02
#: Share of the salary cap left over by the mean real entry (120,824 of 8 NBA tournaments: $125 to $240 of $50,000).
SPARE: Final = 0.0035
_STEEPEST: Final = 6.0
_ROUNDS: Final = 60


def project_ownership(
    candidates: Sequence[Candidate], contest: Contest, *, optimal_share: Floats | None = None,
    basis: Basis = "averages", weights: Weights | None = None,
) -> Floats:  # fmt: skip
    """Share of the field's lineups that hold each candidate (N,): 0 to 1, summing to the lineup size.

    `optimal_share` (N,) is how often he is in a scenario's best lineup. Shares can be filled by legal rosters position
    by position, so rows of a captain sum to the captain slots. Candidates that carry an `ownership` keep it (scaled
    down only where it exceeds what rosters can hold); the model fills in the others. Raises `InvalidInput` naming an
    ownership that is no share.
    """
    if not candidates:
        raise InvalidInput("candidates: the player pool is empty; there is nobody to own")
    slots = slot_bits(candidates, contest)
    features = player_features(candidates, contest, optimal_share)
    chosen = weights or load_weights(basis, with_optimal=optimal_share is not None)
    score = features @ np.array([chosen.value, chosen.optimal, chosen.points])
    modelled = affordable(score, candidates, contest, slots)
    given = _given(candidates)
    known = ~np.isnan(given)
    if not known.any():
        return modelled
    shares = np.where(known, given, modelled)
    if not known.all():
        rest = max(contest.lineup_size - shares[known].sum(), 0.0)
        shares[~known] *= rest / max(modelled[~known].sum(), 1e-12)
    return fit_rosters(shares, slots, contest.lineup_size)


def player_features(candidates: Sequence[Candidate], contest: Contest, optimal_share: Floats | None) -> Floats:
    """(N, 3): value over the slate's going rate, log optimal share, log points over the mean pick's."""
    points = np.array([c.projection * _multiplier(c, contest) for c in candidates])
    salary = np.array([float(c.salary_usd) for c in candidates])
    if not np.isfinite(points).all():
        at = int(np.flatnonzero(~np.isfinite(points))[0])
        raise InvalidInput(
            f"projection of {candidates[at].name} is {candidates[at].projection}; it must be finite"
        )
    points = np.maximum(points, 0.0)
    if (salary <= 0).any():
        salary = np.ones_like(salary)
    if optimal_share is None:
        picked, optimal = points, np.zeros(len(points))
    else:
        picked, optimal = optimal_share, np.log(optimal_share + OPTIMAL_FLOOR)
    # Points per dollar of what ends up in lineups, and the mean pick's points.
    rate = max(float(picked @ points), 1e-9) / max(float(picked @ salary), 1e-9)
    mean = max(float(picked @ points) / max(float(picked.sum()), 1e-9), 1e-9)
    relative = np.log(points / mean + POINTS_FLOOR)
    return np.column_stack([points / (salary * rate), optimal, relative])


def shares_of(score: Floats, size: int) -> Floats:
    """Softmax of log-odds, `size` players a lineup, nobody above `MOST` (where enough players exist)."""
    weight = np.exp(score - score.max())
    shares = weight / weight.sum() * size
    most = MOST if MOST * len(score) >= size else 1.0
    for _ in range(_ROUNDS):
        over = shares >= most
        if shares.max() <= most + 1e-12 or over.all():
            break
        free = size - most * over.sum()
        shares = np.where(over, most, shares * free / max(shares[~over].sum(), 1e-300))
    return np.asarray(np.minimum(shares, 1.0))


def affordable(
    score: Floats, candidates: Sequence[Candidate], contest: Contest, slots: NDArray[np.int64]
) -> Floats:
    """Shares from log-odds, with salaries weighed so that the mean lineup costs what real ones do: all but `SPARE`.

    Legal lineups cannot hold dear players more often than the cap allows. Where even the dearest picks cost less, or
    the cheapest more, the nearest is taken.
    """
    size = contest.lineup_size
    salary = np.array([float(c.salary_usd) for c in candidates])
    if contest.salary_cap_usd is None or np.ptp(salary) == 0:
        return fit_rosters(shares_of(score, size), slots, size)
    budget = (1 - SPARE) * contest.salary_cap_usd
    aim, shares = budget, np.zeros(len(salary))
    for _ in range(3):  # rosters move the cost a little; aim off by as much
        shares = fit_rosters(priced(score, salary, aim, size), slots, size)
        aim -= float(shares @ salary) - budget
    return shares


def priced(score: Floats, salary: Floats, budget: float, size: int) -> Floats:
    """Softmax shares whose mean lineup costs `budget`: log-odds fall (or rise) by what a dollar costs."""
    scale = (salary - salary.mean()) / max(float(salary.std()), 1e-9)
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(30):
        middle = (low + high) / 2
        cost = float(shares_of(score - middle * scale, size) @ salary)
        low, high = (middle, high) if cost > budget else (low, middle)
    return shares_of(score - high * scale, size)


def slot_bits(candidates: Sequence[Candidate], contest: Contest) -> NDArray[np.int64]:
    """Bit s: the candidate may fill roster slot s."""
    return np.array(
        [sum(1 << s for s, slot in enumerate(contest.slots) if slot.accepts(c.positions)) for c in candidates],
        dtype=np.int64,
    )


def fit_rosters(shares: Floats, slots: NDArray[np.int64], size: int) -> Floats:
    """The nearest shares (by repeated scaling) that legal rosters can have.

    For every set of slots (Hall): players who fit only these cannot hold more than their number together, and with
    everybody else they must fill the rest. Sums to `size`.
    """
    fitted = np.clip(shares, 0.0, 1.0).astype(np.float64)
    fitted[slots == 0] = 0.0
    kinds, kind = np.unique(slots, return_inverse=True)
    unions = _unions([int(mask) for mask in kinds if mask])
    inside = np.array([[mask and mask & ~union == 0 for mask in kinds.tolist()] for union in unions], dtype=bool)
    room = np.array([union.bit_count() for union in unions], dtype=np.float64)
    for _ in range(_ROUNDS):
        before = fitted.copy()
        for members, most in zip(inside, room, strict=True):
            here = members[kind]
            held = fitted[here].sum()
            if held > most:
                fitted[here] *= most / held
        for _ in range(3):
            free = (fitted < 1) & (fitted > 0)
            lacking = size - fitted.sum()
            if abs(lacking) < 1e-12 or not free.any():
                break
            held = fitted[free].sum()
            fitted[free] = np.minimum(fitted[free] * (held + lacking) / held, 1.0)
        if np.abs(fitted - before).max() < 1e-10:
            break
    return fitted


def _unions(masks: list[int]) -> list[int]:
    """Every union of the players' slot sets, the whole roster last left out; at most 2^slots."""
    found: set[int] = set()
    for mask in masks:
        found |= {mask} | {mask | other for other in found}
    return sorted(found, key=lambda union: (union.bit_count(), union))


def _multiplier(candidate: Candidate, contest: Contest) -> float:
    """What his least multiplying slot multiplies his points by; 1 where no slot takes him."""
    taking = [slot.points_multiplier for slot in contest.slots if slot.accepts(candidate.positions)]
    return min(taking, default=1.0)


def _given(candidates: Sequence[Candidate]) -> Floats:
    """Ownership the candidates carry (N,), NaN where none."""
    for c in candidates:
        if c.ownership is not None and not (math.isfinite(c.ownership) and 0 <= c.ownership <= 1):
            raise InvalidInput(
                f"ownership of {c.name} ({c.id}) is {c.ownership}; it must be a share of the field, 0 to 1 "
                "(write 23.5 % as 0.235)"
            )
    return np.array([math.nan if c.ownership is None else c.ownership for c in candidates], dtype=np.float64)
