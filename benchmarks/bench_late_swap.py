"""Late swap: 150 entries, 4 games under way, 12 players newly out; exact, and back in the entries file.

    python benchmarks/bench_late_swap.py [--data DIR] [--out FILE] [--repeats 20] [--check 40]

150 lineups with nobody in more than half are entered in one contest and written as a DKEntries.csv in which the four
games' players are locked. Out are the 12 most used players whose games have not started, the worst news there is.
"news to file" is everything between that news and the file to upload: the file read, every entry solved anew around
its locked players, the file filled; "simulated" adds a contest simulation of the new lineups, 10,000 scenarios against
a field of 10,000 (as before lock: it knows no points scored so far). For --check entries, swapped one by one without
the others' exposures, HiGHS solves the open slots apart (a smaller roster, the cap less what is locked), and the
optima must be equal.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from measure import machine, parser, timed, write

from features.contests import Contest, check_lineup, load_contest
from features.slate import Slate, SlatePlayer
from features.sources.entries import Entries, fill_entries, read_entries
from features.sources.salaries import read_salaries
from features.sources.simulated import SimulatedSource
from models.lineups.compile import compile_pool
from models.lineups.draft import candidates, draft, game_key
from models.lineups.late_swap import SwapResult, late_swap
from models.lineups.milp import MilpSearch
from models.lineups.portfolio import Portfolio
from models.lineups.problem import Lineup
from models.lineups.rules import LineupRules
from models.lineups.simulation import SimulationRequest, simulate_contest
from models.projection.own_numbers import use_own_numbers
from models.projection.slate import SlateProjections, project_slate

REAL = "draftkings/nba/salaries/2024-10-23_classic_10g_b53188.csv"
ENTRIES, GAMES_LOCKED, NEWLY_OUT = 150, 4, 12
RULES = LineupRules(n=ENTRIES, max_exposure=0.5)
TOLERANCE = 1e-6
SCENARIOS, FIELD, SIMULATIONS = 10_000, 10_000, 5
#: When the news comes; the slate's games are moved around it.
NOW = datetime(2024, 10, 24, 1, tzinfo=UTC)
#: No directory of known players: file averages need none.
NOBODY = pl.DataFrame(schema={"player_id": pl.Int32, "player_name": pl.String, "team": pl.String})


@dataclass(frozen=True)
class Night:
    """A contest under way: four games have started at `now`, `out` are the ids of the news."""

    slate: Slate
    contest: Contest
    projections: SlateProjections
    file: bytes
    started: frozenset[str]
    now: datetime
    out: frozenset[str]

    def swap(self, entries: Entries, rules: LineupRules = RULES) -> SwapResult:
        """Every entry solved anew."""
        return late_swap(entries, self.slate, self.projections, self.contest, rules, now=self.now, out=self.out)


def slates(data: Path) -> Iterator[tuple[str, Slate]]:
    """A real slate where recorded data is, and a made-up one for anybody."""
    path = data / "dfs" / REAL
    if path.is_file():
        yield "DK NBA 2024-10-23, 10 games", read_salaries(path)
    day = date(2023, 12, 13)
    yield "simulated DK NBA, 11 games", SimulatedSource(5, [2023], day).slates(day)[0]


def night(slate: Slate) -> Night:
    """The slate with `GAMES_LOCKED` games begun, entries in it and bad news."""
    contest = load_contest(slate.site, slate.sport, slate.mode)
    games = sorted(slate.games, key=lambda game: (game.away_team, game.home_team))
    tips = [NOW + timedelta(hours=-1 if at < GAMES_LOCKED else 1) for at in range(len(games))]
    slate = replace(slate, games=tuple(replace(g, tip=t) for g, t in zip(games, tips, strict=True)))
    started = frozenset(f"{game.away_team}@{game.home_team}" for game in games[:GAMES_LOCKED])
    numbers = {p.site_id: 0.0 if p.injury_status else p.average_points for p in slate.players}
    plain = project_slate(slate, None, {}, NOBODY)
    projections = use_own_numbers(plain, numbers, source="salaries")
    lineups = draft(slate, projections, contest, RULES).lineups
    players = {player.site_id: player for player in slate.players}
    used = Counter(p.id for lineup in lineups for p in lineup.players if game_key(players[p.id]) not in started)
    file = entries_file(lineups, players, contest, started)
    out = frozenset(id_ for id_, _ in used.most_common(NEWLY_OUT))
    return Night(slate, contest, projections, file, started, NOW, out)


def entries_file(
    lineups: tuple[Lineup, ...], players: dict[str, SlatePlayer], contest: Contest, started: frozenset[str]
) -> bytes:
    """The lineups as DraftKings would give them back during the contest."""
    rows = [",".join(("Entry ID", "Contest Name", "Contest ID", "Entry Fee", *contest.upload_header))]
    for at, lineup in enumerate(lineups):
        cells = [str(9_000_000 + at), "Bench", "1", "$1"]
        for p in lineup.players:
            mark = " (LOCKED)" if game_key(players[p.id]) in started else ""
            cells.append(f"{p.name} ({p.id}){mark}")
        rows.append(",".join(cells))
    return ("\r\n".join(rows) + "\r\n").encode()


def measure(found: Night, repeats: int, checks: int) -> dict[str, Any]:
    """Times of each step, what became of the entries, and the check against HiGHS."""
    entries = read_entries(found.file, found.slate, found.contest)
    result = found.swap(entries)

    def news_to_file() -> None:
        read = read_entries(found.file, found.slate, found.contest)
        fill_entries(read, found.swap(read).swapped)

    def and_simulate() -> None:
        read = read_entries(found.file, found.slate, found.contest)
        swapped = found.swap(read)
        fill_entries(read, swapped.swapped)
        wanted = SimulationRequest(lineups=swapped.lineups, scenarios=SCENARIOS, field_size=FIELD)
        simulate_contest(found.slate, found.projections, found.contest, LineupRules(), wanted)

    statuses = Counter(entry.status for entry in result.entries)
    illegal = [
        problem for lineup in result.lineups for problem in check_lineup(lineup, found.slate, found.contest)
    ]
    still_out = sum(p.id in found.out for lineup in result.lineups for p in lineup.players)
    if illegal or still_out:
        sys.exit(f"after the swap {still_out} players are out, and: {illegal[:3]}")
    return {
        "players": len(found.slate.players),
        "entries": len(entries.entries),
        "games_locked": GAMES_LOCKED,
        "newly_out": NEWLY_OUT,
        "entries_hit": sum(not found.out.isdisjoint(entry.players) for entry in entries.entries),
        "statuses": dict(statuses),
        "swap": timed(lambda: found.swap(entries), repeats),
        "news_to_file": timed(news_to_file, repeats),
        "news_to_file_simulated": timed(and_simulate, SIMULATIONS),
        "highs": against_highs(found, entries, checks),
    }


def against_highs(found: Night, entries: Entries, checks: int) -> dict[str, Any]:
    """Entries swapped alone, each beside HiGHS on its open slots."""
    worst, checked = 0.0, 0
    step = max(1, len(entries.entries) // checks)
    for at in range(0, len(entries.entries), step):
        one = replace(entries, entries=entries.entries[at : at + 1], cells=entries.cells[at : at + 1])
        (swapped,) = found.swap(one, LineupRules()).entries
        if swapped.lineup is None or not any(entries.entries[at].locked):
            continue
        worst = max(worst, abs(open_slots_by_highs(found, entries, at) - swapped.lineup.projection))
        checked += 1
    if worst > TOLERANCE:
        sys.exit(f"late swap and HiGHS differ by {worst} points")
    return {"entries": checked, "largest_difference": round(worst, 9)}


def open_slots_by_highs(found: Night, entries: Entries, at: int) -> float:
    """Best total of the entry: its locked players, and the best that fit the open slots and the money left."""
    entry = entries.entries[at]
    pool = {c.id: c for c in candidates(found.slate, found.projections.frame, found.contest)}
    locked = [pool[id_] for id_, shut in zip(entry.players, entry.locked, strict=True) if shut and id_ in pool]
    smaller = replace(
        found.contest,
        slots=tuple(s for s, shut in zip(found.contest.slots, entry.locked, strict=True) if not shut),
        salary_cap_usd=(found.contest.salary_cap_usd or 0) - sum(c.salary_usd for c in locked),
        min_teams=1,
        min_games=1,
    )
    free = [c for c in pool.values() if c.game not in found.started and c.id not in found.out]
    arrays = compile_pool(free, smaller, LineupRules())
    (best,) = MilpSearch(arrays, 1)(Portfolio(arrays, 1), 1)
    return best.projection + sum(c.projection for c in locked)


def main() -> None:
    """Measure, print, write JSON."""
    made = parser(__doc__, "late-swap.json")
    made.add_argument("--repeats", type=int, default=20)
    made.add_argument("--check", type=int, default=40)
    args = made.parse_args()
    report = machine(("numba", "numpy", "highspy", "polars")) | {"slates": {}}
    for name, slate in slates(args.data):
        row = report["slates"][name] = measure(night(slate), args.repeats, args.check)
        swap, whole = row["swap"], row["news_to_file"]
        print(
            f"{name}: {row['statuses']}; swap p50 {swap['cpu_ms_p50']:.1f} ms, p99 {swap['cpu_ms_p99']:.1f} ms; news "
            f"to file p50 {whole['cpu_ms_p50']:.1f} ms (wall {whole['wall_ms_p50']:.1f}), simulated "
            f"wall {row['news_to_file_simulated']['wall_ms_p50']:.0f} ms; "
            f"{row['highs']['entries']} checked against HiGHS, largest difference {row['highs']['largest_difference']}"
        )
        write(report, args.out)


if __name__ == "__main__":
    main()
