"""The other entries of a contest: legal lineups whose player shares reproduce the projected ownership.

Two kinds are mixed: lineups drawn slot by slot (what people build by hand) and exact optima of the crowd's noisy
projections (what optimizers build, many of them alike). Their weights are then raked so that the shares meet the
target, and rounded to whole entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.lineups.pool import Pool

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
#: Score vectors (S, N) -> the rows (S, size) of the best lineup of each.
Optima = Callable[[NDArray[np.float32]], Rows]

#: Distinct lineups beyond this add nothing to the ownership or to the spread of scores.
MAX_DRAWN: Final = 40_000
#: A miss of ownership worth a warning, in shares of the field.
FAR_OFF: Final = 0.03


@dataclass(frozen=True, slots=True)
class FieldStyle:
    """How a sport's crowd builds lineups.

    `left` is the mean share of the salary cap left over. `mate` and `rival` say how much likelier a team-mate or
    opponent of a player already chosen is. `sharp` is the share of entries that optimizers built, from projections
    that differ by a log-normal factor of standard deviation `noise`.
    """

    left: float = 0.0055
    mate: float = 1.25
    rival: float = 1.0
    sharp: float = 0.2
    noise: float = 0.10


#: NBA: set by hand after looking at 120,824 real entries of 8 DraftKings contests of December 2024 (salary left,
#: team-mates, duplicates), not measured again since.
#: The others are assumptions from how their scoring rewards stacks; no field of theirs is on file.
STYLES: Final[dict[str, FieldStyle]] = {
    "nba": FieldStyle(),
    "wnba": FieldStyle(),
    "nfl": FieldStyle(mate=3.0, rival=1.5),
    "cfb": FieldStyle(mate=3.0, rival=1.5),
    "mlb": FieldStyle(mate=6.0, rival=0.6),
    "nhl": FieldStyle(mate=4.0, rival=0.8),
    "soc": FieldStyle(mate=2.0, rival=1.0),
    "lol": FieldStyle(mate=4.0, rival=0.5),
}


@dataclass(frozen=True, slots=True)
class Field:
    """`rows` (F, size) are pool rows in roster-slot order, distinct as sets; `count` (F,) entries play each."""

    rows: Rows
    count: NDArray[np.int64]

    @property
    def entries(self) -> int:
        """How many entries there are, copies included."""
        return int(self.count.sum())

    def ownership(self, pool: Pool) -> Floats:
        """Share of the entries that hold each of the pool's candidates (P,)."""
        shares = np.zeros(len(pool.candidates))
        np.add.at(shares, pool.source[self.rows], self.count[:, None] / self.entries)
        return shares

    def copies(self, lineups: Rows) -> NDArray[np.int64]:
        """How many entries play exactly these players, for each of `lineups` (C, size)."""
        held = {key: int(n) for key, n in zip(_keys(self.rows), self.count.tolist(), strict=True)}
        return np.array([held.get(key, 0) for key in _keys(lineups)], dtype=np.int64)

    @property
    def unique_share(self) -> float:
        """Distinct lineups per entry."""
        return len(self.rows) / self.entries


def sample_field(
    pool: Pool,
    ownership: Floats,
    entries: int,
    *,
    style: FieldStyle = FieldStyle(),
    seed: int = 0,
    optima: Optima | None = None,
) -> tuple[Field, tuple[str, ...]]:
    """Return `entries` lineups legal in `pool` whose ownership (P,) per candidate is as asked, and warnings.

    `pool` holds the contest's rules alone, not the player's. Without `optima` every lineup is drawn by hand.
    Raises `InvalidInput` for ownership that is no share, `entries` below 1, or when no legal lineup is found.
    """
    fields, warnings = sample_fields(
        pool, ownership, ownership[None], entries, style=style, seed=seed, optima=optima
    )
    return fields[0], warnings


