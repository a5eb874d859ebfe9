"""Sport, mode and positions are found in the file: a few rows of each kind, in the words of real exports."""

from __future__ import annotations

import pytest

from features.errors import SalaryFileError
from features.slate import Slate
from features.sources.salaries import OUT_STATUSES, read_salaries

DK = "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame\n"
DK_TIERS = "Position,Name + ID,Name,ID,Roster Position,Game Info,TeamAbbrev,AvgPointsPerGame\n"
DK_2016 = '"Position","Name","Salary","GameInfo","AvgPointsPerGame","teamAbbrev"\n'
FD = ("Id,Position,First Name,Nickname,Last Name,FPPG,Played,Salary,Game,Team,Opponent,Injury Indicator,Injury Details,"
      "Tier,Probable Pitcher,Batting Order,Roster Position\n")  # fmt: skip
YAHOO = "ID,First Name,Last Name,Position,Team,Opponent,Game,Time,Salary,FPPG,Injury Status,Starting\n"


def dk(*rows: tuple[str, str], game: str = "AAA@BBB 09/14/2025 01:00PM ET", team: str = "AAA") -> Slate:
    return read_salaries(
        (
            DK + "".join(f"{p},N{i} ({i}),N{i},{i},{r},5000,{game},{team},1\n" for i, (p, r) in enumerate(rows))
        ).encode()
    )


def fd(*rows: tuple[str, str], teams: str = "NYY@SEA", order: str = "") -> Slate:
    away = teams.split("@", maxsplit=1)[0]
    home = teams.split("@")[1]
    return read_salaries(
        (FD + "".join(f"1-{i},{p},A,A{i},B,9,3,5000,{teams},{away},{home},,,,,{order},{r}\n"
                      for i, (p, r) in enumerate(rows))).encode()
    )  # fmt: skip


def told(slate: Slate) -> tuple[str, str, list[tuple[str, ...]]]:
    return slate.sport, slate.mode, [p.positions for p in slate.players]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("QB", "QB"), ("DST", "DST"), ("RB", "RB/FLEX")], ("nfl", "classic", [("QB",), ("DST",), ("RB",)])),
        ([("QB", "QB/S-FLEX"), ("WR", "WR/FLEX/S-FLEX")], ("cfb", "classic", [("QB",), ("WR",)])),
        ([("SP", "P"), ("RP", "P"), ("OF/SS", "SS/OF")], ("mlb", "classic", [("P",), ("P",), ("SS", "OF")])),
        ([("LW", "W/UTIL"), ("C", "C/UTIL"), ("G", "G")], ("nhl", "classic", [("W",), ("C",), ("G",)])),
        ([("M/F", "M/F/UTIL"), ("GK", "GK")], ("soc", "classic", [("M", "F"), ("GK",)])),
        ([("G", "G/UTIL"), ("SF/PF", "F/UTIL")], ("wnba", "classic", [("G",), ("F",)])),
        ([("D", "D"), ("D", "D")], ("nascar", "classic", [("D",), ("D",)])),
        ([("D", "CPT"), ("D", "D"), ("CNSTR", "CNSTR")], ("f1", "classic", [("CPT",), ("D",), ("CNSTR",)])),
        ([("ADC", "CPT"), ("MID", "MID"), ("TEAM", "TEAM")], ("lol", "classic", [("CPT",), ("MID",), ("TEAM",)])),
        ([("QB", "CPT"), ("K", "FLEX"), ("DST", "FLEX")], ("nfl", "showdown", [("CPT",), ("FLEX",), ("FLEX",)])),
        ([("SP", "CPT"), ("2B/SS", "UTIL")], ("mlb", "showdown", [("CPT",), ("UTIL",)])),
        ([("QB", "T1"), ("TE", "T8"), ("DST", "T3")], ("nfl", "tiers_3", [("T1",), ("T8",), ("T3",)])),
    ],
)
def test_draftkings(rows: list[tuple[str, str]], expected: tuple[str, str, list[tuple[str, ...]]]) -> None:
    assert told(dk(*rows)) == expected


