"""Late swap over a set of entries: who stays keeps his lineup, minimum exposures, and players no salary file lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from features.contests import check_lineup
from features.errors import InvalidInput
from features.slate import Slate
from models.lineups.draft import draft, game_key
from models.lineups.late_swap import SwapResult, late_swap
from models.lineups.problem import Lineup
from models.lineups.rules import Group, LineupRules
from models.lineups.seated import UNLISTED, read_for_swap
from models.projection.slate import SlateProjections
from tests.unit.models.test_late_swap import CLASSIC, START, classic_slate, entries_of, ids, projected

BEFORE = START - timedelta(days=1)
SEED = 3


@pytest.fixture
def slate() -> Slate:
    return classic_slate(SEED)


@pytest.fixture
def projections(slate: Slate) -> SlateProjections:
    return projected(slate, SEED)


def best(slate: Slate, projections: SlateProjections, **rules: object) -> tuple[Lineup, ...]:
    return draft(slate, projections, CLASSIC, LineupRules(**rules)).lineups  # type: ignore[arg-type]


def worsened(slate: Slate, lineup: Lineup, others: tuple[Lineup, ...] = ()) -> tuple[tuple[str, ...], str]:
    """The lineup with one player exchanged for one it can afford and no other lineup holds, and who that is."""
    taken = {id_ for each in (lineup, *others) for id_ in ids(each)}
    for slot, held in enumerate(lineup.players):
        dearest = held.salary + 50_000 - lineup.salary
        for player in slate.players:
            fits = CLASSIC.slots[slot].accepts(player.positions) and player.salary_usd <= dearest
            if fits and player.site_id not in taken:
                return (*ids(lineup)[:slot], player.site_id, *ids(lineup)[slot + 1 :]), player.site_id
    raise AssertionError("no such player on this slate")


def held_in(result: SwapResult, site_id: str) -> int:
    return sum(site_id in ids(lineup) for lineup in result.lineups)


def test_an_earlier_replacement_never_takes_a_later_healthy_lineup(
    slate: Slate, projections: SlateProjections
) -> None:
    top = best(slate, projections, n=1)[0]
    broken, gone = worsened(slate, top)
    entries = entries_of([broken, ids(top)], slate, CLASSIC)
    result = late_swap(entries, slate, projections, CLASSIC, LineupRules(), now=BEFORE, out=frozenset({gone}))
    replaced, healthy = result.entries
    assert (healthy.status, ids(healthy.lineup)) == ("kept", ids(top))
    assert replaced.status == "swapped" and set(ids(replaced.lineup)) != set(ids(top))
    second = best(slate, projections, n=2, excluded=frozenset({gone}))[1]
    assert replaced.lineup is not None and replaced.lineup.projection == pytest.approx(second.projection)
    # In the other order nothing is different, and alone the replacement may have the best lineup.
    turned = late_swap(
        entries_of([ids(top), broken], slate, CLASSIC), slate, projections, CLASSIC, LineupRules(), now=BEFORE,
        out=frozenset({gone}),
    )  # fmt: skip
    assert [set(ids(lineup)) for lineup in turned.lineups] == [set(ids(lineup)) for lineup in result.lineups[::-1]]
    (alone,) = late_swap(
        entries_of([broken], slate, CLASSIC), slate, projections, CLASSIC, LineupRules(), now=BEFORE,
        out=frozenset({gone}),
    ).lineups  # fmt: skip
    assert set(ids(alone)) == set(ids(top))


def test_healthy_lineups_use_up_exposure_before_replacements_do(
    slate: Slate, projections: SlateProjections
) -> None:
    lineups = best(slate, projections, n=3)
    broken, gone = worsened(slate, lineups[0], lineups)
    entries = entries_of([broken, *map(ids, lineups)], slate, CLASSIC)
    shared = sorted(set(ids(lineups[0])) & set(ids(lineups[1])) & set(ids(lineups[2])))[0]
    rules = LineupRules(player_max_exposure={shared: 0.75})
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=BEFORE, out=frozenset({gone}))
    assert [entry.status for entry in result.entries] == ["swapped", "kept", "kept", "kept"]
    assert shared not in ids(result.entries[0].lineup)


def test_minimum_exposures_are_raised_where_it_costs_least(slate: Slate, projections: SlateProjections) -> None:
    held = best(slate, projections, n=20, max_exposure=0.5)
    used = Counter(id_ for lineup in held for id_ in ids(lineup))
    entries = entries_of([ids(lineup) for lineup in held], slate, CLASSIC)
    plain = late_swap(entries, slate, projections, CLASSIC, LineupRules(max_exposure=0.5), now=BEFORE)
    unused = (p.site_id for p in slate.players if used[p.site_id] == held_in(plain, p.site_id) == 0)
    first, second = next(unused), next(unused)
    rules = LineupRules(max_exposure=0.5, player_min_exposure={first: 0.3, second: 0.11})
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=BEFORE)
    assert result.warnings == plain.warnings == ()
    assert (held_in(result, first), held_in(result, second)) == (6, 3)
    assert all(check_lineup(lineup, slate, CLASSIC) == () for lineup in result.lineups)
    assert len({frozenset(ids(lineup)) for lineup in result.lineups}) == 20
    assert max(Counter(id_ for lineup in result.lineups for id_ in ids(lineup)).values()) <= 10
    said = [entry for entry in result.entries if "for his minimum exposure" in entry.reason]
    assert {entry.status for entry in said} == {"swapped"}
    # Whoever else is given up: nobody is forced where nothing was asked.
    for before, after in zip(plain.entries, result.entries, strict=True):
        assert after in said or ids(before.lineup) == ids(after.lineup)


def test_a_minimum_that_cannot_be_reached_names_both_figures(slate: Slate, projections: SlateProjections) -> None:
    held = best(slate, projections, n=10, max_exposure=0.5)
    entries = entries_of([ids(lineup) for lineup in held], slate, CLASSIC)
    used = {id_ for lineup in held for id_ in ids(lineup)}
    one, other = [p for p in slate.players if game_key(p) == "BBB@AAA" and p.site_id not in used][:2]
    rules = LineupRules(
        player_min_exposure={one.site_id: 0.25},
        groups=(Group("late news", frozenset({other.site_id}), min_exposure=0.9),),
    )
    now = START + timedelta(minutes=5)
    result = late_swap(entries, slate, projections, CLASSIC, rules, now=now)
    player, group = result.warnings
    assert f"{one.name} ({one.site_id})" in player and "wanted in 3 of 10 entries, reached 0" in player
    assert "group late news: wanted in 9 entries, reached 0" in group
    unknown = LineupRules(player_min_exposure={"nobody": 0.5})
    with pytest.raises(InvalidInput, match="player_min_exposure names 'nobody'"):
        late_swap(entries, slate, projections, CLASSIC, unknown, now=now)


def test_a_file_is_read_with_players_the_salary_file_lacks(slate: Slate, projections: SlateProjections) -> None:
    (lineup,) = best(slate, projections, n=1)
    first = ids(lineup)[0]
    cells = [f"P{id_} ({id_})" + (" (LOCKED)" if id_ == first else "") for id_ in ids(lineup)]
    header = "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL\r\n"
    file = (header + ",".join(["e0", "GPP", "c", "$4", *cells]) + "\r\n").encode()
    left = replace(slate, players=tuple(p for p in slate.players if p.site_id != first))
    known = replace(projections, frame=projections.frame.filter(pl.col("site_id") != first))
    entries, found = read_for_swap(file, left, known, CLASSIC)
    (added,) = [p for p in entries.slate.players if p not in left.players]
    assert (added.site_id, added.name, added.injury_status) == (first, f"P{first}", UNLISTED)
    assert found.frame.filter(pl.col("site_id") == first)["mean"].to_list() == [0.0]
    assert found.frame.columns == known.frame.columns
    result = late_swap(entries, entries.slate, found, CLASSIC, LineupRules(), now=BEFORE)
    assert result.entries[0].status in ("kept", "swapped") and ids(result.entries[0].lineup)[0] == first
    # A file whose players are all listed changes nothing.
    same, untouched = read_for_swap(file, slate, projections, CLASSIC)
    assert same.slate is slate and untouched is projections
