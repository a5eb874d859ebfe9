"""Exposures: between how many of the lineups a player, team, stack or group is held."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from models.lineups.pool import Flags, Ints, Quota
from models.lineups.rulebook import Book
from models.lineups.rules import LineupRules


def allowed_count(exposure: float, n: int) -> int:
    """Return in how many of `n` lineups what is capped at `exposure` may appear: rounded down, but at least 1."""
    return max(1, math.floor(exposure * n + 1e-9))


def needed_count(exposure: float, n: int) -> int:
    """Return in how many of `n` lineups what must reach `exposure` appears: rounded up."""
    return max(0, math.ceil(exposure * n - 1e-9))


def limits(book: Book, rules: LineupRules) -> Ints:
    """Return in how many lineups each row's candidate may be."""
    slate = book.slate
    limit = np.full(len(slate.candidates), allowed_count(rules.max_exposure, rules.n), dtype=np.int64)
    # A lock says "in every lineup": it outranks the global cap, never the player's own. So does a minimum.
    limit[[slate.codes[id_] for id_ in rules.locked]] = rules.n
    for id_, exposure in rules.player_min_exposure.items():
        at = slate.codes[id_]
        limit[at] = max(limit[at], needed_count(exposure, rules.n))
    for id_, exposure in rules.player_max_exposure.items():
        limit[slate.codes[id_]] = allowed_count(exposure, rules.n)
    # Who already plays cannot be taken out.
    limit[[slate.codes[id_] for id_ in rules.fixed.values()]] = rules.n
    return limit[slate.source]


def write_quotas(book: Book, rules: LineupRules, limit: Ints) -> tuple[Quota, ...]:
    """Return every exposure rule in force but the caps of single players, which are limits; may add closable rows."""
    quotas = []
    for id_, least in rules.player_min_exposure.items():
        if least > 0:
            members = book.slate.holding((id_,))
            need = needed_count(least, rules.n)
            quotas.append(Quota(_player(book, id_), members, 1, need, max(int(limit[members].max()), need)))
    for label, members, threshold, low, high in _asked(book, rules):
        row = None
        if threshold > 1 and high < 1:
            row = book.add(members.astype(np.int64), 0, max(book.reach(members), threshold), label)
        least, most = needed_count(low, rules.n), allowed_count(high, rules.n)
        quotas.append(Quota(label, members, threshold, least, max(least, most), row))
    return tuple(quotas)


def _asked(book: Book, rules: LineupRules) -> Iterator[tuple[str, Flags, int, float, float]]:
    """Label, members, threshold and shares of every group, team and stack whose exposure is bounded."""
    slate = book.slate
    for group in rules.groups:
        if _bounded(group.min_exposure, group.max_exposure):
            members = slate.holding(group.players)
            yield f"group {group.name}", members, 1, group.min_exposure, group.max_exposure
    for team in rules.team_exposures:
        label = team.team if team.players == 1 else f"{team.players} or more of {team.team}"
        if _bounded(team.min_exposure, team.max_exposure):
            members = slate.team == slate.teams[team.team]
            yield label, members, team.players, team.min_exposure, team.max_exposure
    yield from _stacked(book, rules)


def _stacked(book: Book, rules: LineupRules) -> Iterator[tuple[str, Flags, int, float, float]]:
    slate = book.slate
    for stack in rules.stacks:
        if _bounded(stack.min_exposure, stack.max_exposure):
            counted = slate.playing(stack.positions)
            for name in sorted(stack.teams or slate.teams):
                members = counted & (slate.team == slate.teams[name])
                yield f"{stack.size}-stack {name}", members, stack.size, stack.min_exposure, stack.max_exposure
    for game in rules.game_stacks:
        if _bounded(0.0, game.max_exposure):
            counted = slate.playing(game.positions)
            for name in sorted(game.games or slate.games):
                members = counted & (slate.game == slate.games[name])
                yield f"{game.size}-stack of game {name}", members, game.size, 0.0, game.max_exposure


def _bounded(least: float, most: float) -> bool:
    return least > 0 or most < 1


def _player(book: Book, id_: str) -> str:
    return f"{book.slate.candidates[book.slate.codes[id_]].name} ({id_})"
