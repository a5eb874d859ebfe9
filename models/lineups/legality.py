"""Does a list of lineups keep every rule? Plain Python over the candidates; shares nothing with compiler or search."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from models.lineups.problem import Candidate, Lineup
from models.lineups.rules import GameStack, LineupRules, TeamStack

if TYPE_CHECKING:
    from features.contests import Contest

# Ownership shares are compared to this much; points and dollars to a hundred-thousandth.
SHARE_TOLERANCE = 1e-5
TOLERANCE = 1e-5
PLACES = 9


@dataclass(frozen=True, slots=True)
class Roster:
    """A lineup's candidates in slot order, with the slate's opponents and the teams of each of its games."""

    players: tuple[Candidate, ...]
    opponent: dict[str, str]
    sides: dict[str, set[str]]

    def holds(self, ids: Iterable[str]) -> int:
        """How many of these the lineup holds."""
        wanted = set(ids)
        return sum(c.id in wanted for c in self.players)

    def count(self, positions: frozenset[str] | None, *, team: str | None = None, game: str | None = None) -> int:
        """How many of these positions (None: any), of one team or game where given."""
        return sum(
            (positions is None or not positions.isdisjoint(c.positions))
            and (team is None or c.team == team)
            and (game is None or c.game == game)
            for c in self.players
        )


def check_rules(
    lineups: Sequence[Lineup], candidates: Sequence[Candidate], contest: Contest, rules: LineupRules
) -> tuple[str, ...]:
    """What is wrong with the lineups, in words; empty when every one is legal and the list keeps its exposures.

    Exposures are shares of `rules.n`, of the lineups given where they are fewer.
    """
    by_id = {c.id: c for c in candidates}
    opponent, sides = opponents(candidates), sides_of(candidates)
    problems: list[str] = []
    rosters = []
    for at, lineup in enumerate(lineups, 1):
        unknown = [p.id for p in lineup.players if p.id not in by_id]
        if unknown or len(lineup.players) != contest.lineup_size:
            problems.append(f"lineup {at}: {len(lineup.players)} players, unknown ids {unknown}")
            continue
        roster = Roster(tuple(by_id[p.id] for p in lineup.players), opponent, sides)
        rosters.append(roster)
        found = itertools.chain(
            _seats(lineup, roster, contest, rules),
            _contest(roster, contest, rules),
            _own(roster, candidates, rules),
            _stacks(roster, rules),
        )
        problems += [f"lineup {at}: {problem}" for problem in found]
    problems += _distinct(lineups, contest, rules)
    problems += _exposures(rosters, candidates, rules)
    return tuple(problems)


def opponents(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Opponent by player id: as given, else the other team of a game of two; "" where there is none."""
    sides = sides_of(candidates)
    found = {}
    for c in candidates:
        others = sides[c.game] - {c.team}
        found[c.id] = c.opponent or (min(others) if len(others) == 1 else "")
    return found


def sides_of(candidates: Sequence[Candidate]) -> dict[str, set[str]]:
    """The teams of each game."""
    sides: dict[str, set[str]] = {}
    for c in candidates:
        sides.setdefault(c.game, set()).add(c.team)
    return sides


def _seats(lineup: Lineup, roster: Roster, contest: Contest, rules: LineupRules) -> Iterator[str]:
    salary, points = 0, 0.0
    for at, (slot, seat, c) in enumerate(zip(contest.slots, lineup.players, roster.players, strict=True)):
        if seat.slot != slot.name:
            yield f"seat {at} is {seat.slot}, the contest's is {slot.name}"
        if rules.fixed.get(at) not in {None, c.id}:
            yield f"seat {at} holds {c.id}, fixed is {rules.fixed[at]}"
        if not set(slot.positions) & set(c.positions) and rules.fixed.get(at) != c.id:
            yield f"{c.name} ({'/'.join(c.positions)}) cannot fill {slot.name}"
        charged = round(c.salary_usd * slot.salary_multiplier)
        if seat.salary != charged or abs(seat.projection - c.projection * slot.points_multiplier) > TOLERANCE:
            yield f"{c.name} carries {seat.salary} and {seat.projection} points as {slot.name}"
        salary += charged
        points += c.projection * slot.points_multiplier
    yield from _totals(lineup, salary, points, contest, rules)