def test_golf_and_fights_have_no_teams_to_speak_of() -> None:
    golf = dk(("G", "G"), game="U.S. Open ", team="Golf")
    assert told(golf) == ("pga", "classic", [("G",)])
    assert (golf.games, golf.lock, golf.players[0].opponent) == ((), None, "")
    fights = read_salaries(
        (DK_2016 + '"F","H da Silva",9200,"Christensen@da Silva 07:15PM ET",1,"da Silva"\n').encode()
    )
    assert told(fights) == ("mma", "classic", [("F",)])
    assert (fights.players[0].team, fights.players[0].opponent) == ("DA SILVA", "CHRISTENSEN")


def test_football_without_a_defence_is_told_by_its_teams() -> None:
    rows = (("QB", "CPT"), ("WR", "UTIL"))
    assert dk(*rows, game="KC@PHI 09/14/2025 01:00PM ET", team="KC").sport == "nfl"
    assert dk(*rows, game="FSU@UF 11/25/2023 07:00PM ET", team="FSU").sport == "cfb"


def test_old_positions_become_those_of_the_slots() -> None:
    text = DK_2016 + '"SP","A",9000,"Sea@LAA 10:05PM ET",1,"Sea"\n"1B/OF","B",4000,"Sea@LAA 10:05PM ET",1,"LAA"\n'
    assert told(read_salaries(text.encode())) == ("mlb", "classic", [("P",), ("1B", "OF")])
    assert told(fd(("D", ""), ("QB", ""), teams="KC@PHI")) == ("nfl", "classic", [("DST",), ("QB",)])
    assert told(fd(("D", "DEF"), ("WR/RB", "RB/WR/FLEX"), teams="KC@PHI")) == (
        "nfl", "classic", [("DST",), ("WR", "RB")])  # fmt: skip


def test_fanduel_catchers_keep_their_position_and_batting_order() -> None:
    slate = fd(("C", "C/1B/UTIL"), ("1B/OF", "C/1B/OF/UTIL"), order="4")
    assert told(slate) == ("mlb", "classic", [("C",), ("1B", "OF")])
    assert [p.batting_order for p in slate.players] == [4, 4]
    assert fd(("C", "C/1B/UTIL"), order="0").players[0].batting_order is None


def test_fanduel_single_game_lists_the_slots_and_where_he_plays() -> None:
    slate = fd(("OF", "MVP - 2X Points/STAR - 1.5X Points/UTIL"))
    assert told(slate) == ("mlb", "single_game", [("MVP", "STAR", "UTIL")])
    assert slate.players[0].field_positions == ("OF",)
    football = fd(("WR", "MVP - 1.5X Points/AnyFLEX"), teams="JAC@LV")
    assert told(football) == ("nfl", "single_game", [("MVP", "ANYFLEX")])


def test_a_price_for_the_mvp_means_six_players() -> None:
    text = (
        "Id,Position,First Name,Nickname,Last Name,FPPG,Played,Salary,MVP Salary,Game,Team,Opponent,Injury Indicator,"
        "Injury Details,Tier,Roster Position\n"
        "1-1,WR,C,CeeDee Lamb,Lamb,9,3,14000,21000,TB@DAL,DAL,TB,,,,MVP - 1.5X Points/AnyFLEX\n"
    )
    slate = read_salaries(text.encode())
    assert told(slate) == ("nfl", "single_game_6", [("MVP", "ANYFLEX")])
    assert slate.players[0].salary_usd == 14000, "the slot multiplies"


def test_tiers_need_no_salaries() -> None:
    rows = "".join(f"PG,N{i} ({i}),N{i},{i},T{i},DAL@GSW 12/15/2024 08:30PM ET,DAL,1\n" for i in range(1, 7))
    slate = read_salaries((DK_TIERS + rows).encode())
    assert (slate.sport, slate.mode) == ("nba", "tiers")
    assert {p.salary_usd for p in slate.players} == {0}
    with pytest.raises(SalaryFileError, match="salary"):
        read_salaries((DK_TIERS + rows.replace(",T1,", ",PG,")[:70]).encode())


