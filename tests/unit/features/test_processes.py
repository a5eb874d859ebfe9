"""Children that end with the process that started them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from features.processes import start_child

STAYS = "import time; print('up', flush=True); time.sleep(600)"
#: Starts a child that stays and a thread of its own that ends; says the child's process id.
PARENT = f"""
import sys, threading, time
from features.processes import start_child
child = start_child([sys.executable, "-c", {STAYS!r}])
ended = threading.Thread(target=lambda: None)
ended.start()
ended.join()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_child_ends_with_its_killed_parent(repository: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=repository) as parent:
        assert parent.stdout is not None
        child = psutil.Process(next(int(line) for line in parent.stdout if line.strip().isdigit()))
        assert child.is_running()
        parent.kill()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()


def test_a_child_gets_environment_folder_and_session(tmp_path: Path) -> None:
    code = "import os; open('said', 'w').write(f'{os.environ[\"WORD\"]} {os.getsid(0) == os.getpid()}')"
    child = start_child(
        [sys.executable, "-c", code], environment={"WORD": "hello"}, folder=tmp_path, own_session=True
    )
    assert child.wait(timeout=60) == 0
    assert (tmp_path / "said").read_text() == "hello True"


def test_only_the_main_thread_may_start_one() -> None:
    raised: list[BaseException] = []

    def start() -> None:
        with pytest.raises(RuntimeError, match="main thread") as caught:
            start_child([sys.executable, "-c", STAYS])
        raised.append(caught.value)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(raised) == 1
