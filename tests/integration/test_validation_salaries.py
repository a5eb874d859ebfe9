"""The salaries suite on stored slates, with the real Great Expectations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.slate import Slate, SlateGame, SlatePlayer
from features.stores.offline import OfflineStore
from features.validation import ValidationReport, validate
from features.workspace import Workspace
from tests.fixtures.validation_league import small_season

# One worker: the module fixture validates once, and Great Expectations is imported once.
pytestmark = pytest.mark.xdist_group("validation")
AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
GOOD = Slate(
    slate_id="good",
    site="draftkings",
    sport="nba",
    mode="classic",
    lock=AS_OF,
    games=(SlateGame(away_team="AAA", home_team="BBB", tip=AS_OF),),
    players=tuple(
        SlatePlayer(
            site_id=str(number), name=f"P{number}", positions=("PG", "SG"), salary_usd=4000 + 100 * number,
            team="AAA" if number % 2 else "BBB", opponent="BBB" if number % 2 else "AAA",
            is_home=number % 2 == 0, average_points=20.0,
        )
        for number in range(12)
    ),
)  # fmt: skip
FIRST = GOOD.players[0]
BROKEN = {
    "negative": (replace(FIRST, salary_usd=-100), "salary_positive"),
    "offgrid": (replace(FIRST, salary_usd=4050), "salary_on_grid"),
    "overcap": (replace(FIRST, salary_usd=50_100), "salary_within_cap"),
    "position": (replace(FIRST, positions=("QB",)), "positions_known"),
    "sameid": (replace(FIRST, site_id="1"), "unique_site_id"),
    "samename": (replace(FIRST, name="P2"), "unique_players"),
    "stranger": (replace(FIRST, team="ZZZ"), "team_plays"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ValidationReport:
    store = OfflineStore(Workspace(tmp_path_factory.mktemp("salaries"), "nba"))
    small_season(2021).store(store)
    store.write_slate(GOOD)
    store.write_slate(replace(GOOD, slate_id="yahoo", site="yahoo", players=tuple(
        replace(player, salary_usd=20 + number) for number, player in enumerate(GOOD.players))))  # fmt: skip
    seats = tuple(replace(player, positions=("UTIL",), person=player.name) for player in GOOD.players)
    captain = replace(FIRST, site_id="99", positions=("CPT",), person=FIRST.name)
    store.write_slate(replace(GOOD, slate_id="showdown", mode="showdown", players=(*seats, captain)))
    for name, (player, _) in BROKEN.items():
        store.write_slate(replace(GOOD, slate_id=name, players=(player, *GOOD.players[1:])))
    started = replace(FIRST, team="CCC", opponent="")
    store.write_slate(replace(GOOD, slate_id="started", players=(started, *GOOD.players[1:])))
    store.write_slate(replace(GOOD, slate_id="empty", players=()))
    alone = tuple(player for player in GOOD.players if player.team == "AAA")
    store.write_slate(replace(GOOD, slate_id="alone", players=alone))
    return validate(store, as_of=AS_OF)


def _broken(report: ValidationReport) -> dict[str, set[str]]:
    (suite,) = [item for item in report.suites if item.suite == "salaries"]
    found: dict[str, set[str]] = {}
    for item in suite.failures:
        for key in item.keys:
            found.setdefault(str(key[0]), set()).add(item.name)
    return found


@pytest.mark.parametrize("slate", sorted(BROKEN))
def test_each_bad_salary_is_pinned_on_its_slate(report: ValidationReport, slate: str) -> None:
    assert _broken(report)[slate] == {BROKEN[slate][1]}


def test_empty_and_one_team_slates_fail(report: ValidationReport) -> None:
    assert {"slate_players", "slate_teams"} <= _broken(report)["empty"]
    assert _broken(report)["alone"] == {"slate_teams"}


def test_sound_slates_pass_and_games_stay_usable(report: ValidationReport) -> None:
    assert set(report.failed_slates) == {*BROKEN, "empty", "alone"}
    assert not report.passed
    assert report.usable_seasons == (2021,)


def test_unreadable_slate_fails_the_suite(tmp_path: Path) -> None:
    store = OfflineStore(Workspace(tmp_path, "nba"))
    small_season(2021).store(store)
    store.write_slate(GOOD)
    (store.workspace.slates / "torn.json").write_text("{", encoding="utf-8")
    report = validate(store, as_of=AS_OF)
    (suite,) = [item for item in report.suites if item.suite == "salaries"]
    assert suite.status == "failed"
    assert {item.status for item in suite.results} == {"failed"}
    assert "torn.json" in suite.results[0].observed
