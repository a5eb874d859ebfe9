"""Late swap: locked slots stay, who is out goes, open slots are exactly the best, and no entry stops another."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.contests import Contest, check_lineup, load_contest
from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.entries import Entries, Entry, fill_entries, read_entries
from features.sources.salaries import read_salaries
from models.errors import Cancelled
from models.lineups.draft import draft, game_key
from models.lineups.late_swap import SwapResult, late_swap
from models.lineups.problem import Lineup
from models.lineups.rules import Group, LineupRules, TeamStack
from models.lineups.seated import unlisted_players
from models.projection.slate import SCHEMA, SlateProjections

CLASSIC = load_contest("draftkings")
SHOWDOWN = load_contest("draftkings", "nba", "showdown")
START = datetime(2024, 12, 15, 23, tzinfo=UTC)
TEAMS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
SHAPES = (("PG",), ("SG",), ("SF",), ("PF",), ("C",), ("PG", "SG"), ("SF", "PF"), ("PF", "C"))


def classic_slate(seed: int, players: int = 60) -> Slate:
    """Three games an hour apart; salaries on $100, positions mixed."""
    draw = random.Random(seed)
    games = tuple(SlateGame(TEAMS[i + 1], TEAMS[i], START + timedelta(hours=i / 2)) for i in (0, 2, 4))
    made = []
    for number in range(players):
        team = number % 6
        made.append(
            SlatePlayer(
                str(number), f"P{number}", SHAPES[draw.randrange(8)], 100 * draw.randrange(30, 110), TEAMS[team],
                TEAMS[team ^ 1], team % 2 == 0, 20.0, upload_name=f"P{number} ({number})",
            )
        )  # fmt: skip
    return Slate(f"s{seed}", "draftkings", "nba", "classic", START, games, tuple(made))


def showdown_slate(seed: int) -> Slate:
    """One game, sixteen people, each a captain's row and a UTIL row."""
    draw = random.Random(seed)
    made = []
    for number in range(16):
        team, salary = TEAMS[number % 2], 100 * draw.randrange(20, 110)
        for kind, price, row in (("CPT", salary * 3 // 2, number), ("UTIL", salary, 100 + number)):
            made.append(
                SlatePlayer(
                    str(row), f"P{number}", (kind,), price, team, TEAMS[number % 2 ^ 1], number % 2 == 0, 20.0,
                    upload_name=f"P{number} ({row})", person=f"p{number}",
                )
            )  # fmt: skip
    game = SlateGame(TEAMS[1], TEAMS[0], START)
    return Slate(f"d{seed}", "draftkings", "nba", "showdown", START, (game,), tuple(made))


def projected(slate: Slate, seed: int) -> SlateProjections:
    """Points by person, in quarters."""
    draw = random.Random(seed + 1)
    points = {player.name: draw.randrange(20, 200) / 4 for player in slate.players}
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": list(p.positions), "salary": p.salary_usd,
         "player_id": None, "mean": points[p.name], "q10": 5.0, "q50": 20.0, "q90": 40.0, "p_play": 1.0,
         "basis": "user"}
        for p in slate.players
    ]  # fmt: skip
    return SlateProjections(pl.DataFrame(rows, schema=SCHEMA), "m", "1", False, None, ())


def entries_of(
    lineups: list[tuple[str | None, ...]],
    slate: Slate,
    contest: Contest,
    locked: dict[int, tuple[int, ...]] | None = None,
    contests: tuple[str, ...] = ("c",),
) -> Entries:
    """Entries as the reader gives them; `locked` maps an entry to the slots its file marks."""
    made = tuple(
        Entry(
            f"e{number}", "GPP", contests[number % len(contests)], 4.0, players,
            tuple(slot in (locked or {}).get(number, ()) for slot in range(len(players))), number + 2,
        )
        for number, players in enumerate(lineups)
    )  # fmt: skip
    return Entries(made, slate, contest, "test", "", b"", "utf-8", tuple(() for _ in made))


def ids(lineup: Lineup | None) -> tuple[str, ...]:
    assert lineup is not None
    return tuple(player.id for player in lineup.players)


