"""A background process that this machine owns: start, record, adopt, stop. Knows nothing of any vendor.

Invariant: nothing is ever signalled unless its process id *and* creation time match a record written here,
so a process id recycled after `kill -9` or a reboot is never mistaken for ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from flows.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

POLL_S: Final = 0.1
LOG_TAIL_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a daemon. `account` is (uid, gid) to drop to; `stop_signal` goes to the leader,
    then the whole process group is killed when it has not gone after `stop_timeout_s`."""

    name: str
    command: Sequence[str]
    log: Path
    record: Path
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0


@dataclass(slots=True)
class Daemon:
    """A running process started, or adopted, by this process."""

    launch: Launch
    pid: int
    created: float
    _signalled_at: float = 0.0

    def alive(self) -> bool:
        """True while the recorded process runs (a zombie does not)."""
        return _alive(self.pid, self.created)

    def failure(self) -> str | None:
        """Why it is gone, naming its log; None while it runs."""
        if self.alive():
            return None
        return f"{self.launch.name} stopped while starting; see {self.launch.log}\n{log_tail(self.launch.log)}"

    def ask_to_stop(self) -> None:
        """Send the stop signal, without waiting."""
        self._signalled_at = time.monotonic()
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.launch.stop_signal)

    def wait_stopped(self) -> None:
        """Wait until the process group is gone, killing what outlives `stop_timeout_s`; remove the record."""
        deadline = self._signalled_at + self.launch.stop_timeout_s
        while _group(self.pid) and time.monotonic() < deadline:
            _reap(self.pid)
            time.sleep(POLL_S / 2)
        if members := _group(self.pid):
            logger.warning("service=%s pids=%s did not stop in time: killed", self.launch.name, members)
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        _reap(self.pid)
        self.launch.record.unlink(missing_ok=True)


def start(launch: Launch) -> Daemon:
    """Start the process in its own session, output appended to its log, and write its record."""
    for folder in (launch.log.parent, launch.record.parent, launch.cwd):
        folder.mkdir(parents=True, exist_ok=True)
    uid, gid = launch.account or (None, None)
    with launch.log.open("ab") as log:
        try:
            process = subprocess.Popen(
                list(launch.command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=launch.cwd, env={**os.environ, **launch.environment}, start_new_session=True,
                user=uid, group=gid, extra_groups=None if gid is None else [],
            )  # fmt: skip
        except OSError as error:
            raise ServiceUnavailable(f"{launch.name} cannot be started ({launch.command[0]}): {error}") from error
    # The record, not the Popen object, is the handle: another process may have to adopt it.
    process.returncode = 0
    daemon = Daemon(launch, process.pid, _created(process.pid))
    _write_record(daemon)
    return daemon


def adopt(launch: Launch) -> Daemon | None:
    """Return the recorded daemon when it still runs but whoever started it is gone (for example killed)."""
    try:
        record = json.loads(launch.record.read_text())
        daemon = Daemon(launch, int(record["pid"]), float(record["created"]))
        owner_alive = _alive(int(record["owner_pid"]), float(record["owner_created"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if owner_alive or not daemon.alive():
        return None
    _write_record(daemon)
    return daemon


def log_tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    if not log.is_file():
        return "(no log was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _write_record(daemon: Daemon) -> None:
    owner = os.getpid()
    record = {"pid": daemon.pid, "created": daemon.created, "owner_pid": owner, "owner_created": _created(owner)}
    partial = daemon.launch.record.with_suffix(".partial")
    partial.write_text(json.dumps(record))
    partial.replace(daemon.launch.record)


def _created(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _alive(pid: int, created: float) -> bool:
    _reap(pid)
    try:
        process = psutil.Process(pid)
        # psutil derives the time from clock ticks since boot; a clock step may move it by a moment.
        same = abs(process.create_time() - created) < 2.0
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _group(leader: int) -> list[int]:
    """Live process ids whose session was opened by `leader`."""
    members: list[int] = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
