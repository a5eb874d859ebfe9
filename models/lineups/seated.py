"""An entry's seats during a contest: which are locked, by whom, and the pool of a search around them.

The pool is compiled once for all entries; each entry only varies its masks, locks and exclusions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from features.contests import check_lineup
from features.errors import InvalidInput
from features.slate import SlatePlayer
from models.lineups.compile import MAX_LINEUPS, Flags, Ints, Pool, compile_pool
from models.lineups.draft import candidates, fitting, game_key, owned
from models.lineups.portfolio import Solved
from models.lineups.problem import Candidate, Lineup, RosteredPlayer
from models.lineups.rules import LineupRules
from models.projection.slate import OUT_STATUSES, SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from features.contests import Contest
    from features.slate import Slate
    from features.sources.entries import Entries, Entry
    from models.projection.slate import SlateProjections

#: Staying where he is counts for less than any step of seating later games more flexibly.
_STAY = 0.01
_BARRED = -1e9
#: `SlatePlayer.injury_status` of somebody an entry holds who is not in the salary file.
UNLISTED: Final = "NOT LISTED"
_LOCKED: Final = re.compile(r"\(LOCKED\)\s*$", re.IGNORECASE)
_NAME_AND_ID: Final = re.compile(r"\((?P<id>[^()]+)\)\s*$")


@dataclass(frozen=True, slots=True)
class Seats:
    """`fixed` is slot -> pool row of locked players, `open` the other slots, `held` slot -> row of all known players.

    `gone` names players in open slots who will not play (or empty slots); `said` words that for people. `cap` is the
    pool's, less where a locked player is not in the salary file: then what the entry spent so far is all there is.
    `uploaded` is the entry as it is in the file, None where a slot is empty or its player unknown.
    """

    fixed: Mapping[int, int]
    open: tuple[int, ...]
    held: Mapping[int, int]
    gone: tuple[str, ...]
    said: str
    cap: int
    uploaded: Lineup | None


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """Everything the entries share. `barred` rows cannot be added: started, out, projecting nothing, or unlisted.

    `player` and `rows_of` map a site id to its slate player and pool rows; `tip` (N,) is seconds since 1970 of a row's
    game (0: unknown); `flexible` is per slot how many rows may fill it.
    """

    pool: Pool
    plain: Pool
    slate: Slate
    contest: Contest
    player: Mapping[str, SlatePlayer]
    rows_of: Mapping[str, tuple[int, ...]]
    started: frozenset[str]
    gone: Mapping[str, str]
    unlisted: frozenset[str]
    barred: Flags
    tip: Ints
    flexible: Ints
    warnings: tuple[str, ...]

    def name(self, site_id: str | None) -> str:
        """The player's name; what the file had where the slate does not know him."""
        if site_id is None:
            return ""
        rows = self.rows_of.get(site_id, ())
        return self.pool.candidates[int(self.pool.source[rows[0]])].name if rows else site_id

    def row_at(self, site_id: str | None, slot: int) -> int | None:
        """The pool row of a player in a slot, preferring the one that slot multiplies; None where he is unknown."""
        rows = self.rows_of.get(site_id or "", ())
        fits = [row for row in rows if int(self.pool.mask[row]) >> slot & 1]
        return fits[0] if fits else rows[0] if rows else None

    def rows_held(self, entry: Entry) -> tuple[int | None, ...]:
        """Pool row per slot of what the entry holds."""
        return tuple(self.row_at(id_, slot) for slot, id_ in enumerate(entry.players))

    def seats_of(self, entry: Entry) -> Seats:
        """Which slots of the entry are locked. Raises `InvalidInput` where no search can be built around them."""
        size = self.pool.size
        if len(entry.players) != size or len(entry.locked) != size:
            raise InvalidInput(f"holds {len(entry.players)} players where {self.contest.name} has {size} slots")
        fixed: dict[int, int] = {}
        held: dict[int, int] = {}
        gone: list[str] = []
        for slot, row in enumerate(self.rows_held(entry)):
            id_ = entry.players[slot]
            if entry.locked[slot] or (row is not None and self._has_started(row)):
                if row is None:
                    raise InvalidInput(
                        f"slot {self.contest.slots[slot].name} is locked with somebody who cannot be told from the "
                        "file; left as uploaded"
                    )
                fixed[slot] = row
            elif row is None:
                gone.append(f"slot {self.contest.slots[slot].name} was {'empty' if id_ is None else 'unknown'}")
            elif id_ is not None and id_ in self.gone:
                gone.append(f"{self.name(id_)} {self.gone[id_]}")
            if row is not None:
                held[slot] = row
        open_ = tuple(slot for slot in range(size) if slot not in fixed)
        cap = self._cap(entry, fixed, open_)
        uploaded = self._uploaded(tuple(held.values())) if len(held) == size else None
        return Seats(fixed, open_, held, tuple(gone), ", ".join(gone), cap, uploaded)

    def around(self, seats: Seats, *, own_rules: bool) -> Pool:
        """The pool with locked players fixed in their slots and all others kept out of these."""
        pool = self.pool if own_rules else self.plain
        slots, rows = list(seats.fixed), list(seats.fixed.values())
        mask = pool.mask & ~np.int64(sum(1 << slot for slot in slots))
        mask[rows] = [1 << slot for slot in slots]
        locked = pool.locked.copy()
        locked[rows] = True
        taken = np.zeros(int(pool.person.max()) + 1, dtype=np.bool_)
        taken[pool.person[rows]] = True
        excluded = pool.excluded | self.barred | taken[pool.person]
        excluded[rows] = False
        # A row left without a slot would only cost time.
        excluded |= mask == 0
        floor = 0 if seats.cap < self.pool.cap else pool.floor
        return replace(
            pool, mask=mask, locked=locked, excluded=excluded, cap=min(pool.cap, seats.cap), floor=floor
        )

    def lineup(self, found: Solved) -> Lineup:
        """The lineup in roster order."""
        pool = self.pool
        players = []
        for slot, row in zip(pool.slots, found.rows, strict=True):
            c = pool.candidates[int(pool.source[row])]
            salary, points = int(pool.salary[row]) * pool.unit_usd, float(pool.projection[row])
            players.append(RosteredPlayer(c.id, c.name, slot, c.team, salary, points))
        points = sum(player.projection for player in players)
        score = float(pool.score[list(found.rows)].sum())
        bound = points + max(0.0, found.bound - score)
        return Lineup(tuple(players), sum(p.salary for p in players), points, bound, bound - points)

    def problems(self, lineup: Lineup) -> tuple[str, ...]:
        """What the site would refuse, by a check that shares nothing with the search."""
        players = tuple(self.player[rostered.id] for rostered in lineup.players)
        return check_lineup(lineup, replace(self.slate, players=players), self.contest)

    def _uploaded(self, rows: tuple[int, ...]) -> Lineup:
        score = float(self.pool.score[list(rows)].sum())
        return self.lineup(Solved(rows, score, score))

    def _has_started(self, row: int) -> bool:
        return self.pool.candidates[int(self.pool.source[row])].game in self.started

    def _cap(self, entry: Entry, fixed: Mapping[int, int], open_: tuple[int, ...]) -> int:
        """Salary units the known players may cost."""
        if not any(entry.players[slot] in self.unlisted for slot in fixed):
            return self.pool.cap
        spent = 0
        for slot, id_ in enumerate(entry.players):
            row = self.row_at(id_, slot)
            if row is None or (slot in open_ and id_ in self.unlisted):
                raise InvalidInput(
                    f"{self.name(id_) or 'an empty slot'} leaves open what the entry costs, since a locked player is "
                    "not in the salary file either; left as uploaded"
                )
            spent += int(self.pool.salary[row])
        return min(self.pool.cap, spent)


