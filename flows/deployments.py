"""Schedules: what runs when, one at a time, at most one catch-up run.

A schedule whose worker was away finds several late runs waiting. Concurrency 1 with CANCEL_NEW lets one of them run
and cancels the others; one is enough, because a run collects everything known by the time it runs.
What a process that died leaves behind is cleared by `flows.zombies`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psutil  # type: ignore[import-untyped]

from features.errors import InvalidInput
from features.processes import start_child
from features.stores.jobs import PRIORITIES
from flows.errors import ServiceUnavailable
from flows.progress import console, step
from flows.services import quiet_environment
from flows.settings import FlowSettings
from flows.spec import LineSpec
from flows.zombies import at_api, sweeping

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.schedules import Schedule

log = logging.getLogger(__name__)
REPOSITORY: Final = Path(__file__).resolve().parent.parent
WORK_POOL: Final = "fantasy"
TIMEZONE: Final = "America/New_York"
#: Instead of a cron expression: this schedule is not wanted.
OFF: Final = "off"
#: How long a worker may take to stop with its runs.
WORKER_STOP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A flow, when it runs, and with what. At most one of `cron` (US Eastern) and `interval` is given; without either
    it runs when somebody asks, up to `side_by_side` runs at once, further ones wait.

    `entrypoint` is `file.py:flow`, relative to the repository.
    """

    name: str
    entrypoint: str
    parameters: dict[str, Any] = field(default_factory=dict)
    cron: str | None = None
    interval: timedelta | None = None
    side_by_side: int = 1

    @property
    def on_demand(self) -> bool:
        """Whether nothing but a request starts it."""
        return self.cron is None and self.interval is None


