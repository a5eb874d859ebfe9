"""`fantasy explain`: what is printed adds up, with the model and moment it is of; no server is needed before lock."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from features.stores.offline import OfflineStore
from features.views.entities import player_directory
from features.workspace import Workspace
from models.champion import remember_champion
from tests.fixtures.command_line import Answer, Fantasy, refused
from tests.fixtures.serving import SimulatedDay, dk_text


@pytest.fixture
def league(simulated_day: SimulatedDay, trained: dict[str, Path], home: Path) -> SimulatedDay:
    """The simulated league as a run leaves it: views, slates and champions."""
    workspace = Workspace(home, "simulated")
    store = OfflineStore(workspace)
    for name, view in (*simulated_day.views.items(), ("player_directory", player_directory(simulated_day.tables))):
        store.write_view(name, view)
    for slate in simulated_day.slates:
        store.write_slate(slate)
    for family, bundle in trained.items():
        folder = workspace.bundles / "cache" / family
        shutil.copytree(bundle, folder)
        remember_champion(workspace, family, version="7", folder=folder)
    return simulated_day


def adds_up(answer: Answer) -> dict[str, object]:
    """The JSON, after its contributions were added."""
    assert answer.code == 0, answer
    body: dict[str, object] = answer.json
    total = answer.json["base"] + sum(each["amount"] for each in answer.json["contributions"])
    assert total == pytest.approx(answer.json["answer"], abs=1e-6)
    return body


def test_a_player_is_explained(fantasy: Fantasy, league: SimulatedDay) -> None:
    best = max(league.draftkings.players, key=lambda player: player.average_points)
    body = adds_up(fantasy("explain", "player", best.name, "--site", "draftkings", "--json"))
    assert body["model"] == {"name": "simulated-projection", "version": "7"}
    assert (body["target"], body["basis"], body["fallback"]) == ("fantasy_points_draftkings", "champion", False)
    assert league.draftkings.lock is not None and str(body["as_of"]) == league.draftkings.lock.isoformat()
    assert str(body["data_timestamp"]) <= league.data_timestamp.isoformat()
    shown = fantasy("explain", "player", best.site_id, "--site", "draftkings")
    assert shown.code == 0 and "version 7" in shown.out and "scoring form" in shown.out
    assert f"{body['answer']:.2f} points" in shown.out


def test_a_game_is_explained(fantasy: Fantasy, league: SimulatedDay, tmp_path: Path) -> None:
    game = league.draftkings.games[0]
    body = adds_up(fantasy("explain", "game", f"{game.away_team}@{game.home_team}", "--json"))
    assert body["subject"] == f"{game.away_team} @ {game.home_team}" and body["target"] == "home_win"
    assert 0 < float(str(body["answer"])) < 1
    salaries = tmp_path / "DKSalaries.csv"
    salaries.write_text(dk_text(league.draftkings))
    of_file = adds_up(fantasy("explain", "game", game.home_team.lower(), "--salaries", salaries, "--json"))
    assert of_file["subject"] == body["subject"]
    refused(fantasy("explain", "game", "XXX@YYY"), "XXX@YYY", game.home_team, error="InvalidInput")


def test_a_lineup_is_explained_player_by_player(fantasy: Fantasy, league: SimulatedDay, tmp_path: Path) -> None:
    salaries = tmp_path / "DKSalaries.csv"
    salaries.write_text(dk_text(league.draftkings))
    built = fantasy("lineups", "--salaries", salaries, "-n", 2, "--json")
    assert built.code == 0, built
    for rank in (1, 2):
        answer = fantasy("explain", "lineup", rank, "--json")
        body = adds_up(answer)
        wanted = built.json["lineups"][rank - 1]
        assert body["answer"] == pytest.approx(wanted["projection"], abs=0.01)
        assert [each["subject"].rpartition(" (")[0] for each in answer.json["players"]] == [
            player["name"] for player in wanted["players"]
        ]
        assert not any("it was built at" in warning for warning in answer.json["warnings"])
    shown = fantasy("explain", "lineup", 1)
    assert shown.code == 0 and re.search(r"Lineup 1 · [\d.]+ points", shown.out)
    refused(fantasy("explain", "lineup", 3), "lineup 3", "1 to 2", error="InvalidInput")


def test_own_numbers_are_not_taken_for_the_models(fantasy: Fantasy, league: SimulatedDay, tmp_path: Path) -> None:
    salaries = tmp_path / "DKSalaries.csv"
    salaries.write_text(dk_text(league.draftkings))
    assert fantasy("lineups", "--salaries", salaries, "--projections", "salaries", "--json").code == 0
    assert any("it was built at" in each for each in fantasy("explain", "lineup", "--json").json["warnings"])


def test_elo_answers_without_a_champion(fantasy: Fantasy, league: SimulatedDay, home: Path) -> None:
    (Workspace(home, "simulated").bundles / "champion-win_probability.json").unlink()
    body = adds_up(fantasy("explain", "game", league.draftkings.games[0].home_team, "--json"))
    assert body["basis"] == "baseline-elo" and body["fallback"] and body["contributions"] == []


def test_what_is_not_there_is_said(fantasy: Fantasy, home: Path) -> None:
    refused(fantasy("explain", "player", "Ada Abbot"), "fantasy run", "--salaries", error="NotMaterialized")
    refused(fantasy("explain", "lineup"), "fantasy lineups", error="NotMaterialized")
    refused(fantasy("explain", "prediction", "7"), "prediction_id '7'", error="InvalidInput")


def test_a_stranger_is_named(fantasy: Fantasy, league: SimulatedDay) -> None:
    refused(fantasy("explain", "player", "Ada Abbot"), "Ada Abbot", "not on this slate", error="InvalidInput")
