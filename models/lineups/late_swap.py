"""Late swap: entries after lock get their open slots filled anew; what has started stays exactly as it is.

Each entry is an exact search over its whole lineup: a locked player's row may fill his slot only and nobody else
may fill it. Entries that stay as they are come first, so that no other takes their lineups; the rest are settled one
after the other in the file's order, so what one cannot do never stops the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from features.errors import FantasyError, InvalidInput
from models.errors import Cancelled
from models.lineups.draft import game_key
from models.lineups.problem import Lineup
from models.lineups.rules import LineupRules
from models.lineups.seated import Board, Seats, build_board, seat_late_games_flexibly
from models.lineups.swap_round import Open, Round, missed, raise_minimums

if TYPE_CHECKING:
    from features.contests import Contest
    from features.slate import Slate
    from features.sources.entries import Entries, Entry
    from models.lineups.portfolio import Solved
    from models.projection.slate import SlateProjections

Mode = Literal["optimize", "replace_out"]
Status = Literal["kept", "swapped", "unswappable"]
MODES: Final[tuple[Mode, ...]] = ("optimize", "replace_out")
#: Points; lineups closer than this are equally good.
TIE: Final = 1e-6


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
    entries, and the entries of one contest stay distinct, wherever that leaves a lineup; players' minimum exposures are
    raised as far as open slots allow, and `warnings` name those that are not reached.
    Raises `InvalidInput` for a naive `now`, an unknown mode or an id that is not on the slate, and `Cancelled`; never
    because of one entry.
    """
    from models.lineups.optimize import warm

    _check(slate, now, {"out": out, "player_min_exposure": rules.player_min_exposure.keys()}, mode)
    import scipy.optimize  # noqa: F401 - loading it is not the swap's time

    warm()
    began = time.perf_counter()
    started = started_games(slate, entries, now)
    board = build_board(entries, slate, projections.frame, contest, rules, started=started, out=out)
    round_ = Round(board, rules, len(entries.entries))
    settled = _settle(round_, entries.entries, mode, cancelled)
    took = (time.perf_counter() - began) * 1e3
    warnings = (*board.warnings, *missed(round_))
    return SwapResult(tuple(settled[at] for at in sorted(settled)), took, warnings)


def _settle(
    round_: Round, entries: Sequence[Entry], mode: Mode, cancelled: Callable[[], bool] | None
) -> dict[int, EntrySwap]:
    """What becomes of every entry: first of those that stay as they are, whose lineups are then nobody else's."""
    settled: dict[int, EntrySwap] = {}
    waiting: list[tuple[int, Entry, Seats]] = []
    filled: dict[int, Open] = {}
    for at, entry in enumerate(entries):
        verdict = _verdict(round_.board, entry, mode)
        if isinstance(verdict, Seats):
            waiting.append((at, entry, verdict))
        else:
            settled[at] = verdict
            round_.take(entry)
    asked: dict[int, _Found] = {}
    for at, entry, seats in waiting:
        if seats.uploaded is None or seats.gone:
            continue
        _check_cancelled(cancelled, len(settled), len(entries))
        asked[at] = _preferring_held(round_, entry, seats, _search(round_, entry, seats))
        if asked[at].is_held(seats):
            settled[at] = _swap(round_, entry, seats, asked[at], filled, at)
    for at, entry, seats in waiting:
        if at in settled:
            continue
        _check_cancelled(cancelled, len(settled), len(entries))
        found = asked.get(at)
        if found is None or found.solved is None or found.note or not round_.still(entry, seats, found.solved):
            found = _search(round_, entry, seats)
        settled[at] = _swap(round_, entry, seats, found, filled, at)
    _check_cancelled(cancelled, len(settled), len(entries))
    for at, each in raise_minimums(round_, filled).items():
        settled[at] = _outcome(round_.board, each.entry, each.seats, each.found, each.note)
    return settled


def _check(slate: Slate, now: datetime, named: Mapping[str, Set[str]], mode: str) -> None:
    if now.utcoffset() is None:
        raise InvalidInput(f"now {now.isoformat()} has no time zone; write it as {now.isoformat()}+00:00 for UTC")
    if mode not in MODES:
        raise InvalidInput(f"mode {mode!r} is not known; choose one of {', '.join(MODES)}")
    known = {player.site_id for player in slate.players}
    for field, ids in named.items():
        unknown = sorted(ids - known)
        if unknown:
            raise InvalidInput(
                f"{field} names {unknown[0]!r}, who is not on slate {slate.slate_id}; use its players' ids"
            )


def _check_cancelled(cancelled: Callable[[], bool] | None, settled: int, entries: int) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled(f"late swap stopped after {settled} of {entries} entries")


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


@dataclass(frozen=True, slots=True)
class _Found:
    """The best lineup of an entry and what gave way for it."""

    solved: Solved | None
    note: str

    def is_held(self, seats: Seats) -> bool:
        """Whether it is the entry's own and nothing gave way for it."""
        return self.solved is not None and not self.note and set(self.solved.rows) == set(seats.held.values())


def _search(round_: Round, entry: Entry, seats: Seats) -> _Found:
    try:
        return _Found(*round_.search(entry, seats))
    except FantasyError as error:
        return _Found(None, str(error))


def _preferring_held(round_: Round, entry: Entry, seats: Seats, found: _Found) -> _Found:
    """What the entry holds, where that is as good as the best and allowed: nobody gains by another as good."""
    rows = list(seats.held.values())
    held = float(round_.board.pool.score[rows].sum())
    if found.solved is None or found.note or found.is_held(seats) or held < found.solved.projection - TIE:
        return found
    same = round_.search_with(entry, seats, rows)
    return found if same is None else _Found(same, "")


def _swap(round_: Round, entry: Entry, seats: Seats, found: _Found, filled: dict[int, Open], at: int) -> EntrySwap:
    """Settle an entry with what was found for it; where that can be used it goes into `filled` too."""
    board = round_.board
    if found.solved is None:
        round_.take(entry)
        return _settled(entry, seats, "unswappable", found.note or _why(board, seats))
    swap = _outcome(board, entry, seats, found.solved, found.note)
    if swap.status == "unswappable":
        round_.take(entry)
    else:
        filled[at] = Open(entry, seats, found.solved)
        round_.take(entry, found.solved)
    return swap


def _outcome(board: Board, entry: Entry, seats: Seats, found: Solved, note: str) -> EntrySwap:
    """The entry with this lineup; unswappable where the site would refuse it."""
    held = seats.uploaded
    lineup = board.lineup(seat_late_games_flexibly(board, seats, found))
    if problems := board.problems(lineup):
        return _settled(entry, seats, "unswappable", f"{'; '.join(problems)}; left as uploaded")
    if held is not None and {p.id for p in lineup.players} == {p.id for p in held.players}:
        kept = replace(held, bound=lineup.bound, gap=max(0.0, lineup.bound - held.projection))
        return EntrySwap(entry.entry_id, "kept", note or "already the best it can be", (), kept, held)
    said = "; ".join(part for part in (seats.said, note) if part)
    return EntrySwap(entry.entry_id, "swapped", said, _replaced(board, entry, lineup), lineup, held)


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
