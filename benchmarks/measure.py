"""What every benchmark here shares: timings of repeated calls, the machine they were taken on, and where data is."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DATA = Path(os.environ.get("FANTASY_DATA", ROOT.parent / "shared" / "data"))


def timed(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """CPU milliseconds of the calling thread (a shared machine stretches wall time, not CPU time), and wall."""
    cpu, wall = [], []
    for _ in range(repeats):
        cpu_0, wall_0 = time.thread_time(), time.perf_counter()
        work()
        cpu.append((time.thread_time() - cpu_0) * 1e3)
        wall.append((time.perf_counter() - wall_0) * 1e3)
    return spread("cpu_ms", cpu) | spread("wall_ms", wall) | {"repeats": repeats}


def spread(name: str, values: list[float]) -> dict[str, float]:
    """`name`_p50 and `name`_p99 of the values."""
    return {
        f"{name}_p50": round(float(np.median(values)), 4),
        f"{name}_p99": round(float(np.quantile(values, 0.99)), 4),
    }


def machine(distributions: Iterable[str]) -> dict[str, Any]:
    """Hardware, load and versions, for the head of a report."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return {
        "hardware": {
            "cpu": next(named, platform.processor()),
            "cores": os.cpu_count(),
            "load_1min": round(os.getloadavg()[0], 2),
            "machine": platform.platform(),
        },
        "python": platform.python_version(),
        "versions": {name: version(name) for name in distributions},
    }


def parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """A parser with --data and --out (default: `out` in benchmarks/results)."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, default=DATA, help="recorded data (default: FANTASY_DATA)")
    made.add_argument("--out", type=Path, default=RESULTS / out)
    return made


def write(report: dict[str, Any], out: Path) -> None:
    """Write the report with the load it ended under."""
    report["hardware"]["load_1min_end"] = round(os.getloadavg()[0], 2)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")
