"""Entries templates: read, fill, and everything else as it was, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contests import Contest, check_lineup, load_contest
from features.errors import InvalidInput, SalaryFileError
from features.slate import Slate
from features.sources.entries import Entries, Entry, fill_entries, read_entries, write_entries
from features.sources.salaries import read_salaries

DK = load_contest("draftkings")
POOL = (
    "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame",
    "PG,P One (1) (LOCKED),P One,1,PG/G/UTIL,5000,In Progress,DAL,30",
    "SG,S Two (2),S Two,2,SG/G/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,LAL,30",
    "SF,F Three (3),F Three,3,SF/F/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,LAL,30",
    "PF,F Four (4),F Four,4,PF/F/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,MEM,30",
    "C,C Five (5),C Five,5,C/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,MEM,30",
    "SG,G Six (6),G Six,6,SG/G/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,MEM,30",
    'SF,"O\'Neal, Jr (7)","O\'Neal, Jr",7,SF/F/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,LAL,30',
    "C,C Eight (8),C Eight,8,C/UTIL,5000,MEM@LAL 12/15/2024 09:30PM ET,LAL,30",
    "C,C Nine (9),C Nine,9,C/UTIL,5000,BOS@NYK 12/15/2024 09:30PM ET,NYK,30",
)
FULL = 'P One (1) (LOCKED),2,F Three (3),F Four (4),C Five (5),G Six (6),"O\'Neal, Jr (7)",C Eight (8)'
LINES = (
    "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL,,Instructions",
    f'456,"NBA $30K, ""Final""",171,$4 ,{FULL},,1. Column A lists all',
    "457,NBA $30K,171,$4 ,,,,,,,,,,",
    "458,Other contest,172,\"$1,060.50\",,,,,,,,,," + POOL[0],
    "459,Other contest,172,,P One (1) (LOCKED),,Nobody Here (99),,,,,,," + POOL[1],
    *(",,,,,,,,,,,,," + row for row in POOL[2:]),
)  # fmt: skip
TEMPLATE = "\r\n".join(LINES) + "\r\n"


@dataclass(frozen=True)
class Seat:
    id: str
    slot: str


@dataclass(frozen=True)
class Seats:
    players: tuple[Seat, ...]


def seats(contest: Contest, ids: str) -> Seats:
    return Seats(tuple(Seat(i, s.name) for i, s in zip(ids.split(), contest.slots, strict=True)))


def opened(text: str = TEMPLATE, encoding: str = "utf-8") -> Entries:
    data = text.encode(encoding)
    return read_entries(data, read_salaries(data), DK)


def test_entries_are_read_with_contest_fee_players_and_locks() -> None:
    first, blank, other, half = opened().entries
    assert first == Entry("456", 'NBA $30K, "Final"', "171", 4.0, tuple("12345678"), (True,) + (False,) * 7, 2)
    assert first.filled
    assert (blank.entry_id, blank.players, blank.problem) == ("457", (None,) * 8, "")
    assert (other.contest_id, other.entry_fee_usd) == ("172", 1060.5)
    assert half.players[:2] == ("1", None)
    assert half.entry_fee_usd is None
    assert "row 5: SF 'Nobody Here (99)'" in half.problem
    assert not half.filled
    assert opened().problems == (half.problem,)


def test_a_pool_player_whose_game_runs_is_marked() -> None:
    started = {p.site_id for p in read_salaries(TEMPLATE.encode()).players if p.started}
    assert started == {"1"}


def test_filling_changes_roster_cells_only() -> None:
    entries = opened()
    filled = fill_entries(entries, {"457": seats(DK, "1 2 3 4 5 6 7 9"), "458": seats(DK, "1 6 7 4 8 2 3 9")})
    lines = TEMPLATE.splitlines(keepends=True)
    roster = 'P One (1),S Two (2),F Three (3),F Four (4),C Five (5),G Six (6),"O\'Neal, Jr (7)",C Nine (9)'
    assert filled.splitlines(keepends=True)[2] == lines[2].replace(",$4 ,,,,,,,,,", f",$4 ,{roster},")
    assert [a == b for a, b in zip(filled.splitlines(keepends=True), lines, strict=True)].count(False) == 2
    again = opened(filled)
    assert [e.players for e in again.entries[1:3]] == [tuple("12345679"), tuple("16748239")]
    assert again.entries[0] == entries.entries[0]
    assert again.entries[3] == entries.entries[3]