def best_by_highs(
    slate: Slate, points: dict[str, float], contest: Contest, fixed: dict[int, str], barred: set[str]
) -> float:
    """The best whole lineup around `fixed` (slot -> id), one binary per player and slot, by scipy's HiGHS."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    pairs = [
        (p, s)
        for p in slate.players
        for s, slot in enumerate(contest.slots)
        if slot.accepts(p.positions) and (fixed.get(s) == p.site_id if s in fixed else p.site_id not in barred)
    ]
    rows, low, high = [], [], []

    def add(values: list[float], least: float, most: float) -> None:
        rows.append(values)
        low.append(least)
        high.append(most)

    for s in range(contest.lineup_size):
        add([float(slot == s) for _, slot in pairs], 1, 1)
    for person in {p.person or p.site_id for p in slate.players}:
        add([float((p.person or p.site_id) == person) for p, _ in pairs], 0, 1)
    add([float(p.salary_usd) for p, _ in pairs], 0, float(contest.salary_cap_usd or 0))
    if contest.min_games > 1:
        for game in {game_key(p) for p in slate.players}:
            add([float(game_key(p) == game) for p, _ in pairs], 0, contest.lineup_size - 1)
    if contest.min_teams > 1:
        for team in {p.team for p in slate.players}:
            add([float(p.team == team) for p, _ in pairs], 0, contest.lineup_size - 1)
    gain = np.array([points[p.site_id] * contest.slots[s].points_multiplier for p, s in pairs])
    found = milp(
        -gain, constraints=LinearConstraint(np.array(rows), low, high), integrality=np.ones(len(pairs)),
        bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    assert found.x is not None
    return float(gain[found.x > 0.5].sum())


def means(projections: SlateProjections) -> dict[str, float]:
    return dict(projections.frame.select("site_id", "mean").iter_rows())


def check(result: SwapResult, entries: Entries, slate: Slate, contest: Contest, started: set[str]) -> None:
    """Every answer is legal, keeps its locked players in their slots and adds nobody whose game has started."""
    game = {p.site_id: game_key(p) for p in slate.players}
    assert [e.entry_id for e in result.entries] == [e.entry_id for e in entries.entries]
    for entry, swap in zip(entries.entries, result.entries, strict=True):
        if swap.lineup is None:
            continue
        now = ids(swap.lineup)
        assert check_lineup(swap.lineup, slate, contest) == ()
        for slot, (was, locked) in enumerate(zip(entry.players, entry.locked, strict=True)):
            if locked or (was is not None and game[was] in started):
                assert now[slot] == was
        for added in set(now) - set(entry.players):
            assert game[added] not in started


@pytest.mark.parametrize("seed", range(12))
def test_open_slots_are_exactly_the_best(seed: int) -> None:
    slate, projections = classic_slate(seed), projected(classic_slate(seed), seed)
    lineups = draft(slate, projections, CLASSIC, LineupRules(n=6, max_exposure=0.5)).lineups
    now = START + timedelta(minutes=5)
    started = {"BBB@AAA"}
    open_players = [p.site_id for p in slate.players if game_key(p) not in started]
    out = frozenset(random.Random(seed).sample(open_players, 8))
    barred = {p.site_id for p in slate.players if game_key(p) in started} | set(out)
    for lineup in lineups:  # one entry at a time: nothing but the slate limits it
        entries = entries_of([ids(lineup)], slate, CLASSIC)
        result = late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=now, out=out)
        check(result, entries, slate, CLASSIC, started)
        (swap,) = result.entries
        by_id = {p.site_id: p for p in slate.players}
        fixed = {s: id_ for s, id_ in enumerate(ids(lineup)) if game_key(by_id[id_]) in started}
        best = best_by_highs(slate, means(projections), CLASSIC, fixed, barred)
        assert swap.lineup is not None
        assert swap.lineup.projection == pytest.approx(best, abs=1e-6)
        assert swap.lineup.gap == pytest.approx(0.0, abs=1e-6)
        assert not out & set(ids(swap.lineup))
        assert (swap.status == "kept") == (set(ids(swap.lineup)) == set(ids(lineup)))


@pytest.mark.parametrize("seed", range(6))
def test_a_locked_captain_stays_and_is_nobody_else(seed: int) -> None:
    slate, projections = showdown_slate(seed), projected(showdown_slate(seed), seed)
    (lineup,) = draft(slate, projections, SHOWDOWN, LineupRules()).lineups
    captain = next(s for s, p in enumerate(lineup.players) if p.slot == "CPT")
    person = {p.site_id: p.person for p in slate.players}
    out = frozenset(p.site_id for p in slate.players if p.person == person[ids(lineup)[3]])
    entries = entries_of([ids(lineup)], slate, SHOWDOWN, {0: (captain, 5)})
    # One game: its mark in the file says that it has started for everybody, so only what is marked counts here.
    entries = replace(entries, entries=(replace(entries.entries[0], locked=(False,) * 6),))
    result = late_swap(entries, slate, projections, SHOWDOWN, LineupRules(), now=START - timedelta(1), out=out)
    check(result, entries, slate, SHOWDOWN, set())
    (swap,) = result.entries
    best = best_by_highs(slate, means(projections), SHOWDOWN, {}, set(out))
    assert swap.lineup is not None and swap.lineup.projection == pytest.approx(best, abs=1e-6)
    assert len({person[id_] for id_ in ids(swap.lineup)}) == 6


@pytest.mark.parametrize("seed", range(4))
def test_two_showdown_games_lock_apart(seed: int) -> None:
    """A captain slot of a started game beside open slots of a later one."""
    first, second = showdown_slate(seed), showdown_slate(seed + 50)
    moved = tuple(
        replace(p, site_id=f"x{p.site_id}", name=f"x{p.name}", person=f"x{p.person}", team=f"x{p.team}",
                opponent=f"x{p.opponent}")
        for p in second.players
    )  # fmt: skip
    later = SlateGame(f"x{TEAMS[1]}", f"x{TEAMS[0]}", START + timedelta(hours=3))
    slate = replace(first, games=(*first.games, later), players=(*first.players, *moved))
    projections = projected(slate, seed)
    (lineup,) = draft(slate, projections, SHOWDOWN, LineupRules()).lineups
    started = {"BBB@AAA"}
    entries = entries_of([ids(lineup)], slate, SHOWDOWN)
    by_id = {p.site_id: p for p in slate.players}
    open_now = [id_ for id_ in ids(lineup) if game_key(by_id[id_]) not in started]
    gone = {by_id[id_].person for id_ in open_now[:1]}
    out = frozenset(p.site_id for p in slate.players if p.person in gone)
    result = late_swap(
        entries, slate, projections, SHOWDOWN, LineupRules(), now=START + timedelta(hours=1), out=out
    )
    check(result, entries, slate, SHOWDOWN, started)
    fixed = {s: id_ for s, id_ in enumerate(ids(lineup)) if game_key(by_id[id_]) in started}
    barred = {p.site_id for p in slate.players if game_key(p) in started} | set(out)
    best = best_by_highs(slate, means(projections), SHOWDOWN, fixed, barred)
    assert result.entries[0].lineup is not None
    assert result.entries[0].lineup.projection == pytest.approx(best, abs=1e-6)


@pytest.fixture
def slate() -> Slate:
    return classic_slate(3)


@pytest.fixture
def projections(slate: Slate) -> SlateProjections:
    return projected(slate, 3)


@pytest.fixture
def held(slate: Slate, projections: SlateProjections) -> list[tuple[str, ...]]:
    """Twenty distinct lineups, nobody in more than half."""
    return [ids(x) for x in draft(slate, projections, CLASSIC, LineupRules(n=20, max_exposure=0.5)).lineups]


def test_replace_out_changes_only_those_who_hold_somebody_out(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    gone = held[0][4]
    entries = entries_of(list(held), slate, CLASSIC)
    better = projections.frame.with_columns(
        mean=pl.when(pl.col("site_id") == held[-1][0]).then(2.0).otherwise(pl.col("mean"))
    )
    moved = replace(projections, frame=better)
    result = late_swap(
        entries, slate, moved, CLASSIC, LineupRules(), now=START - timedelta(1), out=frozenset({gone}),
        mode="replace_out",
    )  # fmt: skip
    for before, swap in zip(held, result.entries, strict=True):
        if gone in before:
            assert swap.status == "swapped" and gone not in ids(swap.lineup)
            assert gone in {r.out for r in swap.replaced} and "is out" in swap.reason
        else:
            assert swap.status == "kept" and ids(swap.lineup) == before
    changed = late_swap(entries, slate, moved, CLASSIC, LineupRules(), now=START - timedelta(1), mode="optimize")
    assert changed.count("swapped") > 0
    assert result.count("swapped") == sum(gone in lineup for lineup in held) > 0


def test_exposures_and_distinctness_hold_over_the_set(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    now = START + timedelta(minutes=5)
    by_id = {p.site_id: p for p in slate.players}
    entries = entries_of(list(held), slate, CLASSIC)
    rules = LineupRules(max_exposure=0.5, min_unique=2)
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=now)
    check(result, entries, slate, CLASSIC, {"BBB@AAA"})
    sets = [set(ids(swap.lineup)) for swap in result.entries]
    noted = [bool(swap.reason) and "let go" in swap.reason for swap in result.entries]
    assert len({frozenset(players) for players in sets}) == len(sets)
    if not any(noted):
        counts = {p: sum(p in players for players in sets) for players in sets for p in players}
        assert all(n <= 10 for p, n in counts.items() if game_key(by_id[p]) != "BBB@AAA")
    alone = [late_swap(entries_of([x], slate, CLASSIC), slate, projections, CLASSIC, rules, now=now) for x in held]
    assert result.lineups[0].projection == alone[0].lineups[0].projection
    assert sum(x.projection for x in result.lineups) <= sum(a.lineups[0].projection for a in alone) + 1e-9


def test_the_same_lineup_may_play_in_two_contests(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    def swapped(contests: tuple[str, ...]) -> list[frozenset[str]]:
        entries = entries_of([held[0], held[0]], slate, CLASSIC, contests=contests)
        found = late_swap(
            entries,
            slate,
            projections,
            CLASSIC,
            LineupRules(),
            now=START - timedelta(1),
            out=frozenset(held[0][:1]),
        )
        return [frozenset(ids(lineup)) for lineup in found.lineups]

    first, second = swapped(("one", "two"))
    assert first == second
    first, second = swapped(("one",))
    assert first != second


def test_a_full_lock_is_kept_and_stops_nobody(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    empty: tuple[str | None, ...] = (None,) * 8
    unreadable = (None, *held[1][1:])
    entries = entries_of([held[0], unreadable, empty, held[2]], slate, CLASSIC, {0: tuple(range(8)), 1: (0,)})
    # Marks of the file say which games have started; here all of entry 0's.
    result = late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=START - timedelta(1))
    kept, stuck, *_ = result.entries
    assert kept.status == "kept" and ids(kept.lineup) == held[0] and "locked" in kept.reason
    assert stuck.status == "unswappable" and stuck.lineup is None and "left as uploaded" in stuck.reason
    assert len(result.entries) == 4 and set(result.swapped) <= {"e2", "e3"}


def test_an_empty_reservation_is_filled(slate: Slate, projections: SlateProjections) -> None:
    entries = entries_of([(None,) * 8], slate, CLASSIC)
    for mode in ("optimize", "replace_out"):
        result = late_swap(
            entries, slate, projections, CLASSIC, LineupRules(), now=START - timedelta(1), mode=mode  # type: ignore[arg-type]
        )  # fmt: skip
        (best,) = draft(slate, projections, CLASSIC, LineupRules()).lineups
        assert result.entries[0].status == "swapped"
        assert result.lineups[0].projection == pytest.approx(best.projection)


def test_a_locked_player_who_projects_nothing_or_left_the_slate_stays(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    first = held[0][0]
    nothing = projections.frame.with_columns(
        mean=pl.when(pl.col("site_id") == first).then(0.0).otherwise(pl.col("mean"))
    )
    game = {p.site_id: game_key(p) for p in slate.players}
    gone = next(id_ for id_ in held[0] if game[id_] != game[first])  # a mark locks the whole game
    ruled_out = replace(
        slate, players=tuple(replace(p, injury_status="OUT") if p.site_id == first else p for p in slate.players)
    )
    entries = entries_of([held[0]], slate, CLASSIC, {0: (0,)})
    for here in (slate, ruled_out):
        result = late_swap(
            entries, here, replace(projections, frame=nothing), CLASSIC, LineupRules(), now=START - timedelta(1),
            out=frozenset({gone}),
        )  # fmt: skip
        assert ids(result.entries[0].lineup)[0] == first and gone not in ids(result.entries[0].lineup)
    left = replace(slate, players=tuple(p for p in slate.players if p.site_id != first))
    known = projections.frame.filter(pl.col("site_id") != first)
    result = late_swap(
        entries, left, replace(projections, frame=known), CLASSIC, LineupRules(), now=START - timedelta(1)
    )
    assert result.entries[0].status == "unswappable" and not result.swapped


def test_a_locked_player_the_salary_file_lacks_keeps_his_seat(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    by_id = {p.site_id: p for p in slate.players}
    first = held[0][0]
    gone = next(id_ for id_ in held[0] if game_key(by_id[id_]) != game_key(by_id[first]))
    header = "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL\r\n"
    cells = [f"P{id_} ({id_})" + (" (LOCKED)" if id_ == first else "") for id_ in held[0]]
    file = (header + ",".join(["e0", "GPP", "c", "$4", *cells]) + "\r\n").encode()
    left = replace(slate, players=tuple(p for p in slate.players if p.site_id != first))
    unlisted = unlisted_players(read_entries(file, left, CLASSIC))
    assert [(p.site_id, p.name) for p in unlisted] == [(first, f"P{first}")]
    whole = replace(left, players=(*left.players, *unlisted))
    nothing = pl.when(pl.col("site_id") == first).then(0.0).otherwise(pl.col("mean"))
    moved = replace(projections, frame=projections.frame.with_columns(mean=nothing))
    entries = read_entries(file, whole, CLASSIC)
    now = START - timedelta(1)
    result = late_swap(entries, whole, moved, CLASSIC, LineupRules(), now=now, out=frozenset({gone}))
    (swap,) = result.entries
    assert swap.status == "swapped" and result.warnings
    assert ids(swap.lineup)[0] == first and gone not in ids(swap.lineup)
    # Nobody knows his salary, so the others may cost no more than those they replace.
    others = sum(by_id[id_].salary_usd for id_ in ids(swap.lineup)[1:])
    assert others <= sum(by_id[id_].salary_usd for id_ in held[0][1:])
    assert cells[0] in fill_entries(entries, result.swapped)


def test_own_rules_give_way_before_an_entry_fails(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    impossible = LineupRules(groups=(Group("both", frozenset(held[0][:2]), at_most=0),))
    entries = entries_of([held[0], held[1]], slate, CLASSIC, {0: (0, 1)})
    result = late_swap(
        entries, slate, projections, CLASSIC, impossible, now=START - timedelta(1), out=frozenset(held[0][6:7])
    )
    assert result.entries[0].status in ("swapped", "kept")
    assert "own rules let go" in result.entries[0].reason
    assert not set(held[0][:2]) & (set(ids(result.entries[1].lineup)) - set(held[1]))


def test_stacks_count_locked_players(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    rules = LineupRules(stacks=(TeamStack(3),))
    entries = entries_of([held[0]], slate, CLASSIC, {0: (0,)})
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=START - timedelta(1))
    (lineup,) = result.lineups
    teams = [player.team for player in lineup.players]
    assert max(teams.count(team) for team in teams) >= 3
    assert ids(lineup)[0] == held[0][0]


def test_later_games_sit_where_most_players_fit(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    entries = entries_of([held[0]], slate, CLASSIC)
    swap = late_swap(
        entries, slate, projections, CLASSIC, LineupRules(), now=START - timedelta(1), out=frozenset(held[0][:3])
    ).entries[0]
    assert swap.lineup is not None
    tip = {f"{g.away_team}@{g.home_team}": g.tip for g in slate.games}
    by_id = {p.site_id: p for p in slate.players}
    util = by_id[ids(swap.lineup)[7]]
    narrow = [s for s in range(5) if CLASSIC.slots[s].accepts(util.positions)]
    for slot in narrow:  # whoever could trade places with UTIL does not start later
        other = by_id[ids(swap.lineup)[slot]]
        assert tip[game_key(other)] <= tip[game_key(util)]  # type: ignore[operator]


def test_words_that_make_no_sense_are_refused(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    entries = entries_of([held[0]], slate, CLASSIC)
    with pytest.raises(InvalidInput, match="time zone"):
        late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=datetime(2024, 12, 15))
    with pytest.raises(InvalidInput, match="replace_out"):
        late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=START, mode="all")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="nobody"):
        late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=START, out=frozenset({"nobody"}))
    with pytest.raises(Cancelled):
        late_swap(
            entries, slate, projections, CLASSIC, LineupRules(), now=START - timedelta(1), cancelled=lambda: True
        )


@pytest.mark.real_data
def test_150_real_entries_with_four_games_under_way(fantasy_data: Path) -> None:
    folder = fantasy_data / "dfs" / "draftkings" / "nba" / "salaries"
    path = folder / "2025-01-25_classic_9g_c3705c.csv"
    if not path.is_file():
        pytest.skip(f"no slate {path.name}")
    slate = read_salaries(path)
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": list(p.positions),
         "salary": p.salary_usd, "player_id": None, "mean": p.average_points, "q10": 0.0, "q50": 0.0, "q90": 0.0,
         "p_play": 1.0, "basis": "file_average"}
        for p in slate.players
    ]  # fmt: skip
    projections = SlateProjections(pl.DataFrame(rows, schema=SCHEMA), "m", "1", False, None, ())
    rules = LineupRules(n=150, max_exposure=0.5)
    held = [ids(lineup) for lineup in draft(slate, projections, CLASSIC, rules).lineups]
    tips = sorted(game.tip for game in slate.games if game.tip is not None)
    now = tips[1] + timedelta(minutes=1)
    started = {f"{g.away_team}@{g.home_team}" for g in slate.games if g.tip is not None and g.tip <= now}
    used = [id_ for id_, _ in sorted(
        ((p.site_id, sum(p.site_id in x for x in held)) for p in slate.players if game_key(p) not in started),
        key=lambda pair: -pair[1],
    )]  # fmt: skip
    out = frozenset(used[:12])
    entries = entries_of(list(held), slate, CLASSIC)
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=now, out=out)
    check(result, entries, slate, CLASSIC, started)
    assert result.count("unswappable") == 0
    for lineup, before in zip(result.lineups, held, strict=True):
        left = out & set(ids(lineup))
        assert not left, f"{left} stayed in {before}"
    distinct = {frozenset(ids(lineup)) for lineup in result.lineups}
    assert len(distinct) == 150
    barred = {p.site_id for p in slate.players if game_key(p) in started} | set(out)
    by_id = {p.site_id: p for p in slate.players}
    for at in (0, 75, 149):  # alone, each is exactly the best around its own locks
        fixed = {s: id_ for s, id_ in enumerate(held[at]) if game_key(by_id[id_]) in started}
        alone = late_swap(
            entries_of([held[at]], slate, CLASSIC), slate, projections, CLASSIC, LineupRules(), now=now, out=out
        )
        best = best_by_highs(slate, means(projections), CLASSIC, fixed, barred)
        assert alone.lineups[0].projection == pytest.approx(best, abs=1e-6)


def test_pairs_of_replaced_players_name_who_left_and_who_came(
    slate: Slate, projections: SlateProjections, held: list[tuple[str, ...]]
) -> None:
    out = frozenset(held[0][2:4])
    entries = entries_of([held[0]], slate, CLASSIC)
    (swap,) = late_swap(
        entries, slate, projections, CLASSIC, LineupRules(), now=START - timedelta(1), out=out
    ).entries
    left, came = {r.out for r in swap.replaced}, {r.into for r in swap.replaced}
    assert left == set(held[0]) - set(ids(swap.lineup)) and came == set(ids(swap.lineup)) - set(held[0])
    assert out <= left
    body = swap.as_json()
    assert body["status"] == "swapped" and len(body["lineup"]["players"]) == 8
    assert all(set(pair) == {"slot", "out", "out_name", "in", "in_name"} for pair in body["replaced"])
    assert not list(itertools.filterfalse(lambda pair: pair["out_name"].startswith("P"), body["replaced"]))
