"""The roster problem as linear rows over binaries, for the solvers that are not lineup optimizers.

One binary per row; that the chosen can fill the slots is Hall's theorem (at most |Q| of them fit only inside a union
Q of slot sets), the tightest form there is, so the solvers are shown at their best. Written apart from
`models.lineups.milp`, so that it checks that model too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from problem import Problem, Row


@dataclass
class Linear:
    """`rows` are (columns, weights, least, most); columns from len(problem.rows) on are indicators."""

    columns: int
    rows: list[tuple[list[int], list[int], int, int]] = field(default_factory=list)

    def add(self, columns: list[int], least: int, most: int, weights: list[int] | None = None) -> None:
        """Demand least <= sum <= most."""
        self.rows.append((columns, weights or [1] * len(columns), least, most))

    def indicator(self) -> int:
        """Return a new binary column."""
        self.columns += 1
        return self.columns - 1


def linear(problem: Problem) -> Linear:
    """Return every rule of the problem but the exposures."""
    everybody = list(range(len(problem.rows)))
    model = Linear(len(problem.rows))
    model.add(everybody, problem.size, problem.size)
    model.add(everybody, 0, problem.cap, [row.salary for row in problem.rows])
    _seating(problem, model)
    for members in _groups(problem, lambda row: row.person).values():
        if len(members) > 1:
            model.add(members, 0, 1)
    teams = _groups(problem, lambda row: row.team)
    if problem.max_per_team < problem.size:
        for members in teams.values():
            model.add(members, 0, problem.max_per_team)
    for positions, most in problem.team_limits:
        for members in teams.values():
            model.add(_of(problem, members, positions), 0, most)
    _spread(problem, model, teams, problem.min_teams)
    _spread(problem, model, _groups(problem, lambda row: row.game), problem.min_games)
    if problem.stack is not None:
        size, positions = problem.stack
        chosen = []
        for members in teams.values():
            chosen.append(model.indicator())
            stacked = _of(problem, members, positions)
            model.add([*stacked, chosen[-1]], 0, problem.size, [1] * len(stacked) + [-size])
        model.add(chosen, 1, len(chosen))
    return model


def _seating(problem: Problem, model: Linear) -> None:
    masks = [
        sum(1 << s for s, (_, accepted) in enumerate(problem.slots) if set(accepted) & set(row.positions))
        for row in problem.rows
    ]
    unions: set[int] = set()
    for mask in set(masks):
        unions |= {mask} | {mask | other for other in unions}
    for union in unions:
        inside = [row for row, mask in enumerate(masks) if mask & ~union == 0]
        if union.bit_count() < min(len(inside), problem.size):
            model.add(inside, 0, union.bit_count())


def _spread(problem: Problem, model: Linear, groups: dict[str, list[int]], least: int) -> None:
    if least < 2:
        return
    used = []
    for members in groups.values():
        used.append(model.indicator())
        model.add([*members, used[-1]], 0, problem.size, [1] * len(members) + [-1])
    model.add(used, least, len(used))


def _groups(problem: Problem, key: Callable[[Row], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, row in enumerate(problem.rows):
        found.setdefault(key(row), []).append(index)
    return found


def _of(problem: Problem, members: list[int], positions: tuple[str, ...]) -> list[int]:
    return [index for index in members if set(problem.rows[index].positions) & set(positions)]
