"""A user adds a contest with one TOML file; mistakes in it are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.contests import known_contests, load_contest
from features.contests.loader import RULES
from features.errors import UnknownContest
from features.sources.salaries import read_salaries

DARTS = """
source = "https://example.org/darts"
site = "draftkings"
sport = "darts"
mode = "captain"
salary_cap_usd = 30000
salary_step_usd = 100
max_per_game = 1
slots = [
  { name = "CPT", positions = ["X"], points_multiplier = 1.5, salary_multiplier = 1.5 },
  { name = "X", positions = ["X"], count = 3 },
]
team_limits = [{ positions = ["X"], at_most = 2 }]
upload = { header = ["CPT", "X", "X", "X"], cell = "id", max_lineups = 20 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FANTASY_CONTESTS", str(tmp_path))
    return tmp_path


def test_one_file_adds_a_contest_a_salary_file_can_be_of(folder: Path) -> None:
    before = known_contests()
    (folder / "darts.toml").write_text(DARTS)
    assert set(known_contests()) - set(before) == {("draftkings", "darts", "captain")}
    contest = load_contest("draftkings", "darts", "captain")
    assert [(s.name, s.points_multiplier, s.salary_multiplier) for s in contest.slots] == [
        ("CPT", 1.5, 1.5), ("X", 1.0, 1.0), ("X", 1.0, 1.0), ("X", 1.0, 1.0)]  # fmt: skip
    assert (contest.max_per_game, contest.team_limits[0].at_most, contest.max_per_team) == (1, 2, 4)
    pool = (
        "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame\n"
        "X,N (1),N,1,X,9000,World Final,Darts,80\n"
    )
    slate = read_salaries(pool.encode(), sport="darts", mode="captain")
    assert contest.slots[0].accepts(slate.players[0].positions)


def test_a_changed_file_is_read_again_and_a_removed_one_is_gone(folder: Path) -> None:
    path = folder / "darts.toml"
    path.write_text(DARTS)
    first = load_contest("draftkings", "darts", "captain")
    assert load_contest("draftkings", "darts", "captain") is first, "read once"
    path.write_text(DARTS.replace("30000", "350000"))
    assert load_contest("draftkings", "darts", "captain").salary_cap_usd == 350000
    path.unlink()
    with pytest.raises(UnknownContest, match=r"darts.*FANTASY_CONTESTS"):
        load_contest("draftkings", "darts", "captain")


def test_a_users_file_wins_over_the_built_in_one(folder: Path) -> None:
    text = (RULES / "draftkings_nba_classic.toml").read_text()
    (folder / "mine.toml").write_text(text.replace("50000", "60000"))
    assert load_contest("draftkings").salary_cap_usd == 60000
    assert known_contests().count(("draftkings", "nba", "classic")) == 1


def test_two_files_of_one_contest_are_refused(folder: Path) -> None:
    (folder / "a.toml").write_text(DARTS)
    (folder / "b.toml").write_text(DARTS)
    with pytest.raises(UnknownContest, match=r"b\.toml.*draftkings darts captain.*remove one"):
        load_contest("draftkings", "darts", "captain")


def test_a_folder_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTASY_CONTESTS", str(tmp_path / "missing"))
    with pytest.raises(UnknownContest, match=r"missing.*no folder"):
        known_contests()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("salary_cap_usd = 30000", "salary_cap_usd = 0", ["'salary_cap_usd'", "value 0", "above 0"]),
        ("salary_cap_usd = 30000", 'salary_cap_usd = "30k"', ["'salary_cap_usd'", "'30k'"]),
        ("salary_cap_usd = 30000", "", ["'salary_cap_usd'", "missing"]),
        ("max_per_game = 1", "max_per_game = true", ["'max_per_game'", "True"]),
        ("max_per_game = 1", "max_pergame = 1", ["'max_pergame'", "unknown field", "max_per_game"]),
        ('site = "draftkings"', 'site = "draftqueens"', ["'site'", "'draftqueens'", "fanduel"]),
        ('name = "X"', 'nam = "X"', ["'slots[1].nam'", "unknown field", "name"]),
        ("count = 3", 'count = "three"', ["'slots[1].count'", "'three'"]),
        ("points_multiplier = 1.5", "points_multiplier = -1", ["'slots[0].points_multiplier'", "-1", "above 0"]),
        ('name = "X", positions = ["X"]', 'name = "X", positions = "X"', ["'slots[1].positions'", "list"]),
        ('name = "X", positions = ["X"]', 'name = "CPT", positions = ["X"]', ["'slots'", "same positions"]),
        ('team_limits = [{ positions = ["X"]', 'team_limits = [{ positions = ["Y"]', ["'team_limits'", "fit no slot"]),
        ('header = ["CPT", "X", "X", "X"]', 'header = ["CPT", "X"]', ["'upload.header'", "4 slots"]),
        ('cell = "id"', 'cell = "name"', ["'upload.cell'", "'name'", "name_and_id"]),
        ("upload = {", "upload = 1 #", ["'upload'", "table"]),
        ("slots = [", "slots = [[", ["cannot be read as TOML"]),
        ("slots = [", "slots = []\nother = [", ["'other'", "unknown field"]),
    ],
)  # fmt: skip
def test_mistakes_name_file_field_value_and_fix(folder: Path, old: str, new: str, words: list[str]) -> None:
    assert old in DARTS
    (folder / "darts.toml").write_text(DARTS.replace(old, new))
    with pytest.raises(UnknownContest) as caught:
        load_contest("draftkings", "darts", "captain")
    assert all(word in str(caught.value) for word in ["darts.toml", *words]), caught.value


def test_a_contest_without_salaries_says_so(folder: Path) -> None:
    (folder / "darts.toml").write_text(DARTS.replace("30000", '"none"'))
    assert load_contest("draftkings", "darts", "captain").salary_cap_usd is None


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    (folder / "darts.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnknownContest, match=r"darts\.toml cannot be read as TOML"):
        known_contests()
