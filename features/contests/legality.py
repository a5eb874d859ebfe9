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
    salary = 0.0
    slots = {slot.name: slot for slot in contest.slots}
    for entry in lineup.players:
        player = pool.get(entry.id)
        if player is None:
            problems.append(f"player {entry.id!r} is not on slate {slate.slate_id}")
            continue
        roster.append(player)
        slot = slots.get(entry.slot)
        salary += player.salary_usd * (1 if slot is None else slot.salary_multiplier)
        if slot is not None and not slot.accepts(player.positions):
            problems.append(f"{player.name} ({'/'.join(player.positions)}) cannot fill slot {entry.slot}")
    if contest.salary_cap_usd is not None and salary > contest.salary_cap_usd:
        problems.append(f"salary {salary:.10g} is above the cap {contest.salary_cap_usd}")
    return tuple(problems + _person_problems(roster) + _team_problems(roster, contest))


def _roster_problems(lineup: LineupLike, contest: Contest) -> list[str]:
    problems = []
    wanted, given = Counter(s.name for s in contest.slots), Counter(entry.slot for entry in lineup.players)
    if wanted != given:
        missing, extra = sorted((wanted - given).elements()), sorted((given - wanted).elements())
        problems.append(f"slots do not fit {contest.name}: missing {missing}, extra {extra}")
    ids = Counter(entry.id for entry in lineup.players)
    problems += [f"player {name!r} is used {n} times" for name, n in ids.items() if n > 1]
    return problems


def _person_problems(roster: Sequence[SlatePlayer]) -> list[str]:
    """Nobody twice, as captain and as himself either; slates that name no person go by name and team."""
    people = Counter(player.person or f"{player.name} ({player.team})" for player in roster)
    return [f"{name} is used {n} times" for name, n in people.items() if n > 1]


def _team_problems(roster: Sequence[SlatePlayer], contest: Contest) -> list[str]:
    teams = Counter(player.team for player in roster if player.team)
    most = contest.max_per_team
    problems = [f"{n} players of {team}, at most {most} allowed" for team, n in teams.items() if n > most]
    for limit in contest.team_limits:
        limited = Counter(p.team for p in roster if p.team and not limit.positions.isdisjoint(p.positions))
        listed = "/".join(sorted(limit.positions))
        problems += [
            f"{n} players ({listed}) of {team}, at most {limit.at_most} allowed"
            for team, n in limited.items()
            if n > limit.at_most
        ]
    counted = contest.min_teams_positions
    spread = {p.team for p in roster if p.team and (counted is None or not counted.isdisjoint(p.positions))}
    if len(spread) < contest.min_teams:
        listed = "players" if counted is None else f"players ({'/'.join(sorted(counted))})"
        problems.append(f"{listed} of {len(spread)} teams, at least {contest.min_teams} needed")
    games = Counter(frozenset((player.team, player.opponent)) for player in roster if player.team)
    if len(games) < contest.min_games:
        problems.append(f"players of {len(games)} games, at least {contest.min_games} needed")
    if contest.max_per_game is not None:
        problems += [
            f"{n} players of the game {'@'.join(sorted(game))}, at most {contest.max_per_game} allowed"
            for game, n in games.items()
            if n > contest.max_per_game
        ]
    return problems
