"""A slate under a contest as arrays, built once however many requests follow.

A candidate has one row for each way the slots he may fill multiply his points and salary (FanDuel's MVP); most
contests multiply nothing and rows are candidates.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.errors import InvalidInput
from models.lineups.pool import Flags, Floats, Ints
from models.lineups.problem import Candidate

if TYPE_CHECKING:
    from features.contests import Contest

# Room for a mask in an int64 and for 2^slots Hall sets; the largest roster of any site has 10.
MAX_SLOTS = 16
MAX_PROJECTION = 1e6
MAX_SALARY_USD = 10_000_000
BATTING_PLACES = 9
# Slates kept: a server answers for a handful of slates and contests at a time.
KEPT = 8


@dataclass(frozen=True, eq=False)
class CompiledSlate:
    """Arrays over the N rows of P candidates; (P,) where said so.

    `salary` is in units of `unit_usd`. `batting` is 0 where the order is unknown. `mean`, `floor`, `ceiling`,
    `ownership` are (P,) and unmultiplied, NaN where not given.
    """

    candidates: tuple[Candidate, ...]
    contest: Contest
    codes: dict[str, int]
    source: Ints
    multiplier: Floats
    mask: Ints
    salary: Ints
    unit_usd: int
    person: Ints
    team: Ints
    game: Ints
    batting: Ints
    mean: Floats
    floor: Floats
    ceiling: Floats
    ownership: Floats
    teams: dict[str, int]
    games: dict[str, int]

    @cached_property
    def opponent(self) -> Ints:
        """Team code each row plays against, -1 where there is none; few rules ask."""
        return _opponents(self.candidates, self.teams)[self.source]

    @cached_property
    def plays(self) -> dict[str, Flags]:
        """Rows of each position; few rules ask."""
        return _plays(self.candidates, self.source)

    def holding(self, ids: Iterable[str]) -> Flags:
        """Rows of the candidates with these ids (N,)."""
        flags = np.zeros(len(self.candidates), dtype=np.bool_)
        flags[[self.codes[id_] for id_ in ids]] = True
        return flags[self.source]

    def playing(self, positions: frozenset[str] | None) -> Flags:
        """Rows with any of these positions (N,); None: every row."""
        if positions is None:
            return np.ones(len(self.source), dtype=np.bool_)
        flags = np.zeros(len(self.source), dtype=np.bool_)
        for position in positions:
            flags |= self.plays.get(position, False)
        return flags


class _Recent:
    """The slates compiled last. Candidates are compared, not hashed: equal objects compare in microseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[CompiledSlate] = []

    def get(self, candidates: tuple[Candidate, ...], contest: Contest) -> CompiledSlate | None:
        with self._lock:
            kept = list(self._kept)
        for slate in kept:
            if slate.candidates == candidates and (slate.contest is contest or slate.contest == contest):
                return slate
        return None

    def put(self, slate: CompiledSlate) -> None:
        with self._lock:
            self._kept = [slate, *self._kept[: KEPT - 1]]


_recent = _Recent()


def compile_slate(candidates: Sequence[Candidate] | CompiledSlate, contest: Contest) -> CompiledSlate:
    """Return the slate as arrays; the same candidates and contest are not compiled twice.

    Raises `InvalidInput` naming the player, his value and the fix.
    """
    if isinstance(candidates, CompiledSlate):
        if candidates.contest == contest:
            return candidates
        candidates = candidates.candidates
    listed = tuple(candidates)
    found = _recent.get(listed, contest)
    if found is None:
        found = _compile(listed, contest)
        _recent.put(found)
    return found


def slot_masks(candidates: Sequence[Candidate], contest: Contest) -> Ints:
    """Return for each candidate the bit set of the roster slots his positions may fill (0: none)."""
    listed = [candidate.positions for candidate in candidates]
    known = {
        positions: sum(1 << s for s, slot in enumerate(contest.slots) if slot.accepts(positions))
        for positions in set(listed)
    }
    return np.array([known[positions] for positions in listed], dtype=np.int64)


def check_candidates(candidates: Sequence[Candidate]) -> tuple[Floats, Ints]:
    """Return projections and salaries; raise `InvalidInput` on an empty pool or a row no solver may see."""
    if not candidates:
        raise InvalidInput(
            "candidates: the player pool is empty; give at least one projected player per roster slot"
        )
    projection = _numbers([c.projection for c in candidates])
    salary = _numbers([c.salary_usd for c in candidates])
    # Written so that NaN counts as wrong.
    for row in np.flatnonzero(~((projection >= 0) & (projection <= MAX_PROJECTION))).tolist():
        c = candidates[row]
        raise InvalidInput(
            f"projection of {c.name} ({c.id}) is {c.projection}; it must be a finite number of fantasy points, "
            f"0 to {MAX_PROJECTION:,.0f}: correct it or leave the player out"
        )
    for row in np.flatnonzero(
        ~((salary >= 0) & (salary <= MAX_SALARY_USD) & (salary == np.floor(salary)))
    ).tolist():
        c = candidates[row]
        raise InvalidInput(
            f"salary_usd of {c.name} ({c.id}) is {c.salary_usd}; it must be whole, 0 to {MAX_SALARY_USD:,}"
        )
    if not all(c.id and c.team and c.game for c in candidates):
        c = next(c for c in candidates if not (c.id and c.team and c.game))
        raise InvalidInput(
            f"player {c.name!r} (id {c.id!r}, team {c.team!r}, game {c.game!r}) needs id, team and game; take a salary "
            "file that lists them, or leave the player out"
        )
    return projection, salary.astype(np.int64)


