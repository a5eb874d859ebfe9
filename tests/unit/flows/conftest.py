"""The command line through typer's runner, in a fresh home, and a made-up slate to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.fixtures.salary_pool import pool


@dataclass(frozen=True)
class Said:
    """What a command answered: exit code, stdout, and the error it raised."""

    code: int
    out: str
    error: BaseException | None

    @property
    def json(self) -> Any:
        """Stdout as one JSON document."""
        assert self.error is None, self.error
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `fantasy WORDS`."""
    from flows.cli import app

    monkeypatch.setenv("FANTASY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FANTASY_EMBEDDED", "false")
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("FANTASY_DATA", "FANTASY_PARAMS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> Said:
        result = CliRunner().invoke(app, [str(word) for word in words])
        error = result.exception
        if isinstance(error, SystemExit):
            error = None
        return Said(result.exit_code, result.stdout, error)

    return run


@pytest.fixture
def salaries(tmp_path: Path) -> Path:
    """A sound DraftKings file of two games at once."""
    path = tmp_path / "DKSalaries.csv"
    path.write_text(pool(), encoding="utf-8")
    return path


@pytest.fixture
def two_tips(tmp_path: Path) -> Path:
    """The same with the second game two hours later."""
    path = tmp_path / "DKSalaries_two.csv"
    lines = pool().splitlines()
    path.write_text(
        "\n".join(line.replace("06:00PM", "08:00PM") if "LAL@MEM" in line else line for line in lines) + "\n",
        encoding="utf-8",
    )
    return path
