"""Child processes: kept running, their ends told, all stopped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from features.workspace import Workspace
from flows import programs as module
from flows.programs import Program, Programs
from flows.serve import live_programs
from flows.settings import FlowSettings

ENDS = (sys.executable, "-c", "raise SystemExit(3)")
STAYS = (sys.executable, "-c", "import time; time.sleep(600)")
DEAF = (
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
)  # fmt: skip


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def programs(said: list[str], clock: Clock) -> Iterator[Programs]:
    made = Programs(dict(os.environ), said.append, clock)
    yield made
    made.stop()


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def wait_for_end(programs: Programs, said: list[str], ends: int) -> None:
    for _ in range(400):
        programs.look()
        if len(said) >= ends:
            return
        time.sleep(0.02)
    raise AssertionError(f"it did not end {ends} times: {said}")


def test_what_ends_is_started_again_with_longer_waits(programs: Programs, said: list[str], clock: Clock) -> None:
    programs.start(Program("one", ENDS))
    for ends in (1, 2, 3):
        wait_for_end(programs, said, ends)
        clock.now += 2.0**ends
    assert said == [f"one ended with exit code 3; again in {wait} s" for wait in (1, 2, 4)]
    wait_for_end(programs, said, 4)
    assert said[-1].endswith("again in 8 s")


def test_the_end_of_an_essential_one_is_told(programs: Programs, said: list[str]) -> None:
    programs.start(Program("api", ENDS, restart=False))
    ended = None
    for _ in range(400):
        if (ended := programs.look()) is not None:
            break
        time.sleep(0.02)
    assert ended == ("api", 3) and said == []


def test_all_are_stopped_the_deaf_one_too(
    programs: Programs, clock: Clock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.2)
    before = {each.pid for each in children()}
    programs.start(Program("stays", STAYS))
    programs.start(Program("deaf", DEAF))
    heard = ""
    while "deaf" not in heard:
        heard += capfd.readouterr().out
        time.sleep(0.02)
    started = [each for each in children() if each.pid not in before]
    assert len(started) == 2
    programs.stop()
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in started)


def test_only_leagues_with_data_are_live(tmp_path: Path) -> None:
    settings = FlowSettings(home=tmp_path)
    assert [each.name for each in live_programs(settings)] == ["hub"]
    Workspace(tmp_path, "simulated").tables.mkdir(parents=True)
    names = [each.name for each in live_programs(settings)]
    assert names == ["hub", "simulated consumer", "simulated standby", "simulated recompute"]
