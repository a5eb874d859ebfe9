"""Long-running child processes of `fantasy serve` and `replay`: started together, kept running, stopped together.

They end with this process, too, when it is killed and can stop nobody.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from features.processes import start_child

#: A program that ended is started again after this long, and twice as long each time up to the longest.
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
#: One that ran this long before it ended begins with the first wait again.
SETTLED_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A command line with variables of its own. Without `restart` its end ends everything."""

    name: str
    command: Sequence[str]
    restart: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    wait_s: float = FIRST_WAIT_S
    ended: float | None = None


@dataclass(slots=True)
class Programs:
    """Runs programs in `environment`. `say` is told what ends and starts again; `clock` is monotonic seconds."""

    environment: Mapping[str, str]
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _running: list[_Running] = field(default_factory=list)

    def start(self, program: Program) -> None:
        """Start it and keep it running."""
        self._running.append(_Running(program, self._spawn(program), self.clock()))

    def look(self) -> tuple[str, int] | None:
        """Start again what ended and has waited. Returns (name, exit code) of an ended one that must not end."""
        now = self.clock()
        for each in self._running:
            code = each.process.poll()
            if code is None:
                continue
            if not each.program.restart:
                return each.program.name, code
            if each.ended is None:
                each.ended = now
                each.wait_s = FIRST_WAIT_S if now - each.started > SETTLED_S else each.wait_s
                self.say(f"{each.program.name} ended with exit code {code}; again in {each.wait_s:.0f} s")
            elif now - each.ended >= each.wait_s:
                each.process, each.started, each.ended = self._spawn(each.program), now, None
                each.wait_s = min(2 * each.wait_s, LONGEST_WAIT_S)
        return None

    def stop(self) -> None:
        """Ask all to end, newest first, and wait; kill what does not within the time limit."""
        alive = [each.process for each in reversed(self._running) if each.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = self.clock() + STOP_TIMEOUT_S
        for process in alive:
            try:
                process.wait(timeout=max(0.1, deadline - self.clock()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        return start_child(program.command, environment={**self.environment, **program.environment})
