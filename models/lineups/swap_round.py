"""A late swap under way: what is settled so far, and the best lineup that leaves an entry.

Exposures and distinctness are kept over all entries as far as any lineup is left under them; a player's minimum
exposure is then raised one entry at a time, the one that loses least first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from models.lineups.compile import Flags, Ints, min_unique
from models.lineups.core import ExactSearch
from models.lineups.portfolio import Portfolio, Solved
from models.lineups.quotas import allowed_count, needed_count
from models.lineups.rules import LineupRules
from models.lineups.seated import Board, Seats

if TYPE_CHECKING:
    from features.sources.entries import Entry

#: What is given up, in this order, for an entry that cannot have it all: nothing, exposures, his own rules, both
#: these and that no two entries of a contest are the same.
NOTES: Final = (
    "",
    "exposure limits let go: no lineup is left under them",
    "your own rules let go: the open slots cannot keep them",
    "same as another entry of its contest: nothing else fits its open slots",
)


@dataclass(slots=True)
class Round:
    """How often each candidate is used so far and which lineups each contest holds; `total` counts the entries."""

    board: Board
    rules: LineupRules
    total: int
    count: Ints = field(init=False)
    limit: Ints = field(init=False)
    taken: dict[str, list[Solved]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own, most, total = self.rules.player_max_exposure, self.rules.max_exposure, max(1, self.total)
        players = self.board.pool.candidates
        self.count = np.zeros(len(players), dtype=np.int64)
        self.limit = np.array([allowed_count(own.get(c.id, most), total) for c in players])
        for at, c in enumerate(players):
            if c.id in self.rules.player_min_exposure and c.id not in own:
                self.limit[at] = max(self.limit[at], self.wanted(c.id))

    def wanted(self, site_id: str) -> int:
        """In how many entries a player is to be at least."""
        return needed_count(self.rules.player_min_exposure.get(site_id, 0.0), self.total)

    def reached(self, site_id: str) -> int:
        """In how many of the entries settled so far a player is."""
        rows = self.board.rows_of.get(site_id, ())
        return int(self.count[self.board.pool.source[rows[0]]]) if rows else 0

    def take(self, entry: Entry, found: Solved | None = None) -> None:
        """Count a lineup that is settled: `found`, or what the entry holds as far as its players are known."""
        if found is None:
            rows = [row for row in self.board.rows_held(entry) if row is not None]
            found = Solved(tuple(rows), 0.0, 0.0) if len(rows) == self.board.pool.size else None
        else:
            rows = list(found.rows)
        self.count[self.board.pool.source[rows]] += 1
        if found is not None:
            self.taken.setdefault(entry.contest_id, []).append(found)

    def give_back(self, entry: Entry, found: Solved) -> None:
        """Undo `take`."""
        self.count[self.board.pool.source[list(found.rows)]] -= 1
        self.taken[entry.contest_id].remove(found)

    def search(self, entry: Entry, seats: Seats) -> tuple[Solved | None, str]:
        """The best lineup around the locked slots and what had to give way for it."""
        taken = self.taken.get(entry.contest_id, [])
        closed, upper = self._closed()
        limited = bool(closed.any()) or upper is not None
        for step, note in enumerate(NOTES):
            if (step == 1 and not limited) or (step == 3 and not taken):
                continue  # nothing to give up that the step before had not
            pool = self.board.around(seats, own_rules=step < 2)
            portfolio = Portfolio(pool, min_unique(self.rules, pool.size) if step < 2 else 1)
            portfolio.chosen = list(taken) if step < 3 else []
            if step == 0:
                self._limit(portfolio, closed, upper)
            found = _best(portfolio)
            if found is not None:
                return found, note
        return None, ""

    def search_with(self, entry: Entry, seats: Seats, rows: Iterable[int]) -> Solved | None:
        """The best lineup that also seats these pool rows, giving nothing up; None where there is none."""
        pool = self.board.around(seats, own_rules=True)
        wanted = list(rows)
        if pool.excluded[wanted].any():
            return None
        locked = pool.locked.copy()
        locked[wanted] = True
        portfolio = Portfolio(replace(pool, locked=locked), min_unique(self.rules, pool.size))
        portfolio.chosen = list(self.taken.get(entry.contest_id, []))
        self._limit(portfolio, *self._closed())
        return _best(portfolio)

    def still(self, entry: Entry, seats: Seats, found: Solved) -> bool:
        """Whether a lineup found before, giving nothing up, may be taken now; what is closed since may forbid it."""
        closed, upper = self._closed()
        rows = set(found.rows)
        most = self.board.pool.size - min_unique(self.rules, self.board.pool.size)
        free = sorted(rows - set(seats.fixed.values()))
        return (
            upper is None
            and not closed[free].any()
            and all(len(rows & set(other.rows)) <= most for other in self.taken.get(entry.contest_id, []))
        )

    def _limit(self, portfolio: Portfolio, closed: Flags, upper: Ints | None) -> None:
        portfolio.allowed = portfolio.allowed & (~closed | portfolio.pool.locked)
        if upper is not None:
            portfolio.upper = upper

    def _closed(self) -> tuple[Flags, Ints | None]:
        """Rows whose exposure is used up, and the rule rows' upper bounds where a quota is full."""
        pool = self.board.pool
        closed = (self.count >= self.limit)[pool.source]
        upper: Ints | None = None
        lineups = [list(found.rows) for group in self.taken.values() for found in group] if pool.quotas else []
        for quota in pool.quotas:
            used = sum(int(quota.members[rows].sum()) >= quota.threshold for rows in lineups)
            if used < quota.most:
                continue
            if quota.row is None:
                closed = closed | quota.members
            else:
                upper = pool.rows.upper.copy() if upper is None else upper
                upper[quota.row] = min(int(upper[quota.row]), quota.threshold - 1)
        return closed, upper


