"""Names as people write them, and matching a slate to NBA.com ids without ever giving one id twice."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.slate import Slate, SlatePlayer
from features.sources.game_info import eastern_day
from features.sources.player_names import MatchReport, normalize_name
from features.sources.salaries import date_from_name, match_players, read_salaries

TODAY = date(2024, 12, 14)


def match(
    slate: list[tuple[str, str]], directory: list[tuple[int, str, str] | tuple[int, str, str, date]]
) -> MatchReport:
    players = tuple(
        SlatePlayer(str(i), name, ("PG",), 5000, team, "", False, 0.0) for i, (name, team) in enumerate(slate)
    )
    rows = [(*entry, TODAY)[:4] for entry in directory]
    schema = {"player_id": pl.Int32, "player_name": pl.String, "team": pl.String, "last_played": pl.Date}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return match_players(Slate("s", "draftkings", "nba", "classic", None, (), players), frame)


def ids(report: MatchReport) -> list[int | None]:
    return [p.player_id for p in report.slate.players]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Luka Dončić", "Luka Doncic"), ("P.J. Tucker", "PJ Tucker"), ("P. J. Tucker", "PJ Tucker"),
        ("Larry Nance Jr.", "Larry Nance"), ("Robert Williams III", "robert williams"),
        ("Đorđe Łaß", "Dorde Lass"),
        ("Shai Gilgeous-Alexander", "Shai Gilgeous Alexander"), ("De'Aaron Fox", "DeAaron Fox"),
        ("Dennis Schröder", "Dennis Schroder"), ("Karl-Anthony Towns", "Karl Anthony  Towns"),
        ("Enes Kanter", "Enes Freedom"),
    ],
)  # fmt: skip
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert normalize_name(one) == normalize_name(other)


def test_suffix_is_kept_on_request_and_different_names_stay_different() -> None:
    assert normalize_name("Gary Payton II", suffix=True) == "gary payton ii"
    assert normalize_name("V") == "v"
    assert normalize_name("Jalen Williams") != normalize_name("Jaylin Williams")


@given(st.text(max_size=30))
def test_normalizing_is_idempotent_and_ascii(name: str) -> None:
    plain = normalize_name(name)
    assert normalize_name(plain) == plain
    assert plain.isascii()


def test_accents_suffixes_and_trades() -> None:
    report = match(
        [("Luka Doncic", "DAL"), ("Jimmy Butler III", "MIA"), ("Kyle Lowry", "PHI")],
        [(1, "Luka Dončić", "DAL"), (2, "Jimmy Butler", "MIA"), (3, "Kyle Lowry", "TOR")],
    )
    assert ids(report) == [1, 2, 3]
    assert report.rules == {"full name and team": 1, "name and team": 1, "name": 1}
    assert (report.matched, report.unmatched, report.ambiguous) == (3, (), ())


@pytest.mark.parametrize(
    ("on_slate", "in_archive"),
    [
        ("Alexandre Sarr", "Alex Sarr"), ("Jose Juan Barea", "J.J. Barea"), ("Louis Williams", "Lou Williams"),
        ("Luc Richard Mbah a Moute", "Luc Mbah a Moute"), ("Carlton Carrington", "Bub Carrington"),
        ("Nene Hilario", "Nene"), ("Denis Schroder", "Dennis Schröder"), ("Moe Harkless", "Maurice Harkless"),
        ("Luka Doncic", "Doncic"), ("Nicolas Claxton", "Nic Claxton"),
    ],
)  # fmt: skip
def test_short_forms_within_a_team(on_slate: str, in_archive: str) -> None:
    assert ids(match([(on_slate, "WAS")], [(7, in_archive, "WAS"), (8, "Somebody Else", "WAS")])) == [7]


def test_brothers_namesakes_and_lookalikes_are_not_mixed_up() -> None:
    report = match(
        [("Jalen Williams", "OKC"), ("Jaylin Williams", "OKC"), ("Bronny James", "LAL"), ("Marcus Morris", "DET")],
        [(1, "Jaylin Williams", "OKC"), (2, "LeBron James", "LAL"), (3, "Markieff Morris", "DET")],
    )
    assert ids(report) == [None, 1, None, None]
    assert len(report.unmatched) == 3


def test_last_names_only_need_a_unique_bearer_on_both_sides() -> None:
    report = match([("Marcus Morris", "PHX"), ("Markieff Morris", "PHX"), ("Eric Bledsoe", "PHX")],
                   [(1, "Morris", "PHX"), (2, "Bledsoe", "PHX")])  # fmt: skip
    assert ids(report) == [None, None, 2]
    assert [p.name for p, _ in report.ambiguous] == ["Marcus Morris", "Markieff Morris"]
    two = match([("Marcus Morris", "PHX")], [(1, "Morris", "PHX"), (2, "Morris", "PHX")])
    assert ids(two) == [None]
    assert two.ambiguous[0][1] == (1, 2)


def test_of_two_namesakes_the_active_one_is_meant_and_two_active_ones_are_ambiguous() -> None:
    old = TODAY - timedelta(days=900)
    assert ids(
        match([("Chris Johnson", "UTA")], [(1, "Chris Johnson", "POR", old), (2, "Chris Johnson", "MEM")])
    ) == [2]
    unsure = match([("Chris Johnson", "UTA")], [(1, "Chris Johnson", "POR"), (2, "Chris Johnson", "MEM")])
    assert ids(unsure) == [None]
    assert unsure.ambiguous[0][1] == (1, 2)
    assert ids(match([("Chris Johnson", "MEM")], [(1, "Chris Johnson", "POR"), (2, "Chris Johnson", "MEM")])) == [
        2
    ]


def test_a_showdown_lists_one_person_twice_with_one_id() -> None:
    assert ids(match([("Jayson Tatum", "BOS"), ("Jayson Tatum", "BOS")], [(5, "Jayson Tatum", "BOS")])) == [5, 5]


FIRST = st.sampled_from(["Jalen", "Jaylin", "J", "Jay", "Cam", "Cameron", ""])
LAST = st.sampled_from(["Williams", "Williams Jr.", "Johnson", "Moses Johnson"])
NAMES = st.tuples(FIRST, LAST).map(" ".join)
TEAMS = st.sampled_from(["OKC", "MIA"])


@given(st.lists(st.tuples(NAMES, TEAMS), max_size=8, unique=True), st.lists(st.tuples(NAMES, TEAMS), max_size=8))
def test_no_two_people_ever_share_an_id(slate: list[tuple[str, str]], directory: list[tuple[str, str]]) -> None:
    report = match(slate, [(i, name, team) for i, (name, team) in enumerate(directory)])
    people: dict[int, set[tuple[str, str]]] = {}
    for player in report.slate.players:
        if player.player_id is not None:
            people.setdefault(player.player_id, set()).add((normalize_name(player.name, suffix=True), player.team))
    assert all(len(bearers) == 1 for bearers in people.values())
    assert report.matched + len(report.unmatched) + len(report.ambiguous) == len(slate)


def test_an_empty_directory_matches_nobody() -> None:
    assert ids(match([("Luka Doncic", "DAL")], [])) == [None]


@pytest.mark.real_data
def test_rotation_players_of_real_slates_are_matched(
    fantasy_data: Path, record_property: pytest.RecordProperty, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of those who played 15 minutes and were known before the slate, at least 99.9 % get their own id."""
    files = sorted((fantasy_data / "dfs" / "draftkings" / "nba" / "salaries").glob("2*.csv"))
    files += sorted((fantasy_data / "dfs" / "fanduel" / "nba" / "salaries").glob("2*.csv"))
    columns = ["game_date", "player_id", "player_name", "team", "min"]
    paths = sorted((fantasy_data / "nba" / "box").glob("*.parquet"))
    box = pl.concat([pl.read_parquet(path, columns=columns) for path in paths])
    counts: Counter[str] = Counter()
    for path in files:
        slate = read_salaries(path, slate_date=date_from_name(path))
        assert slate.lock is not None
        day = eastern_day(slate.lock)
        known = box.filter(pl.col("game_date") < day).sort("game_date").group_by("player_id")
        directory = known.agg(pl.col("player_name", "team").last(), last_played=pl.col("game_date").last())
        teams = [team for game in slate.games for team in (game.away_team, game.home_team)]
        night = box.filter((pl.col("game_date") == day) & (pl.col("min") >= 15) & pl.col("team").is_in(teams))
        rotation = night.join(directory, on="player_id", how="semi")
        found = {p.player_id: p.team for p in match_players(slate, directory).slate.players}
        for player_id, team in rotation.select("player_id", "team").iter_rows():
            counts["rotation"] += 1
            counts["matched"] += player_id in found
            counts["wrong team"] += found.get(player_id, team) != team
    rate = counts["matched"] / counts["rotation"]
    record_property("match_rate", rate)
    with capsys.disabled():
        print(f"\nrotation players matched: {counts['matched']}/{counts['rotation']} = {rate:.4%}")  # noqa: T201
    assert counts["rotation"] > 15_000
    assert rate >= 0.999
    assert counts["wrong team"] == 0
