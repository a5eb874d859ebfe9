"""The best lineup of every simulated slate: compiled and torch paths against HiGHS, an independent oracle and each
other."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from features.contests import Contest, Slot, load_contest
from features.errors import InvalidInput
from models.errors import Cancelled, Infeasible
from models.lineups import batch_compiled, batch_torch
from models.lineups.batch import grid_step, multipliers, optimal_by_scenario, row_scores
from models.lineups.compile import compile_pool
from models.lineups.milp import RosterModel
from models.lineups.pool import Pool
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules, TeamStack
from models.lineups.scenarios import Scenarios, outcomes_of_candidates, sample_scenarios
from models.lineups.torch_prices import assign
from tests.unit.models.lineup_cases import contest_of, oracle, players_of

NFL = "QB RB RB WR WR WR TE FLEX:RB,WR,TE DST"


def nfl_like() -> Contest:
    """DraftKings' NFL roster under its cap, written out so that the test does not depend on the rule file."""
    slots = []
    for token in NFL.split():
        name, _, positions = token.partition(":")
        slots.append(Slot(name, frozenset(positions.split(",") if positions else [name])))
    return replace(load_contest("draftkings"), slots=tuple(slots), max_per_team=9, min_teams=2, min_games=2)


def captain(site: str) -> Contest:
    """A captain at 1.5 times and five others, from two teams."""
    flex = Slot("FLEX", frozenset({"FLEX"}))
    slots = (Slot("CPT", frozenset({"CPT"}), 1.5, 1.5 if site == "own" else 1.0), *[flex] * 5)
    return replace(
        load_contest("draftkings"), slots=slots, max_per_team=5, min_teams=2, min_games=1, mode="showdown"
    )


def showdown_players(rng: random.Random, apart: bool) -> list[Candidate]:
    """Thirty players of one game; `apart` lists a captain in a row of his own, as DraftKings does."""
    players = []
    for row in range(30):
        salary = rng.randrange(10, 110) * 100
        points = round(salary / 1000 * rng.uniform(2, 6), 2)
        team = f"T{row % 2}"
        if apart:
            for slot, factor in (("CPT", 1.5), ("FLEX", 1.0)):
                usd = int(salary * factor)
                players.append(
                    Candidate(f"{slot}{row}", "P", (slot,), team, "G", usd, points, person=f"h{row}", floor=0.0)
                )
        else:
            players.append(Candidate(f"p{row}", "P", ("CPT", "FLEX"), team, "G", salary, points))
    return players


def slate_players(rng: random.Random, contest: Contest, count: int) -> list[Candidate]:
    """Players of ten teams whose points follow their salary, every position often enough."""
    positions = sorted(contest.positions)
    mean_usd, step = contest.salary_cap_usd / contest.lineup_size, contest.salary_step_usd
    players = []
    for row in range(count):
        salary = max(step, round(rng.uniform(0.5, 1.8) * mean_usd / step) * step)
        points = round(salary / mean_usd * 30 * rng.uniform(0.7, 1.3), 2)
        eligible = tuple(dict.fromkeys((positions[row % len(positions)], rng.choice(positions))))
        team = row % 10
        players.append(Candidate(f"p{row}", f"P {row}", eligible, f"T{team}", f"G{team // 2}", salary, points))
    return players


def case(name: str) -> tuple[list[Candidate], Contest]:
    rng = random.Random(name)
    if name.startswith("showdown"):
        apart = name == "showdown apart"
        return showdown_players(rng, apart), captain("draftkings" if apart else "own")
    contest = nfl_like() if name == "nfl" else load_contest(name)
    if name == "nfl":
        return [replace(p, positions=p.positions[:1]) for p in slate_players(rng, contest, 120)], contest
    return slate_players(rng, contest, 110), contest


def simulated(name: str, count: int, seed: int = 0) -> tuple[Pool, NDArray[np.float32]]:
    players, contest = case(name)
    pool = compile_pool(players, contest, LineupRules())
    sport = "nfl" if name == "nfl" else "nba"
    outcomes = outcomes_of_candidates(players, site=contest.site, sport=sport)
    return pool, row_scores(pool, sample_scenarios(outcomes, n=count, seed=seed))


