"""Every layout a salary file comes in, read into one Slate."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from features.contests import load_contest
from features.errors import SalaryFileError
from features.slate import SlateGame
from features.sources.salaries import OUT_STATUSES, date_from_name, read_salaries
from tests.unit.features.salary_texts import NEW_DK, NEW_FD, OLD_DK, OLD_FD, YAHOO


def test_new_draftkings_export_gives_ids_utc_lock_and_upload_names() -> None:
    slate = read_salaries(NEW_DK.encode())
    luka, christie = slate.players
    assert (slate.site, slate.sport, slate.mode) == ("draftkings", "nba", "classic")
    assert slate.lock == datetime(2024, 7, 5, 1, 30, tzinfo=UTC), "the earliest tip, in summer time"
    assert SlateGame("DAL", "GSW", datetime(2024, 12, 16, 1, 30, tzinfo=UTC)) in slate.games
    assert (luka.site_id, luka.upload_name) == ("37026735", "Luka Doncic (37026735)")
    assert (luka.salary_usd, luka.team, luka.opponent, luka.is_home) == (11500, "DAL", "GSW", False)
    assert (christie.positions, christie.is_home, christie.average_points) == (("SG", "SF"), True, 0.0)


def test_old_draftkings_export_takes_its_date_from_the_caller() -> None:
    slate = read_salaries(OLD_DK.encode(), slate_date=date(2015, 10, 29))
    assert slate.lock == datetime(2015, 10, 29, 23, 30, tzinfo=UTC)
    assert [game.away_team for game in slate.games] == ["NOP", "DAL"], "by tip-off"
    assert [p.team for p in slate.players] == ["LAC", "LAC", "NOP"]
    assert slate.players[2].opponent == "PHX"
    assert len({p.site_id for p in slate.players}) == 3
    undated = read_salaries(OLD_DK.encode())
    assert undated.lock is None
    assert undated.games[0].tip is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_endings_and_encodings_change_nothing(ending: str, encoding: str) -> None:
    data = NEW_DK.replace("\n", ending).encode(encoding)
    assert read_salaries(data) == read_salaries(NEW_DK.encode())


def test_windows_1252_letters_are_read() -> None:
    data = NEW_DK.replace("Max Christie", "Max Muñoz Groß").encode("cp1252")
    assert read_salaries(data).players[1].name == "Max Muñoz Groß"


def test_fanduel_old_and_new_with_blank_headers() -> None:
    old = read_salaries(OLD_FD.encode(), slate_date=date(2015, 12, 1))
    assert old.site == "fanduel"
    assert old.lock == datetime(2015, 12, 2, 0, 0, tzinfo=UTC), "19:00 Eastern when the file gives no time"
    assert (old.players[1].name, old.players[1].injury_status) == ("LeBron James", "GTD")
    new = read_salaries(NEW_FD.encode())
    davis, claxton = new.players
    assert (davis.positions, davis.upload_name, davis.is_home) == (("PF", "C"), "125062-15755", True)
    assert (claxton.name, claxton.average_points) == ("Nic Claxton", 0.0)
    assert claxton.injury_status in OUT_STATUSES


def test_yahoo_by_its_documented_columns() -> None:
    slate = read_salaries(YAHOO.encode(), slate_date=date(2018, 12, 22))
    assert (slate.site, slate.lock) == ("yahoo", datetime(2018, 12, 23, 0, 0, tzinfo=UTC))
    crawford, ariza = slate.players
    assert (crawford.team, crawford.salary_usd, crawford.upload_name) == ("PHX", 10, "nba.p.3407")
    assert crawford.injury_status in OUT_STATUSES
    assert (ariza.injury_status, ariza.is_home) == ("", True)


def test_entries_template_holds_the_pool_to_the_right_of_the_lineups() -> None:
    pool = NEW_DK.splitlines()
    rows = [
        "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL,,Instructions",
        "456,NBA $30K,171,$4,Luka Doncic (37026735) (LOCKED),,,,,,,,,1. Column A lists",
        "457,NBA $30K,171,$4,,,,,,,,,,",
        "458,NBA $30K,171,$4,,,,,,,,,," + pool[0],
        "459,NBA $30K,171,$4,,,,,,,,,," + pool[1],
        ",,,,,,,,,,,,," + pool[2],
        "460,NBA $30K,171,$4",
    ]
    assert read_salaries("\n".join(rows).encode()).players == read_salaries(NEW_DK.encode()).players


def test_started_and_postponed_games() -> None:
    text = NEW_DK.replace("DAL@GSW 12/15/2024 08:30PM ET", "In Progress")
    text = text.replace("MEM@LAL 07/04/2024 09:30PM ET", "Postponed")
    started, off = read_salaries(text.encode(), slate_date=date(2024, 12, 15)).players
    assert (started.opponent, started.injury_status) == ("", "")
    assert off.injury_status in OUT_STATUSES


def test_showdown_lists_a_player_once_per_roster_slot() -> None:
    text = (
        "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame\n"
        "SF/PF,Jayson Tatum (1),Jayson Tatum,1,CPT,15900,BOS@DET 02/26/2022 12:00PM ET,BOS,46.22\n"
        "SF/PF,Jayson Tatum (2),Jayson Tatum,2,UTIL,10600,BOS@DET 02/26/2022 12:00PM ET,BOS,46.22\n"
    )
    slate = read_salaries(text.encode())
    assert slate.mode == "showdown"
    assert [p.positions for p in slate.players] == [("CPT",), ("UTIL",)]
    assert [p.field_positions for p in slate.players] == [("SF", "PF")] * 2
    assert slate.players[0].person == slate.players[1].person


def test_other_sports_keep_their_own_teams_and_home_side_of_vs() -> None:
    text = (
        OLD_DK.replace("Dal@LAC", "LAC vs Dal")
        .replace('"PG"', '"M/F"')
        .replace('"PF"', '"GK"')
        .replace('"C"', '"D"')
    )
    slate = read_salaries(text.encode(), sport="soc")
    assert slate.players[0].is_home
    assert slate.players[0].opponent == "DAL"
    assert slate.players[2].team == "NO", "only NBA teams are renamed"


def test_roster_slots_win_over_a_wrong_position_column() -> None:
    text = NEW_DK.replace("SG/SF,Max Christie", "PF/C,Max Christie")
    assert read_salaries(text.encode()).players[1].positions == ("SG", "SF")


def test_status_suffix_on_a_name_becomes_the_injury_status() -> None:
    player = read_salaries(NEW_DK.replace("Luka Doncic,", "Luka Doncic (OUT),").encode()).players[0]
    assert (player.name, player.injury_status) == ("Luka Doncic", "OUT")


def test_slate_id_is_stable_for_the_content_and_changes_with_it() -> None:
    one, again = read_salaries(NEW_DK.encode()), read_salaries(NEW_DK.encode("utf-16"))
    other = read_salaries(NEW_DK.replace("11500", "11400").encode())
    assert one.slate_id == again.slate_id != other.slate_id
    assert one.slate_id.startswith("draftkings-nba-classic-2024-07-04-")


def test_date_from_name() -> None:
    assert date_from_name("x/2024-12-15_classic_6g.csv") == date(2024, 12, 15)
    assert date_from_name(Path("DKSalaries_20241215.csv")) == date(2024, 12, 15)
    assert date_from_name("FanDuel-NBA-2024-12-15-110000-players-list.csv") == date(2024, 12, 15)
    assert date_from_name("c2015-12-15_classic.csv") is None, "a date glued to a letter is when it was stored"
    assert date_from_name("2024-13-45.csv") is None
    assert date_from_name("DKSalaries.csv") is None


#: Files the archive keeps under another sport, or whose sport the folder does not say.
OTHERWISE = {
    "2020-08-28_classic_3g_b9c844.csv": "wnba", "2020-09-02_classic_3g_5ab9d9.csv": "wnba",
    "DKEntries_07bab3.csv": "mlb", "DKEntries_21cb65.csv": "wnba",
    "c2022-08-07_1g_123ea4.csv": "nfl",  # LV@JAC, filed under college football
}  # fmt: skip
#: Contests of their time that the sites no longer hold: seats they lack.
LACKING = {"c2015-10-06_classic_2g_cc4e77.csv": {"CPT"}, "cunknown_classic_0g_63416d.csv": {"CPT"}}


def expected_mode(path: Path) -> str:
    first = path.read_text(encoding="utf-8", errors="replace")[:3000]
    if "MVP" in first:
        return "single_game"
    captain = ",CPT," in first and path.parts[-3] not in ("lol", "f1")
    return "showdown" if captain or ",FLEX," in first.replace("/FLEX", "") else "classic"


@pytest.mark.real_data
def test_every_real_salary_file_is_read_whole_as_its_sport_and_mode(fantasy_data: Path) -> None:
    files = sorted((fantasy_data / "dfs").rglob("salaries/*.csv"))
    files += sorted((fantasy_data / "dfs").rglob("entries/*.csv"))
    assert len(files) >= 230
    teams = set(pl.read_parquet(fantasy_data / "nba" / "games.parquet", columns=["home_team"])["home_team"])
    refused: dict[str, str] = {}
    for path in files:
        try:
            slate = read_salaries(path, slate_date=date_from_name(path))
        except SalaryFileError as error:
            refused[path.name] = str(error)
            continue
        lines = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        filled = sum(bool(line.strip(b' ,"')) for line in lines) - 1
        if path.parent.name == "salaries":
            assert len(slate.players) == filled, path
        found = (slate.site, slate.sport, slate.mode)
        assert found == (path.parts[-4], OTHERWISE.get(path.name, path.parts[-3]), expected_mode(path)), path
        if slate.sport == "nba":
            assert {p.team for p in slate.players} <= teams | {""}, path
        contest = load_contest(*found)
        unseated = {s.name for s in contest.slots if not any(s.accepts(p.positions) for p in slate.players)}
        assert unseated == LACKING.get(path.name, set()), path
        idle = {p.positions for p in slate.players if not any(s.accepts(p.positions) for s in contest.slots)}
        assert idle <= {("K",)}, "only kickers of FanDuel 2016 have no seat today"
        if slate.mode == "showdown" and not LACKING.get(path.name):
            people = Counter(p.person for p in slate.players)
            assert set(people.values()) == {2}, "everybody once as captain and once without"
    # One hand-edited showdown file gives captains and utility players the same id and no position.
    assert set(refused) == {"2022-02-26_showdown_1g_3de768.csv"}, refused
