"""Compile a lineup request into arrays; everything after this works on numbers only.

A lineup is a set of players that can fill the roster slots one to one, so a player's positions are kept as one
bit mask of the slots he may fill and a multi-position player is one row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.lineups.problem import Candidate, LineupRules

if TYPE_CHECKING:
    from features.contests import Contest

MAX_LINEUPS = 150
# Room for a mask in an int64 and for 2^slots Hall sets; the largest classic roster of any site has 10.
MAX_SLOTS = 16
MAX_PROJECTION = 1e6
MAX_SALARY_USD = 10_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Players and limits as arrays, one row per candidate, in the caller's order.

    `salary`, `cap` and `floor` are in units of `unit_usd`; bit s of `mask` says the player may fill slot s;
    `team` and `game` are dense codes; `limit` is how many of the lineups asked for may hold the player.
    """

    candidates: tuple[Candidate, ...]
    slots: tuple[str, ...]
    projection: Floats
    salary: Ints
    mask: Ints
    team: Ints
    game: Ints
    locked: Flags
    excluded: Flags
    limit: Ints
    unit_usd: int
    cap: int
    floor: int
    max_per_team: int
    min_teams: int
    min_games: int

    @property
    def size(self) -> int:
        """Number of players in a lineup."""
        return len(self.slots)