def test_nothing_to_fill_changes_nothing() -> None:
    assert fill_entries(opened(), {}) == TEMPLATE
    assert fill_entries(opened(), {"456": seats(DK, "1 2 3 4 5 6 7 8")}) == TEMPLATE, (
        "cells that stay keep their form"
    )


def test_a_swap_keeps_the_mark_of_the_locked_cell() -> None:
    filled = fill_entries(opened(), {"456": seats(DK, "1 2 3 4 5 6 7 9")})
    assert filled == TEMPLATE.replace("C Eight (8),,1.", "C Nine (9),,1.")


@pytest.mark.parametrize(
    ("entry", "ids", "words"),
    [("999", "1 2 3 4 5 6 7 8", ["'999'", "not in"]),
     ("456", "1 2 3 4 5 5 7 8", ["456", "used 2 times"]),
     ("457", "1 2 3 4 5 6 7 77", ["457", "not on slate"]),
     ("457", "1 3 2 4 5 6 7 8", ["457", "cannot fill"])],
)  # fmt: skip
def test_lineups_that_do_not_belong_are_refused(entry: str, ids: str, words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        fill_entries(opened(), {entry: seats(DK, ids)})
    assert all(word in str(caught.value) for word in words)


def test_a_locked_slot_cannot_change_hands() -> None:
    text = TEMPLATE.replace("C Eight (8),,1.", "C Eight (8) (LOCKED),,1.")
    with pytest.raises(InvalidInput, match=r"entry 456 \(row 2\): slot UTIL is locked on player '8'"):
        fill_entries(opened(text), {"456": seats(DK, "1 2 3 4 5 6 7 9")})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_encoding_marks_and_line_ends_survive(tmp_path: Path, encoding: str, ending: str) -> None:
    text = TEMPLATE.replace("\r\n", ending).replace("C Nine", "Ñandú Muñoz").removesuffix(ending)
    entries = opened(text, encoding)
    path = tmp_path / "DKEntries.csv"
    write_entries(path, entries, {})
    assert path.read_bytes() == text.encode(encoding)
    write_entries(path, entries, {"456": seats(DK, "1 2 3 4 5 6 7 9")})
    assert path.read_bytes() == text.replace("C Eight (8),,1.", "Ñandú Muñoz (9),,1.").encode(encoding)
    assert [p.name for p in tmp_path.iterdir()] == ["DKEntries.csv"]


def test_a_refused_lineup_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "DKEntries.csv"
    path.write_bytes(TEMPLATE.encode())
    with pytest.raises(InvalidInput):
        write_entries(path, opened(), {"457": seats(DK, "1 2 3 4 5 6 7 7")})
    assert path.read_bytes() == TEMPLATE.encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [(("458,Other", "456,Other"), ["row 4", "456", "row 2"]),
     (("$1,060.50", "free"), ["row 4", "Entry Fee", "'free'"]),
     (("Entry ID", "Whatever"), ["Entry ID", "template for new lineups"]),
     (("PG,SG,SF,PF,C,G,F,UTIL", "QB,RB,RB,WR,WR,WR,TE,FLEX"), ["no draftkings nba classic lineup header"]),
     ((",,,,,,,,,,\r\n458", "\r\n458"), ["row 3", "cut short"])],
)  # fmt: skip
def test_bad_files_name_row_and_field(change: tuple[str, str], words: list[str]) -> None:
    slate = read_salaries(TEMPLATE.encode())
    with pytest.raises(SalaryFileError) as caught:
        read_entries(TEMPLATE.replace(*change).encode(), slate, DK)
    assert all(word in str(caught.value) for word in words), caught.value


