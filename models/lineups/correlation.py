"""How the players of one game move together: role tables kept as data in `correlations/<sport>.toml`.

The numbers are correlations of normal scores (a Gaussian copula's own parameter), pair by pair of roles, apart for
teammates and opponents. Every file says where its numbers come from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput

TABLES: Final = Path(__file__).parent / "correlations"
#: Smallest eigenvalue left in a game's matrix.
FLOOR: Final = 1e-4
#: Points between two scores on a site whose grid no file names.
FINEST_STEP: Final = 0.01
BATTERS: Final = 9

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Role:
    """Players of these positions (empty: any) who rank `first`..`last` (1-based) by projection in their team."""

    name: str
    positions: frozenset[str]
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """One sport's role tables: `teammates` and `opponents` are (R, R), symmetric, in the order of `roles`.

    `batting` holds, where not empty, what teammates in the batting order share at a distance of 1, 2, ... turns; it
    replaces the role table where both orders are known. `steps` is the scoring grid per site. `source` says where
    the numbers come from.
    """

    sport: str
    source: str
    roles: tuple[Role, ...]
    teammates: Floats
    opponents: Floats
    batting: tuple[float, ...]
    steps: Mapping[str, float]

    def step(self, site: str) -> float:
        """Points between two neighbouring scores on `site`."""
        return self.steps.get(site, FINEST_STEP)

    def independent(self) -> Correlation:
        """The same sport with no player tied to another."""
        none = np.zeros_like(self.teammates)
        return replace(self, teammates=none, opponents=none, batting=())


@cache
def load_correlation(sport: str) -> Correlation:
    """The tables of `sport`. Raises `InvalidInput` naming the sports that have one."""
    path = TABLES / f"{sport}.toml"
    known = sorted(file.stem for file in TABLES.glob("*.toml"))
    if sport not in known:
        raise InvalidInput(f"sport {sport!r} has no correlation table; use one of: {', '.join(known)}")
    with path.open("rb") as file:
        return parse_correlation(tomllib.load(file))


def parse_correlation(table: Mapping[str, Any]) -> Correlation:
    """Typed tables from a parsed TOML document. Raises `InvalidInput` naming a missing or wrong field."""
    try:
        roles = tuple(
            Role(role["name"], frozenset(role.get("positions", ())), *role.get("ranks", (1, 1_000)))
            for role in table["roles"]
        )
        names = {role.name: at for at, role in enumerate(roles)}
        return Correlation(
            sport=table["sport"],
            source=table["source"],
            roles=roles,
            teammates=_matrix(table.get("teammates", {}), names, "teammates"),
            opponents=_matrix(table.get("opponents", {}), names, "opponents"),
            batting=tuple(float(value) for value in table.get("batting", ())),
            steps={site: float(step) for site, step in table["steps"].items()},
        )
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"correlation table: {error!r}; see models/lineups/correlations/nba.toml") from error


def roles_of(
    correlation: Correlation, positions: Sequence[tuple[str, ...]], team: Ints, mean: Floats
) -> NDArray[np.int64]:
    """The role code (n,) of each player, -1 for none; the first role of the list that fits wins."""
    role = np.full(len(positions), -1, dtype=np.int64)
    rank_of: dict[frozenset[str], Ints] = {}
    for code, wanted in enumerate(correlation.roles):
        fits = np.array(
            [not wanted.positions or bool(wanted.positions & set(own)) for own in positions], dtype=bool
        )
        if wanted.positions not in rank_of:
            rank_of[wanted.positions] = _ranks(fits, team, mean)
        rank = rank_of[wanted.positions]
        role[(role < 0) & fits & (rank >= wanted.first) & (rank <= wanted.last)] = code
    return role


def game_matrix(correlation: Correlation, role: Ints, team: Ints, batting_order: Ints) -> Floats:
    """The (n, n) correlation matrix of one game's players; `batting_order` is 0 where unknown."""
    known = (role[:, None] >= 0) & (role[None, :] >= 0)
    same = team[:, None] == team[None, :]
    pair = np.ix_(np.maximum(role, 0), np.maximum(role, 0))
    matrix = np.where(known, np.where(same, correlation.teammates[pair], correlation.opponents[pair]), 0.0)
    if correlation.batting:
        turns = np.abs(batting_order[:, None] - batting_order[None, :])
        turns = np.minimum(turns, BATTERS - turns)
        listed = same & (batting_order[:, None] > 0) & (batting_order[None, :] > 0) & (turns > 0)
        shares = np.array((0.0, *correlation.batting))
        matrix = np.where(listed, shares[np.minimum(turns, len(shares) - 1)], matrix)
    np.fill_diagonal(matrix, 1.0)
    return nearest_correlation(matrix)


def nearest_correlation(matrix: Floats) -> Floats:
    """A positive definite matrix of unit diagonal near a symmetric one: eigenvalues clipped, diagonal rescaled.

    Role tables are measured pair by pair, so a large squad can ask for more than any set of players can show
    together.
    """
    value, vector = np.linalg.eigh(matrix)
    if value[0] >= FLOOR:
        return matrix
    clipped = (vector * np.maximum(value, FLOOR)) @ vector.T
    scale = 1.0 / np.sqrt(np.diag(clipped))
    result: Floats = clipped * scale[:, None] * scale[None, :]
    return result


def _matrix(pairs: Mapping[str, float], names: Mapping[str, int], field: str) -> Floats:
    matrix = np.zeros((len(names), len(names)))
    for pair, value in pairs.items():
        ends = pair.split()
        if len(ends) != 2 or not set(ends) <= names.keys():
            raise InvalidInput(f"correlation table: {field} {pair!r} does not name two of the roles {list(names)}")
        if not -1 < value < 1:
            raise InvalidInput(f"correlation table: {field} {pair!r} is {value}; it must lie between -1 and 1")
        a, b = names[ends[0]], names[ends[1]]
        matrix[a, b] = matrix[b, a] = value
    return matrix


def _ranks(fits: NDArray[np.bool_], team: Ints, mean: Floats) -> Ints:
    """1-based rank by falling mean within each team among the players that fit; 0 for the others."""
    rank = np.zeros(len(team), dtype=np.int64)
    seen: dict[int, int] = {}
    for at in np.argsort(-mean, kind="stable"):
        if fits[at]:
            seen[team[at]] = rank[at] = seen.get(team[at], 0) + 1
    return rank
