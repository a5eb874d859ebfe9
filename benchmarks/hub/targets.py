"""The servers under load: our hub behind Redis, and rivals that get the same text through a pipe."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil
import redis
from hub.build import HERE, compiled, node_folder

from features.stream.commit import Transaction
from features.stream.connections import Servers, must
from features.stream.deltas import DeltaWriter, Update, epoch
from features.stream.events import key_of
from features.workspace import League
from flows.services import embedded_services, on_free_ports
from flows.settings import FlowSettings
from serving.live.topics import KEPT_BYTES
from serving.security import issue
from serving.settings import ServingSettings

LEAGUE: League = "simulated"
PARTITIONS = 2
#: All clients here come from few addresses with one token; a hub on the internet keeps its own limits.
LIMITS = '{"per_address": 100000, "per_subject": 100000}'
#: Text of one update in bytes; with its frame header it is 204, as in every figure of docs/live.md.
TEXT_BYTES = 200
STARTUP_S = 60.0


class NotStarted(RuntimeError):
    """A server did not come up; the message has its last words."""


class Target(Protocol):
    """A server that clients are connected to. `everyone` is the topic that reaches all clients of `broadcast`."""

    name: str
    port: int
    path: str
    ack: bool
    everyone: str

    def publish(self, topic: str, at_ns: int, size: int = TEXT_BYTES) -> None:
        """Send one update of `size` bytes, created at `at_ns`, to the subscribers of `topic`."""

    def processes(self) -> list[psutil.Process]:
        """The processes that hold the connections."""


def rss_kb(target: Target) -> float:
    """Resident memory of the target's processes."""
    return sum(process.memory_info().rss for process in target.processes()) / 1024


def cpu_s(target: Target) -> float:
    """CPU seconds the target's processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in target.processes())


def pin(target: Target, core: int | None) -> None:
    """Keep the target's processes on one CPU; nothing for None."""
    if core is not None:
        for process in target.processes():
            process.cpu_affinity([core])


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Rival:
    """A server that reads `TOPIC<tab>TEXT` lines; it needs no Redis, which is in its favour."""

    path, ack, everyone = "/", False, "*"

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.name, self.port, self._process = name, port, process
        self._number = 0
        self._last: dict[str, str] = defaultdict(lambda: "0-0")

    def publish(self, topic: str, at_ns: int, size: int = TEXT_BYTES) -> None:
        """Write the line; the text is what the hub would send."""
        self._number += 1
        offset = f"{at_ns // 1_000_000}-{self._number}"
        text = delta(topic, offset, self._last[topic], at_ns, size)
        self._last[topic] = offset
        assert self._process.stdin is not None
        self._process.stdin.write(f"{topic}\t{text}\n".encode())
        self._process.stdin.flush()

    def processes(self) -> list[psutil.Process]:
        """The one process."""
        return [psutil.Process(self._process.pid)]


def delta(topic: str, offset: str, prev: str, at_ns: int, size: int) -> str:
    """A delta as the hub words it, filled up to `size` bytes."""
    head = (
        f'{{"op":"delta","topic":"{topic}","epoch":"0:0123abcd","offset":"{offset}","prev":"{prev}","at":{at_ns},'
    )
    return f'{head}"data":{{"fill":"{"x" * max(0, size - len(head) - 19)}"}}}}'


def rival_command(name: str) -> tuple[list[str], Path]:
    """How to start a rival, without its port, and where. Raises `MissingTool`."""
    match name:
        case "C floor":
            return [str(compiled("wsfloor"))], HERE
        case "picows, bare":
            return [sys.executable, str(HERE / "rival_picows.py")], HERE
        case "uvicorn + Starlette":
            return [sys.executable, str(HERE / "rival_starlette.py")], HERE
        case "Node ws":
            return ["node", str(HERE / "rival_ws.mjs")], node_folder()
    raise ValueError(f"no rival {name!r}")


@contextmanager
def rival(name: str) -> Iterator[Rival]:
    """A rival that listens. Raises `MissingTool` or `NotStarted`."""
    command, folder = rival_command(name)
    port = free_port()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*command, str(port)], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            assert process.stdout is not None and process.stdin is not None
            if process.stdout.readline() != b"ready\n":
                process.wait(timeout=10)
                errors.seek(0)
                raise NotStarted(f"{name} did not start: {errors.read().decode()[-400:].strip()}")
            yield Rival(name, port, process)
        finally:
            process.kill()
            process.communicate()


