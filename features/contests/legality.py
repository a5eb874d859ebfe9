"""Is a lineup legal under a contest's rules: a check that shares nothing with the solver that built it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from features.contests.contest import Contest
from features.slate import Slate, SlatePlayer


class Rostered(Protocol):
    """A player (`id` is the slate's `site_id`) in a roster slot."""

    @property
    def id(self) -> str:
        """Site id of the player."""
        ...

    @property
    def slot(self) -> str:
        """Name of the roster slot."""
        ...


class LineupLike(Protocol):
    """Anything with players in slots, such as `models.lineups.problem.Lineup`."""

    @property
    def players(self) -> Sequence[Rostered]:
        """One entry per roster slot, in any order."""
        ...


def check_lineup(lineup: LineupLike, slate: Slate, contest: Contest) -> tuple[str, ...]:
    """What is illegal about the lineup, in words; empty when the site would accept it."""
    pool = {player.site_id: player for player in slate.players}
    problems = _roster_problems(lineup, contest)
    roster: list[SlatePlayer] = []
    slots = {slot.name: slot for slot in contest.slots}
    for entry in lineup.players:
        player = pool.get(entry.id)
        if player is None:
            problems.append(f"player {entry.id!r} is not on slate {slate.slate_id}")
            continue
        roster.append(player)
        slot = slots.get(entry.slot)
        if slot is not None and not slot.accepts(player.positions):
            problems.append(f"{player.name} ({'/'.join(player.positions)}) cannot fill slot {entry.slot}")
    return tuple(problems + _limit_problems(roster, contest))


def _roster_problems(lineup: LineupLike, contest: Contest) -> list[str]:
    problems = []
    wanted, given = Counter(s.name for s in contest.slots), Counter(entry.slot for entry in lineup.players)
    if wanted != given:
        missing, extra = sorted((wanted - given).elements()), sorted((given - wanted).elements())
        problems.append(f"slots do not fit {contest.name}: missing {missing}, extra {extra}")
    ids = Counter(entry.id for entry in lineup.players)
    problems += [f"player {name!r} is used {n} times" for name, n in ids.items() if n > 1]
    return problems


def _limit_problems(roster: Sequence[SlatePlayer], contest: Contest) -> list[str]:
    problems = []
    people = Counter((player.name, player.team) for player in roster)
    problems += [f"{name} ({team}) is used {n} times" for (name, team), n in people.items() if n > 1]
    salary = sum(player.salary_usd for player in roster)
    if salary > contest.salary_cap_usd:
        problems.append(f"salary {salary} is above the cap {contest.salary_cap_usd}")
    teams = Counter(player.team for player in roster if player.team)
    most = contest.max_per_team
    problems += [f"{n} players of {team}, at most {most} allowed" for team, n in teams.items() if n > most]
    if len(teams) < contest.min_teams:
        problems.append(f"players of {len(teams)} teams, at least {contest.min_teams} needed")
    games = {frozenset((player.team, player.opponent)) for player in roster if player.team}
    if len(games) < contest.min_games:
        problems.append(f"players of {len(games)} games, at least {contest.min_games} needed")
    return problems
