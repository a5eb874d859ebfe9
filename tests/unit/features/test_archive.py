"""The archive source reads recorded seasons, tolerates what may be missing and names what is broken."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import SchemaError, SourceUnavailable
from features.sources.archive import ArchiveSource
from features.sources.base import Batch
from features.tables import FINAL_AFTER_TIP, SCHEMAS, TIMES
from tests.fixtures import tiny_league
from tests.fixtures.tiny_league import AFTER_EVERYTHING


def batches(
    data: Path, as_of: datetime = AFTER_EVERYTHING, seasons: list[int] | None = None, cursors: dict | None = None
) -> dict[str, Batch]:
    found = ArchiveSource(data).batches(as_of=as_of, seasons=seasons, cursors=cursors or {})
    return {batch.key: batch for batch in found}


def rewrite(path: Path, change) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


def test_every_season_and_table_comes_in_the_archive_schema_with_times(tmp_path: Path) -> None:
    found = batches(tiny_league.write(tmp_path, 2023, 2031))
    assert set(found) == {f"{table}/season={year}" for table in SCHEMAS for year in (2023, 2031)}
    for batch in found.values():
        assert batch.frame.schema == {**SCHEMAS[batch.table], **TIMES}
        assert batch.frame.select(*TIMES).null_count().sum_horizontal().item() == 0
        assert set(batch.frame["season"]) == {batch.season}


def test_times_are_those_of_the_tip_off(tmp_path: Path) -> None:
    rows = batches(tiny_league.write(tmp_path, 2024))["box/season=2024"].frame
    first = rows.row(0, named=True)
    # 1 November 2024, 19:30 Eastern daylight time is 23:30 UTC; the clocks went back two nights later.
    assert first["event_time"] == datetime(2024, 11, 1, 23, 30, tzinfo=UTC)
    assert first["known_time"] == first["event_time"] + FINAL_AFTER_TIP
    last = rows.filter(pl.col("game_date") == date(2024, 11, 4)).row(0, named=True)
    assert last["event_time"] == datetime(2024, 11, 5, 0, 30, tzinfo=UTC)


def test_as_of_hides_what_was_not_known(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    second_day_begins = datetime(2024, 11, 2, 4, 0, tzinfo=UTC)
    found = batches(data, as_of=second_day_begins)
    assert {batch.frame["game_id"].n_unique() for batch in found.values()} == {1}
    assert batches(data, as_of=second_day_begins - timedelta(hours=1, microseconds=1)) == {}


def test_cursor_skips_what_did_not_move(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2023, 2024)
    cursors = {key: batch.cursor for key, batch in batches(data).items()}
    assert batches(data, cursors=cursors) == {}
    assert batches(data, as_of=AFTER_EVERYTHING + timedelta(days=9), cursors=cursors) == {}
    rewrite(data / "nba/box/season=2024.parquet", lambda rows: rows.with_columns(pts=pl.col("pts") + 1))
    assert set(batches(data, cursors=cursors)) == {"box/season=2024"}


def test_cursor_moves_when_as_of_reveals_more_games_of_that_season_only(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2023, 2024)
    early = datetime(2024, 11, 3, 12, 0, tzinfo=UTC)
    cursors = {key: batch.cursor for key, batch in batches(data, as_of=early).items()}
    assert set(batches(data, cursors=cursors)) == {"games/season=2024", "box/season=2024", "pbp/season=2024"}


def test_seasons_narrow_and_an_absent_one_is_named(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2023, 2024)
    assert {batch.season for batch in batches(data, seasons=[2024]).values()} == {2024}
    with pytest.raises(SourceUnavailable, match=r"2019.*\[2023, 2024\]"):
        batches(data, seasons=[2019, 2024])


def test_box_and_games_alone_are_enough(tmp_path: Path) -> None:
    found = batches(tiny_league.write(tmp_path, 2024, with_pbp=False))
    assert set(found) == {"games/season=2024", "box/season=2024"}


def test_tables_not_asked_for_are_not_even_opened(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    (data / "nba/pbp/season=2024.parquet").write_bytes(b"damaged")
    source = ArchiveSource(data, tables=("games", "box"))
    found = source.batches(as_of=AFTER_EVERYTHING, seasons=None, cursors={})
    assert [batch.table for batch in found] == ["games", "box"]


def test_a_season_may_be_a_folder_of_files(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    whole = data / "nba/box/season=2024.parquet"
    rows = pl.read_parquet(whole)
    whole.unlink()
    folder = data / "nba/box/season=2024"
    folder.mkdir()
    rows.head(6).write_parquet(folder / "a.parquet")
    rows.tail(-6).write_parquet(folder / "b.parquet")
    assert batches(data)["box/season=2024"].frame.height == rows.height


def test_categorical_and_last_name_only_columns_are_read_as_text(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    rewrite(
        data / "nba/box/season=2024.parquet",
        lambda rows: rows.with_columns(pl.col("team").cast(pl.Categorical), player_name=pl.lit("Tatum")),
    )
    frame = batches(data)["box/season=2024"].frame
    assert frame.schema["team"] == pl.String()
    assert set(frame["player_name"]) == {"Tatum"}


def test_swapped_scores_are_validations_to_find(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    rewrite(
        data / "nba/games.parquet",
        lambda rows: rows.rename({"home_score": "away_score", "away_score": "home_score"}),
    )
    frame = batches(data)["games/season=2024"].frame
    assert (frame["home_score"] < frame["away_score"]).all()
    assert frame["home_win"].all()


def test_a_game_without_tip_time_is_known_as_late_as_the_latest(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    rewrite(data / "nba/games.parquet", lambda rows: rows.with_columns(tip_et_min=pl.lit(None, pl.Int16)))
    frame = batches(data)["games/season=2024"].frame
    assert frame["tip_et_min"].null_count() == frame.height
    assert frame["event_time"][0] == datetime(2024, 11, 2, 2, 30, tzinfo=UTC)


def test_rows_of_an_unknown_game_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tiny_league.write(tmp_path, 2024)
    rewrite(
        data / "nba/box/season=2024.parquet",
        lambda rows: pl.concat([rows, rows.head(1).with_columns(game_id=pl.lit("0029999999"))]),
    )
    with caplog.at_level(logging.WARNING):
        frame = batches(data)["box/season=2024"].frame
    assert "0029999999" not in frame["game_id"]
    assert "0029999999" in caplog.text


def test_no_archive_at_all_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="--data"):
        batches(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_truncated_season_stops_everything_before_the_first_batch(tmp_path: Path, keep: int) -> None:
    data = tiny_league.write(tmp_path, 2023, 2024)
    path = data / "nba/box/season=2024.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    source = ArchiveSource(data).batches(as_of=AFTER_EVERYTHING, seasons=None, cursors={})
    with pytest.raises(SourceUnavailable, match=r"box/season=2024\.parquet.*restore or delete"):
        next(source)
    assert set(batches(data, seasons=[2023])) == {"games/season=2023", "box/season=2023", "pbp/season=2023"}


def test_damage_inside_a_file_is_named(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    path = data / "nba/pbp/season=2024.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(bytes(content))
    with pytest.raises(SourceUnavailable, match=r"pbp/season=2024\.parquet"):
        batches(data)


def test_missing_and_impossible_columns_name_the_file(tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path, 2024)
    path = data / "nba/box/season=2024.parquet"
    sound = pl.read_parquet(path)
    sound.drop("pts").write_parquet(path)
    with pytest.raises(SchemaError, match=r"box/season=2024\.parquet.*pts"):
        batches(data)
    sound.with_columns(pts=pl.lit("many")).write_parquet(path)
    with pytest.raises(SchemaError, match=r"box/season=2024\.parquet"):
        batches(data)


DK = (
    "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame\n"
    "PG,Ann One (11),Ann One,11,PG/G/UTIL,5000,NYK@BOS 12/15/2024 06:00PM ET,BOS,20.5\n"
    "C,Bob Two (12),Bob Two,12,C/UTIL,6000,NYK@BOS 12/15/2024 06:00PM ET,NYK,30\n"
)
MANIFEST = (
    "file,site,sport,kind,date,mode\n"
    "draftkings/nba/salaries/a.csv,draftkings,nba,salary,2024-12-15,classic\n"
    "draftkings/nba/salaries/bad.csv,draftkings,nba,salary,2024-12-15,classic\n"
    "draftkings/nba/salaries/other_day.csv,draftkings,nba,salary,2024-12-16,classic\n"
    "draftkings/nfl/salaries/nfl.csv,draftkings,nfl,salary,2024-12-15,classic\n"
    "draftkings/nba/contests/c.csv,draftkings,nba,contest_final,2024-12-15,classic\n"
)


def test_slates_of_a_day_come_from_the_manifest_and_a_bad_file_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "dfs/draftkings/nba/salaries"
    folder.mkdir(parents=True)
    (tmp_path / "dfs/manifest.csv").write_text(MANIFEST)
    (folder / "a.csv").write_text(DK)
    (folder / "bad.csv").write_text("not,a,salary,file\n1,2,3,4\n")
    with caplog.at_level(logging.WARNING):
        slates = ArchiveSource(tmp_path).slates(date(2024, 12, 15))
    assert [slate.site for slate in slates] == ["draftkings"]
    assert slates[0].lock == datetime(2024, 12, 15, 23, 0, tzinfo=UTC)
    assert "bad.csv" in caplog.text
    assert ArchiveSource(tmp_path).slates(date(2020, 1, 1)) == []


def test_without_manifest_there_are_no_slates_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert ArchiveSource(tmp_path).slates(date(2024, 12, 15)) == []
    (tmp_path / "dfs").mkdir()
    (tmp_path / "dfs/manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceUnavailable, match=r"manifest\.csv lacks columns"):
        ArchiveSource(tmp_path).slates(date(2024, 12, 15))
