"""What a player asks for, checked before any of it is solved: ranges, names, and wishes that contradict themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from features.errors import InvalidInput
from models.lineups.pool import MAX_LINEUPS
from models.lineups.rules import GameStack, LineupRules, TeamStack
from models.lineups.slates import BATTING_PLACES, CompiledSlate

if TYPE_CHECKING:
    from features.contests import Contest

#: No lineup of any site costs more; whatever is above does not fit the solver's whole numbers either.
MAX_LINEUP_USD: Final = 1_000_000_000
#: Digits of a wrong number that its message quotes.
DIGITS: Final = 20


def validate(slate: CompiledSlate, rules: LineupRules) -> None:
    """Raise `InvalidInput` naming the first field that is out of range or names nobody, its value and the fix."""
    contest = slate.contest
    check_ranges(rules, contest)
    _check_exposures(rules)
    if rules.groups or rules.conditions or rules.opposing or rules.same_team or rules.spacing or rules.ownership:
        _check_structures(rules, contest.lineup_size)
    if rules.stacks or rules.game_stacks:
        _check_stacks(rules, contest.lineup_size)
    _check_names(slate, rules)
    _check_fixed(rules, contest.lineup_size)
    _check_objective(slate, rules)


def check_ranges(rules: LineupRules, contest: Contest) -> None:
    """Raise `InvalidInput` for a single number that no contest allows; needs no slate."""
    size = contest.lineup_size
    if not 1 <= rules.n <= MAX_LINEUPS:
        raise InvalidInput(f"n is {rules.n}; ask for 1 to {MAX_LINEUPS} lineups")
    if not 1 <= rules.min_unique <= size:
        raise InvalidInput(f"min_unique is {rules.min_unique}; it must be 1 to {size}, the lineup size")
    if rules.max_repeating is not None and not 0 <= rules.max_repeating < size:
        raise InvalidInput(f"max_repeating is {rules.max_repeating}; it must be 0 to {size - 1}, or None")
    if rules.max_per_team is not None and not 1 <= rules.max_per_team <= size:
        raise InvalidInput(
            f"max_per_team is {rules.max_per_team}; it must be 1 to {size}, or None for the contest's"
        )
    if not 0 <= rules.min_salary_usd <= MAX_LINEUP_USD:
        raise InvalidInput(f"min_salary_usd is {_short(rules.min_salary_usd)}; it must be 0 to {MAX_LINEUP_USD:,}")
    if rules.max_salary_usd is not None and not 0 < rules.max_salary_usd <= MAX_LINEUP_USD:
        raise InvalidInput(
            f"max_salary_usd is {_short(rules.max_salary_usd)}; it must be above 0 and at most {MAX_LINEUP_USD:,}, "
            "or None for the cap"
        )


def _short(number: int) -> str:
    return text if len(text := str(number)) <= DIGITS else f"a number of {len(text.lstrip('-'))} digits"


def _check_exposures(rules: LineupRules) -> None:
    asked: list[tuple[str, float, float]] = [("max_exposure", 0.0, rules.max_exposure)]
    asked += [(f"player_max_exposure of {key}", 0.0, most) for key, most in rules.player_max_exposure.items()]
    for group in rules.groups:
        asked.append((f"max_exposure of group {group.name!r}", group.min_exposure, group.max_exposure))
    for stack in rules.stacks:
        asked.append((f"max_exposure of the {stack.size}-stack", stack.min_exposure, stack.max_exposure))
    for game in rules.game_stacks:
        asked.append((f"max_exposure of the {game.size}-game stack", 0.0, game.max_exposure))
    for team in rules.team_exposures:
        asked.append((f"max_exposure of team {team.team}", team.min_exposure, team.max_exposure))
    for key, least in rules.player_min_exposure.items():
        asked.append((f"max_exposure of player {key}", least, rules.player_max_exposure.get(key, 1.0)))
    for name, least, most in asked:
        if not 0 < most <= 1:
            raise InvalidInput(f"{name} is {most}; it must be above 0 and at most 1 (0.5 = half of the lineups)")
        if not 0 <= least <= 1:
            raise InvalidInput(f"{name.replace('max_', 'min_', 1)} is {least}; it must be 0 to 1")
        if least > most:
            raise InvalidInput(
                f"{name} is {most:.0%}, below its min_exposure {least:.0%}; raise one or lower the other"
            )


def _check_structures(rules: LineupRules, size: int) -> None:
    names = [group.name for group in rules.groups]
    for group in rules.groups:
        if names.count(group.name) > 1:
            raise InvalidInput(f"groups: name {group.name!r} is used twice; give each group its own")
        _check_count(f"group {group.name!r}", group.players, group.at_least, group.at_most, size)
    for condition in rules.conditions:
        if not condition.when:
            raise InvalidInput("conditions: when is empty; name at least one player")
        _check_count("condition", condition.then, condition.at_least, condition.at_most, size)
    _check_spread(rules, size)


def _check_spread(rules: LineupRules, size: int) -> None:
    for opposing in rules.opposing:
        if not opposing.positions or not opposing.against or opposing.at_most < 0:
            raise InvalidInput(
                f"opposing {sorted(opposing.positions)} against {sorted(opposing.against)} at_most {opposing.at_most}: "
                "name positions on both sides and a count of 0 or more"
            )
    for same in rules.same_team:
        if not same.positions or same.at_most < 0:
            raise InvalidInput(
                f"same_team {sorted(same.positions)} at_most {same.at_most}: name positions and a count of 0 or more"
            )
    if rules.spacing is not None and not 1 <= rules.spacing.span <= BATTING_PLACES:
        raise InvalidInput(
            f"spacing span is {rules.spacing.span}; it must be 1 to {BATTING_PLACES} batting places"
        )
    _check_ownership(rules, size)


def _check_ownership(rules: LineupRules, size: int) -> None:
    if rules.ownership is not None:
        least, most = rules.ownership.min_total, rules.ownership.max_total
        for name, value in (("min_total", least), ("max_total", most)):
            if value is not None and not 0 <= value <= size:
                raise InvalidInput(f"ownership {name} is {value}; it is a sum of shares, 0 to {size}")
        if least is not None and most is not None and least > most:
            raise InvalidInput(f"ownership min_total {least} is above max_total {most}; lower it")


def _check_count(what: str, players: frozenset[str], at_least: int, at_most: int | None, size: int) -> None:
    if not players:
        raise InvalidInput(f"{what}: players is empty; name at least one")
    if not 0 <= at_least <= size:
        raise InvalidInput(f"{what}: at_least is {at_least}; it must be 0 to {size}, the lineup size")
    if at_least > len(players):
        raise InvalidInput(
            f"{what}: at_least is {at_least} of only {len(players)} players; lower it or add players"
        )
    if at_most is not None and at_most < 0:
        raise InvalidInput(f"{what}: at_most is {at_most}; it must be 0 or more, or None")
    if at_most is not None and at_most < at_least:
        raise InvalidInput(f"{what}: at_least {at_least} is above at_most {at_most}; it contradicts itself")


def _check_stacks(rules: LineupRules, size: int) -> None:
    stacks: tuple[TeamStack | GameStack, ...] = (*rules.stacks, *rules.game_stacks)
    for stack in stacks:
        if not 1 <= stack.size <= size:
            raise InvalidInput(f"stack of {stack.size} players; it must be 1 to {size}, the lineup size")
        _check_some(stack)
    for kind, sizes in (
        ("stacks", [s.size + s.bring_back for s in rules.stacks]),
        ("game_stacks", [g.size for g in rules.game_stacks]),
    ):
        # Bring-backs of one stack may be another's players, so only a single stack counts its own.
        need = max(sizes, default=0) if kind == "stacks" else 0
        together = sum(s.size for s in rules.stacks) if kind == "stacks" else sum(sizes)
        if max(need, together) > size:
            raise InvalidInput(
                f"{kind} need {_short(max(need, together))} players together, a lineup has {size}; make them smaller"
            )
    for team in rules.stacks:
        if team.bring_back < 0 or any(count < 1 or not positions for positions, count in team.roles):
            raise InvalidInput(
                f"{team.size}-stack: bring_back {team.bring_back} and roles must ask for positions and counts above 0"
            )
        most = max((count for _, count in team.roles), default=0)
        if most > size:
            raise InvalidInput(f"{team.size}-stack: a role asks for {most} players, a lineup has {size}")
    for game in rules.game_stacks:
        if not 0 <= 2 * game.per_team <= size:
            raise InvalidInput(f"{game.size}-game stack: per_team is {game.per_team}; it must be 0 to {size // 2}")


def _check_some(stack: TeamStack | GameStack) -> None:
    """Refuse an empty list: left out it means any, written empty it would mean none."""
    lists = {"positions": stack.positions}
    if isinstance(stack, TeamStack):
        lists |= {"teams": stack.teams, "bring_back_positions": stack.bring_back_positions}
    else:
        lists |= {"games": stack.games}
    for field, named in lists.items():
        if named is not None and not named:
            raise InvalidInput(f"{stack.size}-stack: {field} is empty; name at least one, or leave it out for any")


def _check_names(slate: CompiledSlate, rules: LineupRules) -> None:
    for field, ids in _named_players(rules):
        unknown = sorted(id_ for id_ in ids if id_ not in slate.codes)
        if unknown:
            raise InvalidInput(
                f"{field} names {', '.join(unknown[:5])}: no such id in the player pool of {len(slate.codes)}; "
                "use the ids of the salary file"
            )
    for field, named, known, what in _named_others(slate, rules):
        unknown = sorted(name for name in named if name not in known)
        if unknown:
            raise InvalidInput(
                f"{field} names {', '.join(unknown[:5])}: no such {what} on the slate; it has "
                f"{', '.join(sorted(known)[:40])}"
            )


def _named_players(rules: LineupRules) -> Iterator[tuple[str, Collection[str]]]:
    yield "locked", rules.locked
    yield "excluded", rules.excluded
    yield "player_max_exposure", rules.player_max_exposure.keys()
    yield "player_min_exposure", rules.player_min_exposure.keys()
    yield "fixed", rules.fixed.values()
    for group in rules.groups:
        yield f"group {group.name!r}", group.players
    for condition in rules.conditions:
        yield "condition when", condition.when
        yield "condition then", condition.then


def _named_others(
    slate: CompiledSlate, rules: LineupRules
) -> Iterator[tuple[str, Collection[str], Collection[str], str]]:
    for exposure in rules.team_exposures:
        yield "team_exposures", (exposure.team,), slate.teams, "team"
        if not 1 <= exposure.players <= slate.contest.lineup_size:
            raise InvalidInput(
                f"team_exposures of {exposure.team}: players is {exposure.players}; it must be 1 to "
                f"{slate.contest.lineup_size}"
            )
    if not (rules.stacks or rules.game_stacks or rules.opposing or rules.same_team):
        return
    positions = slate.plays.keys() | slate.contest.positions
    for stack in rules.stacks:
        yield "stack teams", stack.teams or (), slate.teams, "team"
        roles = frozenset[str]().union(*(names for names, _ in stack.roles))
        named = roles | (stack.positions or frozenset()) | (stack.bring_back_positions or frozenset())
        yield "stack positions", named, positions, "position"
    for game in rules.game_stacks:
        yield "game stack games", game.games or (), slate.games, "game"
        yield "game stack positions", game.positions or (), positions, "position"
    for opposing in rules.opposing:
        yield "opposing", opposing.positions | opposing.against, positions, "position"
    for same in rules.same_team:
        yield "same_team teams", same.teams or (), slate.teams, "team"
        yield "same_team positions", same.positions, positions, "position"


def _check_fixed(rules: LineupRules, size: int) -> None:
    for slot in rules.fixed:
        if not 0 <= slot < size:
            raise InvalidInput(f"fixed seat {slot} does not exist; roster slots are 0 to {size - 1}")
    seated = list(rules.fixed.values())
    if len(set(seated)) < len(seated):
        twice = next(id_ for id_ in seated if seated.count(id_) > 1)
        raise InvalidInput(f"fixed seats {twice} twice; a player fills one roster slot")


def _check_objective(slate: CompiledSlate, rules: LineupRules) -> None:
    objective = rules.objective
    for name, value, least, most in (
        ("blend_weight", objective.blend_weight, -1.0, 1.0),
        ("leverage", objective.leverage, -1e4, 1e4),
        ("randomness", objective.randomness, 0.0, 1.0),
    ):
        if not least <= value <= most:
            raise InvalidInput(f"objective {name} is {value}; it must be {least:g} to {most:g}")
    if objective.measure not in {"mean", "floor", "ceiling", "blend"}:
        raise InvalidInput(f"objective measure is {objective.measure!r}; use mean, floor, ceiling or blend")
    needed = []
    if objective.measure == "floor" or (objective.measure == "blend" and objective.blend_weight < 0):
        needed.append("floor")
    if objective.measure == "ceiling" or (objective.measure == "blend" and objective.blend_weight > 0):
        needed.append("ceiling")
    if objective.leverage or rules.ownership is not None:
        needed.append("ownership")
    for field in needed:
        missing = np.flatnonzero(np.isnan(getattr(slate, field)))
        if len(missing):
            c = slate.candidates[int(missing[0])]
            raise InvalidInput(
                f"{field} of {c.name} ({c.id}) is missing ({len(missing)} players lack it); the rules need it: give "
                f"every player one or leave out the rule that uses {field}"
            )
