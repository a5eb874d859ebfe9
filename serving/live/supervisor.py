"""`python -m serving.live hub`: worker processes behind one port, each started again when it dies."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from features.processes import start_child

log = logging.getLogger(__name__)
LOOK_S: Final = 0.1
#: A worker that dies younger than this is started again only after a growing wait.
YOUNG_S: Final = 5.0
LONGEST_WAIT_S: Final = 10.0
DRAIN_S: Final = 10.0


@dataclass(slots=True)
class _Place:
    """One worker's place: its process, or when to start the next."""

    index: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    wait_s: float = 0.0
    due_s: float = 0.0


class Supervisor:
    """Keeps `workers` processes of `python -m serving.live worker` running; `arguments` are passed on to each."""

    def __init__(self, host: str, port: int, workers: int, arguments: Sequence[str]) -> None:
        self._host = host
        # Bound but not listening: keeps the port ours while all workers are down, and finds a free one for 0.
        self._reserved = reserve(host, port)
        self.port: int = self._reserved.getsockname()[1]
        self._arguments = list(arguments)
        self._places = [_Place(index) for index in range(workers)]
        self._stop = threading.Event()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then drain the workers."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        log.info("live hub port=%d workers=%d", self.port, len(self._places))
        try:
            while not self._stop.is_set():
                self._look()
                self._stop.wait(LOOK_S)
        finally:
            self._end()

    def _look(self) -> None:
        now_s = time.monotonic()
        for place in self._places:
            if place.process is not None and place.process.poll() is not None:
                young = now_s - place.started_s < YOUNG_S
                place.wait_s = min(max(place.wait_s * 2, 0.25), LONGEST_WAIT_S) if young else 0.0
                place.due_s = now_s + place.wait_s
                log.warning(
                    "worker %d pid=%d ended status=%s; the next starts in %.2f s",
                    place.index, place.process.pid, place.process.returncode, place.wait_s,
                )  # fmt: skip
                place.process = None
            if place.process is None and now_s >= place.due_s:
                place.process, place.started_s = self._start(place.index), now_s

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        at = ["--host", self._host, "--port", str(self.port), "--index", str(index)]
        return start_child([sys.executable, "-m", "serving.live", "worker", *at, *self._arguments])

    def _end(self) -> None:
        running: list[Any] = [place.process for place in self._places if place.process is not None]
        for process in running:
            process.terminate()
        until_s = time.monotonic() + DRAIN_S
        for process in running:
            try:
                process.wait(timeout=max(until_s - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.warning("worker pid=%d did not drain within %.0f s; it is killed", process.pid, DRAIN_S)
                process.kill()
                process.wait()
        self._reserved.close()


def reserve(host: str, port: int) -> socket.socket:
    """A socket bound to the port that others may listen on, with SO_REUSEPORT; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    return reserved
