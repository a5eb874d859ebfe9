"""Drives the C load client (`wsload.c`): thousands of real WebSocket connections and what arrives on them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hub.build import compiled

#: Seconds a command may take: 10,000 handshakes of the slowest rival took 6.
PATIENCE_S = 120.0


class LoadFailed(RuntimeError):
    """The load client could not do what was asked; the message has what it said."""


class Load:
    """`clients` connections to a server on 127.0.0.1, each subscribed to `per` of `topics`.

    A topic may be several, blank-separated: they are subscribed together. `ack`: the server answers `subscribed`.
    `stuck`: share of the clients that never read. `core`: the one CPU to run on. Latencies are of deltas since
    `reset`; with `base_ns` they are told from `seq`, which then is a time in 10 µs after it.
    """

    def __init__(
        self,
        port: int,
        clients: int,
        *,
        path: str = "/",
        topics: Sequence[str] = (),
        per: int = 0,
        ack: bool = False,
        stuck: float = 0.0,
        core: int | None = None,
        base_ns: int = 0,
    ) -> None:
        self.clients = clients
        self._folder = tempfile.TemporaryDirectory(prefix="fantasy-load-")
        words = [str(compiled("wsload")), "--port", str(port), "--path", path, "--clients", str(clients),
                 "--ack", str(int(ack)), "--stuck", str(stuck)]  # fmt: skip
        if base_ns:
            words += ["--base-ns", str(base_ns)]
        if topics:
            listed = Path(self._folder.name) / "topics"
            listed.write_text("\n".join(topics) + "\n")
            words += ["--topics", str(listed), "--per", str(per)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def __enter__(self) -> Load:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Process id of the load client."""
        return self._process.pid

    def connect(self) -> dict[str, Any]:
        """Connect and subscribe all; seconds until the last. Raises `LoadFailed` when one could not."""
        return self._all_connected(self._ask("connect"))

    def storm(self) -> dict[str, Any]:
        """Close all at once, connect again and resume; seconds, and how many topics were resumed or sent anew."""
        return self._all_connected(self._ask("storm"))

    def subscribers(self) -> dict[str, int]:
        """Clients that read, by topic."""
        found: dict[str, int] = self._ask("subscribers")["topics"]
        return found

    def reset(self) -> None:
        """Count from here."""
        self._ask("reset")

    def report(self) -> dict[str, Any]:
        """What arrived since `reset`."""
        return self._ask("report")

    def settled(self, expected: int, timeout_s: float = 10.0) -> dict[str, Any]:
        """The report once `expected` messages are there, or nothing more came for two seconds."""
        end = quiet_end = time.monotonic() + timeout_s
        seen = -1
        while True:
            found = self.report()
            now = time.monotonic()
            if found["received"] != seen:
                seen, quiet_end = found["received"], now + 2.0
            if seen >= expected or now > end or now > quiet_end:
                return found
            time.sleep(0.02)

    def _all_connected(self, found: dict[str, Any]) -> dict[str, Any]:
        if found["failed"] or found["connected"] < self.clients:
            raise LoadFailed(
                f"{self.clients - found['connected']} of {self.clients} clients were not connected: "
                f"{found['errno'] or found['first_error'] or 'closed by the server'}"
            )
        if found["errors"]:
            raise LoadFailed(f"the server refused a subscription: {found['first_error']}")
        return found

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: what it said is told below
            self._process.stdin.write(f"{command}\n")
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            raise LoadFailed(f"the load client did not answer {command!r} within {PATIENCE_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            assert self._process.stderr is not None
            raise LoadFailed(f"the load client ended: {self._process.stderr.read().strip() or 'no message'}")
        found: dict[str, Any] = json.loads(line)
        return found
