"""Late swap: entries after lock get their open slots filled anew; what has started stays exactly as it is.

Each entry is an exact search over its whole lineup: a locked player's row may fill his slot only and nobody else
may fill it. Entries are settled one after the other in the file's order, so what one cannot do never stops the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from features.errors import FantasyError, InvalidInput
from models.lineups.draft import game_key
from models.lineups.problem import Lineup
from models.lineups.rules import LineupRules
from models.lineups.seated import Board, Seats, build_board, seat_late_games_flexibly

if TYPE_CHECKING:
    from features.contests import Contest
    from features.slate import Slate
    from features.sources.entries import Entries, Entry
    from models.lineups.compile import Flags, Ints
    from models.lineups.portfolio import Solved
    from models.projection.slate import SlateProjections

Mode = Literal["optimize", "replace_out"]
Status = Literal["kept", "swapped", "unswappable"]
MODES: Final[tuple[Mode, ...]] = ("optimize", "replace_out")
#: What is given up, in this order, for an entry that cannot have it all: nothing, exposures, his own rules, both
#: these and that no two entries of a contest are the same.
_NOTES: Final = (
    "",
    "exposure limits let go: no lineup is left under them",
    "your own rules let go: the open slots cannot keep them",
    "same as another entry of its contest: nothing else fits its open slots",
)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A player who left an entry and who came for him (site ids; None: the slot was empty)."""

    slot: str
    out: str | None
    out_name: str
    into: str
    into_name: str


@dataclass(frozen=True, slots=True)
class EntrySwap:
    """What became of one entry. `lineup` is what it should hold now and `uploaded` what the file has; None where that
    cannot be read as a lineup. `reason` says why it was kept, what gave way, or why it cannot be swapped."""

    entry_id: str
    status: Status
    reason: str
    replaced: tuple[Replaced, ...] = ()
    lineup: Lineup | None = None
    uploaded: Lineup | None = None

    @property
    def before(self) -> float:
        """What the uploaded lineup projects; 0 where it had a slot empty."""
        return 0.0 if self.uploaded is None else self.uploaded.projection

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "entry_id": self.entry_id,
            "status": self.status,
            "reason": self.reason,
            "replaced": [
                {"slot": r.slot, "out": r.out, "out_name": r.out_name, "in": r.into, "in_name": r.into_name}
                for r in self.replaced
            ],
            "projection_before": round(self.before, 4),
            "lineup": None if self.lineup is None else self.lineup.as_json(),
        }


