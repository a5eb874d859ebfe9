"""Rules that count players, as linear rows and pairs that exclude one another; rows that cannot bind are left out.

Families: the contest's team limits, groups, if-then, opponents, one team, batting order, ownership. Stacks are in
`models.lineups.stacks`, exposures in `models.lineups.quotas`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from models.lineups.pool import Flags, Ints, LinearRows, no_rows
from models.lineups.rules import BattingOrderSpacing, Condition, Group, LineupRules, OpposingLimit
from models.lineups.slates import BATTING_PLACES, CompiledSlate

# Ownership shares as whole numbers.
SHARE_UNIT = 1e-6


@dataclass(slots=True)
class Book:
    """The slate as one request sees it, and the rows and conflicts written so far. `live` rows may be picked."""

    slate: CompiledSlate
    mask: Ints
    live: Flags
    weights: list[Ints] = field(default_factory=list)
    lower: list[int] = field(default_factory=list)
    upper: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    conflict: Flags | None = None

    @property
    def size(self) -> int:
        """Number of players in a lineup."""
        return self.slate.contest.lineup_size

    def reach(self, members: Flags) -> int:
        """An upper bound on how many of these a lineup can hold: slots open to them, and persons among them."""
        rows = np.flatnonzero(members & self.live)
        if not len(rows):
            return 0
        slots = int(np.bitwise_or.reduce(self.mask[rows])).bit_count()
        return min(slots, len(np.unique(self.slate.person[rows]))) if len(rows) > 1 else slots and 1

    def add(self, weight: Ints, lower: int, upper: int, name: str) -> int:
        """Write a row; return its index."""
        self.weights.append(weight)
        self.lower.append(lower)
        self.upper.append(upper)
        self.names.append(name)
        return len(self.names) - 1

    def count(self, members: Flags, at_least: int, at_most: int | None, name: str) -> None:
        """Bound how many of `members` a lineup holds, if the bound can bind."""
        reach = self.reach(members)
        at_most = reach if at_most is None else min(at_most, reach)
        if at_least > 0 or at_most < reach:
            self.add(members.astype(np.int64), at_least, max(at_most, at_least), name)

    def exclude(self, pairs: Flags) -> None:
        """Write that rows a and b exclude one another wherever pairs[a, b]."""
        if pairs.any():
            self.conflict = pairs | pairs.T if self.conflict is None else self.conflict | pairs | pairs.T

    def linear(self) -> LinearRows:
        """All rows written."""
        return linear_rows(self.weights, self.lower, self.upper, self.names, len(self.mask))


def linear_rows(
    weights: list[Ints], lower: list[int], upper: list[int], names: list[str], count: int
) -> LinearRows:
    """Rows as one block."""
    if not weights:
        return no_rows(count)
    return LinearRows(
        np.stack(weights), np.array(lower, dtype=np.int64), np.array(upper, dtype=np.int64), tuple(names)
    )


def write_rules(book: Book, rules: LineupRules) -> None:
    """Write every counting rule of the contest and the player."""
    slate = book.slate
    for limit in slate.contest.team_limits:
        _team_counts(book, limit.positions, limit.at_most, None)
    for same in rules.same_team:
        _team_counts(book, same.positions, same.at_most, same.teams)
    for group in rules.groups:
        _group(book, group)
    for condition in rules.conditions:
        _condition(book, condition)
    for opposing in rules.opposing:
        _opposing(book, opposing)
    if rules.spacing is not None:
        _spacing(book, rules.spacing)
    if rules.ownership is not None:
        _ownership(book, rules.ownership.min_total, rules.ownership.max_total)


def _team_counts(book: Book, positions: frozenset[str], at_most: int, teams: frozenset[str] | None) -> None:
    slate = book.slate
    members = slate.playing(positions) & book.live
    if book.reach(members) <= at_most:
        return
    for team, code in slate.teams.items():
        if teams is None or team in teams:
            name = f"at most {at_most} {'/'.join(sorted(positions))} of {team}"
            book.count(members & (slate.team == code), 0, at_most, name)


def _group(book: Book, group: Group) -> None:
    book.count(book.slate.holding(group.players), group.at_least, group.at_most, f"group {group.name}")


def _condition(book: Book, condition: Condition) -> None:
    slate = book.slate
    then = slate.holding(condition.then)
    reach = book.reach(then)
    for id_ in sorted(condition.when):
        when = slate.holding((id_,))
        if not (when & book.live).any():
            continue
        if condition.at_least > 0:
            weight = then.astype(np.int64) - condition.at_least * when
            book.add(weight, 0, max(reach, 0), f"if {id_} then at least {condition.at_least}")
        if condition.at_most is None or condition.at_most >= reach:
            continue
        if condition.at_most == 0 and not (when & then).any():
            book.exclude(np.outer(when, then))
        else:
            slack = reach - condition.at_most
            book.add(then + slack * when, 0, reach, f"if {id_} then at most {condition.at_most}")


def _opposing(book: Book, limit: OpposingLimit) -> None:
    slate = book.slate
    beside, against = slate.playing(limit.positions) & book.live, slate.playing(limit.against) & book.live
    if limit.at_most == 0:
        book.exclude(beside[:, None] & against[None, :] & (slate.team[None, :] == slate.opponent[:, None]))
        return
    names = list(slate.teams)
    for team, opponent in sorted(
        set(zip(slate.team[beside].tolist(), slate.opponent[beside].tolist(), strict=True))
    ):
        mine = beside & (slate.team == team) & (slate.opponent == opponent)
        theirs = against & (slate.team == opponent)
        reach = book.reach(theirs)
        if reach <= limit.at_most:
            continue
        name = f"at most {limit.at_most} opponents of {names[team]}"
        # Where a lineup holds at most one of them a single row says it; otherwise one row a person.
        persons = np.unique(slate.person[mine])
        sets = [mine] if book.reach(mine) == 1 else [mine & (slate.person == person) for person in persons]
        for members in sets:
            book.add(theirs + (reach - limit.at_most) * members.astype(np.int64), 0, reach, name)


def _spacing(book: Book, spacing: BattingOrderSpacing) -> None:
    """Write the smallest sets of batting places that no run of `span` places covers: pairs exclude one another."""
    slate = book.slate
    batting = np.where(book.live, slate.batting, 0)
    pairs = np.zeros((BATTING_PLACES + 1, BATTING_PLACES + 1), dtype=np.bool_)
    larger = []
    for places in _too_spread(spacing.span):
        if len(places) == 2:
            pairs[places] = pairs[places[::-1]] = True
        else:
            larger.append(places)
    if pairs.any():
        book.exclude((slate.team[:, None] == slate.team[None, :]) & pairs[batting[:, None], batting[None, :]])
    for team, code in slate.teams.items():
        here = (slate.team == code) & (batting > 0)
        at = {place: np.unique(slate.person[here & (batting == place)]) for place in np.unique(batting[here])}
        for places in larger:
            for persons in itertools.product(*(at.get(place, ()) for place in places)):
                members = here & np.isin(slate.person, persons)
                book.count(members, 0, len(places) - 1, f"batting order of {team} within {spacing.span}")


def _too_spread(span: int) -> Iterator[tuple[int, ...]]:
    """Minimal sets of places (1..9, a circle) that do not fit in `span` consecutive ones."""
    found: list[set[int]] = []
    for count in range(2, BATTING_PLACES + 1):
        for places in itertools.combinations(range(1, BATTING_PLACES + 1), count):
            if any(smaller <= set(places) for smaller in found) or places_needed(places) <= span:
                continue
            found.append(set(places))
            yield places


def places_needed(places: tuple[int, ...]) -> int:
    """Length of the shortest run of consecutive places, the order being a circle, that holds all of them."""
    circle = [*places, places[0] + BATTING_PLACES]
    return BATTING_PLACES + 1 - max(b - a for a, b in itertools.pairwise(circle))


def _ownership(book: Book, least: float | None, most: float | None) -> None:
    slate = book.slate
    share = np.rint(slate.ownership / SHARE_UNIT).astype(np.int64)[slate.source]
    top = int(np.sort(share[book.live])[::-1][: book.size].sum())
    lower = 0 if least is None else round(least / SHARE_UNIT)
    upper = top if most is None else min(top, round(most / SHARE_UNIT))
    if lower > 0 or upper < top:
        book.add(share, lower, max(upper, 0), "projected ownership")
