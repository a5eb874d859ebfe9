"""`fantasy lineups`, `project` and `grade` with what people really pass: one clear message, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.contests import check_lineup, load_contest
from features.sources.salaries import read_salaries
from features.sources.upload import read_upload
from models.lineups.problem import lineup_from_json
from tests.fixtures.command_line import Fantasy, refused, untouched
from tests.fixtures.salary_pool import HEADER, pool, rows

FANDUEL = (
    "Id,Position,First Name,Nickname,Last Name,FPPG,Played,Salary,Game,Team,Opponent,Injury Indicator,"
    "Injury Details,Tier,,,Roster Position\n"
    "125062-15755,C/PF,Anthony,Anthony Davis,Davis,44.45,16,10200,PHI@DAL,DAL,PHI,,,,,,PF/C\n"
)
#: name -> (bytes of the file, words the message must hold)
SPOILT: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "cut in a row": (pool().encode()[:-70], ("cut",)),
    "cut in a quote": (pool().encode() + b'C,"Off, Cut (1', ("not a complete CSV", "cut off")),
    "unknown columns": (b"a,b,c\n1,2,3\n", ("column",)),
    "negative salary": (pool(spoil=(3, ",3650,", ",-3650,")).encode(), ("row 5", "salary", "-3650")),
    "missing salary": (pool(spoil=(0, ",3000,", ",,")).encode(), ("row 2", "salary", "missing")),
    "text salary": (pool(spoil=(0, ",3000,", ",lots,")).encode(), ("row 2", "salary", "lots")),
    "duplicate player": (pool().encode() + rows()[0].encode(), ("row 42", "duplicate", "Ada Abbot", "row 2")),
    "empty slate": (HEADER.encode() + b"\n", ("empty",)),
    "empty file": (b"", ("empty",)),
    "too large": (b"x" * 20_000_000, ("20.0 MB", "limit")),
    "not text": (b"\x89PNG\r\n\x1a\n" + bytes(100), ("image",)),
    "not UTF-8": ((pool() + "PG,").encode() + b"\x81\x8d\x8f\xff\xfe,,,,,,,\n", ("UTF-8",)),
}


@pytest.fixture
def salaries(tmp_path: Path) -> Path:
    """A sound salary file."""
    path = tmp_path / "DKSalaries.csv"
    path.write_text(pool(), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_salary_file_is_refused_whole(fantasy: Fantasy, home: Path, tmp_path: Path, kind: str) -> None:
    content, words = SPOILT[kind]
    path, out = tmp_path / "spoilt.csv", tmp_path / "upload.csv"
    path.write_bytes(content)
    refused(fantasy("lineups", "--salaries", path, "--out", out), "spoilt.csv", *words, error="SalaryFileError")
    untouched(home, out)


def test_errors_are_json_for_a_machine(fantasy: Fantasy, tmp_path: Path) -> None:
    answer = fantasy("project", "--salaries", tmp_path / "nowhere.csv", "--json")
    assert answer.code == 1
    assert answer.json["error"] == "SalaryFileError" and not answer.json["retryable"]
    assert "nowhere.csv" in answer.json["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--site", "fanduel"), ("fanduel", "draftkings")),
        (("--site", "betway"), ("betway", "draftkings", "yahoo")),
        (("--sport", "curling"), ("curling",)),
        (("--league", "wnba"), ("wnba", "nba", "simulated")),
        (("--date", "15.12.2024"), ("15.12.2024", "2024-12-15")),
        (("-n", 0), ("0", "1 to 150")),
        (("-n", 151), ("151", "1 to 150")),
        (("--lock", "Luka Doncic"), ("--lock", "Luka Doncic", "not on this slate")),
        (("--lock", "ada abot"), ("did you mean 'Ada Abbot'",)),
        (("--exclude", "99999"), ("--exclude", "99999", "not on this slate")),
        (("--lock", "Ada Abbot", "--exclude", "Ada Abbot"), ("Ada Abbot", "lock", "exclude")),
        (("--max-exposure", "1.5"), ("exposure", "1.5")),
        (("--max-exposure", "0"), ("exposure", "0")),
        (("--max-exposure", "-0.1"), ("exposure", "-0.1")),
        (("--min-salary", "-1"), ("salary", "-1")),
        (("--min-salary", "50001"), ("salary", "50")),
        (("--unique", "9"), ("unique", "9")),
        (("--projections", "nowhere.csv"), ("nowhere.csv",)),
    ],
)
def test_bad_words_are_named(
    fantasy: Fantasy, home: Path, tmp_path: Path, salaries: Path, words: tuple[object, ...], said: tuple[str, ...]
) -> None:
    out = tmp_path / "upload.csv"
    refused(fantasy("lineups", "--salaries", salaries, "--out", out, *words), *said)
    untouched(home, out)


@pytest.mark.parametrize(("place", "code"), [("folder", 1), ("file/upload.csv", 75)])
def test_an_upload_file_that_cannot_be_written_leaves_nothing(
    fantasy: Fantasy, home: Path, tmp_path: Path, salaries: Path, place: str, code: int
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / place
    refused(fantasy("lineups", "--salaries", salaries, "--out", out), str(out), code=code)
    untouched(home)
    assert sorted(path.name for path in tmp_path.iterdir() if path != home) == [
        "DKSalaries.csv", "file", "folder",
    ]  # fmt: skip


def test_wrong_site_is_told_which_site_it_is(fantasy: Fantasy, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "players.csv"
    path.write_text(FANDUEL)
    refused(fantasy("lineups", "--site", "draftkings", "--salaries", path), "fanduel", "draftkings")
    untouched(home)


def test_own_numbers_of_another_slate_are_refused(
    fantasy: Fantasy, home: Path, tmp_path: Path, salaries: Path
) -> None:
    own = tmp_path / "mine.csv"
    own.write_text("name,points\nNobody Here,40\n")
    refused(fantasy("lineups", "--salaries", salaries, "--projections", own), "mine.csv", "no player of slate")
    own.write_text("name,points\nAda Abbot,forty\n")
    refused(fantasy("lineups", "--salaries", salaries, "--projections", own), "row 2", "points", "forty")
    untouched(home)


def test_lineups_without_any_model_say_so_and_are_legal(
    fantasy: Fantasy, home: Path, tmp_path: Path, salaries: Path
) -> None:
    out = tmp_path / "new" / "upload.csv"
    answer = fantasy("lineups", "--salaries", salaries, "-n", 20, "--out", out, "--lock", "ada abbot", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["fallback"] and answer.json["warnings"]
    slate, contest = read_salaries(salaries), load_contest("draftkings")
    lineups = [lineup_from_json(body) for body in answer.json["lineups"]]
    assert len({frozenset(player.id for player in lineup.players) for lineup in lineups}) == 20
    assert not [problem for lineup in lineups for problem in check_lineup(lineup, slate, contest)]
    assert all("Ada Abbot" in {player.name for player in lineup.players} for lineup in lineups)
    assert len(read_upload(out, slate, contest)) == 20
    kept = json.loads((home / "nba" / "lineups" / "latest.json").read_text())
    assert kept["lineups"] == answer.json["lineups"]


def test_tables_fit_eighty_columns_and_stay_short(
    fantasy: Fantasy, salaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short = fantasy("lineups", "--salaries", salaries, "-n", 20)
    whole = fantasy("lineups", "--salaries", salaries, "-n", 20, "--all")
    projected = fantasy("project", "--salaries", salaries)
    for answer in (short, whole, projected):
        assert answer.code == 0, answer.err
        tables = [line for line in answer.out.splitlines() if "$" in line and "points ·" not in line]
        assert tables and max(map(len, tables)) <= 80
        assert not [line for line in tables if "$" in line and "…" in line.split("$")[1]], "a figure is cut"
    assert short.out.count("UTIL") == 3 and whole.out.count("UTIL") == 20
    assert [line.split()[0] for line in short.out.splitlines() if line.strip().startswith("20 ")] == ["20"]


def test_grade_says_what_is_missing(fantasy: Fantasy, tmp_path: Path, salaries: Path) -> None:
    refused(fantasy("grade"), "--data")
    refused(fantasy("grade", "--data", tmp_path), "fantasy lineups")
    built = fantasy("lineups", "--salaries", salaries, "--json")
    refused(fantasy("grade", "--data", tmp_path), str(tmp_path), code=75)
    kept, broken = tmp_path / "built.json", tmp_path / "broken.json"
    kept.write_text(built.out)
    refused(fantasy("grade", "--data", tmp_path, "--lineups", kept), "games.parquet", code=75)
    for text in ("{cut", "[]", '{"league": "nba"}', json.dumps({**built.json, "league": "mlb"})):
        broken.write_text(text)
        refused(fantasy("grade", "--data", tmp_path, "--lineups", broken), "broken.json", "--lineups")


def test_a_setting_that_makes_no_sense_is_named(fantasy: Fantasy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTASY_PORT", "abc")
    answer = fantasy("doctor")
    assert answer.code == 1
    assert "FANTASY_PORT 'abc'" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no-teams.toml", "[[stacks]]\nsize = 2\nteams = []", ("teams is empty",)),
        ("no-games.toml", "[[game_stacks]]\nsize = 3\ngames = []", ("games is empty",)),
        ("nobody.toml", '[[conditions]]\nwhen = []\nthen = ["Ada Abbot"]', ("when is empty",)),
        ("long.toml", f"min_salary_usd = {'9' * 400}", ("min_salary_usd", "400 digits")),
        ("seed.toml", "[objective]\nrandomness = 0.5\nseed = -5", ("seed", "-5")),
        ("many.toml", "n = 1000000\n[objective]\nrandomness = 0.5", ("1000000", "1 to 150")),
        ("deep.json", "[" * 100_000, ("nested too deep",)),
        ("nested.json", json.dumps({"locked": [[[[[[[[[[["a"]]]]]]]]]]]}), ("nested too deep",)),
    ],
)
def test_rules_no_solver_could_read_are_named(
    fantasy: Fantasy, home: Path, tmp_path: Path, salaries: Path, name: str, content: str, said: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content)
    refused(fantasy("lineups", "--salaries", salaries, "--rules", tmp_path / name), *said)
    untouched(home)


def test_a_file_without_end_is_not_read_to_its_end(fantasy: Fantasy, salaries: Path) -> None:
    for words in (
        ("--salaries", "/dev/zero"),
        ("--salaries", salaries, "--rules", "/dev/zero"),
        ("--salaries", salaries, "--entries", "/dev/zero"),
    ):
        refused(fantasy("lineups", *words), "/dev/zero")


def test_the_salary_file_is_never_written_over(fantasy: Fantasy, salaries: Path) -> None:
    before = salaries.read_bytes()
    refused(fantasy("lineups", "--salaries", salaries, "--out", salaries), "is the salary file")
    assert salaries.read_bytes() == before