@dataclass(frozen=True, slots=True)
class SwapResult:
    """One `EntrySwap` per entry in the file's order; `solve_ms` is the swap's own time for all of them."""

    entries: tuple[EntrySwap, ...]
    solve_ms: float
    warnings: tuple[str, ...] = ()

    @property
    def lineups(self) -> tuple[Lineup, ...]:
        """Lineups of the entries that have one, in the file's order."""
        return tuple(entry.lineup for entry in self.entries if entry.lineup is not None)

    @property
    def uploaded(self) -> tuple[Lineup, ...]:
        """Lineups the entries held, of those that had one."""
        return tuple(entry.uploaded for entry in self.entries if entry.uploaded is not None)

    @property
    def swapped(self) -> dict[str, Lineup]:
        """Entry id -> new lineup, of the entries that change: what goes back into the file."""
        return {e.entry_id: e.lineup for e in self.entries if e.status == "swapped" and e.lineup is not None}

    def count(self, status: Status) -> int:
        """How many entries have this status."""
        return sum(entry.status == status for entry in self.entries)

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy late-swap --json` and `POST /v1/lineups/late-swap`."""
        return {
            "entries": [entry.as_json() for entry in self.entries],
            **{status: self.count(status) for status in ("swapped", "kept", "unswappable")},
            "solve_ms": round(self.solve_ms, 3),
            "warnings": list(self.warnings),
        }


def late_swap(
    entries: Entries,
    slate: Slate,
    projections: SlateProjections,
    contest: Contest,
    rules: LineupRules,
    *,
    now: datetime,
    out: frozenset[str] = frozenset(),
    mode: Mode = "optimize",
    cancelled: Callable[[], bool] | None = None,
) -> SwapResult:
    """Fill the open slots of every entry with the best players whose games have not started at `now` (aware).

    A slot is locked when the file says so or its player's game has started; locked slots are never touched, also when
    the player left the slate or projects 0. `out` (site ids) adds to those the slate marks out. `replace_out` changes
    only entries that hold somebody out (or an empty slot), `optimize` all. Exposure limits of `rules` count over all
    entries, and the entries of one contest stay distinct, wherever that leaves a lineup.
    Raises `InvalidInput` for a naive `now`, an unknown mode or an `out` id that is not on the slate, and `Cancelled`;
    never because of one entry.
    """
    from models.lineups.optimize import warm

    _check(slate, now, out, mode)
    import scipy.optimize  # noqa: F401 - loading it is not the swap's time

    warm()
    began = time.perf_counter()
    started = started_games(slate, entries, now)
    board = build_board(entries, slate, projections.frame, contest, rules, started=started, out=out)
    round_ = _Round(board, rules, len(entries.entries))
    settled: dict[int, EntrySwap] = {}
    waiting: list[tuple[int, Entry, Seats]] = []
    for at, entry in enumerate(entries.entries):
        verdict = _verdict(board, entry, mode)
        if isinstance(verdict, Seats):
            waiting.append((at, entry, verdict))
        else:
            settled[at] = verdict
            round_.take(entry)
    for at, entry, seats in waiting:
        if cancelled is not None and cancelled():
            from models.errors import Cancelled

            raise Cancelled(f"late swap stopped after {len(settled)} of {len(entries.entries)} entries")
        settled[at] = _swap(round_, entry, seats)
    took = (time.perf_counter() - began) * 1e3
    return SwapResult(tuple(settled[at] for at in sorted(settled)), took, board.warnings)


def _check(slate: Slate, now: datetime, out: frozenset[str], mode: str) -> None:
    if now.utcoffset() is None:
        raise InvalidInput(f"now {now.isoformat()} has no time zone; write it as {now.isoformat()}+00:00 for UTC")
    if mode not in MODES:
        raise InvalidInput(f"mode {mode!r} is not known; choose one of {', '.join(MODES)}")
    unknown = sorted(out - {player.site_id for player in slate.players})
    if unknown:
        raise InvalidInput(f"out names {unknown[0]!r}, who is not on slate {slate.slate_id}; use its players' ids")


@dataclass(slots=True)
class _Round:
    """The swap under way: how often each candidate is used so far and which lineups each contest holds."""

    board: Board
    rules: LineupRules
    total: int
    count: Ints = field(init=False)
    limit: Ints = field(init=False)
    taken: dict[str, list[Solved]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from models.lineups.quotas import allowed_count

        own, most = self.rules.player_max_exposure, self.rules.max_exposure
        players = self.board.pool.candidates
        self.count = np.zeros(len(players), dtype=np.int64)
        self.limit = np.array([allowed_count(own.get(c.id, most), max(1, self.total)) for c in players])

    def take(self, entry: Entry, found: Solved | None = None) -> None:
        """Count a lineup that is settled: `found`, or what the entry holds as far as its players are known."""
        from models.lineups.portfolio import Solved as Settled

        if found is None:
            rows = [row for row in self.board.rows_held(entry) if row is not None]
            found = Settled(tuple(rows), 0.0, 0.0) if len(rows) == self.board.pool.size else None
        else:
            rows = list(found.rows)
        self.count[self.board.pool.source[rows]] += 1
        if found is not None:
            self.taken.setdefault(entry.contest_id, []).append(found)


def _verdict(board: Board, entry: Entry, mode: Mode) -> Seats | EntrySwap:
    """The entry's seats where it is to be swapped, else what it is settled as."""
    try:
        seats = board.seats_of(entry)
    except FantasyError as error:
        return EntrySwap(entry.entry_id, "unswappable", str(error))
    if not seats.open:
        return _settled(entry, seats, "kept", "every slot is locked")
    if mode == "replace_out" and not seats.gone and seats.uploaded is not None:
        return _settled(entry, seats, "kept", "nobody in its open slots is out")
    return seats


def _settled(entry: Entry, seats: Seats, status: Status, reason: str) -> EntrySwap:
    """The entry as it was uploaded."""
    return EntrySwap(entry.entry_id, status, reason, (), seats.uploaded, seats.uploaded)


def _swap(round_: _Round, entry: Entry, seats: Seats) -> EntrySwap:
    board, held = round_.board, seats.uploaded
    try:
        found, note = _search(round_, entry, seats)
    except FantasyError as error:
        found, note = None, str(error)
    if found is None:
        round_.take(entry)
        return _settled(entry, seats, "unswappable", note or _why(board, seats))
    found = seat_late_games_flexibly(board, seats, found)
    lineup = board.lineup(found)
    if problems := board.problems(lineup):
        round_.take(entry)
        return _settled(entry, seats, "unswappable", f"{'; '.join(problems)}; left as uploaded")
    round_.take(entry, found)
    if held is not None and {p.id for p in lineup.players} == {p.id for p in held.players}:
        kept = replace(held, bound=lineup.bound, gap=max(0.0, lineup.bound - held.projection))
        return EntrySwap(entry.entry_id, "kept", note or "already the best it can be", (), kept, held)
    said = "; ".join(part for part in (seats.said, note) if part)
    return EntrySwap(entry.entry_id, "swapped", said, _replaced(board, entry, lineup), lineup, held)


def _search(round_: _Round, entry: Entry, seats: Seats) -> tuple[Solved | None, str]:
    """The best lineup around the locked slots and what had to give way for it."""
    from models.lineups.compile import min_unique
    from models.lineups.core import ExactSearch
    from models.lineups.portfolio import Portfolio

    board, taken = round_.board, round_.taken.get(entry.contest_id, [])
    closed, upper = _closed(round_)
    limited = bool(closed.any()) or upper is not None
    for step, note in enumerate(_NOTES):
        if (step == 1 and not limited) or (step == 3 and not taken):
            continue  # nothing to give up that the step before had not
        pool = board.around(seats, own_rules=step < 2)
        unique = min_unique(round_.rules, pool.size) if step < 2 else 1
        portfolio = Portfolio(pool, unique)
        portfolio.chosen = list(taken) if step < 3 else []
        if step == 0:
            portfolio.allowed = portfolio.allowed & (~closed | pool.locked)
            if upper is not None:
                portfolio.upper = upper
        found = ExactSearch(pool, unique)(portfolio, 1)
        if found:
            return found[0], note
    return None, ""


def _closed(round_: _Round) -> tuple[Flags, Ints | None]:
    """Rows whose exposure is used up, and the rule rows' upper bounds where a quota is full."""
    pool = round_.board.pool
    closed = (round_.count >= round_.limit)[pool.source]
    upper: Ints | None = None
    lineups = [list(found.rows) for group in round_.taken.values() for found in group] if pool.quotas else []
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


def _why(board: Board, seats: Seats) -> str:
    slots = " ".join(board.contest.slots[s].name for s in seats.open)
    return (
        f"no legal lineup: the open slots {slots} cannot be filled from games that have not started within "
        "the salary and team limits; left as uploaded"
    )


def _replaced(board: Board, entry: Entry, lineup: Lineup) -> tuple[Replaced, ...]:
    """Who left and who came, paired by slot where the slot is the same, else in roster order."""
    now = {player.id for player in lineup.players}
    left = {s: id_ for s, id_ in enumerate(entry.players) if id_ not in now}
    came = {s: p for s, p in enumerate(lineup.players) if p.id not in set(entry.players)}
    pairs = [(s, s) for s in came if s in left]
    rest = [s for s in left if s not in came]
    pairs += [(rest.pop(0) if rest else s, s) for s in came if s not in left]
    return tuple(
        Replaced(lineup.players[to].slot, left.get(at), board.name(left.get(at)), came[to].id, came[to].name)
        for at, to in sorted(pairs, key=lambda pair: pair[1])
    )


def started_games(slate: Slate, entries: Entries, now: datetime) -> frozenset[str]:
    """`AWAY@HOME` of games that have tipped off at `now`, or that the salary or the entries file shows as locked."""
    begun = {
        f"{game.away_team}@{game.home_team}"
        for game in slate.games
        if game.tip is not None and game.tip.astimezone(UTC) <= now
    }
    games: Mapping[str, str] = {player.site_id: game_key(player) for player in slate.players}
    begun |= {games[player.site_id] for player in slate.players if player.started}
    for entry in entries.entries:
        for id_, locked in zip(entry.players, entry.locked, strict=False):
            if locked and id_ is not None and id_ in games:
                begun.add(games[id_])
    return frozenset(begun)