@dataclass(frozen=True, slots=True)
class Open:
    """An entry whose open slots were filled: its seats, what was found for it, and why, where that is no swap alone."""

    entry: Entry
    seats: Seats
    found: Solved
    note: str = ""


def raise_minimums(round_: Round, filled: Mapping[int, Open]) -> dict[int, Open]:
    """The entries that change once more so that players reach their minimum exposures, where open slots allow it.

    Greedy: for one player after the other, entries take him in the order of what they lose by it. No entry gives up a
    player who would then fall below his own minimum, and no limit or rule gives way.
    """
    now = dict(filled)
    changed: dict[int, Open] = {}
    for site_id in sorted(round_.rules.player_min_exposure):
        if round_.reached(site_id) >= round_.wanted(site_id):
            continue
        losses = []
        for at, each in now.items():
            found = _holding(round_, each, site_id)
            if found is not None:
                losses.append((each.found.projection - found.projection, at))
        for _, at in sorted(losses):
            if round_.reached(site_id) >= round_.wanted(site_id):
                break
            each = now[at]
            # What was taken meanwhile may be what was found for it.
            found = _holding(round_, each, site_id)
            if found is not None:
                round_.give_back(each.entry, each.found)
                round_.take(each.entry, found)
                note = f"{round_.board.name(site_id)} for his minimum exposure"
                now[at] = changed[at] = replace(each, found=found, note="; ".join(filter(None, (each.note, note))))
    return changed


def missed(round_: Round) -> list[str]:
    """A warning for every minimum exposure that the settled entries do not reach, with both figures."""
    said = []
    for site_id in sorted(round_.rules.player_min_exposure):
        wanted, reached = round_.wanted(site_id), round_.reached(site_id)
        if reached < wanted:
            said.append(
                f"min exposure of {round_.board.name(site_id)} ({site_id}): wanted in {wanted} of {round_.total} "
                f"entries, reached {reached}; no further entry can take him in its open slots"
            )
    lineups = [list(found.rows) for group in round_.taken.values() for found in group]
    for quota in round_.board.pool.quotas:
        reached = sum(int(quota.members[rows].sum()) >= quota.threshold for rows in lineups)
        if reached < quota.least:
            said.append(
                f"min exposure of {quota.label}: wanted in {quota.least} entries, reached {reached}; a late swap "
                "raises minimum exposures of players only"
            )
    return said


def _holding(round_: Round, each: Open, site_id: str) -> Solved | None:
    """The entry's best lineup with this player, who is not in it, and with those it may not give up."""
    board, source = round_.board, round_.board.pool.source
    mine = board.rows_of.get(site_id, ())
    if not mine or any(int(source[row]) == int(source[mine[0]]) for row in each.found.rows):
        return None
    needed = [
        row
        for row in each.found.rows
        if row not in each.seats.fixed.values()
        and 0 < round_.reached(id_ := board.pool.candidates[int(source[row])].id) <= round_.wanted(id_)
    ]
    round_.give_back(each.entry, each.found)
    found = [round_.search_with(each.entry, each.seats, [*needed, row]) for row in mine]
    round_.take(each.entry, each.found)
    legal = [solved for solved in found if solved is not None and not board.problems(board.lineup(solved))]
    return max(legal, key=lambda solved: solved.projection, default=None)


def _best(portfolio: Portfolio) -> Solved | None:
    found = ExactSearch(portfolio.pool, portfolio.min_unique)(portfolio, 1)
    return found[0] if found else None
