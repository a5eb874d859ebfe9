"""Salary slates of the simulated league."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from features.scoring import fantasy_points
from features.slate import Slate
from features.sources.simulated import SimulatedSource

THROUGH = date(2024, 1, 10)
RANGES = {"draftkings": (3000, 12_500, 100), "fanduel": (3500, 13_000, 100), "yahoo": (10, 60, 1)}


@pytest.fixture(scope="module")
def source() -> SimulatedSource:
    return SimulatedSource(20261123, [2023, 2024], THROUGH)


@pytest.fixture(scope="module")
def day(source: SimulatedSource) -> date:
    found = source.next_game_day(THROUGH)
    assert found is not None and found - THROUGH < timedelta(days=4)
    return found


@pytest.fixture(scope="module")
def slates(source: SimulatedSource, day: date) -> list[Slate]:
    return source.slates(day)


@pytest.fixture(scope="module")
def box(day: date) -> pl.DataFrame:
    """What a later collection knows: the day itself has been played."""
    later = SimulatedSource(20261123, [2023], day + timedelta(days=3))
    batches = later.batches(as_of=datetime(2024, 6, 1, tzinfo=UTC), seasons=None, cursors={})
    return next(batch.frame for batch in batches if batch.table == "box")


def test_one_slate_per_site_with_the_days_games(slates: list[Slate], source: SimulatedSource, day: date) -> None:
    assert [s.site for s in slates] == ["draftkings", "fanduel", "yahoo"]
    games = source.schedule_frame(2023).filter(pl.col("game_date") == day)
    for slate in slates:
        assert {(g.away_team, g.home_team) for g in slate.games} == set(
            games.select("away_team", "home_team").iter_rows()
        )
        assert slate.lock == games["event_time"].min()
        assert slate.source == "simulated"
        assert len({p.site_id for p in slate.players}) == len(slate.players) == 32 * len(slate.games)


def test_salaries_lie_on_the_sites_grid_and_follow_skill(slates: list[Slate]) -> None:
    for slate in slates:
        low, high, grid = RANGES[slate.site]
        salaries = [p.salary_usd for p in slate.players]
        assert min(salaries) == low and max(salaries) <= high
        assert all(s % grid == 0 for s in salaries)
        assert max(salaries) > 0.6 * high
        frame = pl.DataFrame({"s": salaries, "a": [p.average_points for p in slate.players]})
        assert 0.85 < frame.select(pl.corr("s", "a")).item() < 0.995


def test_a_draftkings_cap_forces_choices(slates: list[Slate]) -> None:
    """The dearest eight cost more than 50,000 and eight players of average salary per slot less."""
    salaries = sorted((p.salary_usd for p in slates[0].players), reverse=True)
    assert sum(salaries[:8]) > 60_000
    assert sum(salaries[-8:]) < 30_000
    assert 4_000 < sum(salaries) / len(salaries) < 5_600


def test_average_points_are_the_season_before_the_day(box: pl.DataFrame, slates: list[Slate], day: date) -> None:
    before = box.filter(pl.col("game_date") < day)
    mean = dict(before.group_by("player_id").agg(fantasy_points("draftkings").mean()).iter_rows())
    for player in slates[0].players:
        assert player.average_points == pytest.approx(mean.get(player.player_id, 0.0), abs=0.006)


def test_players_marked_out_do_not_play(box: pl.DataFrame, slates: list[Slate], day: date) -> None:
    played = set(box.filter(pl.col("game_date") == day)["player_id"])
    out = {p.player_id for p in slates[0].players if p.injury_status == "O"}
    assert played and out and not out & played
    assert {p.injury_status for p in slates[0].players} <= {"", "O", "Q"}


def test_names_positions_and_ids_are_usable(slates: list[Slate]) -> None:
    for player in slates[0].players:
        assert player.upload_name == f"{player.name} ({player.site_id})"
        assert player.player_id is not None and player.player_id >= 90_000_000
        assert 1 <= len(player.positions) <= 2 and set(player.positions) <= {"PG", "SG", "SF", "PF", "C"}
        assert player.team != player.opponent
    assert any(len(p.positions) == 2 for p in slates[0].players)


def test_slates_are_stable_and_absent_off_season(source: SimulatedSource, slates: list[Slate], day: date) -> None:
    again = SimulatedSource(20261123, [2023], THROUGH).slates(day)
    assert [s.slate_id for s in again] == [s.slate_id for s in slates]
    assert again == slates
    assert source.slates(date(2024, 8, 1)) == []
    assert source.slates(date(2021, 12, 1)) == []
    assert source.next_game_day(date(2024, 8, 1)) is not None
    assert source.next_game_day(date(2026, 1, 1)) is None


def test_opening_night_has_a_slate_without_averages(source: SimulatedSource) -> None:
    opening = source.next_game_day(date(2023, 9, 1))
    assert opening is not None
    slate = source.slates(opening)[0]
    assert {p.average_points for p in slate.players} == {0.0}
    assert max(p.salary_usd for p in slate.players) > 7_000
