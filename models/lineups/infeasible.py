"""Name the rules that clash: a deletion filter over every rule in force, each probe a feasibility solve.

A rule is switched off by asking again without it, so whatever the compiler can express is covered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import Infeasible
from models.lineups.compile import compile_pool
from models.lineups.milp import feasible
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from models.lineups.stacks import wording

if TYPE_CHECKING:
    from features.contests import Contest


@dataclass(frozen=True, slots=True)
class Request:
    """A contest and a player's rules, some of them switched off; `anywhere` lets everybody fill every slot."""

    contest: Contest
    rules: LineupRules
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in force: how a player would say it, and the request without it."""

    said: str
    without: Callable[[Request], Request]


def explain(candidates: Sequence[Candidate], contest: Contest, rules: LineupRules) -> Infeasible:
    """Return the error naming the smallest clashing set found; it is irreducible: without any one rule it works."""
    # Exposures cannot forbid the first lineup, and switched-off quotas make the probes quicker.
    request = Request(contest, _without_exposures(rules))
    in_force = [*_contest_rules(contest), *_own_rules(candidates, contest, request.rules)]
    if not _works(candidates, request, in_force):
        return Infeasible(
            f"no legal lineup: the player pool has {len(candidates)} players for {contest.lineup_size} roster slots; "
            "add players",
            ("player pool",),
        )
    orders = (in_force, in_force[::-1])
    found = min((_needed(candidates, request, order) for order in orders), key=len)
    said = tuple(rule.said for rule in found)
    locks = all(text.startswith("lock ") for text in said)
    if locks and len(said) > contest.lineup_size:
        said += (f"{contest.lineup_size} roster slots",)
    return Infeasible(f"no legal lineup satisfies together: {'; '.join(said)}. Relax one of them", said)


def _needed(candidates: Sequence[Candidate], request: Request, rules: list[Rule]) -> list[Rule]:
    """Drop, by halves, every rule that the clash does not need; what stays is irreducible."""
    off: list[Rule] = []
    queue = [rules[: len(rules) // 2], rules[len(rules) // 2 :]]
    kept: list[Rule] = []
    while queue:
        part = queue.pop(0)
        if not part:
            continue
        if not _works(candidates, request, off + part):
            off += part
        elif len(part) == 1:
            kept += part
        else:
            queue[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
    return [rule for rule in rules if rule in kept]


def _works(candidates: Sequence[Candidate], request: Request, off: Sequence[Rule]) -> bool:
    """Whether a legal lineup exists with the rules in `off` switched off."""
    for rule in off:
        request = rule.without(request)
    pool = compile_pool(candidates, request.contest, request.rules)
    if request.anywhere:
        fixed = [int(row) for row in np.flatnonzero(pool.locked & (np.bitwise_count(pool.mask) == 1))]
        mask = np.full_like(pool.mask, (1 << pool.size) - 1)
        if request.rules.fixed:
            mask[fixed] = pool.mask[fixed]
        pool = replace(pool, mask=mask)
    return feasible(pool)


def _without_exposures(rules: LineupRules) -> LineupRules:
    return replace(
        rules,
        n=1,
        max_exposure=1.0,
        player_max_exposure={},
        player_min_exposure={},
        groups=tuple(replace(group, min_exposure=0.0, max_exposure=1.0) for group in rules.groups),
        stacks=tuple(replace(stack, min_exposure=0.0, max_exposure=1.0) for stack in rules.stacks),
        game_stacks=tuple(replace(stack, max_exposure=1.0) for stack in rules.game_stacks),
        team_exposures=(),
    )


def _contest_rules(contest: Contest) -> list[Rule]:
    """The contest's rules. First, because the filter keeps what it tries last: a player can change his own."""
    size = contest.lineup_size
    rules = [Rule(_seats(contest), lambda request: replace(request, anywhere=True))]

    def contest_rule(said: str, **change: object) -> None:
        def without(request: Request) -> Request:
            return replace(request, contest=replace(request.contest, **change))  # type: ignore[arg-type]

        rules.append(Rule(said, without))

    if contest.min_games > 1:
        contest_rule(f"at least {contest.min_games} games", min_games=1)
    if contest.min_teams > 1:
        contest_rule(f"at least {contest.min_teams} {_counted_teams(contest)}", min_teams=1)
    if contest.max_per_team < size:
        contest_rule(f"at most {contest.max_per_team} players of one team", max_per_team=size)
    if contest.max_per_game is not None and contest.max_per_game < size:
        contest_rule(f"at most {contest.max_per_game} players of one game", max_per_game=None)
    if contest.team_limits:
        limits = ", ".join(f"{'/'.join(sorted(t.positions))} at most {t.at_most}" for t in contest.team_limits)
        contest_rule(f"per team {limits}", team_limits=())
    if contest.salary_cap_usd is not None:
        contest_rule(f"salary cap {contest.salary_cap_usd:,}", salary_cap_usd=None)
    return rules