def _compile(candidates: tuple[Candidate, ...], contest: Contest) -> CompiledSlate:
    size = contest.lineup_size
    if not 1 <= size <= MAX_SLOTS:
        raise InvalidInput(f"contest {contest.name} has {size} slots; the optimizer takes 1 to {MAX_SLOTS}")
    mean, salary_usd = check_candidates(candidates)
    codes = {candidate.id: row for row, candidate in enumerate(candidates)}
    if len(codes) < len(candidates):
        raise InvalidInput(_duplicate(candidates))
    source, mask, multiplier, charged = _expand(slot_masks(candidates, contest), salary_usd, contest)
    unit = int(np.gcd.reduce(charged)) or 1
    teams, games = _codes([c.team for c in candidates]), _codes([c.game for c in candidates])
    team = np.array([teams[c.team] for c in candidates], dtype=np.int64)
    game = np.array([games[c.game] for c in candidates], dtype=np.int64)
    persons = _codes([c.person or c.id for c in candidates])
    return CompiledSlate(
        candidates=candidates,
        contest=contest,
        codes=codes,
        source=source,
        multiplier=multiplier,
        mask=mask,
        salary=charged // unit,
        unit_usd=unit,
        person=np.array([persons[c.person or c.id] for c in candidates], dtype=np.int64)[source],
        team=team[source],
        game=game[source],
        batting=_batting(candidates)[source],
        mean=mean,
        floor=_optional(candidates, "floor", -MAX_PROJECTION, MAX_PROJECTION),
        ceiling=_optional(candidates, "ceiling", -MAX_PROJECTION, MAX_PROJECTION),
        ownership=_optional(candidates, "ownership", 0, 1),
        teams=teams,
        games=games,
    )


def _expand(masks: Ints, salary_usd: Ints, contest: Contest) -> tuple[Ints, Ints, Floats, Ints]:
    """Return source, slot bits, points multiplier and salary of every row."""
    kinds: dict[tuple[float, float], int] = {}
    for s, slot in enumerate(contest.slots):
        key = (slot.points_multiplier, slot.salary_multiplier)
        kinds[key] = kinds.get(key, 0) | 1 << s
    if list(kinds) == [(1.0, 1.0)]:
        return np.arange(len(masks)), masks, np.ones(len(masks)), salary_usd
    sources, bits, multipliers, charged = [], [], [], []
    seated = np.zeros(len(masks), dtype=np.bool_)
    for (points, salary), slots in kinds.items():
        able = (masks & slots) != 0
        # Who fits no slot keeps one row, so that rules may name him.
        able |= (masks == 0) & ~seated
        seated |= able
        rows = np.flatnonzero(able)
        sources.append(rows)
        bits.append(masks[rows] & slots)
        multipliers.append(np.full(len(rows), points))
        charged.append(np.rint(salary_usd[rows] * salary).astype(np.int64))
    source = np.concatenate(sources)
    order = np.argsort(source, kind="stable")
    return (
        source[order],
        np.concatenate(bits)[order],
        np.concatenate(multipliers)[order],
        np.concatenate(charged)[order],
    )


def _opponents(candidates: Sequence[Candidate], teams: dict[str, int]) -> Ints:
    """Team code each candidate plays against: as given, else the other team of a game of two; -1: none on the slate."""
    sides: dict[str, set[str]] = {}
    for c in candidates:
        sides.setdefault(c.game, set()).add(c.team)
    found = []
    for c in candidates:
        others = {c.opponent} if c.opponent else sides[c.game] - {c.team}
        found.append(teams.get(next(iter(others)), -1) if len(others) == 1 else -1)
    return np.array(found, dtype=np.int64)


def _batting(candidates: Sequence[Candidate]) -> Ints:
    orders = [c.batting_order for c in candidates]
    if orders.count(None) == len(orders):
        return np.zeros(len(orders), dtype=np.int64)
    for c in candidates:
        if c.batting_order is not None and c.batting_order not in range(1, BATTING_PLACES + 1):
            raise InvalidInput(
                f"batting_order of {c.name} ({c.id}) is {c.batting_order}; it must be 1 to {BATTING_PLACES}, or None"
            )
    return np.array([order or 0 for order in orders], dtype=np.int64)


def _optional(candidates: Sequence[Candidate], field: str, least: float, most: float) -> Floats:
    """The values as floats, NaN where not given; raise `InvalidInput` where given and out of range."""
    given = [getattr(c, field) for c in candidates]
    if given.count(None) == len(given):
        return np.full(len(given), np.nan)
    values = _numbers([np.nan if value is None else value for value in given])
    wrong = ~((values >= least) & (values <= most))
    for row in np.flatnonzero(wrong).tolist():
        if given[row] is not None:
            c = candidates[row]
            raise InvalidInput(
                f"{field} of {c.name} ({c.id}) is {given[row]}; it must be {least:,g} to {most:,g}, or None"
            )
    return values


def _plays(candidates: Sequence[Candidate], source: Ints) -> dict[str, Flags]:
    rows: dict[str, list[int]] = {}
    for row, c in enumerate(candidates):
        for position in c.positions:
            rows.setdefault(position, []).append(row)
    plays = {}
    for position, members in rows.items():
        flags = np.zeros(len(candidates), dtype=np.bool_)
        flags[members] = True
        plays[position] = flags[source]
    return plays


def _duplicate(candidates: Sequence[Candidate]) -> str:
    seen: set[str] = set()
    for c in candidates:
        if c.id in seen:
            return f"id {c.id} ({c.name}) appears twice in the player pool; keep one row with all his positions"
        seen.add(c.id)
    raise AssertionError("called without a duplicate")


def _numbers(values: list[float]) -> Floats:
    """As float64; what is no number becomes NaN, to be named by the check that follows."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([v if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)


def _codes(labels: list[str]) -> dict[str, int]:
    return {label: code for code, label in enumerate(dict.fromkeys(labels))}
