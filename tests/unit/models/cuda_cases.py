"""Tiny batches for the CUDA kernel, run by `test_batch_cuda` in a process of its own under numba's CUDA simulator.

    NUMBA_ENABLE_CUDASIM=1 python -m tests.unit.models.cuda_cases

prints, as JSON, per case the kernel's scores and rows, who solved it, and what an independent oracle found.
"""

from __future__ import annotations

import json
import logging
import random
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.contests import Contest, load_contest
from models.errors import Infeasible
from models.lineups import batch_cuda
from models.lineups.batch import optimal_by_scenario
from models.lineups.compile import compile_pool
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from tests.unit.models.lineup_cases import contest_of, oracle, players_of
from tests.unit.models.test_batch import captain, highs, showdown_players, slate_players

#: Random rosters; 0 has no legal lineup.
SEEDS = (0, 2, 9, 10, 16, 18)


@dataclass(frozen=True)
class Case:
    """Players, contest and the scores (S, players) to solve."""

    name: str
    players: list[Candidate]
    contest: Contest
    scores: NDArray[np.float64]


def cases() -> list[Case]:
    """Sites' rosters, captains, tight team and game limits, ties, scores below zero and off any grid."""
    rng, noise = random.Random(5), np.random.default_rng(5)
    draftkings = load_contest("draftkings")
    few = slate_players(rng, draftkings, 18)
    plain = np.array([p.projection for p in few])
    strict = replace(draftkings, max_per_team=2, min_teams=4, min_games=3)
    heads = showdown_players(rng, apart=True)[:20]
    found = [
        Case("draftkings", few, draftkings, np.rint(plain * noise.lognormal(0, 0.3, (2, 18)))),
        Case("limits", few, strict, np.rint(plain * noise.lognormal(0, 0.3, (2, 18)) * 4) / 4),
        Case("ties", few, draftkings, np.rint(plain / 10)[None]),
        Case("below zero", few, draftkings, plain + noise.normal(0, 20, (2, 18))),
        Case(
            "captain",
            heads,
            captain("draftkings"),
            np.rint([[p.projection for p in heads]] * noise.lognormal(0, 0.3, (2, 20))),
        ),
    ]
    for seed in SEEDS:
        rng = random.Random(seed)
        contest = contest_of(rng)
        players = players_of(rng, contest, most=18)
        points = np.array([p.projection for p in players])
        found.append(Case(f"random {seed}", players, contest, points[None]))
    return found


def solved(case: Case) -> dict[str, Any]:
    """The kernel's answer and the oracle's."""
    pool = compile_pool(case.players, case.contest, LineupRules())
    wanted: list[float | None] = []
    for score in case.scores:
        if case.contest.mode == "showdown":  # the oracle knows no captains; HiGHS does
            wanted.append(highs(pool, score))
            continue
        noisy = [replace(p, projection=float(value)) for p, value in zip(case.players, score, strict=True)]
        wanted.append(oracle(noisy, case.contest, LineupRules(), []))
    strict = 0.5 if (case.scores == np.rint(case.scores)).all() else 1e-9 * max(1.0, np.abs(case.scores).max() * 9)
    rows, proven = batch_cuda.solve(pool, case.scores, strict)
    answer = {"wanted": wanted, "proven": proven.tolist(), "backend": "cuda"}
    if proven.all() and case.name != "draftkings":  # the simulator is slow: only one case goes the whole way twice
        score = np.take_along_axis(case.scores, rows.astype(np.int64), axis=1).sum(axis=1)
        return answer | {"score": score.tolist(), "rows": rows.tolist()}
    try:
        found = optimal_by_scenario(pool, case.scores, backend="cuda")
    except Infeasible:
        return answer | {"score": [None] * len(case.scores), "rows": []}
    return answer | {"score": found.score.tolist(), "rows": found.rows.tolist(), "backend": found.backend}


def main() -> None:
    """Solve all cases, and the first once more with too few steps."""
    logging.disable(logging.CRITICAL)
    assert batch_cuda.SIMULATED
    every = {case.name: case for case in cases()}
    report = {name: solved(case) for name, case in every.items()}
    batch_cuda.MAX_STEPS = 3
    report["too few steps"] = solved(every["draftkings"])
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
