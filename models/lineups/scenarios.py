"""Correlated outcomes of a slate, drawn from each player's own projected distribution.

A Gaussian copula per game ties the players together (`models.lineups.correlation`); each marginal is the projection's:
a lump at 0 with probability 1 - P(plays), skewed points otherwise, the projected mean kept. Rows of one person
(captain and flex) always come out alike. Whether he plays is drawn apart from everybody's points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.lineups.correlation import Correlation, game_matrix, load_correlation, roles_of
from models.lineups.marginals import CELLS, REACH, points_table

if TYPE_CHECKING:
    import polars as pl

    from features.slate import Slate, SlatePlayer
    from models.lineups.problem import Candidate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Share of outcomes below a candidate's floor and above his ceiling.
FLOOR_LEVEL: Final = 0.10
CEILING_LEVEL: Final = 0.90
MAX_SCENARIOS: Final = 1_000_000
MAX_POINTS: Final = 10_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What is projected of P players, in fantasy points of a slot that multiplies nothing, P(plays) mixed in.

    `quantiles` is (P, L), rising along the row, NaN rows where only the mean (P,) is known; `levels` (L,) are
    their shares, 0..1. `p_play` is (P,). `person`, `team` and `game` are dense codes; rows of one person are one human.
    `batting_order` is 0 where unknown. `site` and `sport` choose the scoring grid and the correlation table.
    """

    ids: tuple[str, ...]
    mean: Floats
    quantiles: Floats
    levels: Floats
    p_play: Floats
    person: Ints
    team: Ints
    game: Ints
    positions: tuple[tuple[str, ...], ...]
    batting_order: Ints
    site: str
    sport: str


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Simulated points (S, P) in units of `step` points; column p is player `ids[p]`."""

    points: NDArray[np.int16]
    step: float
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """Number of scenarios."""
        return len(self.points)


def outcomes_of(slate: Slate, projections: pl.DataFrame) -> Outcomes:
    """Outcomes of the slate's players from a projections frame: site_id, mean, p_play and any columns q05, q10, q50 ...

    Raises `InvalidInput` for a player without a row, and for numbers `check_outcomes` refuses.
    """
    columns = sorted(name for name in projections.columns if name[:1] == "q" and name[1:].isdigit())
    row_of = {site_id: row for row, site_id in enumerate(projections["site_id"].to_list())}
    missing = [player.site_id for player in slate.players if player.site_id not in row_of]
    if missing:
        raise InvalidInput(
            f"site_id {missing[0]!r} of slate {slate.slate_id} has no row in the projections; add it"
        )
    at = [row_of[player.site_id] for player in slate.players]
    quantiles = np.column_stack([_floats(projections, name) for name in columns] or [np.zeros((len(row_of), 0))])[
        at
    ]
    outcomes = Outcomes(
        ids=tuple(player.site_id for player in slate.players),
        mean=_floats(projections, "mean")[at],
        quantiles=quantiles,
        levels=np.array([float(f"0.{name[1:]}") for name in columns]),
        p_play=_floats(projections, "p_play")[at],
        person=_dense([player.person or player.site_id for player in slate.players]),
        team=_dense([player.team for player in slate.players]),
        game=_dense([_game(player) for player in slate.players]),
        positions=tuple(player.field_positions or player.positions for player in slate.players),
        batting_order=np.array([player.batting_order or 0 for player in slate.players], dtype=np.int64),
        site=slate.site,
        sport=slate.sport,
    )
    check_outcomes(outcomes)
    return outcomes


def outcomes_of_candidates(candidates: Sequence[Candidate], *, site: str, sport: str) -> Outcomes:
    """Outcomes of candidates who surely play: floor and ceiling, where given, are the 10 and 90 % quantiles."""
    low = np.array([np.nan if c.floor is None else c.floor for c in candidates], dtype=np.float64)
    high = np.array([np.nan if c.ceiling is None else c.ceiling for c in candidates], dtype=np.float64)
    unknown = np.isnan(low) | np.isnan(high)
    low[unknown] = high[unknown] = np.nan
    outcomes = Outcomes(
        ids=tuple(c.id for c in candidates),
        mean=np.array([c.projection for c in candidates], dtype=np.float64),
        quantiles=np.column_stack([low, high]),
        levels=np.array([FLOOR_LEVEL, CEILING_LEVEL]),
        p_play=np.ones(len(candidates)),
        person=_dense([c.person or c.id for c in candidates]),
        team=_dense([c.team for c in candidates]),
        game=_dense([c.game for c in candidates]),
        positions=tuple(c.positions for c in candidates),
        batting_order=np.array([c.batting_order or 0 for c in candidates], dtype=np.int64),
        site=site,
        sport=sport,
    )
    check_outcomes(outcomes)
    return outcomes


def sample_scenarios(
    outcomes: Outcomes, *, n: int, seed: int, correlation: Correlation | None = None
) -> Scenarios:
    """`n` scenarios of all players; the same seed gives the same scenarios. Without `correlation` the sport's own
    table is used. Raises `InvalidInput` for a sport without one, n outside 1..1,000,000, a seed below 0 and
    outcomes that are wrong.
    """
    if not 1 <= n <= MAX_SCENARIOS:
        raise InvalidInput(f"scenarios is {n}; ask for 1 to {MAX_SCENARIOS:,}")
    if seed < 0:
        raise InvalidInput(f"seed is {seed}; give a whole number of 0 or more")
    check_outcomes(outcomes)
    correlation = correlation or load_correlation(outcomes.sport)
    step = correlation.step(outcomes.site)
    rng = np.random.Generator(np.random.SFC64(seed))
    people, first = np.unique(outcomes.person, return_index=True)
    cell = _cells(outcomes, first, correlation, n, rng)
    plays = outcomes.p_play[first]
    points = np.zeros((len(outcomes.ids), n), dtype=np.int16)
    rows_of: dict[int, list[int]] = {}
    for row, person in enumerate(outcomes.person.tolist()):
        rows_of.setdefault(person, []).append(row)
    for at, person in enumerate(people.tolist()):
        if plays[at] == 0:
            continue
        active = rng.random(n, dtype=np.float32) < plays[at] if plays[at] < 1 else None
        for row in rows_of[person]:
            table = points_table(
                *_known(outcomes, row), float(outcomes.p_play[row]), float(outcomes.mean[row]), step
            )
            np.take(table, cell[at], out=points[row], mode="clip")
            if active is not None:
                points[row] *= active
    return Scenarios(np.ascontiguousarray(points.T), step, outcomes.ids)


def check_outcomes(outcomes: Outcomes) -> None:
    """Raise `InvalidInput` naming the player, the field, its value and the fix."""
    levels = outcomes.levels
    if not ((levels > 0) & (levels < 1)).all() or not (np.diff(levels) > 0).all():
        raise InvalidInput(f"levels are {levels.tolist()}; they must rise between 0 and 1")
    if not outcomes.ids:
        raise InvalidInput("outcomes: no players; give at least one")
    for name, values, low, high in (
        ("mean", outcomes.mean, -MAX_POINTS, MAX_POINTS),
        ("p_play", outcomes.p_play, 0.0, 1.0),
    ):
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(wrong):
            raise InvalidInput(
                f"{name} of player {outcomes.ids[wrong[0]]} is {values[wrong[0]]}; it must be {low:g} to {high:g}"
            )
    quantiles = outcomes.quantiles
    unknown = np.isnan(quantiles).all(axis=1)
    finite = (np.abs(quantiles) <= MAX_POINTS).all(axis=1)
    rising = (np.diff(quantiles, axis=1) >= 0).all(axis=1)
    wrong = np.flatnonzero(~unknown & ~(finite & rising))
    if len(wrong):
        raise InvalidInput(
            f"quantiles of player {outcomes.ids[wrong[0]]} are {quantiles[wrong[0]].tolist()} at levels "
            f"{levels.tolist()}; they must be finite and rise with the level"
        )
    idle = np.flatnonzero((outcomes.p_play == 0) & (outcomes.mean != 0))
    if len(idle):
        raise InvalidInput(
            f"player {outcomes.ids[idle[0]]} has p_play 0 but mean {outcomes.mean[idle[0]]}; raise p_play or "
            "project 0 points"
        )


def _cells(
    outcomes: Outcomes, first: Ints, correlation: Correlation, n: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Table cell (people, n) of every person's normal score, tied within each game; `first` is a row per person."""
    positions = [outcomes.positions[row] for row in first]
    team, game, mean = outcomes.team[first], outcomes.game[first], outcomes.mean[first]
    role = roles_of(correlation, positions, team, mean)
    cell = np.empty((len(first), n), dtype=np.int32)
    scale = np.float32(CELLS / (2 * REACH))
    for code in np.unique(game):
        members = np.flatnonzero(game == code)
        score = rng.standard_normal((len(members), n), dtype=np.float32)
        matrix = game_matrix(correlation, role[members], team[members], outcomes.batting_order[first][members])
        if (matrix != np.eye(len(members))).any():
            score = np.linalg.cholesky(matrix).astype(np.float32) @ score
        score += np.float32(REACH)
        score *= scale
        cell[members] = np.clip(score, 0, CELLS - 1)
    return cell


def _known(outcomes: Outcomes, row: int) -> tuple[Floats, Floats]:
    """Quantiles and levels of one player; none where only his mean is known."""
    quantiles = outcomes.quantiles[row]
    if len(quantiles) == 0 or np.isnan(quantiles[0]):
        return quantiles[:0], outcomes.levels[:0]
    return quantiles, outcomes.levels


def _game(player: SlatePlayer) -> str:
    """A game's key whichever side names it; without an opponent the team stands alone."""
    return "@".join(sorted((player.team, player.opponent))) if player.opponent else player.team


def _floats(frame: pl.DataFrame, name: str) -> Floats:
    return frame[name].cast(float).fill_null(np.nan).to_numpy().astype(np.float64)


def _dense(labels: Sequence[str]) -> Ints:
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    return np.array([codes[label] for label in labels], dtype=np.int64)