def build_board(
    entries: Entries,
    slate: Slate,
    projections: pl.DataFrame,
    contest: Contest,
    rules: LineupRules,
    *,
    started: frozenset[str],
    out: frozenset[str],
) -> Board:
    """Compile the slate once for all entries. `projections` holds site_id, mean, q10, q90."""
    listed = _everybody(
        slate, projections, contest, owners=rules.objective.leverage != 0 or rules.ownership is not None
    )
    count = max(1, min(len(entries.entries), MAX_LINEUPS))
    own = replace(rules, n=count, fixed={}, player_min_exposure={})
    pool = compile_pool(listed, contest, fitting(own, slate, contest, {c.id for c in listed}))
    means = dict(projections.select("site_id", "mean").iter_rows())
    gone = {p.site_id: why for p in slate.players if (why := _why_gone(p, means[p.site_id], out))}
    unlisted = frozenset(p.site_id for p in slate.players if p.injury_status == UNLISTED)
    barred = np.array([c.id in gone or c.game in started for c in listed], dtype=np.bool_)
    rows_of: dict[str, list[int]] = {}
    for row, at in enumerate(pool.source.tolist()):
        rows_of.setdefault(listed[at].id, []).append(row)
    tips = {f"{g.away_team}@{g.home_team}": g.tip for g in slate.games}
    seconds = np.array([_seconds(tips.get(c.game)) for c in listed], dtype=np.int64)
    return Board(
        pool,
        compile_pool(listed, contest, LineupRules()),
        slate,
        contest,
        {player.site_id: player for player in slate.players},
        {id_: tuple(rows) for id_, rows in rows_of.items()},
        started,
        gone,
        unlisted,
        barred[pool.source],
        seconds[pool.source],
        np.array([int((pool.mask >> slot & 1).sum()) for slot in range(pool.size)]),
        _warnings(rules, [p.name for p in slate.players if p.site_id in unlisted]),
    )