def sample_fields(
    pool: Pool,
    centre: Floats,
    targets: Floats,
    entries: int,
    *,
    style: FieldStyle = FieldStyle(),
    seed: int = 0,
    optima: Optima | None = None,
) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """One field per row of `targets` (G, P), all made of lineups drawn once for `centre` (P,); otherwise as above."""
    middle, warnings = check_ownership(pool, centre)
    wanted = [check_ownership(pool, target)[0] for target in targets]
    if entries < 1:
        raise InvalidInput(f"the field has {entries} opposing entries; it needs at least 1")
    from models.lineups.simulation.crowd import Crowd

    crowd = Crowd(pool, middle, style, seed)
    drawn = min(entries, MAX_DRAWN)
    sharp = round(style.sharp * drawn) if optima is not None else 0
    parts = [crowd.draw(max(drawn - sharp, 1))]
    if sharp and optima is not None:
        parts.append(crowd.optimize(sharp, optima))
    rows, copies = _merge(np.concatenate(parts))
    if not len(rows):
        raise InvalidInput("no legal opposing lineup was found; check salaries, positions and the ownership given")
    fields, worst = [], 0.0
    for turn, target in enumerate(wanted):
        weight, missed = crowd.rake(rows, copies.astype(np.float64), target)
        worst = max(worst, missed)
        count = _whole(weight, entries, seed + turn)
        fields.append(Field(np.ascontiguousarray(rows[count > 0]), count[count > 0]))
    if worst > FAR_OFF:
        warnings.append(
            f"the field misses the ownership asked for by up to {worst:.1%}: no legal mix comes closer"
        )
    return tuple(fields), tuple(warnings)


def check_ownership(pool: Pool, ownership: Floats) -> tuple[Floats, list[str]]:
    """Shares (P,) that sum to the lineup size, and warnings. Raises `InvalidInput` naming a value that is no share."""
    shares = np.asarray(ownership, dtype=np.float64)
    if shares.shape != (len(pool.candidates),):
        raise InvalidInput(f"ownership has {shares.size} values for {len(pool.candidates)} players; give one each")
    for at in np.flatnonzero(~((shares >= 0) & (shares <= 1))).tolist():
        raise InvalidInput(
            f"ownership of {pool.candidates[at].name} is {shares[at]}; it must be a share of the field, 0 to 1"
        )
    total = float(shares.sum())
    if total <= 0:
        raise InvalidInput("ownership sums to 0; give at least some players a share of the field")
    warnings = []
    if abs(total - pool.size) > 0.02 * pool.size:
        warnings.append(f"ownership sums to {total:.2f} players a lineup, not {pool.size}: scaled")
    for _ in range(50):
        room = shares < 1
        excess = pool.size - shares[~room].sum()
        shares = np.where(room, shares * (excess / max(shares[room].sum(), 1e-12)), 1.0)
        if shares.max() <= 1:
            break
        shares = np.minimum(shares, 1.0)
    return shares, warnings


def _keys(rows: Rows) -> list[bytes]:
    ordered = np.sort(rows.astype(np.int32), axis=1)
    return [row.tobytes() for row in ordered]


def _merge(rows: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """Distinct lineups (as sets) and how often each occurs."""
    ordered = np.ascontiguousarray(np.sort(rows, axis=1))
    whole = ordered.view([("", ordered.dtype)] * ordered.shape[1]).ravel() if len(rows) else ordered.ravel()
    _, first, count = np.unique(whole, return_index=True, return_counts=True)
    return np.ascontiguousarray(rows[first]), count.astype(np.int64)


def _whole(weight: Floats, entries: int, seed: int) -> NDArray[np.int64]:
    """Whole numbers of entries that sum to `entries`, each the weight's share rounded down or up."""
    order = np.random.default_rng((seed, 3)).permutation(len(weight))
    edges = np.floor(np.cumsum(weight[order]) / weight.sum() * entries + 0.5 - 1e-9)
    edges[-1] = entries
    count = np.zeros(len(weight), dtype=np.int64)
    count[order] = np.diff(edges, prepend=0).astype(np.int64)
    return count
