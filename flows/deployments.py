"""Schedules: what runs when, one at a time, at most one catch-up run, and no zombie that blocks the next.

A schedule that was down for an hour finds several late runs waiting. Concurrency 1 with CANCEL_NEW lets the first
of them run and cancels the others, and a run is idempotent in time: it collects everything known by then.
A run whose process died without a word keeps its slot for ever (Prefect issues 16746, 17415), so `sweep` marks it
crashed; it runs at start and once a minute while a worker runs here.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psutil  # type: ignore[import-untyped]

from flows.progress import console, step
from flows.services import quiet_environment
from flows.settings import FlowSettings
from flows.spec import LineSpec

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

log = logging.getLogger(__name__)
REPOSITORY: Final = Path(__file__).resolve().parent.parent
WORK_POOL: Final = "fantasy"
TIMEZONE: Final = "America/New_York"
#: A run that stays PENDING this long never got a process.
PENDING_LIMIT: Final = timedelta(minutes=10)
SWEEP_EVERY_S: Final = 60.0


def deploy_schedules(
    spec: LineSpec, settings: FlowSettings, *, daily_cron: str, live_cron: str, run_worker: bool
) -> None:
    """Register both schedules; with `run_worker`, run them in this terminal until Ctrl-C."""
    os.environ["PREFECT_API_URL"] = settings.prefect_api_url
    with step("register schedules") as shown:
        register(spec, settings, {"daily": daily_cron, "live": live_cron})
        shown.summary = f"daily at {daily_cron!r}, live at {live_cron!r} ({TIMEZONE})"
    if not run_worker:
        console.print(f"run them with: prefect worker start --pool {WORK_POOL} --type process", highlight=False)
        return
    with sweeping():
        worker = subprocess.Popen(worker_command(), cwd=REPOSITORY, env=worker_environment(settings))
        try:
            worker.wait()
        except KeyboardInterrupt:
            worker.terminate()
            worker.wait(timeout=60)


def register(spec: LineSpec, settings: FlowSettings, crons: dict[str, str]) -> dict[str, UUID]:
    """Create or replace one deployment per entry of `crons` (flow name -> cron); return their ids."""
    from prefect import flow
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.schedules import Schedule

    ensure_work_pool()
    found: dict[str, UUID] = {}
    for name, cron in crons.items():
        CronSchedule(cron=cron, timezone=TIMEZONE)  # refuses a malformed cron before anything is registered
        source = flow.from_source(source=str(REPOSITORY), entrypoint=f"flows/{name}.py:{name}")
        found[name] = source.deploy(  # type: ignore[union-attr]
            name=name,
            work_pool_name=WORK_POOL,
            schedules=[Schedule(cron=cron, timezone=TIMEZONE)],
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
            ),
            parameters={"spec": spec.model_dump(mode="json")},
            job_variables={"working_dir": str(REPOSITORY), "env": job_environment(settings)},
            build=False,
            push=False,
            print_next_steps=False,
            ignore_warnings=True,
        )
    return found


def ensure_work_pool() -> None:
    """Create the process work pool once."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        except ObjectAlreadyExists:
            log.debug("work pool %s is there already", WORK_POOL)


def worker_command() -> list[str]:
    """Return the command of a process worker for the pool."""
    return [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"]


def worker_environment(settings: FlowSettings) -> dict[str, str]:
    """Return the environment of a worker: this one, with the settings' services and no telemetry."""
    return {**os.environ, **quiet_environment(), **job_environment(settings)}


def job_environment(settings: FlowSettings) -> dict[str, str]:
    """Return what a scheduled run needs to find the same services and state."""
    return {
        "FANTASY_HOME": str(settings.home.resolve()),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_API_URL": settings.prefect_api_url,
    }


@contextmanager
def sweeping() -> Iterator[None]:
    """Sweep now, and once a minute while the block runs."""
    stop = threading.Event()

    def loop() -> None:
        while True:
            for run in sweep(datetime.now(UTC)):
                log.warning("flow run %s had no process any more: marked crashed", run)
            if stop.wait(SWEEP_EVERY_S):
                return

    thread = threading.Thread(target=loop, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)


def sweep(now: datetime) -> list[str]:
    """Mark as crashed every run of our deployments whose process is gone; return their names."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    busy = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    swept: list[str] = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=busy))):
            if run.work_pool_name == WORK_POOL and is_zombie(run, now):
                _crash(client, run)
                swept.append(run.name)
    return swept


def is_zombie(run: FlowRun, now: datetime) -> bool:
    """Whether a busy run has no process any more: its pid on this machine is gone, or it never got one."""
    host, _, pid = (run.infrastructure_pid or "").rpartition(":")
    if pid.isdigit():
        return host == socket.gethostname() and not _runs(int(pid))
    since = run.state.timestamp if run.state is not None else run.created
    return since is not None and now - since > PENDING_LIMIT


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _crash(client: SyncPrefectClient, run: FlowRun) -> Any:
    from prefect.states import Crashed

    state: Any = Crashed(message="its process ended without a word; found by fantasy's sweep")
    return client.set_flow_run_state(run.id, state, force=True)
