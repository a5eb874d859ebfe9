"""pydfs-lineup-optimizer 3.6.1 with either of its backends, under exactly the contest's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from problem import Build, Problem
from pydfs_lineup_optimizer import LineupOptimizer, Player
from pydfs_lineup_optimizer.player import GameInfo
from pydfs_lineup_optimizer.rules import DraftKingsBaseballRosterRule
from pydfs_lineup_optimizer.settings import BaseSettings, LineupPosition
from pydfs_lineup_optimizer.stacks import TeamStack


def prepare_pulp(problem: Problem) -> Build:
    """Return a build by its default backend, PuLP's bundled CBC."""
    from pydfs_lineup_optimizer.solvers.pulp_solver import PuLPSolver

    return _prepare(problem, PuLPSolver)


def prepare_mip(problem: Problem) -> Build:
    """Return a build by its other backend, python-mip's bundled CBC."""
    from pydfs_lineup_optimizer.solvers.mip_solver import MIPSolver

    return _prepare(problem, MIPSolver)


def _prepare(problem: Problem, solver: Any) -> Build:
    optimizer = LineupOptimizer(_settings(problem), solver)
    games: dict[str, GameInfo] = {}
    for row in problem.rows:
        away, _, home = row.game.partition("@")
        games.setdefault(row.game, GameInfo(home or row.game, away, None))
    # Rows of one player share a name: that is how the library knows a captain from himself.
    optimizer.player_pool.load_players(
        [
            Player(str(index), row.person, "", list(row.positions), row.team, row.salary, row.points,
                   game_info=games[row.game])
            for index, row in enumerate(problem.rows)
        ]
    )  # fmt: skip
    if problem.stack is not None:
        size, positions = problem.stack
        offered = optimizer.player_pool.available_positions
        optimizer.add_stack(TeamStack(size, for_positions=[p for p in positions if p in offered]))

    def build() -> Iterator[list[int]]:
        exposure = problem.max_exposure if problem.max_exposure < 1 else None
        for lineup in optimizer.optimize(problem.n, max_exposure=exposure):
            yield [int(player.id) for player in lineup]

    return build


def _settings(problem: Problem) -> type[BaseSettings]:
    """Settings with the slots and limits of the contest; the library's own are the same where it has them."""
    limits = [
        type(f"TeamLimit{at}", (DraftKingsBaseballRosterRule,),
             {"HITTERS": positions, "MAXIMUM_HITTERS_FROM_ONE_TEAM": most})
        for at, (positions, most) in enumerate(problem.team_limits)
    ]  # fmt: skip
    return type(
        "ContestSettings",
        (BaseSettings,),
        {
            "site": problem.site,
            "sport": problem.sport,
            "budget": problem.cap,
            "positions": [LineupPosition(name, positions) for name, positions in problem.slots],
            "max_from_one_team": problem.max_per_team if problem.max_per_team < problem.size else None,
            "min_teams": problem.min_teams if problem.min_teams > 1 else None,
            "min_games": problem.min_games if problem.min_games > 1 else None,
            "extra_rules": limits,
        },
    )
