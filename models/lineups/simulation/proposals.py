"""Candidate entries: the exact best lineup of simulated slates, and the best by projection, all within the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput
from models.errors import Infeasible
from models.lineups.batch import optimal_by_scenario
from models.lineups.compile import CompiledSlate, min_unique
from models.lineups.optimize import optimize
from models.lineups.pool import MAX_LINEUPS, Pool
from models.lineups.problem import Lineup
from models.lineups.rules import LineupRules, Objective

if TYPE_CHECKING:
    from features.contests import Contest

Rows = NDArray[np.int32]
#: How far a scenario moves the projections before its best lineup is taken, in turn: about as far as the projections
#: themselves may be wrong (a tenth of a player's mean). Farther finds lineups that win only where everything goes
#: right, and choosing among those rewards luck: in six made-up worlds (seeds 101 to 106) no reach came first clearly
#: more often (1.38 to 1.45 times the best projections), and these two gave up the least of the return for it.
REACH: Final = (0.15, 0.05)


def projection_only(slate: CompiledSlate, contest: Contest, rules: LineupRules, wanted: int) -> tuple[Lineup, ...]:
    """The `wanted` best lineups by mean projection under the player's own rules and exposures."""
    return optimize(slate, contest, replace(rules, n=wanted, objective=Objective())).lineups


def propose(
    pool: Pool, scores: NDArray[np.float32], slate: CompiledSlate, contest: Contest, rules: LineupRules, wanted: int, *,
    always: Rows, on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Rows:  # fmt: skip
    """Up to `wanted` distinct lineups (C, size) as pool rows, beginning with `always`.

    `scores` (S, N) are scenarios that the choice does not see; each gives its best lineup at every `REACH` in turn.
    """
    found = [always, rows_of(pool, _best(slate, contest, rules))]
    mean = pool.projection.astype(np.float32)
    # Leverage and the like: what the player's objective adds to a row's points.
    wish = (pool.score - pool.projection).astype(np.float32)
    share = -(-max(wanted - sum(map(len, found)), 0) // len(REACH))
    for at, reach in enumerate(REACH):
        part = _cycled(scores, at * share, share)
        drawn = mean + wish + np.float32(reach) * (part - mean)
        if len(drawn):
            found.append(
                optimal_by_scenario(
                    pool, drawn, cancelled=cancelled,
                    on_progress=_offset(on_progress, at * share, share * len(REACH)),
                ).rows
            )  # fmt: skip
    return _distinct(np.concatenate(found))[:wanted]


def rows_of(pool: Pool, lineups: Sequence[Lineup]) -> Rows:
    """Lineups as pool rows (L, size) in roster-slot order. Raises `InvalidInput` for a player the pool lacks."""
    at: dict[tuple[str, int], int] = {}
    for row, source in enumerate(pool.source.tolist()):
        for slot in range(pool.size):
            if int(pool.mask[row]) >> slot & 1:
                at[pool.candidates[source].id, slot] = row
    found = np.zeros((len(lineups), pool.size), dtype=np.int32)
    for number, lineup in enumerate(lineups):
        seats = _seats(pool, lineup, number)
        for slot, player in enumerate(seats):
            if (player, slot) not in at:
                raise InvalidInput(
                    f"lineup {number + 1}: player {player!r} in slot {pool.slots[slot]} is not in the player pool; he "
                    "may be ruled out, project 0 points or not fit that slot"
                )
            found[number, slot] = at[player, slot]
    return found


def uniqueness(rules: LineupRules, pool: Pool) -> int:
    """In how many players any two entries differ."""
    return min_unique(rules, pool.size)


def _best(slate: CompiledSlate, contest: Contest, rules: LineupRules) -> tuple[Lineup, ...]:
    """The best lineups by the player's objective without exposure caps."""
    free = replace(
        rules, n=MAX_LINEUPS, max_exposure=1.0, player_max_exposure={}, player_min_exposure={}, min_unique=1,
        max_repeating=None, objective=replace(rules.objective, randomness=0.0),
    )  # fmt: skip
    try:
        return optimize(slate, contest, free).lineups
    except Infeasible:  # minimum exposures of stacks or groups that 150 lineups cannot meet; `always` stands in
        return ()


def _seats(pool: Pool, lineup: Lineup, number: int) -> list[str]:
    """Ids in roster-slot order; slots of one name in the order given."""
    waiting = [(player.slot, player.id) for player in lineup.players]
    seats = []
    for slot in pool.slots:
        match = next((item for item in waiting if item[0] == slot), None)
        if match is None:
            raise InvalidInput(f"lineup {number + 1} has nobody in slot {slot}; it needs {' '.join(pool.slots)}")
        waiting.remove(match)
        seats.append(match[1])
    return seats


def _cycled(scores: NDArray[np.float32], first: int, count: int) -> NDArray[np.float32]:
    return scores[np.arange(first, first + min(count, len(scores))) % len(scores)]


def _distinct(rows: Rows) -> Rows:
    """Rows without repeated player sets, in the order given."""
    ordered = np.ascontiguousarray(np.sort(rows, axis=1))
    whole = ordered.view([("", ordered.dtype)] * ordered.shape[1]).ravel()
    _, first = np.unique(whole, return_index=True)
    return np.ascontiguousarray(rows[np.sort(first)], dtype=np.int32)


def _offset(
    report: Callable[[int, int], None] | None, before: int, total: int
) -> Callable[[int, int], None] | None:
    if report is None:
        return None
    return lambda done, _: report(before + done, total)
