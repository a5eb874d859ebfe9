"""Content hashes depend on what a record says, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.fingerprint import file_hash, frame_hash, record_hashes
from features.tables import PBP, TIMES
from tests.fixtures import tiny_league

EVENTS = tiny_league.timed("pbp", tiny_league.pbp(2024))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_row_order_and_neighbours_do_not_matter(seed: int) -> None:
    whole = record_hashes("pbp", EVENTS)
    assert record_hashes("pbp", EVENTS.sample(fraction=1.0, shuffle=True, seed=seed)) == whole
    game_id = sorted(whole)[seed % len(whole)]
    alone = record_hashes("pbp", EVENTS.filter(pl.col("game_id") == game_id))
    assert alone == {game_id: whole[game_id]}


def test_known_time_does_not_matter_but_event_time_does() -> None:
    later = pl.col("known_time") + pl.duration(hours=1)
    assert record_hashes("pbp", EVENTS.with_columns(known_time=later)) == record_hashes("pbp", EVENTS)
    moved = record_hashes("pbp", EVENTS.with_columns(event_time=later))
    assert not set(moved.values()) & set(record_hashes("pbp", EVENTS).values())


def test_the_hash_is_the_same_in_every_process_and_version() -> None:
    # A changed number here means that every stored record would count as changed after an upgrade.
    assert record_hashes("pbp", EVENTS)["0022400001"] == "4cc9b583f154678d438db6d95cb5e212"


@pytest.mark.parametrize("column", [name for name in (*PBP, "event_time") if name not in ("game_id", "season")])
def test_any_column_of_one_row_changes_its_game_and_no_other(column: str) -> None:
    dtype = {**PBP, **TIMES}[column]
    rows = EVENTS.sort("game_id", "seq").with_row_index()
    target = (pl.col("index") == 2) if column != "seq" else (pl.col("index") == 4)
    other = pl.lit("zz", pl.String()) if dtype == pl.String() else pl.lit(99).cast(dtype)
    changed = rows.with_columns(pl.when(target).then(other).otherwise(pl.col(column)).alias(column))
    before, after = record_hashes("pbp", EVENTS), record_hashes("pbp", changed)
    assert {game_id for game_id in before if before[game_id] != after[game_id]} == {"0022400001"}


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(
        st.tuples(st.none() | st.text("ab", max_size=2), st.none() | st.sampled_from([0.0, 1.0])), max_size=6
    ),
    other=st.lists(
        st.tuples(st.none() | st.text("ab", max_size=2), st.none() | st.sampled_from([0.0, 1.0])), max_size=6
    ),
)
def test_two_frames_have_one_hash_only_when_they_are_equal(rows: list, other: list) -> None:
    schema = {"text": pl.String(), "number": pl.Float32()}
    left, right = (pl.DataFrame(values, schema=schema, orient="row") for values in (rows, other))
    assert (frame_hash(left) == frame_hash(right)) == (rows == other)


def test_null_zero_and_empty_differ_and_the_two_zeros_do_not() -> None:
    def number(value: float | None) -> str:
        return frame_hash(pl.DataFrame({"x": [value]}, schema={"x": pl.Float32()}))

    def word(value: str | None) -> str:
        return frame_hash(pl.DataFrame({"x": [value]}, schema={"x": pl.String()}))

    assert number(None) != number(0.0)
    assert number(-0.0) == number(0.0)
    assert word(None) != word("")


def test_empty_frames_have_no_records() -> None:
    assert record_hashes("pbp", EVENTS.clear()) == {}


def test_a_file_is_its_bytes_and_a_folder_its_files(tmp_path: Path) -> None:
    for name, content in (("a.parquet", b"1"), ("b.parquet", b"2"), ("note.txt", b"3")):
        (tmp_path / name).write_bytes(content)
    assert file_hash(tmp_path / "a.parquet") != file_hash(tmp_path / "b.parquet")
    before = file_hash(tmp_path)
    (tmp_path / "note.txt").write_bytes(b"4")
    assert file_hash(tmp_path) == before
    (tmp_path / "b.parquet").write_bytes(b"5")
    assert file_hash(tmp_path) != before
