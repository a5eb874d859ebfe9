"""Validation on a real offline store with the real Great Expectations: each season is broken in its own way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import InvalidInput, NotMaterialized
from features.stores.offline import OfflineStore
from features.validation import ValidationReport, validate
from features.validation.suites import SUITES
from features.workspace import Workspace
from tests.fixtures.validation_league import Season, small_season, swapped

# One worker: the module fixture validates once, and Great Expectations is imported once.
pytestmark = pytest.mark.xdist_group("validation")
AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
CLEAN, SWAPPED, DUPLICATES, FUTURE, LATER, EMPTY, COLUMN, SHIFTED, TRUNCATED, NO_PLAYS, BARE, DAMAGED = range(
    2008, 2020
)
TIED, NULLS, MINUTES, TYPES = range(2020, 2024)


def _store(home: Path) -> OfflineStore:
    return OfflineStore(Workspace(home, "nba"))


def _one_in_four(frame: pl.DataFrame, column: str, value: pl.Expr) -> pl.DataFrame:
    chosen = pl.int_range(pl.len()) % 4 == 0
    return frame.with_columns(pl.when(chosen).then(value).otherwise(pl.col(column)).alias(column))


def _rewrite(store: OfflineStore, season: Season, table: str, frame: pl.DataFrame) -> None:
    """Put on disk what `upsert` would refuse."""
    frame.write_parquet(store.path(table, season.start))  # type: ignore[arg-type]


def _fill(store: OfflineStore) -> None:
    small_season(CLEAN).store(store)
    swapped(small_season(SWAPPED)).store(store)
    season = small_season(DUPLICATES)
    twice = {name: pl.concat([frame, frame.head(1)])
             for name, frame in (("games", season.games), ("box", season.box), ("pbp", season.pbp))}  # fmt: skip
    season.changed(**twice).store(store)
    season = small_season(FUTURE)
    ahead = season.games.with_columns(event_time=pl.lit(AS_OF + timedelta(days=2)).dt.cast_time_unit("us"))
    season.changed(games=ahead).store(store)
    season = small_season(LATER)
    late = season.games.tail(1).with_columns(
        game_date=pl.date(2031, 1, 1), known_time=pl.lit(datetime(2031, 1, 2, tzinfo=UTC)).dt.cast_time_unit("us")
    )
    season.changed(games=pl.concat([season.games.head(-1), late])).store(store)
    season = small_season(EMPTY)
    season.changed(games=season.games.clear(), box=season.box.clear(), pbp=season.pbp.clear()).store(store)
    _fill_damaged_files(store)
    season = small_season(SHIFTED)
    shifted = season.box.with_columns(pl.col("pts").shift(1, fill_value=11))
    season.changed(box=shifted).store(store)
    season = small_season(TRUNCATED)
    season.changed(pbp=season.pbp.head(season.pbp.height * 3 // 5)).store(store)
    season = small_season(NO_PLAYS)
    season.changed(pbp=season.pbp.clear()).store(store)
    small_season(BARE, bare=True).store(store)
    season = small_season(TIED)
    season.changed(games=_one_in_four(season.games, "home_score", pl.col("away_score"))).store(store)
    season = small_season(NULLS)
    season.changed(games=_one_in_four(season.games, "home_team", pl.lit(None))).store(store)
    season = small_season(MINUTES)
    season.changed(box=_one_in_four(season.box, "min", pl.col("min") + 9)).store(store)


def _fill_damaged_files(store: OfflineStore) -> None:
    season = small_season(COLUMN)
    season.store(store)
    _rewrite(store, season, "games", season.games.drop("home_win"))
    _rewrite(store, season, "box", season.box.drop("reb"))
    _rewrite(store, season, "pbp", season.pbp.drop("points"))
    season = small_season(TYPES)
    season.store(store)
    _rewrite(store, season, "games", season.games.with_columns(pl.col("home_score").cast(pl.String)))
    season = small_season(DAMAGED)
    season.store(store)
    store.path("box", DAMAGED).write_bytes(b"PAR1 this is not a season PAR1")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> OfflineStore:
    filled = _store(tmp_path_factory.mktemp("validation"))
    _fill(filled)
    return filled


@pytest.fixture(scope="module")
def report(store: OfflineStore) -> ValidationReport:
    return validate(store, as_of=AS_OF)


def _failed(report: ValidationReport, suite: str, season: int) -> set[str]:
    (found,) = [item for item in report.suites if item.suite == suite and item.season == season]
    return {item.name for item in found.failures}


@pytest.mark.parametrize("season", [CLEAN, NO_PLAYS, BARE])
def test_sound_season_passes_every_suite(report: ValidationReport, season: int) -> None:
    for suite in ("games", "box", "pbp"):
        assert _failed(report, suite, season) == set()
    assert season in report.usable_seasons


@pytest.mark.parametrize(
    ("season", "suite", "caught_by"),
    [
        (SWAPPED, "games", {"final_score_has_a_witness"}),
        (SWAPPED, "box", {"box_points_sum_to_final", "win_agrees"}),
        (SWAPPED, "pbp", {"last_play_is_final_score", "points_sum_to_final"}),
        (DUPLICATES, "games", {"unique_key"}),
        (DUPLICATES, "box", {"unique_key"}),
        (DUPLICATES, "pbp", {"unique_key"}),
        (FUTURE, "games", {"not_in_the_future", "known_after_event"}),
        (LATER, "games", {"later_dates_in_season"}),
        (EMPTY, "games", {"not_empty"}),
        (EMPTY, "box", {"not_empty"}),
        (COLUMN, "games", {"columns_present", "home_win_agrees"}),
        (COLUMN, "box", {"columns_present", "rebounds_add_up", "reb_range"}),
        (COLUMN, "pbp", {"columns_present", "points_range", "last_play_is_final_score"}),
        (SHIFTED, "box", {"box_points_sum_to_final", "points_add_up"}),
        (TRUNCATED, "pbp", {"share_of_games_covered"}),
        (DAMAGED, "box", {"columns_present", "not_empty", "box_points_sum_to_final"}),
        (TIED, "games", {"no_tied_final", "final_score_has_a_witness"}),
        (NULLS, "games", {"no_forbidden_nulls"}),
        (MINUTES, "box", {"team_minutes"}),
        (TYPES, "games", {"column_types"}),
    ],
)
def test_corruption_is_caught(report: ValidationReport, season: int, suite: str, caught_by: set[str]) -> None:
    assert caught_by <= _failed(report, suite, season)
    assert season in report.failed_seasons(suite)  # type: ignore[arg-type]
    assert season not in report.usable_seasons


@pytest.mark.parametrize(("season", "blamed"), [(SHIFTED, "box"), (TRUNCATED, "pbp"), (DAMAGED, "box")])
def test_only_the_table_at_fault_is_blamed(report: ValidationReport, season: int, blamed: str) -> None:
    assert {suite.suite for suite in report.suites if suite.season == season and suite.failures} == {blamed}


def test_one_bad_season_leaves_the_others_usable(report: ValidationReport) -> None:
    assert not report.passed
    assert report.usable_seasons == (CLEAN, NO_PLAYS, BARE)
    assert TRUNCATED in report.usable_for("games", "box")


def test_missing_play_by_play_is_reported_as_skipped(report: ValidationReport) -> None:
    (suite,) = [item for item in report.suites if item.suite == "pbp" and item.season == NO_PLAYS]
    assert (suite.status, suite.reason) == ("skipped", "skipped: no play-by-play")
    assert {item.status for item in suite.results} == {"skipped"}


def test_every_declared_expectation_is_reported_for_every_season(report: ValidationReport) -> None:
    html = report.docs.read_text(encoding="utf-8")
    pages = json.loads(report.json.read_text(encoding="utf-8"))
    assert len(report.suites) == 3 * 16 + 1
    for suite, written in zip(report.suites, pages["suites"], strict=True):
        declared = [item.name for item in SUITES[suite.suite].expectations]
        assert [item.name for item in suite.results] == declared
        assert [item["name"] for item in written["results"]] == declared
        assert all(name in html for name in declared)
    assert html.count("<details") == len(report.suites)


def test_page_needs_no_network(report: ValidationReport) -> None:
    html = report.docs.read_text(encoding="utf-8")
    assert "http://" not in html
    assert "https://" not in html
    assert (report.docs.parent / "../../data_docs/index.html").resolve() == report.data_docs
    assert report.data_docs is not None
    assert report.data_docs.is_file()


def test_quarantine_holds_batch_bad_rows_and_reasons(store: OfflineStore, report: ValidationReport) -> None:
    (suite,) = [item for item in report.suites if item.suite == "box" and item.season == MINUTES]
    folder = suite.quarantined
    assert folder is not None
    assert folder.parent == store.workspace.quarantine
    assert pl.read_parquet(folder / "batch.parquet").equals(store.read("box", seasons=[MINUTES]))
    bad = pl.read_parquet(folder / "bad_rows_teams.parquet")
    assert bad.height == (bad["minutes_off"] > 3).sum() > 0
    assert bad["broken"].unique().to_list() == ["team_minutes"]
    reason = json.loads((folder / "reason.json").read_text(encoding="utf-8"))
    assert [item["expectation"] for item in reason["failed"]] == ["team_minutes"]
    assert "team_minutes" in (folder / "report.html").read_text(encoding="utf-8")
    assert all(item.quarantined is not None for item in report.suites if item.status == "failed")


def test_validating_again_adds_no_quarantine_folder(store: OfflineStore, report: ValidationReport) -> None:
    before = sorted(store.workspace.quarantine.iterdir())
    again = validate(store, as_of=AS_OF + timedelta(hours=1), seasons=[MINUTES, CLEAN])
    assert again.failed_seasons("box") == (MINUTES,)
    assert sorted(store.workspace.quarantine.iterdir()) == before


def test_off_day_passes_and_a_silent_fortnight_fails(tmp_path: Path) -> None:
    store = _store(tmp_path)
    season = small_season(2021)
    season.store(store)
    last = season.games["known_time"].max()
    assert isinstance(last, datetime)
    assert validate(store, as_of=last + timedelta(days=4)).passed
    stale = validate(store, as_of=last + timedelta(days=14))
    assert _failed(stale, "games", 2021) == {"freshness"}
    assert validate(store, as_of=datetime(2022, 8, 1, tzinfo=UTC)).passed


def test_rows_known_later_are_set_aside(tmp_path: Path) -> None:
    store = _store(tmp_path)
    season = small_season(2021)
    season.store(store)
    middle = season.games.sort("known_time")["known_time"][17]
    half = validate(store, as_of=middle)
    (games,) = [item for item in half.suites if item.suite == "games"]
    assert (half.passed, games.rows, games.not_yet_known) == (True, 18, 18)
    early = validate(store, as_of=datetime(2021, 7, 1, tzinfo=UTC))
    assert early.passed
    assert early.usable_seasons == ()
    assert {item.status for item in early.suites} == {"skipped"}


def test_a_season_asked_for_and_absent_fails(tmp_path: Path) -> None:
    store = _store(tmp_path)
    small_season(2021).store(store)
    report = validate(store, as_of=AS_OF, seasons=[2020, 2021])
    assert report.failed_seasons("games") == report.failed_seasons("box") == (2020,)
    assert report.usable_seasons == (2021,)


def test_nothing_stored_and_naive_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotMaterialized, match="fantasy run"):
        validate(_store(tmp_path), as_of=AS_OF)
    with pytest.raises(InvalidInput, match="time zone"):
        validate(_store(tmp_path), as_of=datetime(2024, 7, 1))


@pytest.mark.real_data
def test_recorded_season_passes_and_its_swapped_twin_fails(fantasy_data: Path, tmp_path: Path) -> None:
    season = _recorded(fantasy_data, 2015)
    store = _store(tmp_path / "sound")
    season.store(store)
    report = validate(store, as_of=datetime(2016, 8, 1, tzinfo=UTC))
    assert report.passed, [(item.suite, item.reason) for item in report.suites]
    assert report.usable_seasons == (2015,)
    store = _store(tmp_path / "swapped")
    swapped(season.changed(pbp=season.pbp.clear())).store(store)
    twin = validate(store, as_of=datetime(2016, 8, 1, tzinfo=UTC))
    assert {"final_score_has_a_witness", "home_win_share_floor"} <= _failed(twin, "games", 2015)
    assert twin.usable_seasons == ()


def _recorded(data: Path, start: int) -> Season:
    from features.tables import FINAL_AFTER_TIP, conform, tip_time

    games = pl.read_parquet(data / "nba" / "games.parquet").filter(pl.col("season") == start)
    games = games.with_columns(tip_time().alias("event_time"))
    games = games.with_columns((pl.col("event_time") + FINAL_AFTER_TIP).alias("known_time"))
    times = games.select("game_id", "event_time", "known_time")
    box, pbp = (
        pl.read_parquet(data / "nba" / name / f"season={start}.parquet")
        .with_columns(pl.col(pl.Categorical).cast(pl.String))
        .join(times, on="game_id")
        for name in ("box", "pbp")
    )
    return Season(start, conform("games", games), conform("box", box), conform("pbp", pbp))
