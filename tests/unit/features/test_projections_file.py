"""The player's own projections, by id or name."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SalaryFileError
from features.slate import Slate, SlatePlayer
from features.sources.salaries import read_projections, read_salaries


def slate(*names: str, team: str = "DAL") -> Slate:
    players = tuple(SlatePlayer(str(i), n, ("PG",), 5000, team, "LAL", True, 0.0) for i, n in enumerate(names))
    return Slate("s", "draftkings", "nba", "classic", None, (), players)


def test_by_name_whatever_the_accents_and_by_id() -> None:
    pool = slate("Luka Dončić", "P.J. Washington")
    assert read_projections(b"Name,Fpts\nLuka Doncic,52.9\nPJ Washington,0\nOther,3\n", pool) == {
        "0": 52.9,
        "1": 0.0,
    }
    assert read_projections(b"id,projection\n1,31.5\n", pool) == {"1": 31.5}


def test_the_team_parts_namesakes_and_unknown_teams_do_not_matter() -> None:
    pool = slate("A B", "C D")
    other = SlatePlayer("9", "A B", ("C",), 4000, "PHX", "SAS", True, 0.0)
    both = Slate("s", "draftkings", "nba", "classic", None, (), (*pool.players, other))
    assert read_projections(b"Name,Team,Points\nA B,PHO,1\nA B,DAL,2\nC D,XXX,3\n", both) == {
        "9": 1,
        "0": 2,
        "1": 3,
    }


def test_showdown_rows_of_one_player_share_his_points() -> None:
    assert read_projections(b"Name,Fpts\nA B,20\n", slate("A B", "A B")) == {"0": 20, "1": 20}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Name,Fpts\nA B,nan\n", "row 2"),
        ("Name,Fpts\nA B,\n", "row 2"),
        ("Name,Fpts\nA B,inf\n", "row 2"),
        ("Name,Fpts\nA B,1\nA. B.,2\n", "twice"),
        ("Name,Salary\nA B,1\n", "no projection columns"),
        ("Name,Fpts\nX Y,1\n", "no player"),
        ("", "empty"),
    ],
)
def test_bad_projections_are_refused(text: str, message: str) -> None:
    with pytest.raises(SalaryFileError, match=message):
        read_projections(text.encode(), slate("A B"))


@pytest.mark.real_data
def test_real_projections_cover_their_slates(fantasy_data: Path) -> None:
    folder = fantasy_data / "dfs" / "draftkings" / "nba"
    for day in ("2024-12-13", "2024-12-15", "2024-12-16"):
        pool = read_salaries(next((folder / "salaries").glob(f"{day}*.csv")))
        found = read_projections(folder / "projections" / f"{day}_third_party.csv", pool)
        assert len(found) >= 0.9 * len(pool.players), day
