"""The reference pipeline: dvc.yaml names what exists, and a clean clone reproduces the committed figures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import stages
from flows.services import quiet_environment

COMMITTED = "metrics.json"


@pytest.fixture(scope="session")
def pipeline(repository: Path) -> dict[str, Any]:
    """The stages of dvc.yaml by name."""
    stages_by_name: dict[str, Any] = yaml.safe_load((repository / "dvc.yaml").read_text(encoding="utf-8"))[
        "stages"
    ]
    return stages_by_name


def outputs(stage: dict[str, Any]) -> list[str]:
    """Paths a stage writes."""
    entries = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_every_stage_runs_the_function_of_its_name(pipeline: dict[str, Any]) -> None:
    assert {name: stage["cmd"] for name, stage in pipeline.items()} == {
        name: f"python -m flows.stages {name}" for name in stages.STAGES
    }


def test_every_dependency_exists_or_is_made_by_an_earlier_stage(
    repository: Path, pipeline: dict[str, Any]
) -> None:
    made: set[str] = set()
    for name, stage in pipeline.items():
        for path in stage["deps"]:
            assert path in made or (repository / path).exists(), f"{name} needs {path}"
            assert path in made or not path.startswith("data/"), f"{name} needs {path}, which no stage makes"
        assert not made & set(outputs(stage))
        made.update(outputs(stage))
    assert COMMITTED in made


def test_what_the_stages_make_stays_out_of_git(repository: Path, pipeline: dict[str, Any]) -> None:
    made = [path for stage in pipeline.values() for path in outputs(stage) if path != COMMITTED]
    ignored = subprocess.run(
        ["git", "-C", str(repository), "check-ignore", *made, "data/simulated/raw/ledger.sqlite", COMMITTED],
        capture_output=True,
        text=True,
    )
    assert ignored.stdout.split() == [*made, "data/simulated/raw/ledger.sqlite"]


def test_parameters_of_every_stage_are_in_the_file(repository: Path, pipeline: dict[str, Any]) -> None:
    known = yaml.safe_load((repository / "params.yaml").read_text(encoding="utf-8"))
    for stage in pipeline.values():
        for name in stage["params"]:
            section, _, key = name.partition(".")
            assert section in known and (not key or key in known[section]), name


def test_a_stage_refuses_parameters_that_dvc_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTASY_PARAMS", "other.yaml")
    with pytest.raises(stages.InvalidInput, match="FANTASY_PARAMS"):
        stages.main(["validate"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_clean_clone_reproduces_the_committed_figures(repository: Path, tmp_path: Path) -> None:
    committed = repository / COMMITTED
    assert committed.is_file() and (repository / "dvc.lock").is_file(), "run `make repro` and commit both files"
    clone = _clone(repository, tmp_path / "clone")
    (clone / COMMITTED).unlink(missing_ok=True)  # else DVC takes the committed file for the result
    environment = {
        **os.environ,
        **quiet_environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(["dvc", "repro"], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / COMMITTED).read_bytes() == committed.read_bytes()
    left = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True).stdout
    assert {line[3:] for line in left.splitlines()} <= {COMMITTED, "dvc.lock"}


def _clone(repository: Path, target: Path) -> Path:
    """A clone of the files git knows or would know, as they are now, without what is ignored."""
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (repository / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, target / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "as it is"]):
        subprocess.run(["git", "-C", str(target), *words], check=True, capture_output=True)
    return target
