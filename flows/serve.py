"""Runs the serving processes beside the flows: programs that meet only in the registry, the stores and the stream."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import httpx

from features.errors import FantasyError
from features.workspace import LEAGUES, League, Workspace
from flows.programs import Program, Programs
from flows.progress import console, step

if TYPE_CHECKING:
    from flows.settings import FlowSettings

LOOK_S: Final = 0.5


class ServingFailed(FantasyError):
    """The serving process ended by itself."""

    retryable = True


def serve_until_interrupted(settings: FlowSettings, *, live: bool = True) -> None:
    """Start `python -m serving`, print the URLs once it answers, and stay until Ctrl-C or SIGTERM.

    `live` starts the real-time programs, too: two stream consumers (one stands by) and one recompute process per
    league that has data, and the hub.
    """
    url = f"http://{settings.host}:{settings.port}"
    programs = Programs(environment(settings), lambda said: console.print(f"  {said}", highlight=False))
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        programs.start(Program("serving", (sys.executable, "-m", "serving"), restart=False))
        with step(f"start serving on {url}"):
            _wait_until_up(programs, url)
        if live:
            for program in live_programs(settings):
                programs.start(program)
        console.print(
            f"\n  page      {url}/\n  live      {url}/live\n  API docs  {url}/docs\n"
            f"  MLflow    {settings.mlflow_tracking_uri}\n"
            f"  Prefect   {settings.prefect_api_url.removesuffix('/api')}\n\n  Ctrl-C stops everything.",
            highlight=False,
        )
        while (ended := programs.look()) is None:
            time.sleep(LOOK_S)
        if ended[1] != 0:
            raise ServingFailed(f"{ended[0]} ended with exit code {ended[1]}; its log is above")
    except KeyboardInterrupt:
        console.print("stopping …")
    finally:
        signal.signal(signal.SIGTERM, previous)
        programs.stop()


def live_programs(settings: FlowSettings) -> list[Program]:
    """The real-time programs of every league that has data under `settings.home`, and the hub."""
    leagues: list[League] = [name for name in LEAGUES if Workspace(settings.home, name).tables.is_dir()]
    python = sys.executable
    programs = [Program("hub", (python, "-m", "serving.live", "hub", "--answers", "serving.tiers.hub:answerer"))]
    for league in leagues:
        consumer = (python, "-m", "features.stream", "consumer", "--league", league)
        programs += [Program(f"{league} consumer", consumer), Program(f"{league} standby", consumer)]
        recompute = (python, "-m", "serving.live", "recompute", "--league", league)
        # Its frames have a few hundred rows: handing them to several threads costs more than it gains.
        programs.append(Program(f"{league} recompute", recompute, environment={"POLARS_MAX_THREADS": "1"}))
    return programs


def environment(settings: FlowSettings) -> dict[str, str]:
    """This process's environment with where the services are."""
    return {
        **os.environ,
        "FANTASY_HOME": str(settings.home.resolve()),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_BUS_URL": settings.bus_url,
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
    }


def _wait_until_up(programs: Programs, url: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (ended := programs.look()) is not None:
            raise ServingFailed(f"{ended[0]} ended with exit code {ended[1]} while starting; see above")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise ServingFailed(f"serving did not answer at {url}/health within {timeout_s:.0f} s")


def _interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt
