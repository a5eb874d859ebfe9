"""What the hub's benchmark counts and how: checked against a real load client and the floor it is compared with."""

from __future__ import annotations

import importlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None and shutil.which("cc") is None, reason="no C compiler for the load client"
)
TOPICS = [f"player:{number}" for number in range(12)]


@pytest.fixture
def bench(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The benchmark's modules by name; they are scripts, not a package."""
    monkeypatch.syspath_prepend(str((repository / "benchmarks").resolve()))
    return importlib.import_module


def test_a_delta_has_the_size_and_the_order_the_client_scans(bench: Any) -> None:
    targets = bench("hub.targets")
    text = targets.delta("player:7", "1795462002755-3", "1795462002755-1", 1795462002755529951, 200)
    assert len(text) == 200
    found = json.loads(text)
    assert list(found) == ["op", "topic", "epoch", "offset", "prev", "at", "data"]
    assert found["at"] == 1795462002755529951


def test_expected_messages_are_those_of_clients_that_read(bench: Any) -> None:
    delivered = bench("hub.scenarios").delivered
    assert delivered({"a": 3, "b": 1, "nobody": 5}, {"a": 10, "b": 4}) == 34


def test_what_did_not_arrive_is_dropped(bench: Any) -> None:
    report = {"received": 7, "gaps": 1, "duplicates": 2, "closed": 0, "errors": 0}
    found = bench("hub.scenarios").counted(report, 10)
    assert (found["dropped"], found["gaps"], found["duplicates"]) == (3, 1, 2)


def test_two_broadcasts_of_one_server_are_judged_together(bench: Any) -> None:
    scenarios = bench("hub.scenarios")
    counts = dict.fromkeys(("dropped", "gaps", "duplicates", "closed", "errors"), 0)

    def row(values: list[float]) -> dict[str, Any]:
        by_round = {name: values for name in scenarios.ROUND_FIGURES}
        return {"by_round": by_round, "cpu_s": 0.5, "expected": 100, "received": 100, **counts}

    found = scenarios.together(row([1.0, 2.0, 9.0]), row([4.0, 5.0]))
    assert found["p99_ms"] == 4.0 and found["rounds"] == 5
    assert found["received"] == 200 and found["cpu_us_per_delivery"] == 5000.0


def test_ratios_are_to_the_floor_of_the_run(bench: Any) -> None:
    report = {
        "broadcast": {"C floor": {"p50_ms": 40.0, "p99_ms": 80.0}, "hub, 1 worker": {"p50_ms": 44.0, "p99_ms": 96.0}},
        "fan_out": {"hub, 2 workers": {"100": {"p99_ms": 3.0}}},
    }  # fmt: skip
    bench("bench_hub").compare(report)
    assert report["broadcast"]["hub, 1 worker"]["p99_over_floor"] == 1.2
    assert report["broadcast"]["hub, 1 worker"]["p50_over_floor"] == 1.1
    assert "p99_over_floor" not in report["fan_out"]["hub, 2 workers"]["100"]  # the floor was not measured there


@needs_compiler
def test_the_load_client_counts_what_the_floor_sends(bench: Any) -> None:
    targets, scenarios, load_of = bench("hub.targets"), bench("hub.scenarios"), bench("hub.load").Load
    with targets.rival("C floor") as floor:
        with load_of(floor.port, 40, topics=TOPICS, per=5) as load:
            assert load.connect()["connected"] == 40
            subscribers = load.subscribers()
            assert sum(subscribers.values()) == 200 and set(subscribers) == set(TOPICS)
            found = scenarios.fan_out(floor, load, TOPICS, 100, 0.5)
            assert found["expected"] == found["received"] > 0
            assert found["dropped"] == found["gaps"] == found["duplicates"] == 0
            assert found["bytes_per_delivery"] == targets.TEXT_BYTES + 4
            assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"] <= found["app_max_ms"]
            assert sum(found["histogram"]["counts"]) == found["received"]
            assert scenarios.broadcast(floor, load, 2)["received"] == 80
        assert scenarios.established(floor.port) == 0


@needs_compiler
def test_the_load_client_sees_gaps_duplicates_and_age(bench: Any) -> None:
    """The floor sends what it is given: messages that skip one, come again, and were created a second ago."""
    targets, load_of = bench("hub.targets"), bench("hub.load").Load
    with targets.rival("C floor") as floor, load_of(floor.port, 3, topics=["game:1"], per=1) as load:
        load.connect()

        def say(offset: str, prev: str) -> None:
            text = targets.delta("game:1", offset, prev, time.time_ns() - 10**9, 200)
            floor._process.stdin.write(f"game:1\t{text}\n".encode())
            floor._process.stdin.flush()

        for offset, prev in (("5-0", "4-0"), ("6-0", "5-0"), ("6-0", "5-0"), ("9-1", "9-0")):
            say(offset, prev)
        report = load.settled(12)
    assert (report["received"], report["gaps"], report["duplicates"], report["unanchored"]) == (12, 3, 3, 3)
    assert 1000 <= report["kernel"]["p50_ms"] < 60_000


@needs_compiler
def test_clients_that_never_read_are_left_out_of_what_is_expected(bench: Any) -> None:
    targets, load_of = bench("hub.targets"), bench("hub.load").Load
    with targets.rival("C floor") as floor, load_of(floor.port, 20, topics=TOPICS[:1], per=1, stuck=0.25) as load:
        load.connect()
        assert load.subscribers() == {TOPICS[0]: 15}
        floor.publish(TOPICS[0], time.time_ns())
        report = load.settled(15)
        assert (report["stuck"], report["received"]) == (5, 15)


@needs_compiler
def test_a_server_that_is_not_there_is_an_error(bench: Any) -> None:
    module, targets = bench("hub.load"), bench("hub.targets")
    with module.Load(targets.free_port(), 5) as load, pytest.raises(module.LoadFailed, match="5 of 5 clients"):
        load.connect()


def test_without_a_compiler_the_message_names_the_fix(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build = bench("hub.build")
    monkeypatch.setattr(build.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build.MissingTool, match="install gcc"):
        build.compiled("wsload")
    with pytest.raises(build.MissingTool, match="install node and npm"):
        build.node_folder()


def test_a_ball_events_seq_is_its_creation_time(bench: Any) -> None:
    module = bench("bench_ball_to_browser")
    made = module.Generated(module.GAMES, seed=module.BALL_SEED)
    base_ns = 1_795_462_002_000_000_000
    row = module.one(made, 4, 130, base_ns + 987_650_000, base_ns)
    assert len(row) == 1 and row["seq"][0] == 98_765
    assert row["created_ns"][0] == base_ns + 987_650_000
    assert row["game"][0] == made.games[4].key


@pytest.mark.slow
def test_the_hub_benchmark_runs_small(repository: Path, tmp_path: Path) -> None:
    """The real hub, real Redis, 200 clients: nothing lost in fan-out or storm."""
    import subprocess
    import sys

    out = tmp_path / "hub.json"
    done = subprocess.run(
        [sys.executable, repository / "benchmarks" / "bench_hub.py", "--quick", "--no-rivals", "--json", "--out", out],
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads(out.read_text())
    assert {"clients", "p50_ms", "p99_ms", "dropped", "kb_per_client"} <= set(report)
    assert report["dropped"] == report["gaps"] == report["duplicates"] == 0
    storm = report["storm"]
    assert (
        storm["gaps"] == storm["duplicates"] == storm["dropped"] == 0 and storm["resumed"] == 5 * report["clients"]
    )
    assert report["stuck"]["hub, 2 workers"]["some"]["stuck_closed"] == 5


@pytest.mark.slow
def test_ball_to_browser_runs_small(repository: Path, tmp_path: Path) -> None:
    """Through producer, consumer, hub and socket, with bulk beside it: every event reaches every client once."""
    import subprocess
    import sys

    out = tmp_path / "ball.json"
    script = repository / "benchmarks" / "bench_ball_to_browser.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", out], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    for name in ("alone", "with_bulk"):
        assert report[name]["gaps"] == report[name]["duplicates"] == 0
        assert report[name]["received"] + report[name]["merged"] == report[name]["expected"]
    assert report["with_bulk"]["bulk"]["lost"] == 0