class Hub:
    """Our hub: updates go through the deltas stream of the state Redis."""

    ack, everyone = True, "game:everyone"

    def __init__(self, workers: int, port: int, token: str, url: str, process: subprocess.Popen[bytes]) -> None:
        self.name = f"hub, {workers} worker{'s' if workers > 1 else ''}"
        self.workers, self.port, self.path, self._process = workers, port, f"/v1/live?token={token}", process
        self._writers = [DeltaWriter(LEAGUE, partition, "state") for partition in range(PARTITIONS)]
        self._link = Servers(url).link(self._writers[0].keys.deltas)
        self._number = 0

    def publish(self, topic: str, at_ns: int, size: int = TEXT_BYTES) -> None:
        """One entry of the stream, in the lane that is not conflated."""
        self._number += 1
        frame = len(delta(topic, f"{at_ns // 1_000_000}-0", f"{at_ns // 1_000_000}-0", at_ns, 0))
        data = {"n": self._number, "fill": "x" * max(0, size - frame - 5 - len(str(self._number)))}
        writer = self._writers[key_of(topic) % PARTITIONS]
        change = Transaction(writer.keys)
        writer.queue(change, [Update(topic, data, critical=True)], at_ns=at_ns)
        # As a consumer sends its transactions; redis-py's pipeline would take CPU from what is measured.
        for reply in self._link.call((b"MULTI",), *change.commands, (b"EXEC",)):
            must(reply)

    def remember(self, topics: Sequence[str], size: int) -> None:
        """Publish until every worker has as much history as it keeps: from then on it grows no more by that."""
        for number in range(2 * KEPT_BYTES // size):
            self.publish(topics[number % len(topics)], time.time_ns(), size)
            time.sleep(0.0005)

    def processes(self) -> list[psutil.Process]:
        """The hub's process and its workers."""
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def close(self) -> None:
        """Give the Redis connection back."""
        self._link.close()


@contextmanager
def our_hub(
    workers: int, url: str, home: Path, *, answers: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Hub]:
    """A hub of `workers` processes on the state Redis at `url`; `answers` is its answerer. Raises `NotStarted`."""

    port, secret = free_port(), secrets.token_hex(32)
    changed = {"redis_url": url, "home": home, "live_secret": secret, "stream_partitions": PARTITIONS}
    settings = ServingSettings().model_copy(update=changed)
    environment = os.environ | (environment or {}) | {
        "FANTASY_HOME": str(home), "FANTASY_REDIS_URL": url, "FANTASY_LIVE_PORT": str(port),
        "FANTASY_LIVE_SECRET": secret, "FANTASY_STREAM_PARTITIONS": str(PARTITIONS),
    }  # fmt: skip
    token = issue(settings, league=LEAGUE, topics=["game:*", "player:*", "slate:*", "job:*", "model"], ttl_s=3600)
    with redis.Redis.from_url(url) as client:
        for partition in range(PARTITIONS):
            epoch(client, LEAGUE, partition)
    log = home / f"hub-{workers}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.live", "hub", "--workers", str(workers), "--league", LEAGUE,
             "--limits", LIMITS, *(["--answers", answers] if answers else [])],
            env=environment, cwd=home, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_listening(process, port, log)
        found = Hub(workers, port, token, url, process)
        try:
            yield found
        finally:
            found.close()
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            process.wait()


def wait_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once something listens on `port`. Raises `NotStarted` with the end of the log."""
    end = time.monotonic() + STARTUP_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise NotStarted(
        f"the hub did not listen on {port} within {STARTUP_S:.0f} s: {log.read_text()[-800:].strip()}"
    )


@contextmanager
def servers() -> Iterator[tuple[FlowSettings, Path]]:
    """The two Redis servers of a fresh installation (state with AOF), and a folder; deleted afterwards."""
    home = Path(tempfile.mkdtemp(prefix="fantasy-bench-"))
    settings = on_free_ports(FlowSettings(home=home / "state")).model_copy(update={"redis_appendonly": True})
    try:
        with embedded_services(settings, which=("redis", "bus")):
            yield settings, home
    finally:
        shutil.rmtree(home, ignore_errors=True)
