"""Bounds, frames and completeness of validation, without Great Expectations."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from features.validation import bounds
from features.validation.inspector import complete, unjudged
from features.validation.rules import Fault, SeasonTables, box_teams, finals, play_games, season_frames
from features.validation.suites import SUITES
from tests.fixtures.validation_league import Season, small_season, swapped

AS_OF = datetime(2022, 7, 1, tzinfo=UTC)


def _frames(season: Season, as_of: datetime = AS_OF, *, newest: bool = False):  # type: ignore[no-untyped-def]
    known = {"games": season.games, "box": season.box, "pbp": season.pbp}
    later = {name: frame.clear() for name, frame in known.items()}
    return season_frames(SeasonTables(season.start, as_of, known, later, newest))  # type: ignore[arg-type]


def test_names_are_unique_and_every_bound_can_be_read() -> None:
    for suite in SUITES.values():
        names = [item.name for item in suite.expectations]
        assert len(names) == len(set(names))
        assert all(item.bound and item.why for item in suite.expectations)


def test_every_expectation_looks_at_columns_that_exist() -> None:
    frames = _frames(small_season(2021))
    for table, built in frames.items():
        for item in SUITES[table].expectations:
            frame = built[item.frame]
            assert isinstance(frame, pl.DataFrame), item
            assert set(item.columns) <= set(frame.columns), item.name


def test_dropped_expectation_is_a_failure() -> None:
    declared = SUITES["games"].expectations
    results = {item.name: unjudged(item, "passed", "") for item in declared[1:]}
    found = complete(declared, results)
    assert [item.name for item in found] == [item.name for item in declared]
    assert found[0].status == "failed"
    assert "dropped" in found[0].observed
    assert {item.status for item in found[1:]} == {"passed"}


@pytest.mark.parametrize(("games", "share", "inside"), [
    (1230, 0.543, True), (1230, 0.598, True), (1230, 0.457, False), (1230, 0.70, False), (20, 0.40, True),
])  # fmt: skip
def test_home_win_share_bounds_widen_with_few_games(games: int, share: float, inside: bool) -> None:
    low, high = bounds.share_bounds(bounds.HOME_WIN_SHARE, games)
    assert (low <= share <= high) is inside


@pytest.mark.parametrize(("season", "day", "runs"), [
    (2024, date(2024, 12, 15), True), (2024, date(2025, 4, 10), True), (2024, date(2025, 6, 20), False),
    (2024, date(2026, 1, 5), False), (2019, date(2020, 3, 11), True), (2019, date(2020, 3, 30), False),
])  # fmt: skip
def test_freshness_is_judged_while_the_season_runs(season: int, day: date, runs: bool) -> None:
    assert bounds.regular_season_runs(season, date(season, 10, 22), day) is runs


def test_pandemic_pause_is_declared_and_other_pauses_are_not() -> None:
    season = small_season(2019)
    resumed = pl.when(pl.col("game_date") > date(2019, 11, 10)).then(date(2020, 8, 1)).otherwise(date(2020, 3, 11))
    paused = _frames(season.changed(games=season.games.with_columns(game_date=resumed)))["games"]["season"]
    assert paused["longest_pause_days"].item() == 0  # type: ignore[index]
    other = small_season(2021)
    gap = pl.when(pl.col("game_date") > date(2021, 11, 10)).then(pl.col("game_date") + timedelta(days=20))
    moved = other.games.with_columns(game_date=gap.otherwise(pl.col("game_date")))
    assert _frames(other.changed(games=moved))["games"]["season"]["longest_pause_days"].item() == 22  # type: ignore[index]


def test_swapped_game_has_no_witness_and_a_wrong_box_does_not_taint_the_final() -> None:
    season = small_season(2021)
    bad = swapped(season).games
    teams, plays = box_teams(bad, season.box), play_games(bad, season.pbp, AS_OF)
    assert finals(bad, teams, plays)["witnessed"].sum() == 0
    wrong_box = season.box.with_columns(pl.col("pts") + 1)
    judged = finals(season.games, box_teams(season.games, wrong_box), play_games(season.games, season.pbp, AS_OF))
    assert judged["box_agrees"].sum() == 0
    assert judged["witnessed"].all()


def test_final_without_box_or_plays_cannot_be_judged() -> None:
    season = small_season(2021)
    judged = finals(season.games, Fault("unreadable"), Fault("unreadable"))
    assert judged["witnessed"].null_count() == season.games.height


def test_overtime_allows_more_points_and_minutes() -> None:
    season = small_season(2021)
    one = season.games["game_id"][0]
    first = pl.col("game_id") == one
    level = pl.when(first).then(20).otherwise
    games = season.games.with_columns(
        pl.when(first).then(5).otherwise(pl.col("periods")).cast(pl.Int8).alias("periods"),
        *(level(pl.col(f"{side}_q{n}")).cast(pl.Int16).alias(f"{side}_q{n}") for side in ("home", "away")
          for n in range(1, 5)),
        pl.when(first).then(90).otherwise(pl.col("home_score")).cast(pl.Int16).alias("home_score"),
        pl.when(first).then(88).otherwise(pl.col("away_score")).cast(pl.Int16).alias("away_score"),
    )  # fmt: skip
    judged = finals(games, Fault(""), Fault(""))
    assert judged["quarters_agree"].all()
    box = season.box.with_columns(
        pl.when(first).then(pl.col("min") + 25 / 9).otherwise(pl.col("min")).alias("min")
    )
    assert box_teams(games, box)["minutes_off"].max() < 0.1  # type: ignore[operator]
    assert box_teams(games, season.box)["minutes_off"].max() == 25


def test_seasons_behind_and_unfinished_seasons_are_measured() -> None:
    season = small_season(2021)
    frame = _frames(season, datetime(2023, 12, 1, tzinfo=UTC), newest=True)["games"]["season"]
    assert isinstance(frame, pl.DataFrame)
    assert frame["seasons_behind"].item() == 2
    assert frame["days_short_of_april"].item() == (date(2022, 4, 1) - season.games["game_date"].max()).days  # type: ignore[operator]


def test_import_is_cheap_until_something_is_validated() -> None:
    code = "import sys, features.validation; print('great_expectations' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
