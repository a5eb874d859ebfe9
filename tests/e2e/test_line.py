"""The main job as a newcomer runs it: `fantasy run` in a fresh home, then lineups from files, then a rollback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from features.contests import check_lineup, load_contest
from features.stores.offline import OfflineStore
from features.workspace import Workspace
from flows.services import on_free_ports, quiet_environment
from flows.settings import FlowSettings
from models.families import IN_GAME
from models.lineups.problem import lineup_from_json
from tests.fixtures.salary_pool import HEADER, SLOTS, pool

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("line")]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A fresh home; not tmp_path, whose parents are closed to the account PostgreSQL drops to."""
    folder = Path(tempfile.mkdtemp(prefix="fantasy-line-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def fantasy(home: Path, repository: Path) -> Run:
    """Run `fantasy` as a process on ports of its own, with all training but the projection's cut short."""
    params = yaml.safe_load((repository / "params.yaml").read_text(encoding="utf-8"))
    params["train"]["win_probability"]["max_epochs"] = 5
    for family in IN_GAME:
        params["train"][family]["max_epochs"] = 1
    (home / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    settings = on_free_ports(FlowSettings(home=home / "state"))
    environment = {
        **os.environ,
        **quiet_environment(),
        "FANTASY_HOME": str(settings.home),
        "FANTASY_PARAMS": str(home / "params.yaml"),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
    }

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(repository / ".venv" / "bin" / "fantasy"), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-6000:]
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def first(fantasy: Run) -> tuple[dict[str, Any], float]:
    """What the first run said, and how long it took in seconds."""
    started = time.monotonic()
    answer: dict[str, Any] = json.loads(fantasy("run", "--source", "simulated", "--json").stdout)
    return answer, time.monotonic() - started


def test_a_fresh_home_gets_a_champion_with_evidence(first: tuple[dict[str, Any], float]) -> None:
    answer, _ = first
    assert (answer["source"], answer["league"]) == ("simulated", "simulated")
    assert answer["collected"]["new"] > 0 and answer["collected"]["failed"] == 0
    assert answer["validation"]["passed"]
    projection = answer["models"]["projection"]
    assert projection["verdict"]["action"] == "promote"
    assert projection["outcome"]["champion"] == projection["challenger"]["version"] == "1"
    evidence = projection["verdict"]["evidence"]
    assert evidence["opponent"].startswith("baseline ")
    assert evidence["challenger"]["loss"] < evidence["champion"]["loss"]
    assert (
        evidence["challenger"]["n"] > 1000
        and evidence["references"]["data_hash"] == answer["lineage"]["data_hash"]
    )
    assert answer["models"]["win_probability"]["verdict"]["action"] in {"promote", "hold", "reject"}


def test_its_lineup_is_legal_and_names_the_model(first: tuple[dict[str, Any], float], home: Path) -> None:
    built = first[0]["lineup"]
    assert built["model"] == {"name": "simulated-projection", "version": "1"} and not built["fallback"]
    slate = OfflineStore(Workspace(home / "state", "simulated")).read_slate(built["slate"]["id"])
    (lineup,) = [lineup_from_json(body) for body in built["lineups"]]
    assert not check_lineup(lineup, slate, load_contest("draftkings"))


@pytest.fixture(scope="module")
def second(fantasy: Run, first: tuple[dict[str, Any], float]) -> tuple[dict[str, Any], float]:
    """The same again, afterwards."""
    started = time.monotonic()
    answer: dict[str, Any] = json.loads(fantasy("run", "--source", "simulated", "--json").stdout)
    return answer, time.monotonic() - started


def test_a_second_run_does_nothing_twice(
    first: tuple[dict[str, Any], float], second: tuple[dict[str, Any], float]
) -> None:
    (earlier, first_s), (answer, second_s) = first, second
    assert answer["collected"]["new"] == answer["collected"]["changed"] == 0
    assert answer["lineage"]["data_hash"] == earlier["lineage"]["data_hash"]
    # Code with uncommitted changes has no name to reuse a version by.
    reusable = not answer["lineage"]["git_sha"].endswith("-dirty")
    for family, entry in answer["models"].items():
        assert entry["challenger"]["reused"] is reusable, family
        if reusable:
            assert entry["challenger"]["version"] == earlier["models"][family]["challenger"]["version"]
    if reusable:
        assert second_s < first_s


def test_a_salary_file_of_known_players_is_projected_by_the_champion(
    fantasy: Run, first: tuple[dict[str, Any], float], home: Path
) -> None:
    slate = OfflineStore(Workspace(home / "state", "simulated")).read_slate(first[0]["lineup"]["slate"]["id"])
    lines = [HEADER]
    for p in slate.players:
        away, at = (p.opponent, p.team) if p.is_home else (p.team, p.opponent)
        roster = "/".join(dict.fromkeys(slot for one in p.positions for slot in SLOTS[one].split("/")))
        lines.append(
            f"{'/'.join(p.positions)},{p.name} ({p.site_id}),{p.name},{p.site_id},{roster},{p.salary_usd},"
            f"{away}@{at} 02/10/2025 07:00PM ET,{p.team},{p.average_points}"
        )
    path = home / "DKSalaries.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = home / "upload.csv"
    answer = json.loads(fantasy("lineups", "--salaries", path, "-n", 5, "--out", out, "--json").stdout)
    assert answer["model"]["name"] == "simulated-projection" and not answer["fallback"]
    assert len(answer["lineups"]) == 5 and len(out.read_text().splitlines()) == 6


def test_a_file_of_strangers_falls_back_and_says_so(
    fantasy: Run, first: tuple[dict[str, Any], float], home: Path
) -> None:
    path = home / "Strangers.csv"
    path.write_text(pool(), encoding="utf-8")
    answer = json.loads(fantasy("lineups", "--salaries", path, "--json").stdout)
    assert answer["fallback"] and "average" in " ".join(answer["warnings"])
    assert len(answer["unmatched"]) == 40


def test_the_only_champion_there_was_cannot_be_rolled_back(
    fantasy: Run, second: tuple[dict[str, Any], float]
) -> None:
    if second[0]["models"]["projection"]["outcome"]["champion"] == "1":
        said = fantasy("rollback", "projection", "--league", "simulated", code=1).stderr
        assert "NoChampion" in said and "simulated-projection" in said
    else:
        answer = json.loads(fantasy("rollback", "projection", "--league", "simulated", "--json").stdout)
        assert answer == {"name": "simulated-projection", "champion": "1"}