def _totals(lineup: Lineup, salary: int, points: float, contest: Contest, rules: LineupRules) -> Iterator[str]:
    if lineup.salary != salary or abs(lineup.projection - points) > TOLERANCE:
        yield f"carries salary {lineup.salary} of {salary} and projection {lineup.projection} of {points}"
    if contest.salary_cap_usd is not None and salary > contest.salary_cap_usd:
        yield f"salary {salary} is above the cap {contest.salary_cap_usd}"
    if rules.max_salary_usd is not None and salary > rules.max_salary_usd:
        yield f"salary {salary} is above max_salary_usd {rules.max_salary_usd}"
    if salary < rules.min_salary_usd:
        yield f"salary {salary} is below min_salary_usd {rules.min_salary_usd}"
    if lineup.bound < lineup.projection - TOLERANCE or lineup.gap < 0:
        yield f"bound {lineup.bound} is below its projection {lineup.projection}"


def _contest(roster: Roster, contest: Contest, rules: LineupRules) -> Iterator[str]:
    people = Counter(c.person or c.id for c in roster.players)
    yield from (f"{person} is used {n} times" for person, n in people.items() if n > 1)
    teams, games = Counter(c.team for c in roster.players), Counter(c.game for c in roster.players)
    most = min(contest.max_per_team, rules.max_per_team or contest.lineup_size)
    yield from (f"{n} players of {team}, at most {most}" for team, n in teams.items() if n > most)
    if contest.max_per_game is not None:
        yield from (f"{n} players of game {game}" for game, n in games.items() if n > contest.max_per_game)
    counted = contest.min_teams_positions
    spread = {c.team for c in roster.players if counted is None or not counted.isdisjoint(c.positions)}
    if len(spread) < contest.min_teams or len(games) < contest.min_games:
        yield f"{len(spread)} teams and {len(games)} games, at least {contest.min_teams} and {contest.min_games}"
    for limit in contest.team_limits:
        for team in teams:
            if roster.count(limit.positions, team=team) > limit.at_most:
                yield f"more than {limit.at_most} {sorted(limit.positions)} of {team}"


def _own(roster: Roster, candidates: Sequence[Candidate], rules: LineupRules) -> Iterator[str]:
    yield from _named_players(roster, rules)
    yield from _spread(roster, rules)
    yield from _batting(roster, rules)
    if rules.ownership is not None:
        total = sum(c.ownership or 0.0 for c in roster.players)
        least, most = rules.ownership.min_total, rules.ownership.max_total
        low = least is not None and total < least - SHARE_TOLERANCE
        if low or (most is not None and total > most + SHARE_TOLERANCE):
            yield f"projected ownership sums to {total}"


def _spread(roster: Roster, rules: LineupRules) -> Iterator[str]:
    for opposing in rules.opposing:
        for c in roster.players:
            rival = roster.opponent[c.id]
            if opposing.positions.isdisjoint(c.positions) or not rival:
                continue
            if roster.count(opposing.against, team=rival) > opposing.at_most:
                yield f"more than {opposing.at_most} opponents of {c.name}"
    for same in rules.same_team:
        for team in {c.team for c in roster.players}:
            if (same.teams is None or team in same.teams) and roster.count(
                same.positions, team=team
            ) > same.at_most:
                yield f"more than {same.at_most} {sorted(same.positions)} of {team}"


def _batting(roster: Roster, rules: LineupRules) -> Iterator[str]:
    if rules.spacing is not None:
        for team in {c.team for c in roster.players}:
            places = {c.batting_order for c in roster.players if c.team == team and c.batting_order}
            if not _in_a_run(places, rules.spacing.span):
                yield f"hitters of {team} bat {sorted(places)}, not within {rules.spacing.span}"


def _named_players(roster: Roster, rules: LineupRules) -> Iterator[str]:
    ids = {c.id for c in roster.players}
    if not rules.locked <= ids:
        yield f"lacks locked {sorted(rules.locked - ids)}"
    barred = (rules.excluded - set(rules.fixed.values())) & ids
    if barred:
        yield f"holds excluded {sorted(barred)}"
    for group in rules.groups:
        held = roster.holds(group.players)
        if held < group.at_least or (group.at_most is not None and held > group.at_most):
            yield f"holds {held} of group {group.name!r}"
    for condition in rules.conditions:
        if roster.holds(condition.when):
            held = roster.holds(condition.then)
            if held < condition.at_least or (condition.at_most is not None and held > condition.at_most):
                yield f"holds {held} of {sorted(condition.then)} beside {sorted(condition.when & ids)}"


def _stacks(roster: Roster, rules: LineupRules) -> Iterator[str]:
    teams = sorted({c.team for c in roster.players})
    meets = [[team for team in teams if _stacks_team(roster, stack, team)] for stack in rules.stacks]
    if not any(len(set(chosen)) == len(chosen) for chosen in itertools.product(*meets)):
        yield f"its teams do not meet the stacks {[stack.size for stack in rules.stacks]}: {meets}"
    games = sorted({c.game for c in roster.players})
    met = [[game for game in games if _stacks_game(roster, stack, game)] for stack in rules.game_stacks]
    if not any(len(set(chosen)) == len(chosen) for chosen in itertools.product(*met)):
        yield f"its games do not meet the game stacks {[stack.size for stack in rules.game_stacks]}: {met}"