def _counted_teams(contest: Contest) -> str:
    """`teams`, or whose teams count where not everybody's does (hockey: the goalie's does not)."""
    if contest.min_teams_positions is None:
        return "teams"
    listed = "/".join(sorted(contest.min_teams_positions))
    return f"teams of {'skaters' if contest.sport == 'nhl' else 'players'} ({listed})"


def _seats(contest: Contest) -> str:
    return "roster positions " + " ".join(slot.name for slot in contest.slots)


def _own_rules(candidates: Sequence[Candidate], contest: Contest, rules: LineupRules) -> list[Rule]:
    """The player's rules, one entry each; a field of several rules has an entry for every one of them."""
    names = {c.id: f"{c.name} ({c.id})" for c in candidates}
    own = [_rule(said, _resetting(field)) for field, said in _single(contest, rules)]
    for field, said in _listed(rules, names):
        own += [_rule(text, _dropping(field, getattr(rules, field)[at])) for at, text in enumerate(said)]
    own += [_rule(f"lock {names[id_]}", _unlocking(id_)) for id_ in sorted(rules.locked)]
    for slot, id_ in sorted(rules.fixed.items()):
        own.append(_rule(f"{names[id_]} already seated as {contest.slots[slot].name}", _unseating(slot)))
    return own


def _single(contest: Contest, rules: LineupRules) -> Iterator[tuple[str, str]]:
    """Field and wording of the rules a request holds one of."""
    if rules.max_per_team is not None:
        yield "max_per_team", f"max_per_team {rules.max_per_team}"
    if rules.max_salary_usd is not None and rules.max_salary_usd < (contest.salary_cap_usd or np.inf):
        yield "max_salary_usd", f"max salary {rules.max_salary_usd:,}"
    if rules.min_salary_usd > 0:
        yield "min_salary_usd", f"min salary {rules.min_salary_usd:,}"
    if rules.excluded:
        yield "excluded", f"{len(rules.excluded)} excluded players"
    if rules.stacks:
        yield "stacks", wording(rules.stacks)
    if rules.game_stacks:
        yield "game_stacks", wording(rules.game_stacks)
    if rules.spacing is not None:
        yield "spacing", f"batting order within {rules.spacing.span} places"
    if rules.ownership is not None:
        bounds = (("at least", rules.ownership.min_total), ("at most", rules.ownership.max_total))
        said = " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)
        yield "ownership", f"projected ownership in total {said}"


Change = Callable[[LineupRules], LineupRules]


def _rule(said: str, change: Change) -> Rule:
    return Rule(said, lambda request: replace(request, rules=change(request.rules)))


def _resetting(field: str) -> Change:
    default = getattr(LineupRules(), field)
    return lambda rules: replace(rules, **{field: default})


def _unlocking(id_: str) -> Change:
    return lambda rules: replace(rules, locked=rules.locked - {id_})


def _unseating(slot: int) -> Change:
    return lambda rules: replace(rules, fixed={at: id_ for at, id_ in rules.fixed.items() if at != slot})


def _dropping(field: str, rule: object) -> Change:
    def drop(rules: LineupRules) -> LineupRules:
        left: Any = tuple(other for other in getattr(rules, field) if other is not rule)
        return replace(rules, **{field: left})

    return drop


def _listed(rules: LineupRules, names: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Wordings of the rules a request may hold several of, in their order."""

    def players(ids: frozenset[str]) -> str:
        return ", ".join(names[id_] for id_ in sorted(ids)[:6]) + (" ..." if len(ids) > 6 else "")

    def count(at_least: int, at_most: int | None) -> str:
        if at_least == at_most:
            return f"exactly {at_least}"
        said = [f"at least {at_least}"] if at_least or at_most is None else []
        return " and ".join(said + ([] if at_most is None else [f"at most {at_most}"]))

    def positions(names: frozenset[str]) -> str:
        return "/".join(sorted(names))

    return [
        ("groups", [f"group {g.name!r}: {count(g.at_least, g.at_most)} of {players(g.players)}" for g in rules.groups]),
        ("conditions", [
            f"if {players(c.when)} then {count(c.at_least, c.at_most)} of {players(c.then)}" for c in rules.conditions
        ]),
        ("opposing", [
            f"beside {positions(o.positions)} at most {o.at_most} opposing {positions(o.against)}"
            for o in rules.opposing
        ]),
        ("same_team", [
            f"at most {s.at_most} {positions(s.positions)} of {'one team' if s.teams is None else positions(s.teams)}"
            for s in rules.same_team
        ]),
    ]  # fmt: skip
