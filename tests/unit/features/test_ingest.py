"""Collecting counts every record once and never loses, doubles or half-writes one."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features import ingest
from features.errors import InvalidInput, SchemaError, SourceUnavailable
from features.fingerprint import frame_hash
from features.ingest import IngestCounts, collect
from features.slate import Slate
from features.sources.archive import ArchiveSource
from features.sources.base import Batch
from features.stores.offline import OfflineStore
from features.workspace import League, Workspace
from tests.fixtures import tiny_league
from tests.fixtures.tiny_league import AFTER_EVERYTHING


class FeedSource:
    """A vendor that gives the batches it was built with, whatever the cursors say."""

    name = "feed"
    league: League = "nba"

    def __init__(self, *given: Batch | Exception) -> None:
        self._given = given

    def batches(
        self, *, as_of: datetime, seasons: Sequence[int] | None, cursors: Mapping[str, str]
    ) -> Iterator[Batch]:
        for entry in self._given:
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def slates(self, day: date) -> list[Slate]:
        return []


def games_batch(frame: pl.DataFrame, cursor: str = "c", season: int = 2024) -> Batch:
    return Batch("games", season, f"games/season={season}", cursor, frame)


def games(count: int = 4) -> pl.DataFrame:
    return tiny_league.timed("games", tiny_league.games(2024, count))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home", "nba")


def run(source, workspace: Workspace, **options) -> IngestCounts:
    return collect(source, workspace, as_of=options.pop("as_of", AFTER_EVERYTHING), seasons=None, **options)


def outcome(counts: IngestCounts) -> tuple[int, int, int, int]:
    assert counts.seen == counts.new + counts.changed + counts.duplicate + counts.failed
    return counts.new, counts.changed, counts.duplicate, counts.failed


def test_first_collect_is_new_second_is_skipped_third_without_cursors_is_duplicate(
    workspace: Workspace, tmp_path: Path
) -> None:
    source = ArchiveSource(tiny_league.write(tmp_path / "data", 2023, 2024))
    first = run(source, workspace)
    assert outcome(first) == (24, 0, 0, 0)
    assert first.bloom_false_positive_rate == 0.0
    second = run(source, workspace)
    assert outcome(second) == (0, 0, 0, 0)
    assert second.unchanged_batches == 6
    with sqlite3.connect(workspace.raw / "ledger.sqlite") as database:
        database.execute("DELETE FROM cursors")
    before = {path: path.stat().st_mtime_ns for path in workspace.tables.rglob("*.parquet")}
    third = run(source, workspace)
    assert outcome(third) == (0, 0, 24, 0)
    assert third.bloom_false_positive_rate is None
    assert {path: path.stat().st_mtime_ns for path in workspace.tables.rglob("*.parquet")} == before


def test_tables_hold_what_the_source_gave(workspace: Workspace, tmp_path: Path) -> None:
    data = tiny_league.write(tmp_path / "data", 2024)
    run(ArchiveSource(data), workspace)
    store = OfflineStore(workspace)
    for batch in ArchiveSource(data).batches(as_of=AFTER_EVERYTHING, seasons=None, cursors={}):
        assert_frame_equal(store.read(batch.table), batch.frame, check_row_order=False)


def test_a_live_score_is_a_change_and_replaces_its_game_only(workspace: Workspace) -> None:
    run(FeedSource(games_batch(games())), workspace)
    live = games().with_columns(
        home_score=pl.when(pl.col("game_id") == "0022400002").then(120).otherwise("home_score").cast(pl.Int16)
    )
    assert outcome(run(FeedSource(games_batch(live)), workspace)) == (0, 1, 3, 0)
    stored = OfflineStore(workspace).read("games")
    assert stored["home_score"].to_list() == [100, 120, 102, 103]


def test_a_shrunken_game_loses_the_rows_it_lost(workspace: Workspace) -> None:
    events = tiny_league.timed("pbp", tiny_league.pbp(2024))
    run(FeedSource(Batch("pbp", 2024, "pbp", "1", events)), workspace)
    fewer = events.filter((pl.col("game_id") != "0022400001") | (pl.col("seq") < 3))
    assert outcome(run(FeedSource(Batch("pbp", 2024, "pbp", "2", fewer)), workspace)) == (0, 1, 3, 0)
    assert OfflineStore(workspace).read("pbp").height == events.height - 2


def test_a_changed_row_keeps_its_first_known_time_unless_the_source_gives_a_later_one(
    workspace: Workspace,
) -> None:
    first = games(1)
    run(FeedSource(games_batch(first)), workspace)
    known = first["known_time"][0]

    def known_after(score: int, known_time: datetime) -> datetime:
        frame = first.with_columns(
            home_score=pl.lit(score, pl.Int16), known_time=pl.lit(known_time).cast(first.schema["known_time"])
        )
        assert outcome(run(FeedSource(games_batch(frame)), workspace)) == (0, 1, 0, 0)
        return OfflineStore(workspace).read("games")["known_time"][0]

    assert known_after(101, known - timedelta(hours=2)) == known
    assert known_after(102, known + timedelta(hours=2)) == known + timedelta(hours=2)
    assert known_after(103, known) == known + timedelta(hours=2)


def test_only_a_later_known_time_is_no_change(workspace: Workspace) -> None:
    run(FeedSource(games_batch(games())), workspace)
    again = games().with_columns(known_time=pl.col("known_time") + pl.duration(days=2))
    assert outcome(run(FeedSource(games_batch(again)), workspace)) == (0, 0, 4, 0)


def test_raw_files_are_named_by_content_read_only_and_hold_every_version(workspace: Workspace) -> None:
    run(FeedSource(games_batch(games())), workspace)
    changed = games().with_columns(away_score=pl.col("away_score") + 1)
    run(FeedSource(games_batch(changed)), workspace)
    files = sorted((workspace.raw / "games" / "season=2024").glob("*.parquet"))
    assert {path.stem for path in files} == {frame_hash(games()), frame_hash(changed)}
    assert {path.stem for path in files} == {frame_hash(pl.read_parquet(path)) for path in files}
    assert {path.stat().st_mode & 0o222 for path in files} == {0}


def test_a_source_that_fails_midway_keeps_what_came_before(workspace: Workspace) -> None:
    source = FeedSource(games_batch(games()), SourceUnavailable("the line is dead"))
    with pytest.raises(SourceUnavailable, match="dead"):
        run(source, workspace)
    assert OfflineStore(workspace).read("games").height == 4
    assert outcome(run(FeedSource(games_batch(games())), workspace)) == (0, 0, 4, 0)


def test_the_future_and_missing_columns_are_refused_whole(workspace: Workspace) -> None:
    with pytest.raises(SchemaError, match="after as_of"):
        run(FeedSource(games_batch(games())), workspace, as_of=datetime(2024, 11, 1, tzinfo=UTC))
    with pytest.raises(SchemaError, match="away_score"):
        run(FeedSource(games_batch(games().drop("away_score"))), workspace)
    with pytest.raises(SchemaError, match="seasons"):
        run(FeedSource(games_batch(games(), season=2019)), workspace)
    assert OfflineStore(workspace).seasons("games") == []
    assert outcome(run(FeedSource(games_batch(games())), workspace)) == (4, 0, 0, 0)


def test_naive_times_and_foreign_leagues_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="time zone"):
        run(FeedSource(), workspace, as_of=datetime(2025, 1, 1))
    with pytest.raises(InvalidInput, match="simulated"):
        run(FeedSource(), Workspace(tmp_path, "simulated"))


def test_progress_names_the_batch_and_counts_its_records(workspace: Workspace) -> None:
    calls: list[tuple[str, int, int]] = []
    run(FeedSource(games_batch(games())), workspace, on_progress=lambda *call: calls.append(call))
    assert calls == [("games/season=2024", 0, 4), ("games/season=2024", 4, 4)]


def test_a_deleted_table_is_collected_again(workspace: Workspace, tmp_path: Path) -> None:
    source = ArchiveSource(tiny_league.write(tmp_path / "data", 2024))
    run(source, workspace)
    OfflineStore(workspace).path("box", 2024).unlink()
    assert outcome(run(source, workspace)) == (4, 0, 0, 0)
    assert OfflineStore(workspace).read("box").height == 16


def test_a_lost_ledger_costs_time_but_no_row(workspace: Workspace, tmp_path: Path) -> None:
    source = ArchiveSource(tiny_league.write(tmp_path / "data", 2024))
    run(source, workspace)
    before = OfflineStore(workspace).read("pbp")
    for path in workspace.raw.glob("ledger.*"):
        path.unlink()
    assert outcome(run(source, workspace)) == (12, 0, 0, 0)
    assert_frame_equal(OfflineStore(workspace).read("pbp"), before)


def test_a_write_that_fails_for_a_moment_is_retried(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.tables.mkdir(parents=True)
    obstacle = workspace.tables / "games"
    obstacle.write_text("a file where the folder should be")

    def clear() -> None:
        time.sleep(0.25)
        obstacle.unlink()

    thread = threading.Thread(target=clear)
    thread.start()
    with caplog.at_level(logging.WARNING):
        counts = run(FeedSource(games_batch(games())), workspace)
    thread.join()
    assert outcome(counts) == (4, 0, 0, 0)
    assert "Retrying" in caplog.text
    assert OfflineStore(workspace).read("games").height == 4


def test_a_write_that_keeps_failing_is_counted_and_never_marked_seen(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "WRITE_ATTEMPTS", 2)
    workspace.tables.mkdir(parents=True)
    obstacle = workspace.tables / "games"
    obstacle.write_text("a file where the folder should be")
    box = tiny_league.timed("box", tiny_league.box(2024))
    source = FeedSource(games_batch(games()), Batch("box", 2024, "box", "b", box))
    assert outcome(run(source, workspace)) == (4, 0, 0, 4)
    obstacle.unlink()
    assert outcome(run(source, workspace)) == (4, 0, 4, 0)
    assert OfflineStore(workspace).read("games").height == 4


def test_two_sources_of_one_league_keep_their_own_account(workspace: Workspace, tmp_path: Path) -> None:
    run(ArchiveSource(tiny_league.write(tmp_path / "data", 2024)), workspace)
    counts = run(FeedSource(games_batch(games(5))), workspace)
    assert outcome(counts) == (5, 0, 0, 0)
    assert OfflineStore(workspace).read("games").height == 5


scores = st.lists(st.dictionaries(st.integers(0, 3), st.integers(60, 150), max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=30)
@given(versions=scores)
def test_counts_and_table_follow_any_history_of_scores(
    tmp_path_factory: pytest.TempPathFactory, versions: list
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("home"), "nba")
    base = games(4)
    stored: dict[str, int] = {}
    for number, version in enumerate(versions):
        given_scores = {f"00224{index + 1:05d}": score for index, score in version.items()}
        frame = base.filter(pl.col("game_id").is_in(list(given_scores))).with_columns(
            home_score=pl.col("game_id").replace_strict(given_scores, default=0, return_dtype=pl.Int16)
        )
        counts = run(FeedSource(games_batch(frame, str(number))), workspace)
        new = given_scores.keys() - stored.keys()
        same = {game for game in given_scores.keys() & stored.keys() if given_scores[game] == stored[game]}
        assert outcome(counts) == (len(new), len(given_scores) - len(new) - len(same), len(same), 0)
        stored |= given_scores
        if stored:
            table = OfflineStore(workspace).read("games", columns=["game_id", "home_score"])
            assert dict(table.iter_rows()) == stored


@pytest.mark.real_data
def test_a_real_season_is_stored_once(fantasy_data: Path, workspace: Workspace) -> None:
    source = ArchiveSource(fantasy_data)
    season = max(path_season for path_season in _seasons(fantasy_data))
    as_of = datetime(season + 1, 9, 1, tzinfo=UTC)
    first = collect(source, workspace, as_of=as_of, seasons=[season])
    store = OfflineStore(workspace)
    games_stored = store.read("games").height
    assert games_stored > 1_000
    assert outcome(first) == (3 * games_stored, 0, 0, 0)
    assert first.bloom_false_positive_rate is not None
    assert first.bloom_false_positive_rate <= 0.01
    with sqlite3.connect(workspace.raw / "ledger.sqlite") as database:
        database.execute("DELETE FROM cursors")
    assert outcome(collect(source, workspace, as_of=as_of, seasons=[season])) == (0, 0, 3 * games_stored, 0)
    original = pl.read_parquet(fantasy_data / f"nba/box/season={season}.parquet")
    points = store.read("box").select(pl.col("pts").sum(), pl.len()).row(0)
    assert points == original.select(pl.col("pts").sum(), pl.len()).row(0)
    assert json.dumps(store.seasons("pbp")) == f"[{season}]"


def _seasons(data: Path) -> list[int]:
    return [int(path.stem.split("=")[1]) for path in (data / "nba/pbp").glob("season=*.parquet")]