def highs(pool: Pool, score: NDArray[np.float32]) -> float:
    values = score.astype(np.float64)
    solved = RosterModel(replace(pool, score=values, projection=values)).solve()
    assert solved is not None
    return float(values[list(solved.rows)].sum())


def assert_legal(pool: Pool, rows: NDArray[np.int32]) -> None:
    """Every lineup seats its rows and keeps cap, persons, team and game limits."""
    for lineup in rows:
        assert all(pool.mask[row] >> slot & 1 for slot, row in enumerate(lineup))
        assert len(set(pool.person[lineup])) == pool.size
        assert pool.floor <= pool.salary[lineup].sum() <= pool.cap
        assert np.bincount(pool.team[lineup]).max() <= pool.max_per_team
        assert len(set(pool.team[lineup])) >= pool.min_teams
        assert len(set(pool.game[lineup])) >= pool.min_games
        assert not pool.excluded[lineup].any()


CASES = ("draftkings", "fanduel", "yahoo", "nfl", "showdown", "showdown apart")


@pytest.mark.parametrize("name", CASES)
def test_compiled_and_torch_agree_with_highs(name: str) -> None:
    pool, scores = simulated(name, 24)
    fast = optimal_by_scenario(pool, scores, device="cpu")
    assert (fast.backend, fast.unproven, fast.by_highs) == ("compiled", 0, 0)
    assert_legal(pool, fast.rows)
    assert np.take_along_axis(scores, fast.rows, 1).sum(1) == pytest.approx(fast.score, abs=1e-3)
    portable = optimal_by_scenario(pool, scores, device="cpu", backend="torch")
    assert portable.backend == "torch"
    assert portable.unproven == 0
    assert_legal(pool, portable.rows)
    assert portable.score == pytest.approx(fast.score, abs=1e-6)
    for scenario in range(0, 24, 8):
        assert fast.score[scenario] == pytest.approx(highs(pool, scores[scenario]), abs=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_random_rosters_agree_with_the_independent_oracle(seed: int) -> None:
    rng = random.Random(seed)
    contest = contest_of(rng)
    players = players_of(rng, contest, most=40)
    pool = compile_pool(players, contest, LineupRules())
    noise = np.random.default_rng(seed).lognormal(0, 0.3, (4, len(players)))
    scores = np.rint(pool.projection * noise * (1, 4)[seed % 2]) / (1, 4)[seed % 2]
    for row, score in enumerate(scores):
        noisy = [replace(p, projection=float(value)) for p, value in zip(players, score, strict=True)]
        wanted = oracle(noisy, contest, LineupRules(), [])
        for backend in ("compiled", "torch"):
            if wanted is None:
                with pytest.raises(Infeasible):
                    optimal_by_scenario(pool, scores[row : row + 1], device="cpu", backend=backend)
            else:
                found = optimal_by_scenario(pool, scores[row : row + 1], device="cpu", backend=backend)
                assert found.score[0] == pytest.approx(wanted, abs=1e-6)
                assert_legal(pool, found.rows)


def test_scores_off_any_grid_and_below_zero_are_solved_too() -> None:
    pool, _ = simulated("draftkings", 1)
    rng = np.random.default_rng(3)
    scores = pool.projection + rng.normal(0, 12, (20, len(pool.mask)))
    assert grid_step(scores) == 0
    assert scores.min() < 0
    fast = optimal_by_scenario(pool, scores, device="cpu")
    portable = optimal_by_scenario(pool, scores, device="cpu", backend="torch")
    assert portable.score == pytest.approx(fast.score, abs=1e-6)
    assert fast.score[0] == pytest.approx(highs(pool, scores[0]), abs=1e-4)


def test_torch_proves_nearly_all_itself() -> None:
    pool, scores = simulated("fanduel", 100)
    whole = np.rint(scores / grid_step(scores)).astype(np.float64)
    rows, proven = batch_torch.solve(pool, whole, 0.5)
    assert proven.mean() > 0.95
    best = optimal_by_scenario(pool, scores, device="cpu").score
    value = np.take_along_axis(whole, rows, 1).sum(1) * grid_step(scores)
    assert value[proven] == pytest.approx(best[proven], abs=1e-6)


def test_what_torch_cannot_prove_goes_to_the_compiled_search(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, scores = simulated("draftkings", 40)
    best = optimal_by_scenario(pool, scores, device="cpu").score
    monkeypatch.setattr(batch_torch, "ROOM", {"cpu": 50})
    whole = np.rint(scores / grid_step(scores)).astype(np.float64)
    assert batch_torch.solve(pool, whole, 0.5)[1].mean() < 0.9
    assert optimal_by_scenario(pool, scores, device="cpu", backend="torch").score == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("shape", [(9, 30), (5, 5), (1, 4)])
def test_the_batched_assignment_is_optimal_and_priced(shape: tuple[int, int]) -> None:
    size, width = shape
    rng = np.random.default_rng(size)
    weight = rng.normal(10, 5, (50, width))
    eligible = rng.random((size, width)) < 0.6
    eligible[np.arange(size), np.arange(size)] = True
    owner, price = assign(torch.as_tensor(weight), torch.as_tensor(eligible))
    for scenario in range(50):
        cost = np.where(eligible, -weight[scenario], 1e6)
        best = -cost[linear_sum_assignment(cost)].sum()
        seats = owner[scenario].numpy()
        taken = np.flatnonzero(seats >= 0)
        assert sorted(seats[taken]) == list(range(size))
        assert eligible[seats[taken], taken].all()
        assert weight[scenario, taken].sum() == pytest.approx(best)
        surplus = np.where(eligible, weight[scenario] - price[scenario].numpy()[:, None], -np.inf).max(axis=0)
        assert price[scenario].sum() + np.maximum(surplus, 0).sum() == pytest.approx(best)


def test_a_captain_scores_his_multiple() -> None:
    players, contest = case("showdown")
    pool = compile_pool([replace(players[0], projection=0.0), *players[1:]], contest, LineupRules())
    assert sorted(set(multipliers(pool))) == [1.0, 1.5]
    ids = tuple(c.id for c in pool.candidates)
    points = np.arange(len(ids), dtype=np.int16)[None].repeat(2, axis=0)
    scores = row_scores(pool, Scenarios(points, 0.25, ids))
    for row, mask in enumerate(pool.mask):
        assert scores[0, row] == pool.source[row] * 0.25 * (1.5 if mask & 1 else 1.0)
    with pytest.raises(InvalidInput, match=ids[-1]):
        row_scores(pool, Scenarios(points[:, :-1], 0.25, ids[:-1]))


def test_optimal_shares_count_a_candidate_in_any_slot() -> None:
    pool, scores = simulated("showdown", 80)
    found = optimal_by_scenario(pool, scores, device="cpu")
    share = found.optimal_share(pool)
    assert share.shape == (len(pool.candidates),)
    assert share.sum() == pytest.approx(pool.size)
    held = [any(pool.source[row] == 4 for row in lineup) for lineup in found.rows]
    assert share[4] == pytest.approx(np.mean(held))


def test_locks_and_exclusions_are_kept() -> None:
    players, contest = case("fanduel")
    ids = [p.id for p in players]
    rules = LineupRules(locked=frozenset(ids[:1]), excluded=frozenset(ids[1:4]))
    pool = compile_pool(players, contest, rules)
    scores = row_scores(
        pool, sample_scenarios(outcomes_of_candidates(players, site="fanduel", sport="nba"), n=40, seed=1)
    )
    found = optimal_by_scenario(pool, scores)
    assert (pool.source[found.rows] == 0).any(axis=1).all()
    assert not np.isin(pool.source[found.rows], [1, 2, 3]).any()
    assert found.score[0] == pytest.approx(highs(pool, scores[0]), abs=1e-3)
    assert not batch_torch.holds(pool)
    with pytest.raises(InvalidInput, match="torch"):
        optimal_by_scenario(pool, scores, device="cpu", backend="torch")


def test_stacks_go_to_the_compiled_search_whatever_the_device() -> None:
    players, contest = case("nfl")
    pool = compile_pool(players, contest, LineupRules(stacks=(TeamStack(3),)))
    assert pool.choices
    outcomes = outcomes_of_candidates(players, site="draftkings", sport="nfl")
    scores = row_scores(pool, sample_scenarios(outcomes, n=20, seed=2))
    found = optimal_by_scenario(pool, scores)
    assert not batch_torch.holds(pool)
    assert all(np.bincount(pool.team[lineup]).max() >= 3 for lineup in found.rows)
    for scenario in (0, 7, 19):
        assert found.score[scenario] == pytest.approx(highs(pool, scores[scenario]), abs=1e-3)


def test_a_search_out_of_steps_is_finished_by_highs(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, scores = simulated("draftkings", 4)
    best = optimal_by_scenario(pool, scores)
    monkeypatch.setattr(batch_compiled, "MAX_STEPS", 1)
    slow = optimal_by_scenario(pool, scores)
    assert (slow.by_highs, slow.unproven) == (4, 0)
    assert slow.score == pytest.approx(best.score, abs=1e-3)
    assert_legal(pool, slow.rows)


def test_the_same_batch_gives_the_same_lineups() -> None:
    pool, scores = simulated("draftkings", 300)
    one, two = (optimal_by_scenario(pool, scores, device="cpu") for _ in range(2))
    assert (one.rows == two.rows).all()


@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_progress_is_told_and_a_cancelled_batch_stops(backend: str) -> None:
    pool, scores = simulated("fanduel", 520)
    told: list[tuple[int, int]] = []
    optimal_by_scenario(
        pool, scores, device="cpu", backend=backend, on_progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (520, 520)
    assert {total for _, total in told} == {520}
    assert len(told) > 2
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        optimal_by_scenario(pool, scores, device="cpu", backend=backend, cancelled=cancelled)
    assert len(asked) == 2


def test_no_legal_lineup_is_said_for_all_scenarios() -> None:
    pool, scores = simulated("draftkings", 130)
    broke = replace(pool, cap=1)
    for backend in ("compiled", "torch"):
        with pytest.raises(Infeasible, match="no legal lineup"):
            optimal_by_scenario(broke, scores, device="cpu", backend=backend)


def test_wrong_scores_and_devices_are_refused() -> None:
    pool, scores = simulated("fanduel", 2)
    with pytest.raises(InvalidInput, match="shape"):
        optimal_by_scenario(pool, scores[:, :-1])
    wrong = scores.copy()
    wrong[1, 3] = np.nan
    with pytest.raises(InvalidInput, match="finite"):
        optimal_by_scenario(pool, wrong)
    with pytest.raises(InvalidInput, match="backend 'abacus'"):
        optimal_by_scenario(pool, scores, backend="abacus")
    assert len(optimal_by_scenario(pool, scores[:0]).rows) == 0


@pytest.mark.parametrize(
    ("values", "step"),
    [([3, 7], 1.0), ([3.25, 1], 0.25), ([3.1, 0.2], 0.1), ([1.5 * 3.25, 1], 0.125), ([1 / 3], 0)],
)
def test_the_widest_grid_is_found(values: list[float], step: float) -> None:
    assert grid_step(np.array([values], dtype=np.float32)) == step


@pytest.mark.gpu
def test_cuda_agrees_with_the_compiled_search() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for name in CASES:
        pool, scores = simulated(name, 500)
        found = optimal_by_scenario(pool, scores, device="cuda", backend="torch")
        assert found.backend == "torch"
        assert found.score == pytest.approx(optimal_by_scenario(pool, scores, device="cpu").score, abs=1e-6)
