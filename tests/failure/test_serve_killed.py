"""`fantasy serve` is killed: nothing that it started is left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from features.workspace import Workspace
from flows.settings import FlowSettings
from tests.fixtures.hub import free_port
from tests.fixtures.serving import eventually

#: Words that tell each program's command line, and how many of it run: a hub has a worker.
WANTED = {
    "-m serving": 1, "serving.live hub": 1, "serving.live worker": 1, "features.stream consumer": 2,
    "serving.live recompute": 1,
}  # fmt: skip


def command_line(process: psutil.Process) -> str:
    """Its words while it runs, nothing afterwards."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def counted(programs: list[psutil.Process]) -> dict[str, int]:
    """How many of each of `WANTED` run."""
    lines = [command_line(each) for each in programs]
    return {words: sum(line.endswith(words) or f"{words} " in line for line in lines) for words in WANTED}


def test_no_child_outlives_a_killed_serve(flow_settings: FlowSettings, tmp_path: Path) -> None:
    Workspace(tmp_path, "simulated").tables.mkdir(parents=True)
    given = {
        "FANTASY_HOME": str(tmp_path),
        "FANTASY_PORT": str(free_port()),
        "FANTASY_LIVE_PORT": str(free_port()),
        "FANTASY_REDIS_URL": f"{flow_settings.redis_url.rpartition('/')[0]}/11",
        "FANTASY_BUS_URL": f"{flow_settings.bus_url.rpartition('/')[0]}/11",
        "FANTASY_DATABASE_URL": flow_settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": flow_settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": flow_settings.prefect_api_url,
    }
    command = [sys.executable, "-c", "from flows.cli import main; main()", "serve"]
    serve = subprocess.Popen(command, env={**os.environ, **given}, stdout=subprocess.DEVNULL)
    try:
        whole = psutil.Process(serve.pid)
        eventually(lambda: counted(whole.children(recursive=True)) == WANTED, 120)
        started = whole.children(recursive=True)
    finally:
        serve.kill()
        serve.wait()
    eventually(lambda: not any(map(command_line, started)), 60)
