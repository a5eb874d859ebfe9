"""Stacks: rules that a lineup meets with one of several teams or games, as a choice between sets of rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.errors import InvalidInput
from models.lineups.pool import Choice, Flags, Ints, LinearRows
from models.lineups.rulebook import Book, linear_rows
from models.lineups.rules import GameStack, LineupRules, TeamStack

# Ways to place all stacks of a request; three stacks of different teams on a slate of 24 teams make 12,000.
MAX_OPTIONS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One team or game that may meet a stack: members counted, at least so many of each, and whether it can work."""

    code: int
    label: str
    members: tuple[Ints, ...]
    at_least: tuple[int, ...]
    possible: bool


def write_stacks(book: Book, rules: LineupRules) -> tuple[Choice, ...]:
    """Return the choices of the stacks; a stack that only one team or game can meet becomes rows of the book."""
    choices = []
    for name, stacks, ways in (
        ("stacks", rules.stacks, [team_options(book, stack) for stack in rules.stacks]),
        ("game stacks", rules.game_stacks, [game_options(book, stack) for stack in rules.game_stacks]),
    ):
        if not stacks:
            continue
        placed = _placed(stacks, ways, name)
        if len(placed) > 1:
            choices.append(Choice(wording(stacks), tuple(_rows(book, options) for options in placed)))
        else:
            for option in placed[0]:
                for members, least in zip(option.members, option.at_least, strict=True):
                    book.add(members, least, max(least, book.size), option.label)
    return tuple(choices)


def team_options(book: Book, stack: TeamStack) -> list[Option]:
    """Every team that may meet the stack."""
    slate, options = book.slate, []
    counted, back = slate.playing(stack.positions), slate.playing(stack.bring_back_positions)
    roles = [(slate.playing(positions), least) for positions, least in stack.roles]
    for team, code in slate.teams.items():
        if stack.teams is not None and team not in stack.teams:
            continue
        here = slate.team == code
        asked: list[tuple[Flags, int]] = [(here & counted, stack.size)]
        asked += [(here & members, least) for members, least in roles]
        if stack.bring_back:
            rivals = np.unique(slate.opponent[here & book.live])
            asked.append((np.isin(slate.team, rivals[rivals >= 0]) & back, stack.bring_back))
        options.append(_option(book, code, f"stack of {stack.size} {team}", asked))
    return options


def game_options(book: Book, stack: GameStack) -> list[Option]:
    """Every game that may meet the stack."""
    slate, options = book.slate, []
    counted = slate.playing(stack.positions)
    for game, code in slate.games.items():
        if stack.games is not None and game not in stack.games:
            continue
        here = counted & (slate.game == code)
        asked: list[tuple[Flags, int]] = [(here, stack.size)]
        sides = np.unique(slate.team[slate.game == code])
        if stack.per_team:
            asked += [(here & (slate.team == side), stack.per_team) for side in sides.tolist()]
        option = _option(book, code, f"{stack.size} of game {game}", asked)
        lone = stack.per_team > 0 and len(sides) < 2
        options.append(replace(option, possible=False, at_least=(book.size + 1,)) if lone else option)
    return options


def wording(stacks: Sequence[TeamStack | GameStack]) -> str:
    """The stacks as a player would say them."""
    said = []
    for stack in stacks:
        if isinstance(stack, GameStack):
            said.append(f"game stack of {stack.size}" + (f" of {_some(stack.games)}" if stack.games else ""))
            continue
        text = f"{stack.size}-stack" + (f" of {_some(stack.teams)}" if stack.teams else "")
        text += f" counting {_some(stack.positions)}" if stack.positions else ""
        text += "".join(f" with {least} {_some(positions)}" for positions, least in stack.roles)
        said.append(text + (f" bringing {stack.bring_back} back" if stack.bring_back else ""))
    return " and ".join(said)


def _some(names: frozenset[str]) -> str:
    return "/".join(sorted(names))


def _option(book: Book, code: int, label: str, asked: list[tuple[Flags, int]]) -> Option:
    possible = all(book.reach(members) >= least for members, least in asked)
    return Option(
        code, label, tuple(m.astype(np.int64) for m, _ in asked), tuple(least for _, least in asked), possible
    )


def _placed(
    stacks: Sequence[TeamStack | GameStack], ways: list[list[Option]], name: str
) -> list[tuple[Option, ...]]:
    """Every way to give each stack a team or game of its own; one that cannot work if none can."""
    possible = [[option for option in options if option.possible] for options in ways]
    if math.prod(len(options) for options in possible) > MAX_OPTIONS:
        raise InvalidInput(
            f"{name}: {' x '.join(str(len(options)) for options in possible)} ways to place them are too many; "
            "name the teams of some of them"
        )
    placed = []
    for options in itertools.product(*possible):
        codes = [option.code for option in options]
        # Equal stacks may swap teams: keep one order.
        ordered = all(a != b or codes[at] < codes[at + 1] for at, (a, b) in enumerate(itertools.pairwise(stacks)))
        if ordered and len(set(codes)) == len(codes):
            placed.append(options)
    return placed or [tuple(options[0] for options in ways)]


def _rows(book: Book, options: tuple[Option, ...]) -> LinearRows:
    weights = [members for option in options for members in option.members]
    lower = [least for option in options for least in option.at_least]
    names = [option.label for option in options for _ in option.members]
    return linear_rows(weights, lower, [max(least, book.size) for least in lower], names, len(book.mask))