def test_files_without_entries_or_of_another_slate_or_site_are_refused() -> None:
    slate = read_salaries(TEMPLATE.encode())
    with pytest.raises(SalaryFileError, match="no entries"):
        read_entries((LINES[0] + "\r\n").encode(), slate, DK)
    strangers = replace(slate, players=tuple(replace(p, site_id=f"x{p.site_id}", name="X", upload_name="X")
                                             for p in slate.players))  # fmt: skip
    with pytest.raises(SalaryFileError, match="no player of any entry"):
        read_entries(TEMPLATE.encode(), strangers, DK)
    with pytest.raises(InvalidInput, match="own site"):
        read_entries(TEMPLATE.encode(), slate, load_contest("fanduel"))


FD_PLAYERS = (
    ("PG", "BOS", "NYK"), ("PG", "DAL", "PHI"), ("SG", "NYK", "BOS"), ("SG", "PHI", "DAL"), ("SF", "BOS", "NYK"),
    ("SF", "DAL", "PHI"), ("PF", "NYK", "BOS"), ("PF", "PHI", "DAL"), ("C", "BOS", "NYK"), ("C", "DAL", "PHI"),
)  # fmt: skip
FD_POOL = (
    "Id,Position,First Name,Nickname,Last Name,FPPG,Played,Salary,Game,Team,Opponent,Injury Indicator,"
    "Injury Details,Tier,,,Roster Position\n"
    + "".join(
        f"127-{i},{p},A,Ann {i},B,30,9,6000,{'DAL@PHI' if i % 2 else 'BOS@NYK'},{t},{o},,,,,,{p}\n"
        for i, (p, t, o) in enumerate(FD_PLAYERS)
    )
)
FD = (
    'entry_id,contest_id,contest_name,entry_fee,PG,PG,SG,SG,SF,SF,PF,PF,C,"","Instructions"\n'
    '"367","127613-27","FD, Contest","0.25","127-0:Ann 0","127-1","","","","","","","","","1) Fill slots"\n'
    '"368","127613-27","FD, Contest","0.25","","","","","","","","","","","2) More"\n'
)


def test_fanduel_entries_template() -> None:
    slate, contest = read_salaries(FD_POOL.encode()), load_contest("fanduel")
    entries = read_entries(FD.encode(), slate, contest)
    assert [(e.entry_id, e.contest_id, e.contest_name, e.entry_fee_usd) for e in entries.entries] == [
        ("367", "127613-27", "FD, Contest", 0.25),
        ("368", "127613-27", "FD, Contest", 0.25),
    ]
    assert entries.entries[0].players[:3] == ("127-0", "127-1", None)
    # Both point guards stay in their own column whatever order the lineup names them in.
    filled = fill_entries(entries, {"367": seats(contest, " ".join(f"127-{i}" for i in (1, 0, *range(2, 9))))})
    cells = '"127-0:Ann 0","127-1","127-2","127-3","127-4","127-5","127-6","127-7","127-8"'
    assert filled.splitlines()[1] == f'"367","127613-27","FD, Contest","0.25",{cells},"","1) Fill slots"'
    assert filled.splitlines()[2] == FD.splitlines()[2]


def test_yahoo_entries_template() -> None:
    sides = (("PHO", "WAS"), ("WAS", "PHO"), ("BOS", "NYK"), ("NYK", "BOS"))
    positions = ("PG", "SG", "SG", "SF", "PF", "PF", "C", "C", "PG")
    pool = (
        "ID,First Name,Last Name,Position,Team,Opponent,Game,Time,Salary,FPPG,Injury Status,Starting\n"
        + "".join(
            f"nba.p.{i},A,B{i},{p},{sides[i % 4][0]},{sides[i % 4][1]},{sides[i % 4 // 2 * 2][0]}@"
            f"{sides[i % 4 // 2 * 2][1]},7:00PM EST,20,13.4, ,No\n"
            for i, p in enumerate(positions)
        )
    )
    contest = load_contest("yahoo")
    template = (
        "Contest Title,Entry Fee,Prizes,Contest ID,Entry ID,PG,SG,G,SF,PF,F,C,UTIL\n"
        "NBA $5K,$2,$5000,77,1001," + ",".join(f"nba.p.{i}$nba.g.9" for i in range(8)) + "\n"
    )
    entries = read_entries(template.encode(), read_salaries(pool.encode()), contest)
    (entry,) = entries.entries
    assert (entry.entry_id, entry.contest_id, entry.contest_name, entry.entry_fee_usd) == (
        "1001",
        "77",
        "NBA $5K",
        2.0,
    )
    assert entry.players == tuple(f"nba.p.{i}" for i in range(8))
    ids = " ".join(f"nba.p.{i}" for i in (8, *range(1, 8)))
    assert fill_entries(entries, {"1001": seats(contest, ids)}) == template.replace("nba.p.0$nba.g.9", "nba.p.8")