def _stacks_team(roster: Roster, stack: TeamStack, team: str) -> bool:
    rivals = {roster.opponent[c.id] for c in roster.players if c.team == team} - {""}
    back = sum(roster.count(stack.bring_back_positions, team=rival) for rival in rivals)
    return (
        (stack.teams is None or team in stack.teams)
        and roster.count(stack.positions, team=team) >= stack.size
        and all(roster.count(positions, team=team) >= least for positions, least in stack.roles)
        and back >= stack.bring_back
    )


def _stacks_game(roster: Roster, stack: GameStack, game: str) -> bool:
    each = [roster.count(stack.positions, team=side, game=game) for side in roster.sides[game]]
    return (
        (stack.games is None or game in stack.games)
        and roster.count(stack.positions, game=game) >= stack.size
        and (stack.per_team == 0 or (len(each) > 1 and min(each) >= stack.per_team))
    )


def _in_a_run(places: set[int], span: int) -> bool:
    """Whether some run of `span` consecutive batting places, 9 being followed by 1, holds all of them."""
    return not places or any(
        all((place - first) % PLACES < span for place in places) for first in range(1, PLACES + 1)
    )


def _distinct(lineups: Sequence[Lineup], contest: Contest, rules: LineupRules) -> list[str]:
    """Lineups too alike. A player in a slot that multiplies otherwise counts as another."""
    kinds = [(slot.points_multiplier, slot.salary_multiplier) for slot in contest.slots]
    sets = [frozenset((p.id, kind) for p, kind in zip(lineup.players, kinds, strict=False)) for lineup in lineups]
    most = contest.lineup_size - rules.min_unique
    if rules.max_repeating is not None:
        most = min(most, rules.max_repeating)
    return [
        f"lineups {a + 1} and {b + 1} share {len(sets[a] & sets[b])} players, at most {most}"
        for a, b in itertools.combinations(range(len(sets)), 2)
        if len(sets[a] & sets[b]) > most
    ]


def _exposures(rosters: Sequence[Roster], candidates: Sequence[Candidate], rules: LineupRules) -> list[str]:
    n, problems = rules.n, []

    def ask(label: str, held: int, least: float, most: float) -> None:
        down = -int(-_exact(least) * n // 1)
        up = max(1, down, int(_exact(most) * n // 1))
        down = min(down, len(rosters))
        if held > up or held < down:
            problems.append(f"{held} of {len(rosters)} lineups hold {label}, asked for {down} to {up}")

    for c in candidates:
        held = sum(r.holds((c.id,)) for r in rosters)
        if c.id in rules.fixed.values():
            continue
        least = rules.player_min_exposure.get(c.id, 0.0)
        most = rules.player_max_exposure.get(c.id, 1.0 if c.id in rules.locked else max(rules.max_exposure, least))
        ask(c.id, held, least, most)
    for label, held, least, most in _sets(rosters, candidates, rules):
        ask(label, held, least, most)
    return problems


def _sets(
    rosters: Sequence[Roster], candidates: Sequence[Candidate], rules: LineupRules
) -> Iterator[tuple[str, int, float, float]]:
    """Label, lineups that hold it and shares asked for, of groups, teams and stacks."""
    for group in rules.groups:
        held = sum(r.holds(group.players) >= 1 for r in rosters)
        yield f"group {group.name!r}", held, group.min_exposure, group.max_exposure
    for team in rules.team_exposures:
        held = sum(r.count(None, team=team.team) >= team.players for r in rosters)
        yield f"{team.players} of {team.team}", held, team.min_exposure, team.max_exposure
    for stack in rules.stacks:
        for name in stack.teams or {c.team for c in candidates}:
            held = sum(r.count(stack.positions, team=name) >= stack.size for r in rosters)
            yield f"{stack.size}-stack {name}", held, stack.min_exposure, stack.max_exposure
    for game in rules.game_stacks:
        for name in game.games or {c.game for c in candidates}:
            held = sum(r.count(game.positions, game=name) >= game.size for r in rosters)
            yield f"{game.size} of game {name}", held, 0.0, game.max_exposure


def _exact(share: float) -> Fraction:
    """The decimal a player typed, without the binary rounding of 0.29 x 100."""
    return Fraction(str(share)).limit_denominator(10**6)