def test_a_yahoo_file_of_one_game_is_a_single_game() -> None:
    text = (
        YAHOO
        + "nfl.p.1,A,B,DEF,KC,SF,KC@SF,6:30PM EST,12,7.1, ,No\nnfl.p.2,C,D,QB,SF,KC,KC@SF,6:30PM EST,30,20, ,No\n"
    )
    assert told(read_salaries(text.encode())) == ("nfl", "single_game", [("DST",), ("QB",)])
    two = text + "nfl.p.3,E,F,WR,LV,DEN,LV@DEN,9:30PM EST,20,11, ,No\n"
    assert told(read_salaries(two.encode()))[:2] == ("nfl", "classic")


def test_the_caller_may_name_sport_and_mode() -> None:
    text = (DK + "G,N (1),N,1,G,9000,U.S. Open ,Golf,80\n").encode()
    slate = read_salaries(text, sport="pga", mode="showdown")
    assert (slate.sport, slate.mode) == ("pga", "showdown")
    darts = read_salaries((DK + "X,N (1),N,1,X,9000,World Final,Darts,80\n").encode(), sport="darts")
    assert told(darts) == ("darts", "classic", [("X",)])


@pytest.mark.parametrize(
    ("sport", "words"),
    [("nba", ["'QB'", "'nba'", "'nfl'"]), ("pga", ["'QB'", "'pga'"]), ("nhl", ["row 2", "position", "nhl"])],
)
def test_a_wrong_sport_is_named_with_the_one_it_looks_like(sport: str, words: list[str]) -> None:
    text = DK + "QB,N (1),N,1,QB,9000,KC@PHI 09/14/2025 01:00PM ET,KC,1\n"
    with pytest.raises(SalaryFileError) as caught:
        read_salaries(text.encode(), sport=sport)
    assert all(word in str(caught.value) for word in words), caught.value


def test_golfers_are_no_basketball_players() -> None:
    with pytest.raises(SalaryFileError, match="'pga'"):
        read_salaries((DK + "G,N (1),N,1,G,9000,U.S. Open ,Golf,80\n").encode(), sport="nba")


def test_positions_of_no_sport_are_listed() -> None:
    with pytest.raises(SalaryFileError, match=r"\['PG', 'QB'\] are the positions of no sport.*pass the sport"):
        dk(("PG", "PG/UTIL"), ("QB", "QB"))


def test_draftkings_status_column_of_2026() -> None:
    header = DK.replace("\n", ",Status,Starting\n")
    rows = "OF,J (1),J,1,OF,6800,NYY@BOS 06/02/2026 07:05PM ET,NYY,12.3,IL,\n"
    rows += "SP,S (2),S,2,P,6500,NYY@BOS 06/02/2026 07:05PM ET,NYY,11.0,DTD,1\n"
    slate = read_salaries((header + rows).encode("utf-8-sig"))
    assert [p.injury_status for p in slate.players] == ["IL", "DTD"]
    assert slate.players[0].injury_status in OUT_STATUSES


def test_two_namesakes_of_one_team_are_two_people_in_a_showdown() -> None:
    rows = "".join(
        f"{position},J Smith ({i}{slot}),J Smith,{i}{slot},{slot},5000,FSU@UF 11/25/2023 07:00PM ET,FSU,1\n"
        for i, position in enumerate(("RB", "WR"))
        for slot in ("CPT", "UTIL")
    )
    slate = read_salaries((DK + rows).encode())
    assert len({p.person for p in slate.players}) == 2
    with pytest.raises(SalaryFileError, match="duplicate player"):
        read_salaries((DK + rows.replace("WR,", "RB,")).encode())