def test_columns_may_stand_in_another_order() -> None:
    text = TEMPLATE.replace("PG,SG,SF,PF,C,G,F,UTIL", "UTIL,SG,SF,PF,C,G,F,PG")
    text = text.replace("P One (1) (LOCKED),2,", "C Eight (8),2,", 1).replace(
        "C Eight (8),,1.", "P One (1) (LOCKED),,1."
    )
    entries = opened(text)
    assert entries.entries[0].players == tuple("12345678")
    assert entries.entries[0].locked == (True,) + (False,) * 7
    assert fill_entries(entries, {"456": seats(DK, "1 2 3 4 5 6 7 9")}) == text.replace(
        "C Eight (8),2", "C Nine (9),2"
    )


def moved(slate: Slate, contest: Contest, entry: Entry) -> Seats | None:
    """The entry's lineup with one open slot given to another player, if one is legal."""
    for index, slot in enumerate(contest.slots):
        if entry.locked[index]:
            continue
        for player in slate.players:
            if player.site_id in entry.players or player.started or not slot.accepts(player.positions):
                continue
            ids = [*entry.players]
            ids[index] = player.site_id
            lineup = Seats(tuple(Seat(str(i), s.name) for i, s in zip(ids, contest.slots, strict=True)))
            if not check_lineup(lineup, slate, contest):
                return lineup
    return None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TEMPLATE)), st.binary(max_size=3)), min_size=1, max_size=5))
def test_a_damaged_file_is_refused_or_comes_back_byte_for_byte(damage: list[tuple[int, bytes]]) -> None:
    slate = read_salaries(TEMPLATE.encode())
    data = TEMPLATE.encode()
    for place, patch in damage:
        data = data[:place] + patch + data[place + len(patch) // 2 :]
    try:
        entries = read_entries(data, slate, DK)
    except SalaryFileError as error:
        assert str(error)
        return
    assert entries.prefix + fill_entries(entries, {}).encode(entries.encoding) == data
    assert all(len(entry.players) == len(entry.locked) == 8 for entry in entries.entries)


@pytest.mark.real_data
def test_real_templates_fill_and_read_back(fantasy_data: Path) -> None:
    read = []
    for path in sorted((fantasy_data / "dfs").rglob("entries/*.csv")):
        slate = read_salaries(path)
        contest = load_contest(slate.site, slate.sport, slate.mode)
        try:
            entries = read_entries(path, slate, contest)
        except SalaryFileError as error:
            assert "template for new lineups" in str(error) or "no draftkings nfl classic lineup header" in str(
                error
            )
            continue
        data = path.read_bytes()
        assert entries.prefix + fill_entries(entries, {}).encode(entries.encoding) == data
        assert not entries.problems, path
        swaps = {e.entry_id: moved(slate, contest, e) for e in entries.entries if e.filled}
        lineups = {entry: lineup for entry, lineup in swaps.items() if lineup is not None}
        filled = fill_entries(entries, lineups)
        again = read_entries(filled.encode(entries.encoding), slate, contest)
        for old, new in zip(entries.entries, again.entries, strict=True):
            lineup = lineups.get(old.entry_id)
            assert new.players == (old.players if lineup is None else tuple(s.id for s in lineup.players))
            assert new.locked == old.locked
            assert replace(new, players=old.players) == old
        changed = sum(a != b for a, b in zip(filled.split("\n"), entries.text.split("\n"), strict=True))
        assert changed == len(lineups)
        read.append((len(entries.entries), len(lineups), sum(sum(e.locked) for e in entries.entries)))
    assert sorted(read) == [(6, 6, 14), (8, 8, 14), (40, 0, 0), (40, 40, 105), (41, 41, 0)]