def compile_pool(candidates: Sequence[Candidate], contest: Contest, rules: LineupRules) -> Pool:
    """Return the request as arrays. Raises `InvalidInput` naming the field, its value and the fix."""
    check_rules(rules, contest)
    projection, salary_usd = check_candidates(candidates)
    codes = {candidate.id: row for row, candidate in enumerate(candidates)}
    if len(codes) < len(candidates):
        raise InvalidInput(_duplicate(candidates))
    _check_names(rules, codes)
    unit = int(np.gcd.reduce(salary_usd)) or 1
    cap_usd = contest.salary_cap_usd
    if rules.max_salary_usd is not None:
        cap_usd = min(cap_usd, rules.max_salary_usd)
    return Pool(
        candidates=tuple(candidates),
        slots=tuple(slot.name for slot in contest.slots),
        projection=projection,
        salary=salary_usd // unit,
        mask=slot_masks(candidates, contest),
        team=_dense([c.team for c in candidates]),
        game=_dense([c.game for c in candidates]),
        locked=_flags(rules.locked, codes),
        excluded=_flags(rules.excluded, codes),
        limit=_limits(rules, codes),
        unit_usd=unit,
        cap=cap_usd // unit,
        floor=-(-rules.min_salary_usd // unit),
        max_per_team=min(contest.max_per_team, contest.lineup_size),
        min_teams=contest.min_teams,
        min_games=contest.min_games,
    )


def slot_masks(candidates: Sequence[Candidate], contest: Contest) -> Ints:
    """Return for each candidate the bit set of the roster slots his positions may fill (0: none)."""
    listed = [candidate.positions for candidate in candidates]
    known = {}
    for positions in set(listed):
        known[positions] = sum(1 << s for s, slot in enumerate(contest.slots) if slot.accepts(positions))
    return np.array([known[positions] for positions in listed], dtype=np.int64)


def allowed_count(exposure: float, n: int) -> int:
    """Return in how many of `n` lineups a player capped at `exposure` may appear: rounded down, but at least 1."""
    return max(1, math.floor(exposure * n + 1e-9))


def check_candidates(candidates: Sequence[Candidate]) -> tuple[Floats, Ints]:
    """Return projections and salaries; raise `InvalidInput` on an empty pool or a row no solver may see."""
    if not candidates:
        raise InvalidInput(
            "candidates: the player pool is empty; give at least one projected player per roster slot"
        )
    projection = _numbers([c.projection for c in candidates])
    salary = _numbers([c.salary_usd for c in candidates])
    # Written so that NaN counts as wrong.
    for row in np.flatnonzero(~((projection >= 0) & (projection <= MAX_PROJECTION))).tolist():
        c = candidates[row]
        raise InvalidInput(
            f"projection of {c.name} ({c.id}) is {c.projection}; it must be a finite number of fantasy points, "
            f"0 to {MAX_PROJECTION:,.0f}: correct it or leave the player out"
        )
    for row in np.flatnonzero(
        ~((salary >= 0) & (salary <= MAX_SALARY_USD) & (salary == np.floor(salary)))
    ).tolist():
        c = candidates[row]
        raise InvalidInput(
            f"salary_usd of {c.name} ({c.id}) is {c.salary_usd}; it must be whole, 0 to {MAX_SALARY_USD:,}"
        )
    if not all(c.id and c.team and c.game for c in candidates):
        c = next(c for c in candidates if not (c.id and c.team and c.game))
        raise InvalidInput(
            f"player {c.name!r} (id {c.id!r}, team {c.team!r}, game {c.game!r}) needs id, team and game"
        )
    return projection, salary.astype(np.int64)


def check_rules(rules: LineupRules, contest: Contest) -> None:
    """Raise `InvalidInput` on a rule outside its range, whatever the pool."""
    size = contest.lineup_size
    if not 1 <= size <= MAX_SLOTS:
        raise InvalidInput(f"contest {contest.name} has {size} slots; the optimizer takes 1 to {MAX_SLOTS}")
    if not 1 <= rules.n <= MAX_LINEUPS:
        raise InvalidInput(f"n is {rules.n}; ask for 1 to {MAX_LINEUPS} lineups")
    exposures = {"max_exposure": rules.max_exposure}
    exposures |= {f"player_max_exposure of {key}": value for key, value in rules.player_max_exposure.items()}
    for name, value in exposures.items():
        if not 0 < value <= 1:
            raise InvalidInput(f"{name} is {value}; it must be above 0 and at most 1 (0.5 = half of the lineups)")
    if not 1 <= rules.min_unique <= size:
        raise InvalidInput(f"min_unique is {rules.min_unique}; it must be 1 to {size}, the lineup size")
    if rules.min_salary_usd < 0:
        raise InvalidInput(f"min_salary_usd is {rules.min_salary_usd}; it must be 0 or more")
    if rules.max_salary_usd is not None and rules.max_salary_usd <= 0:
        raise InvalidInput(f"max_salary_usd is {rules.max_salary_usd}; it must be above 0, or None for the cap")


def _check_names(rules: LineupRules, codes: dict[str, int]) -> None:
    named = {
        "locked": rules.locked,
        "excluded": rules.excluded,
        "player_max_exposure": rules.player_max_exposure.keys(),
    }
    for field, ids in named.items():
        unknown = sorted(id_ for id_ in ids if id_ not in codes)
        if unknown:
            raise InvalidInput(
                f"{field} names {', '.join(unknown[:5])}: no such id in the player pool of {len(codes)}; "
                "use the ids of the salary file"
            )


def _duplicate(candidates: Sequence[Candidate]) -> str:
    seen: set[str] = set()
    for c in candidates:
        if c.id in seen:
            return f"id {c.id} ({c.name}) appears twice in the player pool; keep one row with all his positions"
        seen.add(c.id)
    raise AssertionError("called without a duplicate")


def _numbers(values: list[float]) -> Floats:
    """As float64; what is no number becomes NaN, to be named by the check that follows."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([v if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)


def _dense(labels: list[str]) -> Ints:
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    return np.array([codes[label] for label in labels], dtype=np.int64)


def _flags(ids: frozenset[str], codes: dict[str, int]) -> Flags:
    flags = np.zeros(len(codes), dtype=np.bool_)
    flags[[codes[id_] for id_ in ids]] = True
    return flags


def _limits(rules: LineupRules, codes: dict[str, int]) -> Ints:
    limit = np.full(len(codes), allowed_count(rules.max_exposure, rules.n), dtype=np.int64)
    # A lock says "in every lineup": it outranks the global cap, never the player's own.
    limit[[codes[id_] for id_ in rules.locked]] = rules.n
    for id_, exposure in rules.player_max_exposure.items():
        limit[codes[id_]] = allowed_count(exposure, rules.n)
    return limit
