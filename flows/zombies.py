"""Runs whose process ended without a word: found by looking for the process, marked crashed, slot freed.

Prefect frees the slot of such a run when its lease ends (300 s) but leaves it RUNNING for ever, and holds one
stranded in PENDING against the next run (Prefect issues 16746, 17415). A run counts as alive while a process
started for it exists, however slow it is. Only runs of this machine's worker are judged by process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx
import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

log = logging.getLogger(__name__)
#: A run without a process this long after its last state never got one. Below Prefect's lease of 300 s:
#: crashing a run whose lease has ended already would free the slot a second time, under the next run.
PENDING_LIMIT: Final = timedelta(minutes=4)
SWEEP_EVERY_S: Final = 60.0
#: Set by Prefect in the environment of every process it starts for a run.
RUN_VARIABLE: Final = "PREFECT__FLOW_RUN_ID"


@contextmanager
def at_api(url: str) -> Iterator[None]:
    """Point Prefect's clients in this thread at `url`, whatever the environment said when Prefect was imported."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        yield


@contextmanager
def sweeping(api_url: str, pool: str, worker: str) -> Iterator[None]:
    """Sweep now, once a minute while the block runs, and after it."""
    stop = threading.Event()
    _sweep_and_say(api_url, pool, worker)

    def loop() -> None:
        while not stop.wait(SWEEP_EVERY_S):
            _sweep_and_say(api_url, pool, worker)

    thread = threading.Thread(target=loop, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
        _sweep_and_say(api_url, pool, worker)


def sweep(api_url: str, pool: str, worker: str, now: datetime) -> list[str]:
    """Mark as crashed every run of the pool whose process is gone; return their names.

    `worker` is the name of this machine's worker.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    types = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    busy = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)))
    ours = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    with at_api(api_url), get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=busy, work_pool_filter=ours)
        return [run.name for run in runs if is_zombie(run, worker, now) and mark_crashed(client, run)]


def is_zombie(run: FlowRun, worker: str, now: datetime) -> bool:
    """Whether a busy run has no process any more, or never got one."""
    started_by = run.labels.get("prefect.worker.name")
    if started_by not in {None, worker}:
        return False
    pid = run.infrastructure_pid or ""
    if pid.isdigit():
        return not _runs_for(int(pid), str(run.id))
    since = run.state.timestamp if run.state is not None else run.created
    overdue = since is not None and now - since > PENDING_LIMIT
    return overdue and not any(_runs_for(pid, str(run.id)) for pid in psutil.pids())


def mark_crashed(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Mark the run crashed unless it has ended or moved on since `run` was read; whether it was marked.

    A run says how it ended before its process goes, so once the process is gone the state is final.
    """
    from prefect.client.schemas.responses import SetStateStatus
    from prefect.states import Crashed

    state = client.read_flow_run(run.id).state
    if state is None or run.state is None or state.type != run.state.type:
        return False
    crashed: State[None] = Crashed(message="its process ended without a word; found by fantasy's sweep")
    return client.set_flow_run_state(run.id, crashed).status == SetStateStatus.ACCEPT


def _sweep_and_say(api_url: str, pool: str, worker: str) -> None:
    try:
        for name in sweep(api_url, pool, worker, datetime.now(UTC)):
            log.warning("flow run %s had no process any more: marked crashed", name)
    except httpx.HTTPError as error:
        log.warning("zombies cannot be looked for, trying again in %.0f s: %s", SWEEP_EVERY_S, error)


def _runs_for(pid: int, run_id: str) -> bool:
    """Whether process `pid` lives and was started for the run (a recycled process id was not)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(process.environ().get(RUN_VARIABLE) == run_id)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
