"""Child processes that end with the process that started them, even when that one is killed (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def start_child(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    own_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Run `command` (in `folder`, with `environment` instead of ours); it gets SIGTERM when this process dies.

    The kernel takes the thread that starts a child for its parent (prctl(2), PR_SET_PDEATHSIG), so only the main
    thread, which ends with the process, may start one. Raises `RuntimeError` on another.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"{command[0]}: a child that ends with this process is started by its main thread only")
    return subprocess.Popen(
        list(command),
        env=environment,
        cwd=folder,
        start_new_session=own_session,
        # It only makes system calls: no lock that another thread held at the fork can stop it.
        preexec_fn=_end_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
    )


def _end_with(parent: int) -> Callable[[], None]:
    """What a child does between fork and exec: system calls only."""
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        if prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)  # refused, or the parent is dead already: nobody would end this child

    return ask