def seat_late_games_flexibly(board: Board, seats: Seats, found: Solved) -> Solved:
    """The same players with later games in the slots most players fit, which keeps the next swap's options open."""
    from scipy.optimize import linear_sum_assignment

    if len(seats.open) < 2:
        return found
    rows = [found.rows[slot] for slot in seats.open]
    late = np.unique(board.tip[rows], return_inverse=True)[1].astype(np.float64)
    flexible = np.unique(board.flexible[list(seats.open)], return_inverse=True)[1].astype(np.float64)
    worth = np.outer(late, flexible)
    for i, row in enumerate(rows):
        for j, slot in enumerate(seats.open):
            if not int(board.pool.mask[row]) >> slot & 1:
                worth[i, j] = _BARRED
            elif seats.held.get(slot) == row:
                worth[i, j] += _STAY
    seated = list(found.rows)
    for i, j in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
        seated[seats.open[j]] = rows[i]
    return replace(found, rows=tuple(seated))


def _everybody(slate: Slate, projections: pl.DataFrame, contest: Contest, *, owners: bool) -> list[Candidate]:
    """Every slate player with a position of the contest, who projects nothing with 0 points and no owners."""
    picked = candidates(slate, projections, contest)
    live = {candidate.id: candidate for candidate in (owned(picked, contest) if owners else picked)}
    rest = [
        Candidate(
            id=player.site_id,
            name=player.name,
            positions=player.positions,
            team=player.team or player.site_id,
            game=game_key(player) if player.team else player.site_id,
            salary_usd=player.salary_usd,
            projection=0.0,
            floor=0.0,
            ceiling=0.0,
            person=player.person,
            opponent=player.opponent,
            ownership=0.0,
            batting_order=player.batting_order,
        )
        for player in slate.players
        if player.site_id not in live and contest.positions & set(player.positions)
    ]
    return [*live.values(), *rest]


def unlisted_players(entries: Entries) -> tuple[SlatePlayer, ...]:
    """Players the entries file names whom its slate does not list, as slate players of no known salary, team or game.

    Read the entries again with the slate and these, and their locked slots can be kept; nobody can be added from them.
    """
    positions = tuple(sorted(entries.contest.positions))
    found: dict[str, SlatePlayer] = {}
    for entry, cells in zip(entries.entries, entries.cells, strict=True):
        for site_id, cell in zip(entry.players, cells, strict=True):
            if site_id is not None or not cell.text:
                continue
            text = _LOCKED.sub("", cell.text).strip()
            named, pair = _NAME_AND_ID.search(text), text.partition(":")
            id_ = named["id"] if named else pair[0]
            name = text[: named.start()].strip() if named else pair[2] or text
            found[id_] = SlatePlayer(
                id_, name or id_, positions, 0, "", "", False, 0.0, injury_status=UNLISTED, upload_name=text
            )
    return tuple(found.values())


def read_for_swap(
    file: Path | str | bytes, slate: Slate, projections: SlateProjections, contest: Contest
) -> tuple[Entries, SlateProjections]:
    """The entries of a file, and the projections of everybody in them: `Entries.slate` may list more players.

    Players the file holds and the salary file lacks project nothing; their locked slots can be kept. Raises as
    `read_entries`.
    """
    from features.sources.entries import read_entries

    entries = read_entries(file, slate, contest)
    unlisted = unlisted_players(entries)
    if not unlisted:
        return entries, projections
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": list(p.positions), "salary": p.salary_usd,
         "mean": 0.0, "q10": 0.0, "q50": 0.0, "q90": 0.0, "p_play": 0.0, "basis": "out"}
        for p in unlisted
    ]  # fmt: skip
    frame = pl.concat([projections.frame, pl.DataFrame(rows, schema=SCHEMA)], how="diagonal")
    whole = replace(slate, players=(*slate.players, *unlisted))
    return read_entries(file, whole, contest), replace(projections, frame=frame)


def _why_gone(player: SlatePlayer, mean: float, out: frozenset[str]) -> str:
    if player.site_id in out:
        return "is out"
    if player.injury_status == UNLISTED:
        return "is not in the salary file"
    status = player.injury_status.strip().upper()
    if status in OUT_STATUSES:
        return f"is out ({status})"
    return "projects 0 points" if mean <= 0 else ""


def _seconds(tip: datetime | None) -> int:
    return 0 if tip is None else int(tip.timestamp())


def _warnings(rules: LineupRules, unlisted: list[str]) -> tuple[str, ...]:
    said = []
    if unlisted:
        names = ", ".join(unlisted[:5])
        said.append(f"{len(unlisted)} players of the entries are not in the salary file (such as {names})")
    if rules.objective.randomness > 0:
        said.append("randomness is not applied by a late swap: every lineup is the best by its projections")
    return tuple(said)
