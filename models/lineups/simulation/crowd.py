"""What the crowd believes: player weights and projections under which its lineups hold everybody as often as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.lineups.pool import Pool
from models.lineups.simulation.sampler import Book, Bounds, Taste, draw, rake

if TYPE_CHECKING:
    from models.lineups.simulation.field import FieldStyle, Optima

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]

_PILOT: Final = 2_000
_PILOT_ROUNDS: Final = 6
_BELIEF: Final = 160
_BELIEF_ROUNDS: Final = 6
_SWEEPS: Final = 60
#: Largest miss of a raked share at which raking stops, in shares of the field.
_CLOSE: Final = 2e-4
#: Attempts per lineup wanted; real slates need 2 to 20.
_TRIES: Final = 200
#: Below this share a player counts as played by nobody.
_NOBODY: Final = 1e-5


class Crowd:
    """Opponents of one slate: `target` (P,) is the share of lineups that holds each candidate of `pool`."""

    def __init__(self, pool: Pool, target: Floats, style: FieldStyle, seed: int) -> None:
        self._pool, self._target, self._style, self._seed = pool, target, style, seed
        self._book, self._bounds = _book(pool), _bounds(pool)
        self._taste = Taste(style.left * pool.cap, style.mate, style.rival)
        self._weight = np.maximum(target, 0.0)
        self._calls = 0

    def draw(self, wanted: int) -> Rows:
        """Up to `wanted` lineups drawn slot by slot, their weights first tuned on smaller draws."""
        for _ in range(_PILOT_ROUNDS):
            seen = self._shares(self._draw(min(_PILOT, wanted)))
            self._weight *= np.clip((self._target + 1e-4) / (seen + 1e-4), 0.25, 4.0) ** 0.8
        return self._draw(wanted)

    def optimize(self, wanted: int, optima: Optima) -> Rows:
        """`wanted` exact optima of noisy projections, shifted per player until their shares come near the target."""
        pool, rng = self._pool, np.random.default_rng((self._seed, 2))
        belief = pool.projection.astype(np.float64).copy()
        unit = max(float(belief.max()), 1.0) * 0.05
        # Nobody plays those the target leaves out, whatever their projection.
        belief[self._target[pool.source] <= _NOBODY] -= 20 * unit
        for turn in range(_BELIEF_ROUNDS):
            seen = self._shares(optima(self._noisy(belief, _BELIEF, rng)))
            gap = np.log((self._target + 0.02) / (seen + 0.02))
            belief += unit * gap[pool.source] / (1 + turn / 3)
        return optima(self._noisy(belief, wanted, rng))

    def rake(self, rows: Rows, weight: Floats, target: Floats) -> tuple[Floats, float]:
        """Weights (L,) under which lineups `rows` (L, size) meet a target (P,), and the largest miss in shares."""
        held = self._pool.source[rows].astype(np.int64)
        order = np.argsort(held.ravel(), kind="stable")
        start = np.searchsorted(held.ravel()[order], np.arange(len(target) + 1)).astype(np.int64)
        weight = weight.copy()
        rake(start, (order // rows.shape[1]).astype(np.int64), target, weight, _SWEEPS, _CLOSE)
        shares = np.zeros(len(target))
        np.add.at(shares, held, (weight / weight.sum())[:, None])
        return weight, float(np.abs(shares - target).max())

    def _noisy(self, belief: Floats, wanted: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Projections (wanted, N); a candidate's rows and a player's captain row move together."""
        persons = self._pool.person
        factor = np.exp(self._style.noise * rng.standard_normal((wanted, int(persons.max()) + 1)))
        return np.asarray(belief * factor[:, persons], dtype=np.float32)

    def _draw(self, wanted: int) -> Rows:
        book = self._book
        weight = self._weight[self._pool.source]
        cumulative = np.zeros(len(book.listed))
        for first, last in zip(book.start[:-1], book.start[1:], strict=True):
            cumulative[first:last] = np.cumsum(weight[book.listed[first:last]])
        self._calls += 1
        rng = np.random.default_rng((self._seed, 1, self._calls))
        return draw(book, self._bounds, self._taste, cumulative, wanted, wanted * _TRIES, rng)

    def _shares(self, rows: Rows) -> Floats:
        shares = np.zeros(len(self._target))
        np.add.at(shares, self._pool.source[rows], 1 / max(len(rows), 1))
        return shares


def _book(pool: Pool) -> Book:
    listed = []
    for slot in range(pool.size):
        fits = np.flatnonzero((pool.mask >> slot & 1 == 1) & ~pool.excluded)
        listed.append(fits[np.argsort(pool.salary[fits], kind="stable")])
    sizes = [len(rows) for rows in listed]
    every = np.concatenate(listed).astype(np.int64)
    return Book(
        every, np.cumsum([0, *sizes]).astype(np.int64), pool.salary[every].astype(np.int64),
        np.array([pool.salary[rows[0]] if len(rows) else 0 for rows in listed], dtype=np.int64),
        np.array([pool.salary[rows[-1]] if len(rows) else 0 for rows in listed], dtype=np.int64),
        pool.person, pool.team, pool.game, pool.counted_team, pool.rows.weight, pool.rows.lower, pool.rows.upper,
    )  # fmt: skip


def _bounds(pool: Pool) -> Bounds:
    return Bounds(
        int(pool.cap), int(pool.floor), pool.max_per_team, pool.min_teams, pool.min_games, pool.max_per_game
    )
