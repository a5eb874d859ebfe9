"""Schedules on a real Prefect server, run by a real worker."""

from __future__ import annotations

import importlib
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule

from features.errors import InvalidInput
from flows.deployments import TIMEZONE, Scheduled, line_schedules, register
from flows.errors import ServiceUnavailable
from flows.settings import FlowSettings
from flows.spec import LineSpec
from tests.fixtures.schedules import FLOWS, NEVER, Pool

SPEC = LineSpec(source="archive", data=Path("/data"), seasons=(2023, 2024), through=date(2025, 2, 10))


def crons(pool: Pool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for deployment in pool.deployments():
        schedules = [each.schedule for each in deployment.schedules]
        assert all(isinstance(schedule, CronSchedule) for schedule in schedules)
        assert {schedule.timezone for schedule in schedules} == {TIMEZONE}
        found[deployment.name] = [schedule.cron for schedule in schedules]
    return found


def test_deploying_twice_gives_the_same_and_what_is_removed_is_gone(pool: Pool) -> None:
    wanted = line_schedules(SPEC, daily_cron="0 9 * * *", live_cron="*/5 18-23 * * *")
    first = pool.register(*wanted)
    assert crons(pool) == {"daily": ["0 9 * * *"], "live": ["*/5 18-23 * * *"]}
    assert pool.register(*wanted) == first
    assert crons(pool) == {"daily": ["0 9 * * *"], "live": ["*/5 18-23 * * *"]}
    for deployment in pool.deployments():
        limit, options = deployment.global_concurrency_limit, deployment.concurrency_options
        assert limit is not None and limit.limit == 1
        assert options is not None and options.collision_strategy == "CANCEL_NEW"
        assert LineSpec.model_validate(deployment.parameters["spec"]) == SPEC

    assert pool.register(*line_schedules(SPEC, daily_cron="off", live_cron="0 20 * * *")) == {
        "live": first["live"]
    }
    assert crons(pool) == {"live": ["0 20 * * *"]}


def test_a_malformed_cron_changes_nothing(pool: Pool) -> None:
    wanted = line_schedules(SPEC, daily_cron="0 9 * * *", live_cron="every now and then")
    with pytest.raises(InvalidInput, match=r"'every now and then' of the schedule 'live'"):
        pool.register(*wanted)
    assert pool.deployments() == []


def test_an_unreachable_server_is_named(flow_settings: FlowSettings) -> None:
    nowhere = flow_settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    with pytest.raises(ServiceUnavailable, match="FANTASY_PREFECT_API_URL"):
        register([], nowhere)


@pytest.mark.parametrize("flow_name", ["daily", "live"])
def test_a_flow_takes_its_spec_as_json(flow_name: str) -> None:
    flow = getattr(importlib.import_module(f"flows.{flow_name}"), flow_name)
    assert flow.should_validate_parameters
    assert flow.validate_parameters({"spec": SPEC.model_dump(mode="json")}) == {"spec": SPEC}
    assert flow.validate_parameters({"spec": SPEC}) == {"spec": SPEC}


def test_late_runs_are_caught_up_once_then_the_schedule_goes_on(pool: Pool) -> None:
    every = timedelta(seconds=5)
    nap = pool.register(Scheduled("nap", f"{FLOWS}:nap", {"seconds": 1.0}, interval=every))["nap"]

    def late() -> list[FlowRun]:
        found = [run for run in pool.runs(nap) if run.state is not None and run.state.name == "Late"]
        return found if len(found) >= 3 else []

    missed = {run.id for run in pool.until(late)}

    def completed() -> list[FlowRun]:
        found = [run for run in pool.runs(nap) if run.state is not None and run.state.is_completed()]
        return sorted(found, key=lambda run: run.start_time)

    with pool.worker():
        pool.until(lambda: len(completed()) >= 2)
        # Nothing more is due while the worker stops.
        pool.register(Scheduled("nap", f"{FLOWS}:nap", {"seconds": 1.0}, cron=NEVER))
    ran = completed()
    assert all(run.auto_scheduled for run in ran)
    assert all(one.end_time <= other.start_time for one, other in pairwise(ran))
    runs = pool.runs(nap)
    assert {run.state_name for run in runs if run.id in missed} <= {"Cancelled", "Completed"}
    # The worker's first look takes what is overdue and what is due within 10 s; any one of these may win the slot.
    looked = min(run.start_time for run in runs if run.state_name == "Cancelled")
    taken = [run.state_name for run in runs if run.expected_start_time < looked + timedelta(seconds=9)]
    assert len(taken) > len(missed)
    assert sorted(taken) == ["Cancelled"] * (len(taken) - 1) + ["Completed"]


@pytest.mark.slow
def test_a_flow_with_retries_keeps_its_slot_and_retries(pool: Pool) -> None:
    stumble = pool.register(Scheduled("stumble", f"{FLOWS}:stumble", cron=NEVER))["stumble"]
    run = pool.start(stumble)
    with pool.worker():
        pool.until(lambda: pool.state(run) in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})
    assert (pool.state(run), pool.run(run).run_count) == ("COMPLETED", 2)
