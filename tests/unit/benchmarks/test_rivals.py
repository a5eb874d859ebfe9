"""What the lineup benchmark says of other optimizers: the request they get, and when their optimum counts as ours."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models.lineups.optimize import optimize

POINTS = {"a": 10.0, "b": 9.0, "c": 9.0, "d": 5.0}
AB, AC, AD, BC = (frozenset(pair) for pair in ("ab", "ac", "ad", "bc"))


@pytest.fixture
def bench(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark's modules by name; they are scripts beside one another, not a package."""
    for folder in ("peers", "."):
        monkeypatch.syspath_prepend(str((repository / "benchmarks" / folder).resolve()))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_the_same_ranks_are_equal(bench: Any) -> None:
    agreement = bench("rivals").agreement
    assert agreement([AB, AD], [AB, AD], POINTS) == {"agreement": "equal"}
    assert agreement([AB, AC], [AC, AB], POINTS) == {"agreement": "equal"}


def test_lists_that_part_after_a_tie_are_not_wrong(bench: Any) -> None:
    # Both first lineups are worth 19; what is left for the second depends on which was taken.
    found = bench("rivals").agreement([AB, AD], [AC, BC], POINTS)
    assert found == {"agreement": "tie", "parted_at_rank": 2}


def test_a_better_lineup_after_the_same_ones_is_a_quarrel(bench: Any) -> None:
    agreement = bench("rivals").agreement
    assert agreement([AB, AD], [AB, AC], POINTS) == {
        "agreement": "theirs is better", "at_rank": 2, "by_points": 4.0,
    }  # fmt: skip
    assert agreement([AB], [AD], POINTS)["agreement"] == "ours is better"
    assert agreement([AB], [AD], POINTS, gap=0.5) == {"agreement": "equal"}


def test_duplicates_and_missing_lineups_are_not_compared(bench: Any) -> None:
    agreement = bench("rivals").agreement
    assert agreement([AB, AC], [AB, AB], POINTS) == {"agreement": "not comparable: 1 duplicates"}
    assert agreement([AB, AC], [AB], POINTS) == {"agreement": "not comparable: 1 lineups, ours 2"}


def test_a_quarrel_ends_the_benchmark_badly(bench: Any) -> None:
    peers = {
        "HiGHS": {"agreement": "theirs is better", "at_rank": 1, "by_points": 0.5},
        "CP-SAT": {"status": "no"},
    }
    request = {"highs_on_our_model": {"difference": 0.01}, "peers": peers}
    report = {"slates": {"DK": {"requests": {"1": request}}}}
    assert list(bench("bench_lineups").quarrels(report)) == [
        "DK, 1 lineups: HiGHS on our model differs by 0.01 points",
        "DK, 1 lineups: HiGHS: theirs is better by 0.5 points",
    ]


def test_the_request_survives_the_way_to_the_peer(bench: Any) -> None:
    slates, rivals = bench("slates"), bench("rivals")
    for slate in slates.synthetic_slates():
        problem, keys = rivals.problem_of(slate, 20, 0.5)
        assert bench("problem").read_problem(json.dumps(asdict(problem))) == problem
        assert len(keys) == len(set(keys)) == len(problem.rows)
        assert problem.most == 10


@pytest.mark.parametrize("kind", ["nba", "nfl classic", "mlb", "showdown"])
def test_highs_on_the_peers_model_finds_our_lineups(bench: Any, kind: str) -> None:
    slates, rivals = bench("slates"), bench("rivals")
    slate = next(s for s in slates.synthetic_slates() if kind in s.name)
    n = 3
    ours = optimize(slate.candidates, slate.contest, slate.rules(n, 0.5))
    problem, keys = rivals.problem_of(slate, n, 0.5)
    theirs = [frozenset(keys[row] for row in lineup) for lineup in bench("highs_peer").prepare(problem)()]
    points = dict(zip(keys, (row.points for row in problem.rows), strict=True))
    found = rivals.agreement(bench("bench_lineups").keyed(ours, slate), theirs, points)
    assert found["agreement"] in {"equal", "tie"}, found
