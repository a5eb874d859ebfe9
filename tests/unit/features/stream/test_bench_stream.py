"""The benchmarks' own arithmetic, with every process in place and a load that any machine bears."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_event_is_accounted_for(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "stream.json"
    script = repository / "benchmarks" / "bench_stream.py"
    size = ("--rate", "20000", "--seconds", "4", "--partitions", "3", "--producers", "2", "--consumers", "2")
    done = subprocess.run(
        [sys.executable, script, *size, "--rivals", "redis", "--rival-seconds", "2", "--json", "--out", out],
        capture_output=True, text=True, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads(out.read_text())
    assert (found["events"], found["lost"], found["duplicated"], found["state_equal"]) == (80_000, 0, 0, True)
    assert found["duplicates_planted"] > 0
    assert found["duplicates_dropped"] >= found["duplicates_planted"]
    assert 0 < found["events_in_latency"] < 80_000
    assert found["p50_ms"] <= found["p99_ms"] <= found["p999_ms"]
    assert {"producer", "consumer", "redis_bus", "redis_state"} == set(found["cpu"])
    rows = found["rivals"]["redis, minimal pipeline, batches as rows"]
    assert (rows["state_equal"], rows["not_applied_in_time"]) == (True, 0)


@pytest.mark.slow
def test_every_critical_event_is_told(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "critical.json"
    script = repository / "benchmarks" / "bench_critical.py"
    size = ("--rate", "10000", "--critical-rate", "50", "--seconds", "4")
    done = subprocess.run(
        [sys.executable, script, *size, "--out", out], capture_output=True, text=True, timeout=550
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(out.read_text())["runs"]
    assert len(runs) == 3
    for run in runs.values():
        assert (run["sent"], run["told"], run["lost"], run["duplicated"]) == (200, 200, 0, 0)
        assert run["state"]["p99_ms"] is not None
        assert run["subscriber"]["p99_ms"] is not None
