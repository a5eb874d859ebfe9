"""Grades of lineups: box points, and the share of a real field they beat."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from features.contests import check_lineup, load_contest
from features.errors import InvalidInput, SchemaError
from features.slate import Slate, SlatePlayer
from features.sources.salaries import match_players, read_salaries
from features.sources.standings import read_standings
from features.sources.upload import UploadLineup, UploadPlayer
from models.lineups.grading import field_standing, grade

SLATE = Slate(
    "s", "draftkings", "nba", "classic", None, (),
    tuple(SlatePlayer(str(i), f"P{i}", ("PG",), 5000 + i, "DAL", "LAL", True, 0.0, player_id=i or None)
          for i in range(4)),
)  # fmt: skip
BOX = pl.DataFrame(
    {"player_id": [1, 2, 99], "pts": [10, 20, 50], "fg3m": [2, 0, 0], "reb": [10, 4, 0], "ast": [0, 2, 0],
     "stl": [0, 1, 0], "blk": [0, 0, 0], "tov": [2, 0, 0]}
)  # fmt: skip
#: DraftKings: 10 + 1 + 12.5 - 1 + 1.5 (double-double) and 20 + 5 + 3 + 2.
P1, P2 = 24.0, 30.0


def lineup(*ids: str) -> UploadLineup:
    return UploadLineup(tuple(UploadPlayer(i, "PG") for i in ids))


def field(*points: float, remaining: float = 0) -> bytes:
    rows = "".join(f"{i},{i},u,{remaining},{p},,,A,PG,1%,1\n" for i, p in enumerate(points, start=1))
    head = "Rank,EntryId,EntryName,TimeRemaining,Points,Lineup,,Player,Roster Position,%Drafted,FPTS\n"
    return (head + rows).encode()


def test_points_salary_and_players_without_a_box_row() -> None:
    grades = grade([lineup("1", "2"), lineup("1", "3", "0")], BOX, SLATE)
    assert grades.frame.columns == ["lineup", "points", "salary_usd", "unplayed"]
    assert grades.frame.rows() == [(1, P1 + P2, 10003, []), (2, P1, 15004, ["P3", "P0"])]
    assert [p.site_id for p in grades.unplayed] == ["3", "0"]


def test_points_follow_the_site() -> None:
    fanduel = grade([lineup("1")], BOX, replace(SLATE, site="fanduel")).frame
    assert fanduel["points"].to_list() == pytest.approx([10 + 12 - 2])


def test_rank_and_percentile_with_ties_half() -> None:
    standings = read_standings(field(100, 54, 54, 30, 0))
    frame = grade([lineup("1", "2"), lineup("2"), lineup("3")], BOX, SLATE, standings).frame
    assert frame["points"].to_list() == [54, 30, 0]
    assert frame["rank"].to_list() == [2, 4, 5]
    assert frame["field_percentile"].to_list() == pytest.approx([(2 + 1) / 5, (1 + 0.5) / 5, 0.5 / 5])
    assert frame["field_size"].to_list() == [5, 5, 5]


def test_scores_above_and_below_everybody() -> None:
    standing = field_standing(pl.Series([101.0, -1.0]), read_standings(field(100, 50)))
    assert standing["field_percentile"].to_list() == [1.0, 0.0]
    assert standing["rank"].to_list() == [1, 3]


def test_equal_scores_of_float_sums_are_ties() -> None:
    standing = field_standing(pl.Series([0.1 + 0.2]), read_standings(field(0.3)))
    assert standing["field_percentile"].to_list() == [0.5]


def test_what_cannot_be_graded_is_refused() -> None:
    with pytest.raises(SchemaError, match="more than once"):
        grade([lineup("1")], pl.concat([BOX, BOX]), SLATE)
    with pytest.raises(InvalidInput, match="'7'"):
        grade([lineup("7")], BOX, SLATE)
    with pytest.raises(InvalidInput, match="no lineups"):
        grade([], BOX, SLATE)
    nobody = replace(SLATE, players=tuple(replace(p, player_id=None) for p in SLATE.players))
    with pytest.raises(InvalidInput, match="match"):
        grade([lineup("1")], BOX, nobody)
    with pytest.raises(InvalidInput, match="still runs"):
        grade([lineup("1")], BOX, SLATE, read_standings(field(1, remaining=12)))


@pytest.mark.real_data
@pytest.mark.parametrize("day", ["2024-12-10", "2024-12-11", "2024-12-15"])
def test_real_entries_are_legal_and_grade_to_their_official_points(fantasy_data: Path, day: str) -> None:
    folder = fantasy_data / "dfs" / "draftkings" / "nba"
    box = pl.read_parquet(fantasy_data / "nba" / "box" / "season=2024.parquet")
    that_day = pl.col("game_date") == date.fromisoformat(day)
    known = box.filter(pl.col("game_date") <= date.fromisoformat(day)).sort("game_date").group_by("player_id")
    directory = known.agg(pl.col("player_name", "team").last(), last_played=pl.col("game_date").last())
    slate = match_players(read_salaries(next((folder / "salaries").glob(f"{day}*.csv"))), directory).slate
    standings = read_standings(next((folder / "contests").glob(f"{day}_final*")))
    ids = {p.name: p.site_id for p in slate.players}
    entries = standings.entries.filter(pl.col("lineup").list.len() > 0)
    lineups = [
        UploadLineup(tuple(UploadPlayer(ids[name], slot) for name, slot in zip(names, slots, strict=True)))
        for names, slots in entries.select("lineup", "slots").iter_rows()
    ]
    contest = load_contest("draftkings")
    assert all(check_lineup(one, slate, contest) == () for one in lineups)
    frame = grade(lineups, box.filter(that_day), slate, standings).frame
    assert (frame["points"] - entries["points"]).abs().max() < 1e-6  # type: ignore[operator]
    assert (frame["rank"] == entries["rank"]).all()
    assert frame["field_percentile"].is_between(0, 1).all()