#: Heavy work that serving hands over (`serving.tiers.cloud`); a run takes a core.
JOBS: Final = Scheduled("jobs", "flows/jobs.py:jobs", side_by_side=max(1, (os.cpu_count() or 2) // 2))


def line_schedules(spec: LineSpec, *, daily_cron: str, live_cron: str, learn_cron: str = OFF) -> list[Scheduled]:
    """Return the line's schedules; a cron of `off` leaves its schedule out."""
    parameters = {"spec": spec.model_dump(mode="json")}
    return [
        Scheduled(name, f"flows/{name}.py:{name}", parameters, cron=cron)
        for name, cron in (("daily", daily_cron), ("live", live_cron), ("learn", learn_cron))
        if cron != OFF
    ]


def deploy_schedules(
    spec: LineSpec,
    settings: FlowSettings,
    *,
    daily_cron: str,
    live_cron: str,
    run_worker: bool,
    learn_cron: str = OFF,
) -> None:
    """Register the schedules; with `run_worker`, run them in this terminal until Ctrl-C or SIGTERM."""
    wanted = line_schedules(spec, daily_cron=daily_cron, live_cron=live_cron, learn_cron=learn_cron)
    with step("register schedules") as shown:
        register([*wanted, JOBS], settings)
        told = ", ".join(f"{one.name} at {one.cron!r}" for one in wanted)
        shown.summary = f"{told} ({TIMEZONE}); {JOBS.name} on demand"
    if not run_worker:
        command = " ".join(worker_command()[1:])
        console.print(
            f"run them with: PREFECT_API_URL={settings.prefect_api_url} python {command}",
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print(f"  Prefect   {settings.prefect_api_url.removesuffix('/api')}\n  Ctrl-C stops.", highlight=False)
    with sweeping(settings.prefect_api_url, WORK_POOL, worker_name()):
        _work_until_interrupted(settings)


def register(scheduled: Sequence[Scheduled], settings: FlowSettings, *, pool: str = WORK_POOL) -> dict[str, UUID]:
    """Make the pool's deployments exactly `scheduled`; return their ids by name.

    Runs that are late already are kept. Raises `InvalidInput` for a malformed schedule before anything changes,
    `ServiceUnavailable` when Prefect refuses.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.deployments.runner import DeploymentApplyError

    schedules = [[] if one.on_demand else [_schedule(one)] for one in scheduled]
    try:
        with at_api(settings.prefect_api_url), get_client(sync_client=True) as client:
            _ensure_work_pool(client, pool)
            found = {
                one.name: _deploy(one, schedule, settings, pool)
                for one, schedule in zip(scheduled, schedules, strict=True)
            }
            if any(one.on_demand for one in scheduled):
                _ensure_queues(client, pool)
            _prune(client, pool, keep=set(found.values()))
    except (httpx.HTTPError, DeploymentApplyError) as error:
        raise ServiceUnavailable(
            f"Prefect at {settings.prefect_api_url} did not take the schedules: {error}; check FANTASY_PREFECT_API_URL"
        ) from error
    return found


def worker_name() -> str:
    """Return the name of this machine's worker; the sweep knows by it whose processes it may judge."""
    return f"fantasy-{socket.gethostname()}"


def worker_command(pool: str = WORK_POOL) -> list[str]:
    """Return the command of a process worker for the pool."""
    words = ["worker", "start", "--pool", pool, "--type", "process", "--name", worker_name()]
    return [sys.executable, "-m", "prefect", *words]


def worker_environment(settings: FlowSettings) -> dict[str, str]:
    """Return what a worker needs besides the inherited environment: the services, no telemetry, its own state."""
    return {
        **quiet_environment(),
        **job_environment(settings),
        "PREFECT_HOME": str(settings.home.resolve() / "prefect"),
    }


def job_environment(settings: FlowSettings) -> dict[str, str]:
    """Return what a scheduled run needs to find the same services and state."""
    return {
        "FANTASY_HOME": str(settings.home.resolve()),
        "FANTASY_REDIS_URL": settings.redis_url,
        "FANTASY_BUS_URL": settings.bus_url,
        "FANTASY_STREAM_PARTITIONS": str(settings.stream_partitions),
        "FANTASY_DATABASE_URL": settings.database_url,
        "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_API_URL": settings.prefect_api_url,
    }


def _schedule(one: Scheduled) -> Schedule:
    from prefect.schedules import Schedule

    try:
        # No slug: a schedule with a slug survives a deploy that leaves it out (Prefect issue 23097).
        return Schedule(cron=one.cron, interval=one.interval, timezone=TIMEZONE)
    except ValueError as error:
        raise InvalidInput(
            f"cron {one.cron!r} of the schedule {one.name!r} is malformed ({error}); "
            f"write five fields such as '*/5 18-23 * * *', or '{OFF}'"
        ) from error


def _deploy(one: Scheduled, schedules: list[Schedule], settings: FlowSettings, pool: str) -> UUID:
    from prefect import flow
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

    strategy = ConcurrencyLimitStrategy.ENQUEUE if one.on_demand else ConcurrencyLimitStrategy.CANCEL_NEW
    source: Any = flow.from_source(source=str(REPOSITORY), entrypoint=one.entrypoint)
    deployed: UUID = source.deploy(
        name=one.name,
        work_pool_name=pool,
        schedules=schedules,
        concurrency_limit=ConcurrencyLimitConfig(limit=one.side_by_side, collision_strategy=strategy),
        parameters=one.parameters,
        job_variables={"working_dir": str(REPOSITORY), "env": job_environment(settings)},
        build=False,
        push=False,
        print_next_steps=False,
        ignore_warnings=True,
    )
    return deployed


def _ensure_work_pool(client: SyncPrefectClient, pool: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    try:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        log.debug("work pool %s is there already", pool)


def _ensure_queues(client: SyncPrefectClient, pool: str) -> None:
    """The pool's queues by priority: of runs that wait, a worker takes the urgent ones first."""
    from prefect.exceptions import ObjectAlreadyExists

    for name, priority in PRIORITIES.items():
        try:
            client.create_work_queue(name=name, priority=priority, work_pool_name=pool)
        except ObjectAlreadyExists:
            log.debug("work queue %s is there already", name)


def _prune(client: SyncPrefectClient, pool: str, *, keep: set[UUID]) -> None:
    """Delete the pool's deployments that are not wanted any more (Prefect's deploy only adds and changes)."""
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

    ours = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    for deployment in client.read_deployments(work_pool_filter=ours):
        if deployment.id not in keep:
            log.info("deployment %s is no longer wanted: deleted", deployment.name)
            client.delete_deployment(deployment.id)


def _work_until_interrupted(settings: FlowSettings) -> None:
    with worker_process(settings) as worker:
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            worker.wait()
            raise ServiceUnavailable(f"the worker ended with exit code {worker.returncode}; its log is above")
        except KeyboardInterrupt:
            console.print("stopping …")
        finally:
            signal.signal(signal.SIGTERM, previous)


@contextmanager
def worker_process(
    settings: FlowSettings, *, pool: str = WORK_POOL, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker while the block runs, in its own session: Ctrl-C reaches it once, from here."""
    given = {**os.environ, **worker_environment(settings), **environment}
    worker = start_child(worker_command(pool), environment=given, folder=REPOSITORY, own_session=True)
    try:
        yield worker
    finally:
        if worker.poll() is None:
            _stop(worker)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    """Stop the worker, which ends its runs; when it does not, or at a second Ctrl-C, kill it and end them here."""
    worker.terminate()
    try:
        worker.wait(timeout=WORKER_STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        log.warning("the worker did not stop in time: killed")
        runs = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        worker.wait()
        for run in runs:
            with suppress(psutil.NoSuchProcess):
                run.terminate()
        _, deaf = psutil.wait_procs(runs, timeout=10)
        for run in deaf:
            with suppress(psutil.NoSuchProcess):
                run.kill()


def _interrupt(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt
