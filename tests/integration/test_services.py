"""Embedded services: started, reused, adopted after `kill -9`, and clear about what is in the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import inspect

from features.stores.database import Database
from flows.daemon import Daemon, Launch, adopt, start
from flows.errors import PortTaken, ServiceUnavailable
from flows.postgres import sibling
from flows.services import Endpoints, embedded_services, healthy, on_free_ports, quiet_environment
from flows.settings import FlowSettings

CHEAP = ("redis", "postgres")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that other accounts can reach below (tmp_path is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix="fantasy-services-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def settings(home: Path) -> FlowSettings:
    return on_free_ports(FlowSettings(home=home, startup_timeout_s=60))


def recorded_pid(home: Path, name: str) -> int:
    return int((home / "services" / f"{name}.json").read_text().split('"pid": ')[1].split(",")[0])


def gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_redis_and_postgres_start_stop_and_keep_their_state(settings: FlowSettings, home: Path) -> None:
    heard: list[tuple[str, str]] = []
    for _ in range(2):
        with embedded_services(settings, which=CHEAP, on_progress=lambda *said: heard.append(said)) as endpoints:
            assert endpoints.started == CHEAP
            database = Database(endpoints.database_url)
            database.migrate()
            database.close()
            pids = [recorded_pid(home, name) for name in CHEAP]
        assert all(gone(pid) for pid in pids)
        assert list((home / "services").glob("*.json")) == []
    assert heard.count(("postgres", "ready")) == heard.count(("postgres", "stopped")) == 2
    assert (home / "logs" / "postgres.log").stat().st_size > 0


def test_what_already_answers_is_reused_and_left_running(settings: FlowSettings) -> None:
    heard: list[tuple[str, str]] = []
    with embedded_services(settings, which=("redis",)):
        with embedded_services(settings, which=("redis",), on_progress=lambda *said: heard.append(said)) as inner:
            assert inner.started == ()
        assert heard == [("redis", "reused")]
        assert healthy("redis", settings)
    assert not healthy("redis", settings)


def test_services_left_by_a_killed_owner_are_adopted_and_stopped(settings: FlowSettings, home: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from flows.services import embedded_services\n"
        "from flows.settings import FlowSettings\n"
        "settings = FlowSettings.model_validate_json(sys.argv[1])\n"
        "with embedded_services(settings, which=('redis', 'postgres')):\n"
        "    sys.stdout.write('up'); sys.stdout.flush(); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, settings.model_dump_json()], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.read(2) == b"up"
        owner.kill()
    pids = [recorded_pid(home, name) for name in CHEAP]
    assert healthy("redis", settings)
    with embedded_services(settings, which=CHEAP) as endpoints:
        assert endpoints.started == CHEAP
        assert [recorded_pid(home, name) for name in CHEAP] == pids
    assert all(gone(pid) for pid in pids)


def test_a_leftover_that_listens_elsewhere_gives_way(settings: FlowSettings, home: Path) -> None:
    with embedded_services(settings, which=("postgres",)):
        record = home / "services" / "postgres.json"
        before = recorded_pid(home, "postgres")
        # As if whoever started it had been killed.
        record.write_text(record.read_text().replace(f'"owner_pid": {os.getpid()}', '"owner_pid": 999999999'))
        elsewhere = on_free_ports(settings)
        with embedded_services(elsewhere, which=("postgres",)):
            assert gone(before)
            assert healthy("postgres", elsewhere)


def test_databases_survive_kill_minus_nine_of_postgres(settings: FlowSettings, home: Path) -> None:
    with embedded_services(settings, which=("postgres",)) as endpoints:
        database = Database(endpoints.database_url)
        database.migrate()
        database.close()
        os.kill(recorded_pid(home, "postgres"), signal.SIGKILL)
        assert gone(recorded_pid(home, "postgres"))
    # A process id that now belongs to something else must not keep the lock.
    lock = home / "postgres" / "postmaster.pid"
    if lock.exists():
        lock.write_text(lock.read_text().replace(lock.read_text().splitlines()[0], str(os.getppid()), 1))
    with embedded_services(settings, which=("postgres",)) as endpoints:
        database = Database(endpoints.database_url)
        assert database.revision() == "0003"
        database.close()


def test_a_taken_port_is_named_with_the_variable_to_change(settings: FlowSettings) -> None:
    port = int(settings.redis_url.split(":")[2].split("/")[0])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(PortTaken, match=rf"port {port} .* FANTASY_REDIS_URL"),
        embedded_services(settings, which=("redis",)),
    ):
        pytest.fail("started on a taken port")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"embedded": False}, "redis does not answer at 127.0.0.1"),
        ({"redis_url": "redis://10.255.255.1:6390/0"}, "not a loopback address"),
    ],
)
def test_what_may_not_be_started_here_is_said(
    settings: FlowSettings, changed: dict[str, object], says: str
) -> None:
    with (
        pytest.raises(ServiceUnavailable, match=says),
        embedded_services(settings.model_copy(update=changed), which=("redis",)),
    ):
        pytest.fail("started what it may not")


def test_a_service_that_dies_names_its_log_and_leaves_nothing_running(settings: FlowSettings, home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "PG_VERSION").write_text("9.1\n")
    with (
        pytest.raises(ServiceUnavailable, match=r"postgres stopped while starting; see .*postgres\.log"),
        embedded_services(settings, which=CHEAP),
    ):
        pytest.fail("started on a broken folder")
    assert not healthy("redis", settings)


def test_a_service_that_hangs_is_given_up_at_the_timeout(settings: FlowSettings) -> None:
    hurried = settings.model_copy(update={"startup_timeout_s": 0.3})
    with (
        pytest.raises(ServiceUnavailable, match=r"within 0 s \(FANTASY_STARTUP_TIMEOUT_S\)"),
        embedded_services(hurried, which=("mlflow",)),
    ):
        pytest.fail("MLflow cannot start that fast")


def test_a_recycled_process_id_is_never_signalled(tmp_path: Path) -> None:
    launch = Launch("other", ("sleep", "60"), tmp_path / "log", tmp_path / "record.json", tmp_path)
    bystander = start(launch)
    imposter = Daemon(launch, bystander.pid, bystander.created - 1000)
    assert not imposter.alive()
    imposter.ask_to_stop()
    assert bystander.alive()
    assert adopt(launch) is None
    bystander.ask_to_stop()
    bystander.wait_stopped()
    assert not bystander.alive()


def test_mlflow_and_prefect_answer_on_postgres(services: Endpoints, flow_settings: FlowSettings) -> None:
    assert all(healthy(name, flow_settings) for name in ("redis", "postgres", "mlflow", "prefect"))
    assert httpx.get(services.mlflow_tracking_uri).status_code == 200
    version = httpx.get(f"{services.prefect_api_url}/admin/version")
    assert version.status_code == 200
    settings = httpx.get(f"{services.prefect_api_url}/admin/settings").json()
    assert settings["server"]["analytics_enabled"] is False
    for name, table in (("mlflow", "registered_models"), ("prefect", "flow_run")):
        database = Database(sibling(services.database_url, name))
        with database.session() as session:
            assert table in inspect(session.connection()).get_table_names()
        database.close()
    assert os.environ["PREFECT_API_URL"] == services.prefect_api_url


def test_the_environment_is_quiet() -> None:
    quiet = quiet_environment()
    assert quiet["DO_NOT_TRACK"] == "true"
    assert {"PREFECT_SERVER_ANALYTICS_ENABLED", "MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS"} <= set(quiet)
