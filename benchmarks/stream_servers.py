"""Servers and processes of the stream benchmarks: started here, counted in CPU seconds, ended here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from measure import ROOT

from flows.services import embedded_services, on_free_ports
from flows.settings import FlowSettings

BENCHMARKS = ROOT / "benchmarks"
#: Seconds at the start that are measured but not counted.
WARM_UP_S = 1.0
END_S = 30.0


@dataclass(frozen=True)
class Redis:
    """Two fresh Redis servers as users get them: `bus` keeps nothing, `state` has an append-only file (everysec)."""

    bus_url: str
    state_url: str
    pids: Mapping[str, int]


@contextmanager
def redis_servers(*, one: bool = False) -> Iterator[Redis]:
    """Servers on free ports in a new folder; with `one`, a single server (append-only) has both roles."""
    home = Path(tempfile.mkdtemp(prefix="fantasy-bench-"))
    try:
        settings = on_free_ports(FlowSettings(home=home))
        which = ("redis",) if one else ("redis", "bus")
        with embedded_services(settings, which=which) as endpoints:  # type: ignore[arg-type]
            pids = {
                role: int(json.loads((home / "services" / f"{name}.json").read_text())["pid"])
                for name, role in (("redis", "redis_state"), ("bus", "redis_bus"))
                if name in which
            }
            yield Redis(endpoints.redis_url if one else endpoints.bus_url, endpoints.redis_url, pids)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Crew:
    """Processes by role. `cpu_s` is what each role used between two `mark`s."""

    _stack: ExitStack = field(default_factory=ExitStack)
    _pids: list[tuple[str, int]] = field(default_factory=list)
    _marks: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def watch(self, pids: Mapping[str, int]) -> None:
        """Count processes that somebody else started."""
        self._pids += pids.items()

    def start(
        self, role: str, command: Sequence[object], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a process that is ended with the crew; its standard error is this process's."""
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )  # fmt: skip
        self._pids.append((role, process.pid))
        self._stack.callback(end, process)
        return process

    def mark(self) -> None:
        """Begin to count."""
        self._marks = self._used()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds per role since the mark; processes that ended meanwhile are not in it."""
        return {role: round(used - self._marks.get(role, 0.0), 3) for role, used in self._used().items()}

    def _used(self) -> dict[str, float]:
        used: dict[str, float] = {}
        for role, pid in self._pids:
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            used[role] = used.get(role, 0.0) + times.user + times.system
        return used


def end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, and see that it does."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until a process has written "ready"; a compilation may take it seconds."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if line.strip() != "ready":
        sys.exit(f"{process.args}: said {line!r} instead of ready (exit {process.poll()})")


def begin(process: subprocess.Popen[str], start_ns: int) -> None:
    """Tell a process when to begin (UNIX ns)."""
    assert process.stdin is not None
    process.stdin.write(f"{start_ns}\n")
    process.stdin.flush()


def report(process: subprocess.Popen[str], timeout_s: float) -> dict[str, Any]:
    """The JSON object that a process writes last; it is ended when it takes too long."""
    try:
        written, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"error": f"did not end within {timeout_s:.0f} s"}
    lines = written.strip().splitlines()
    if process.returncode or not lines:
        return {"error": f"ended with {process.returncode}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def python(script: str, *arguments: object) -> list[str]:
    """Command of a script beside this one, in this virtual environment."""
    return [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
