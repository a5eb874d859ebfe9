"""Run one peer on one problem: JSON on stdin, JSON on stdout. Needs the virtual environment of `requirements.txt`.

    python benchmarks/peers/worker.py TOOL < {"problem": ..., "repeats": 5, "budget_s": 60}

Times cover the tool's work from its own player objects to the last lineup, not its imports; CPU time includes child
processes (CBC). A run that passes `budget_s` (wall seconds over all repeats) stops between lineups; the caller must
stop one that hangs inside a lineup.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
from importlib.metadata import version
from typing import Any

from problem import Problem, read_problem

#: Module, function and distributions of each tool.
TOOLS = {
    "pydfs (PuLP)": ("pydfs_peer", "prepare_pulp", ("pydfs-lineup-optimizer", "pulp")),
    "pydfs (python-mip)": ("pydfs_peer", "prepare_mip", ("pydfs-lineup-optimizer", "mip")),
    "draftfast": ("draftfast_peer", "prepare", ("draftfast", "ortools")),
    "HiGHS": ("highs_peer", "prepare", ("highspy",)),
    "CP-SAT": ("cpsat_peer", "prepare", ("ortools",)),
}

#: Seconds after its budget in which the caller stops a worker; then it stops itself.
LAST_S = 60


def cpu_s() -> float:
    """User and system seconds of this process and its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def measure(tool: str, problem: Problem, repeats: int, budget_s: float) -> dict[str, Any]:
    """Lineups of the first complete run and the times of all."""
    module, function, distributions = TOOLS[tool]
    peer = importlib.import_module(module)
    report: dict[str, Any] = {"versions": {name: version(name) for name in distributions}}
    try:
        build = getattr(peer, function)(problem)
    except getattr(peer, "NotOffered", ()) as error:
        return report | {"status": f"not offered: {error}"}
    end = time.monotonic() + budget_s
    runs: list[dict[str, float]] = []
    first: list[list[int]] = []
    for _ in range(repeats):
        cpu_0, wall_0 = cpu_s(), time.perf_counter()
        lineups = []
        for lineup in build():
            lineups.append(lineup)
            if time.monotonic() > end and len(lineups) < problem.n:
                reason = f"not run: budget of {budget_s:g} s"
                return report | (_done(runs, first) if runs else {"status": reason, "built": len(lineups)})
        runs.append({"cpu_s": cpu_s() - cpu_0, "wall_s": time.perf_counter() - wall_0})
        first = first or lineups
        if time.monotonic() > end:
            break
    return report | _done(runs, first)


def _done(runs: list[dict[str, float]], lineups: list[list[int]]) -> dict[str, Any]:
    return {"status": "done", "runs": runs, "lineups": lineups}


def main() -> None:
    """Answer one request."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the tools print must not end up in the answer
    request = json.load(sys.stdin)
    # Should the caller be gone by then, a solver deep in one lineup must not go on for ever.
    signal.alarm(int(request["budget_s"]) + LAST_S)
    problem = read_problem(json.dumps(request["problem"]))
    json.dump(measure(sys.argv[1], problem, request["repeats"], request["budget_s"]), answers)


if __name__ == "__main__":
    main()
