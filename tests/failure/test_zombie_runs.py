"""A run whose process was killed, or that never got one, must not stand in the way of the next."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending

from flows.deployments import Scheduled, worker_name
from flows.zombies import PENDING_LIMIT, is_zombie, mark_crashed
from tests.fixtures.schedules import FLOWS, NEVER, Pool


def living_pid(pool: Pool, run: FlowRun) -> int:
    found = pool.run(run)
    return int(found.infrastructure_pid or 0) if found.state is not None and found.state.is_running() else 0


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_run_is_crashed_and_the_next_gets_the_slot(pool: Pool) -> None:
    nap = pool.register(Scheduled("nap", f"{FLOWS}:nap", cron=NEVER))["nap"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    stuck = pool.start(nap, seconds=600)
    with pool.worker() as worker:
        pid = pool.until(lambda: living_pid(pool, stuck))
        # Slow, but its process lives.
        assert pool.sweep(tomorrow) == []
        # The worker goes first: it would otherwise report the crash itself.
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    os.kill(pid, signal.SIGKILL)
    pool.until(lambda: gone(pid))
    time.sleep(1)
    assert pool.state(stuck) == "RUNNING"
    as_running = pool.run(stuck)

    refused = pool.start(nap, seconds=0)
    pool.client.set_flow_run_state(refused.id, Pending())
    assert pool.state(refused) == "CANCELLED"

    assert pool.sweep() == [stuck.name]
    assert pool.state(stuck) == "CRASHED"

    following = pool.start(nap, seconds=0)
    with pool.worker():
        pool.until(lambda: pool.state(following) in {"COMPLETED", "CANCELLED", "CRASHED"})
    assert pool.state(following) == "COMPLETED"
    # Finished runs are left alone, also by a sweep that read them while they were running.
    assert pool.sweep(tomorrow) == []
    assert not mark_crashed(pool.client, pool.run(following).model_copy(update={"state": as_running.state}))
    assert pool.state(following) == "COMPLETED"


def test_a_run_stranded_before_it_got_a_process_is_crashed_past_the_limit(pool: Pool) -> None:
    nap = pool.register(Scheduled("nap", f"{FLOWS}:nap", cron=NEVER))["nap"]
    stranded = pool.start(nap)
    pool.client.set_flow_run_state(stranded.id, Pending())
    assert pool.state(stranded) == "PENDING"
    assert pool.sweep() == []

    now = datetime.now(UTC)
    assert pool.sweep(now + PENDING_LIMIT + timedelta(seconds=5)) == [stranded.name]
    assert pool.state(stranded) == "CRASHED"

    following = pool.start(nap)
    pool.client.set_flow_run_state(following.id, Pending())
    assert pool.state(following) == "PENDING"


@pytest.mark.parametrize(
    ("started_by", "expected"),
    [
        (worker_name(), True),  # alive, but not started for the run: a recycled process id
        ("fantasy-elsewhere", False),  # another machine's process ids say nothing here
    ],
)
def test_a_process_id_is_judged_by_whom_it_serves(started_by: str, expected: bool) -> None:
    run = FlowRun.model_validate(
        {
            "flow_id": "00000000-0000-0000-0000-000000000000",
            "labels": {"prefect.worker.name": started_by},
            "infrastructure_pid": str(os.getpid()),
        }
    )
    assert is_zombie(run, worker_name(), datetime.now(UTC)) is expected
