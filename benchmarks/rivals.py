"""Hand a request to another optimizer in its own virtual environment, and judge whether its lineups equal ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measure import ROOT, spread
from slates import BenchSlate

PEERS = ROOT / "benchmarks" / "peers"
sys.path.insert(0, str(PEERS))
from problem import Problem, Row  # noqa: E402  (the peers' own wording of a request)

TOOLS = ("pydfs (PuLP)", "pydfs (python-mip)", "draftfast", "HiGHS", "CP-SAT")
#: Points by which two sums of the same optimum may differ: solver tolerances on the way to whole numbers.
TOLERANCE = 1e-4
#: python-mip stops within this share of the optimum unless told otherwise, and pydfs does not tell it.
GAPS = {"pydfs (python-mip)": 1e-4}
#: Seconds a tool may still take inside one lineup after its budget has passed.
GRACE_S = 30.0

Lineups = Sequence[frozenset[str]]


def problem_of(slate: BenchSlate, n: int, max_exposure: float) -> tuple[Problem, list[str]]:
    """The request in the peers' words, and the key of each of its rows: the id, and the slot where it multiplies."""
    contest = slate.contest
    if contest.max_per_game is not None or contest.min_teams_positions is not None:
        raise NotImplementedError(f"{contest.name} has limits the peers' request has no words for")
    rows, keys = [], []
    for c in slate.candidates:
        fitting = [slot for slot in contest.slots if slot.accepts(c.positions)]
        # Where he plays beside his slot (a captain's QB) is for our stacks; the others take it for a slot.
        positions = tuple(p for p in c.positions if p in contest.positions)
        for points, salary in dict.fromkeys((s.points_multiplier, s.salary_multiplier) for s in fitting):
            rows.append(
                Row(
                    c.person or c.id,
                    positions,
                    c.team,
                    c.game,
                    round(c.salary_usd * salary),
                    c.projection * points,
                )
            )
            keys.append(row_key(c.id, points))
    stack = slate.stack
    return Problem(
        site=contest.site,
        sport=contest.sport,
        mode=contest.mode,
        cap=contest.salary_cap_usd or 0,
        slots=tuple((slot.name, tuple(sorted(slot.positions))) for slot in contest.slots),
        max_per_team=min(contest.max_per_team, contest.lineup_size),
        min_teams=contest.min_teams,
        min_games=contest.min_games,
        team_limits=tuple((tuple(sorted(t.positions)), t.at_most) for t in contest.team_limits),
        stack=None if stack is None else (stack.size, tuple(sorted(stack.positions or contest.positions))),
        rows=tuple(rows),
        n=n,
        max_exposure=max_exposure,
    ), keys


def row_key(id_: str, points_multiplier: float) -> str:
    """Name of a player in a kind of slot."""
    return id_ if points_multiplier == 1 else f"{id_} x{points_multiplier:g}"


def run_peer(python: Path, tool: str, problem: Problem, *, repeats: int, budget_s: float) -> dict[str, Any]:
    """The worker's answer; a tool that hangs is killed with its solver processes."""
    request = json.dumps({"problem": asdict(problem), "repeats": repeats, "budget_s": budget_s})
    worker = subprocess.Popen(
        [python, PEERS / "worker.py", tool],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        answer, errors = worker.communicate(request, timeout=budget_s + GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()
        return {"status": f"not run: budget of {budget_s:g} s"}
    if worker.returncode:
        last = errors.strip().splitlines()[-1:] or ["no message"]
        return {"status": f"failed: {last[0]}"}
    found: dict[str, Any] = json.loads(answer)
    return found


def compare(tool: str, answer: dict[str, Any], ours: Lineups, problem: Problem, keys: list[str]) -> dict[str, Any]:
    """The peer's figures beside ours: times, total, distinct lineups and whether the optima are equal."""
    if answer["status"] != "done":
        return answer
    points = dict(zip(keys, (row.points for row in problem.rows), strict=True))
    theirs = [frozenset(keys[row] for row in lineup) for lineup in answer["lineups"]]
    runs = answer["runs"]
    return {
        "status": "done",
        "versions": answer["versions"],
        **spread("cpu_ms", [run["cpu_s"] * 1e3 for run in runs]),
        **spread("wall_ms", [run["wall_s"] * 1e3 for run in runs]),
        "repeats": len(runs),
        "total_projection": round(sum(points[key] for lineup in theirs for key in lineup), 4),
        "distinct": len(set(theirs)),
        **agreement(ours, theirs, points, GAPS.get(tool, 0.0)),
    }


def agreement(ours: Lineups, theirs: Lineups, points: dict[str, float], gap: float = 0.0) -> dict[str, Any]:
    """Whether two best-first lists are the same optimum, rank by rank.

    Each rank depends on the lineups before it through exposures, so after a tie broken otherwise the lists may part
    without either being wrong: `tie`. With the same lineups before it a rank has one right value: `ours is better` or
    `theirs is better`.
    """
    if len(set(theirs)) < len(theirs):
        return {"agreement": f"not comparable: {len(theirs) - len(set(theirs))} duplicates"}
    values = [[sum(points[key] for key in lineup) for lineup in side] for side in (ours, theirs)]
    for rank, (mine, other) in enumerate(zip(*values, strict=False)):
        if abs(mine - other) <= max(TOLERANCE, gap * abs(mine)):
            continue
        if set(ours[:rank]) != set(theirs[:rank]):
            return {"agreement": "tie", "parted_at_rank": rank + 1}
        better = "ours" if mine > other else "theirs"
        return {"agreement": f"{better} is better", "at_rank": rank + 1, "by_points": round(abs(mine - other), 6)}
    if len(ours) != len(theirs):
        return {"agreement": f"not comparable: {len(theirs)} lineups, ours {len(ours)}"}
    return {"agreement": "equal"}
