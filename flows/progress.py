"""Shows on stderr what the line is doing: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

console: Final = Console(stderr=True)
#: Without a terminal, a step that goes on is mentioned again after this many seconds.
QUIET_S: Final = 10.0


class Step:
    """One step under way; `update` may be called as often as the work likes."""

    def __init__(self, title: str, bar: Progress | None, task: TaskID | None) -> None:
        self.title = title
        self.summary = ""
        self._bar = bar
        self._task = task
        self._said = time.monotonic()

    def update(self, what: str, done: float = 0, total: float = 0) -> None:
        """Say that `done` of `total` is finished (total 0: unknown), working on `what`."""
        if self._bar is not None and self._task is not None:
            label = f"{self.title}: {what}"
            self._bar.update(self._task, description=label, completed=done, total=total or None)
        elif time.monotonic() - self._said > QUIET_S:
            self._said = time.monotonic()
            console.print(f"  … {self.title}: {what}" + (f" ({done:.0f}/{total:.0f})" if total else ""))


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show `title` while the block runs, then one line with its duration and `Step.summary`."""
    started = time.monotonic()
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            current = Step(title, bar, bar.add_task(title, total=None))
            yield current
    else:
        console.print(f"→ {title}", highlight=False)
        current = Step(title, None, None)
        yield current
    summary = f": {current.summary}" if current.summary else ""
    console.print(f"✓ {title} ({time.monotonic() - started:.1f} s){summary}", highlight=False, soft_wrap=True)


def show_service(service: str, state: str) -> None:
    """Say what an embedded service is doing (the `on_progress` of `embedded_services`)."""
    console.print(f"  {service}: {state}", highlight=False)
