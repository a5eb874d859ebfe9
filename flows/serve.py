"""Runs the serving process beside the flows: two programs that meet only in the registry and the stores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

from features.errors import FantasyError
from flows.progress import console, step

if TYPE_CHECKING:
    from flows.settings import FlowSettings


class ServingFailed(FantasyError):
    """The serving process ended by itself."""

    retryable = True


def serve_until_interrupted(settings: FlowSettings) -> None:
    """Start `python -m serving`, print the URLs once it answers, and stay until Ctrl-C or SIGTERM."""
    url = f"http://{settings.host}:{settings.port}"
    environment = {
        **os.environ,
        "FANTASY_HOME": str(settings.home.resolve()),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
    }
    process = subprocess.Popen([sys.executable, "-m", "serving"], env=environment)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with step(f"start serving on {url}"):
            _wait_until_up(process, url)
        console.print(
            f"\n  page      {url}/\n  API docs  {url}/docs\n  MLflow    {settings.mlflow_tracking_uri}\n"
            f"  Prefect   {settings.prefect_api_url.removesuffix('/api')}\n\n  Ctrl-C stops everything.",
            highlight=False,
        )
        if process.wait() != 0:
            raise ServingFailed(f"serving ended with exit code {process.returncode}; its log is above")
    except KeyboardInterrupt:
        console.print("stopping …")
    finally:
        signal.signal(signal.SIGTERM, previous)
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_up(process: subprocess.Popen[bytes], url: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServingFailed(f"serving ended with exit code {process.returncode} while starting; see above")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise ServingFailed(f"serving did not answer at {url}/health within {timeout_s:.0f} s")


def _interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt
