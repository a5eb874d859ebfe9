"""draftfast 3.12.5: its own rule sets, corrected where they are laxer than the site's rules.

Its `exposure_bounds` ban everybody before the first lineup when all players share a cap (floor(0.5 x 1) = 0), so the
spent rows are banned one lineup at a time: by name, through the argument `run_multi` itself uses, but in a showdown by
`position_ban`, since there a name is a captain and himself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy

from draftfast import rules
from draftfast.optimize import reset_player_ban_lock, run
from draftfast.orm import Player
from draftfast.settings import OptimizerSettings
from draftfast.showdown.orm import ShowdownPlayer
from problem import Build, Problem, Row

RULE_SETS = {
    ("draftkings", "nba", "classic"): rules.DK_NBA_RULE_SET,
    ("draftkings", "nfl", "classic"): rules.DK_NFL_RULE_SET,
    ("draftkings", "mlb", "classic"): rules.DK_MLB_RULE_SET,
    ("draftkings", "nba", "showdown"): rules.DK_NBA_SHOWDOWN_RULE_SET,
    ("draftkings", "nfl", "showdown"): rules.DK_NFL_SHOWDOWN_RULE_SET,
    ("fanduel", "nba", "classic"): rules.FD_NBA_RULE_SET,
}


class NotOffered(Exception):
    """The library has no such contest or rule."""


def prepare(problem: Problem) -> Build:
    """Return a build. Raises `NotOffered`."""
    if problem.stack is not None:
        raise NotOffered("a stack must name its team")
    key = (problem.site, problem.sport, problem.mode)
    if key not in RULE_SETS:
        raise NotOffered(f"no rule set for {' '.join(key)}")
    rule_set = copy(RULE_SETS[key])
    rule_set.salary_max = problem.cap
    rule_set.max_players_per_team = min(problem.max_per_team, problem.size - 1)
    rule_set.min_teams = max(problem.min_teams, 2)
    rule_set.min_matchups = problem.min_games if problem.min_games > 1 else None
    players: list[Player] = []
    index_of: dict[int, int] = {}
    for index, row in enumerate(problem.rows):
        for player in _players(row, problem.mode):
            index_of[id(player)] = index
            players.append(player)
    return lambda: _lineups(problem, rule_set, players, index_of)


def _lineups(
    problem: Problem, rule_set: rules.RuleSet, players: list[Player], index_of: dict[int, int]
) -> Iterator[list[int]]:
    settings = OptimizerSettings(existing_rosters=[], min_teams=rule_set.min_teams)
    used: Counter[int] = Counter()
    showdown = problem.mode == "showdown"
    for _ in range(problem.n):
        reset_player_ban_lock(players)
        spent = {row for row, count in used.items() if count >= problem.most}
        for player in players:
            player.position_ban = showdown and index_of[id(player)] in spent
        banned = [] if showdown else [problem.rows[row].person for row in spent]
        roster = run(rule_set, players, optimizer_settings=settings, exposure_dict={"banned": banned})
        if roster is None:
            return
        settings.existing_rosters.append(roster)
        lineup = [index_of[id(player)] for player in roster.players]
        used.update(lineup)
        yield lineup


def _players(row: Row, mode: str) -> list[Player]:
    """One player per position, as the library wants multi-position players."""
    made = [
        Player(
            position, row.person, row.salary, proj=row.points, matchup=row.game, team=row.team,
            possible_positions="/".join(row.positions), multi_position=len(row.positions) > 1,
        )
        for position in row.positions
    ]  # fmt: skip
    if mode != "showdown":
        return made
    return [ShowdownPlayer(made[0], captain="CPT" in row.positions)]
