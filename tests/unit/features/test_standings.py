"""Contest standings: two tables side by side, finished and running contests."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from features.errors import SalaryFileError
from features.sources.standings import LOCKED, lineup_points, read_standings

TEXT = (
    "\ufeffRank,EntryId,EntryName,TimeRemaining,Points,Lineup,,Player,Roster Position,%Drafted,FPTS\n"
    "1,45,user_a,0,60.25,C Goga Bitadze F C.J. McCollum UTIL Josh Hart,,Josh Hart,UTIL,57.94%,30\n"
    "2,46,user_b (13/20),0,30,C Goga Bitadze F LOCKED UTIL LOCKED,,Goga Bitadze,C,50.47%,30\n"
    "3,47,user_c,0,0,,,C.J. McCollum,F,1.00%,.25\n"
    "3,48,user_d,0,0,,,,,,\n"
)


def test_entries_and_players() -> None:
    standings = read_standings(TEXT.encode())
    first, second, blank, _ = standings.entries.rows(named=True)
    assert first["lineup"] == ["Goga Bitadze", "C.J. McCollum", "Josh Hart"]
    assert first["slots"] == ["C", "F", "UTIL"]
    assert (first["rank"], first["entry_id"], first["points"]) == (1, "45", 60.25)
    assert second["lineup"] == ["Goga Bitadze", LOCKED, LOCKED]
    assert second["entry_name"] == "user_b (13/20)"
    assert blank["lineup"] == []
    assert standings.players.row(2) == ("C.J. McCollum", "F", 0.01, 0.25)
    assert standings.players.height == 3
    assert standings.final


def test_lineups_add_up() -> None:
    sums = lineup_points(read_standings(TEXT.encode()))
    assert sums["sum_points"].to_list() == [60.25, 0.0, 0.0], "the entry with hidden slots is left out"


def test_gzip_and_path_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert read_standings(path).entries.equals(read_standings(TEXT.encode()).entries)


def test_a_running_contest_is_not_final() -> None:
    assert not read_standings(TEXT.replace("user_a,0,", "user_a,48.5,").encode()).final


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no contest standings"),
        (TEXT.splitlines()[0], "no entries"),
        (TEXT.replace("60.25", "x"), "row 2"),
        (TEXT.replace("57.94%", "many"), "Drafted"),
        (TEXT + "4,49,user_e,0", "row 6"),
        ("", "empty"),
    ],
)
def test_bad_standings_are_refused(text: str, message: str) -> None:
    with pytest.raises(SalaryFileError, match=message):
        read_standings(text.encode())


def test_broken_gzip_and_missing_file_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(TEXT.encode())
    for data in (whole[:-12], whole[:20], b"\x1f\x8bjunk"):
        with pytest.raises(SalaryFileError):
            read_standings(data)
    with pytest.raises(SalaryFileError, match="nowhere"):
        read_standings(tmp_path / "nowhere.csv")


def test_a_2015_export_has_no_players_to_add_up() -> None:
    header = "Rank,EntryId,EntryName,TimeRemaining,Points,Lineup"
    old = header + '\n1,7,u,0,5,"(1B) Adrian Gonzalez ,(OF) J. Upton Jr. "\n'
    standings = read_standings(old.encode())
    assert standings.entries["lineup"].to_list() == [["Adrian Gonzalez", "J. Upton Jr."]]
    assert standings.entries["slots"].to_list() == [["1B", "OF"]]
    with pytest.raises(SalaryFileError, match="players table"):
        lineup_points(standings)


@pytest.mark.real_data
def test_every_real_lineup_sums_to_its_points(fantasy_data: Path) -> None:
    folder = fantasy_data / "dfs" / "draftkings" / "nba" / "contests"
    running = sorted(folder.glob("*_live_*.csv.gz"))
    assert len(running) >= 20
    files = [*sorted(folder.glob("*_final_*.csv.gz")), *running[::4]]
    entries = 0
    for path in files:
        standings = read_standings(path)
        assert standings.final == ("_final_" in path.name)
        assert set(standings.entries["lineup"].list.len().unique()) <= {0, 8}
        sums = lineup_points(standings)
        wrong = sums.filter((pl.col("sum_points") - pl.col("points")).abs() > 1e-6)
        assert wrong.is_empty(), path
        if standings.final:
            assert sums.height == standings.entries.height
            entries += sums.height
            assert 7.9 < standings.players["drafted"].sum() <= 8.001
    assert entries > 140_000
