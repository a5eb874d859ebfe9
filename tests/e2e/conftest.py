"""The command line as a user meets it."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.command_line import Answer, Fantasy


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, with no service to be had and none to be started."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FANTASY_HOME", str(folder))
    monkeypatch.setenv("FANTASY_EMBEDDED", "false")
    for name in ("FANTASY_DATA", "FANTASY_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "postgresql+psycopg://postgres@127.0.0.1:1/fantasy",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
    }.items():
        monkeypatch.setenv(f"FANTASY_{name}", value)
    return folder


@pytest.fixture
def fantasy(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Fantasy]:
    """Run `fantasy WORDS` through its own entry point; any exception but SystemExit is the traceback users see."""
    from flows.cli import main

    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    terminate = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["fantasy", *map(str, words)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return Answer(int(code or 0), said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, terminate)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
