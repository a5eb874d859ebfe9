"""The main job on recorded games: projections, 20 lineups of a real evening, graded by what happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.contests import check_lineup, load_contest
from features.sources.salaries import read_salaries
from features.sources.upload import read_upload
from features.stores.offline import OfflineStore
from features.tables import TABLES
from features.workspace import Workspace
from flows.services import on_free_ports, quiet_environment
from flows.settings import FlowSettings
from models.champion import find_champion
from models.lineups.problem import lineup_from_json

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(1800), pytest.mark.xdist_group("real")]
DAY = date(2024, 12, 15)
SALARIES = "dfs/draftkings/nba/salaries/2024-12-15_classic_6g_d762ae.csv"
#: Earliest tip-off in that file: 18:00 US Eastern.
LOCK = datetime(2024, 12, 15, 23, tzinfo=UTC)
#: Three start years bound the time; without --seasons all ten are used.
SEASONS = "2022-2024"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A fresh home, open to the account PostgreSQL drops to."""
    folder = Path(tempfile.mkdtemp(prefix="fantasy-real-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def answers(home: Path, repository: Path, fantasy_data: Path) -> dict[str, Any]:
    """What `run`, `lineups` and `grade` print."""
    settings = on_free_ports(FlowSettings(home=home))
    environment = {
        **os.environ,
        **quiet_environment(),
        "FANTASY_HOME": str(home),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
    }

    def run(*words: object) -> Any:
        command = [str(repository / ".venv" / "bin" / "fantasy"), *map(str, words), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return json.loads(done.stdout)

    def files() -> str:
        return subprocess.run(
            ["git", "-C", str(repository), "status", "--porcelain", "--untracked-files=all"],
            capture_output=True,
            text=True,
        ).stdout

    before = files()
    source = ("--source", "archive", "--data", fantasy_data, "--through", DAY, "--seasons", SEASONS)
    found = {
        "run": run("run", *source),
        "lineups": run(
            "lineups", "--site", "draftkings", "--sport", "nba", "--salaries", fantasy_data / SALARIES,
            "-n", 20, "--out", home / "upload.csv",
        ),
        "grade": run("grade", "--data", fantasy_data),
    }  # fmt: skip
    return {**found, "written into the repository": set(files().splitlines()) - set(before.splitlines())}


def test_the_projection_model_is_promoted_on_games_before_the_day(answers: dict[str, Any], home: Path) -> None:
    run = answers["run"]
    assert (run["source"], run["league"]) == ("archive", "nba")
    projection = run["models"]["projection"]
    assert projection["verdict"]["action"] == "promote"
    assert projection["verdict"]["evidence"]["last_date"] < DAY.isoformat()
    champion = find_champion(Workspace(home, "nba"), "projection", None)
    assert champion is not None and champion.model.trained_through < DAY


def test_nothing_was_known_after_the_lock(answers: dict[str, Any], home: Path) -> None:
    store = OfflineStore(Workspace(home, "nba"))
    for table in TABLES:
        rows = store.read(table, columns=["game_id", "event_time", "known_time"])
        assert rows.height > 0 and rows["known_time"].max() < LOCK, table
        assert rows["event_time"].max() < LOCK
    for name, view in store.read_views().items():
        if "known_time" in view.columns:
            assert view["known_time"].max() < LOCK, name
    assert datetime.fromisoformat(answers["lineups"]["data_timestamp"]) < LOCK
    assert datetime.fromisoformat(answers["lineups"]["slate"]["lock"]) == LOCK


def test_twenty_distinct_legal_lineups_of_the_real_file(
    answers: dict[str, Any], fantasy_data: Path, home: Path
) -> None:
    built = answers["lineups"]
    assert built["model"]["name"] == "nba-projection" and not built["fallback"]
    slate, contest = read_salaries(fantasy_data / SALARIES), load_contest("draftkings")
    lineups = [lineup_from_json(body) for body in built["lineups"]]
    assert len({frozenset(player.id for player in lineup.players) for lineup in lineups}) == 20
    assert not [problem for lineup in lineups for problem in check_lineup(lineup, slate, contest)]
    uploaded = read_upload(home / "upload.csv", slate, contest)
    assert [[p.id for p in lineup.players] for lineup in uploaded] == [
        [p.id for p in lineup.players] for lineup in lineups
    ]


def test_grades_are_the_real_points_and_the_real_field(answers: dict[str, Any], fantasy_data: Path) -> None:
    graded = answers["grade"]
    assert graded["slate"]["date"] == DAY.isoformat() and graded["n"] == len(graded["lineups"]) == 20
    assert graded["field_size"] == 7484
    box = pl.read_parquet(fantasy_data / "nba/box/season=2024.parquet").filter(pl.col("game_date") == DAY)
    scored = dict(box.select("player_name", pl.col("dk_fpts").cast(pl.Float64)).iter_rows())
    for row, body in zip(graded["lineups"], answers["lineups"]["lineups"], strict=True):
        assert 0 <= row["field_percentile"] <= 1
        names = [player["name"] for player in body["players"]]
        if all(name in scored for name in names):
            assert row["points"] == pytest.approx(sum(scored[name] for name in names))
    assert sum(all(p["name"] in scored for p in body["players"]) for body in answers["lineups"]["lineups"]) > 0


def test_the_repository_is_as_it_was(answers: dict[str, Any]) -> None:
    assert not {line for line in answers["written into the repository"] if line.startswith("??")}
