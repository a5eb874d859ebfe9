"""The ledger is exact whatever happens to its Bloom filter."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SchemaError
from features.ledger import Ledger
from features.sources.base import Batch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def batch(table: str = "box", season: int = 2024, cursor: str = "c1") -> Batch:
    return Batch(table, season, f"{table}/season={season}", cursor, pl.DataFrame())


def commit(folder: Path, hashes: dict[str, str], source: str = "archive", given: Batch | None = None) -> None:
    with Ledger(folder) as ledger:
        ledger.commit(source, given or batch(), hashes, seen_at=NOW)


def test_what_was_committed_is_found_by_another_ledger(tmp_path: Path) -> None:
    commit(tmp_path, {"g1": "aa", "g2": "bb"})
    with Ledger(tmp_path) as ledger:
        assert ledger.hashes("archive", "box", ["g1", "g2", "g3"]) == {"g1": "aa", "g2": "bb"}
        assert ledger.hashes("archive", "pbp", ["g1"]) == {}
        assert ledger.hashes("nba", "box", ["g1"]) == {}
        assert ledger.cursors("archive", None) == {"box/season=2024": "c1"}
        assert ledger.cursors("archive", [2023]) == {}
        assert ledger.cursors("nba", None) == {}


def test_first_seen_stays_and_last_changed_moves(tmp_path: Path) -> None:
    later = datetime(2026, 2, 2, tzinfo=UTC)
    commit(tmp_path, {"g1": "aa"})
    with Ledger(tmp_path) as ledger:
        ledger.commit("archive", batch(cursor="c2"), {"g1": "cc"}, seen_at=later)
        assert ledger.cursors("archive", None) == {"box/season=2024": "c2"}
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        rows = database.execute("SELECT content_hash, first_seen, last_changed FROM records").fetchall()
    assert rows == [("cc", NOW.isoformat(), later.isoformat())]


def test_a_failed_commit_leaves_neither_records_nor_cursor(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, pytest.raises(SchemaError):
        with Ledger(tmp_path) as other:
            other.commit("archive", batch(), {"g1": None}, seen_at=NOW)  # type: ignore[dict-item]
        assert ledger.cursors("archive", None) == {}
    with Ledger(tmp_path) as ledger:
        assert ledger.hashes("archive", "box", ["g1"]) == {}
        assert ledger.cursors("archive", None) == {}


@pytest.mark.parametrize("harm", ["missing", "older", "garbage", "truncated"])
def test_any_state_of_the_filter_file_gives_the_same_answers(tmp_path: Path, harm: str) -> None:
    commit(tmp_path, {"g1": "aa"})
    path = tmp_path / "ledger.bloom"
    older = path.read_bytes()
    commit(tmp_path, {"g2": "bb"})
    current = path.read_bytes()
    assert current != older
    content = {"older": older, "garbage": b"?" * 100, "truncated": current[:50]}
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(content[harm])
    with Ledger(tmp_path) as ledger:
        assert ledger.hashes("archive", "box", ["g1", "g2"]) == {"g1": "aa", "g2": "bb"}


def test_a_ledger_open_elsewhere_sees_new_records_once_it_is_exclusive(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.hashes("archive", "box", ["g1"]) == {}
        commit(tmp_path, {"g1": "aa"})
        with ledger.exclusive():
            assert ledger.hashes("archive", "box", ["g1"]) == {"g1": "aa"}


def test_false_positives_are_measured_and_near_the_design_rate(tmp_path: Path) -> None:
    stored = {f"s{index:06d}": "h" for index in range(30_000)}
    commit(tmp_path, stored)
    with Ledger(tmp_path) as ledger:
        assert ledger.bloom_counts.false_positive_rate is None
        assert ledger.hashes("archive", "box", list(stored)) == stored
        assert ledger.bloom_counts.false_positive_rate is None
        assert ledger.hashes("archive", "box", [f"a{index:06d}" for index in range(30_000)]) == {}
        assert ledger.bloom_counts.rejected + ledger.bloom_counts.false_positives == 30_000
        rate = ledger.bloom_counts.false_positive_rate
    # Half full (30,000 of 65,536) a filter designed for 1 % lets about 0.02 % through; 1 % is the promise.
    assert rate is not None
    assert rate <= 0.01


def test_the_filter_grows_with_the_ledger(tmp_path: Path) -> None:
    commit(tmp_path, {"g0": "h"})
    small = (tmp_path / "ledger.bloom").stat().st_size
    commit(tmp_path, {f"g{index}": "h" for index in range(40_000)})
    (tmp_path / "ledger.bloom").unlink()
    commit(tmp_path, {"last": "h"})
    assert (tmp_path / "ledger.bloom").stat().st_size > 1.9 * small
    with Ledger(tmp_path) as ledger:
        assert len(ledger.hashes("archive", "box", [f"g{index}" for index in range(40_000)])) == 40_000


def test_deleted_tables_are_forgotten_with_their_cursors(tmp_path: Path) -> None:
    commit(tmp_path, {"g1": "aa"})
    commit(tmp_path, {"g9": "zz"}, given=batch(season=2023))
    with Ledger(tmp_path) as ledger:
        ledger.keep_only({"box": [2023], "games": []})
        assert ledger.hashes("archive", "box", ["g1", "g9"]) == {"g9": "zz"}
        assert ledger.cursors("archive", None) == {"box/season=2023": "c1"}


def test_a_damaged_database_names_the_fix(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"this is not a database, by a long way" * 50)
    with pytest.raises(SchemaError, match=r"ledger\.sqlite.*delete it"), Ledger(tmp_path):
        pass


steps = st.lists(
    st.tuples(
        st.sampled_from(["archive", "nba"]),
        st.sampled_from(["games", "box"]),
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["h1", "h2"]), max_size=4),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=30)
@given(steps=steps)
def test_the_ledger_is_a_dictionary(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    model: dict[tuple[str, str], dict[str, str]] = {}
    for source, table, hashes in steps:
        commit(folder, hashes, source, batch(table))
        model.setdefault((source, table), {}).update(hashes)
        with Ledger(folder) as ledger:
            for (owner, name), expected in model.items():
                assert ledger.hashes(owner, name, list("abcdef")) == expected
