"""Opposing lineups: legal, and holding everybody as often as asked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from features.contests import Contest, check_lineup, load_contest
from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from models.lineups.batch import optimal_by_scenario
from models.lineups.compile import compile_pool
from models.lineups.optimize import lineups_of
from models.lineups.pool import Pool
from models.lineups.portfolio import Solved
from models.lineups.problem import Candidate
from models.lineups.rules import LineupRules
from models.lineups.simulation.field import Field, FieldStyle, sample_field, sample_fields
from models.ownership.model import project_ownership


def slate_of(contest: Contest, players: int, teams: int, seed: int) -> Slate:
    """Salaries and averages on the contest's scale, positions in turn, a third of them with two."""
    rng = np.random.default_rng(seed)
    positions = sorted(contest.positions)
    cap = contest.salary_cap_usd or 50_000
    step = contest.salary_step_usd
    rows = []
    for i in range(players):
        salary = round(cap / contest.lineup_size * float(rng.uniform(0.5, 1.8)) / step) * step
        second = (
            positions[int(rng.integers(len(positions)))] if rng.random() < 0.3 else positions[i % len(positions)]
        )
        listed = tuple(dict.fromkeys((positions[i % len(positions)], second)))
        team = i // len(positions) % teams
        points = round(float(salary / cap * contest.lineup_size * 30 * rng.lognormal(0, 0.15)), 2)
        rows.append(
            SlatePlayer(f"p{i}", f"Player {i}", listed, salary, f"T{team}", f"T{team ^ 1}", team % 2 == 1, points)
        )
    games = tuple(SlateGame(f"T{g}", f"T{g + 1}", None) for g in range(0, teams, 2))
    return Slate("made-up", contest.site, contest.sport, contest.mode, None, games, tuple(rows))


def pool_of(slate: Slate, contest: Contest) -> Pool:
    players = [
        Candidate(
            p.site_id, p.name, p.positions, p.team, "@".join(sorted((p.team, p.opponent))), p.salary_usd,
            p.average_points, opponent=p.opponent,
        )
        for p in slate.players
    ]  # fmt: skip
    return compile_pool(players, contest, LineupRules())


def assert_lawful(field: Field, pool: Pool, slate: Slate, contest: Contest) -> None:
    found = lineups_of(pool, [Solved(tuple(row), 0.0, 0.0) for row in field.rows.tolist()])
    assert all(check_lineup(lineup, slate, contest) == () for lineup in found)


@pytest.mark.parametrize(
    ("site", "sport"), [("draftkings", "nba"), ("fanduel", "nba"), ("yahoo", "nba"), ("draftkings", "nfl")]
)
def test_every_lineup_is_legal_and_ownership_is_met(site: str, sport: str) -> None:
    contest = load_contest(site, sport)
    slate = slate_of(contest, 160, 12, 3)
    pool = pool_of(slate, contest)
    ownership = project_ownership(pool.candidates, contest)
    field, warnings = sample_field(
        pool, ownership, 3_000, seed=4, optima=lambda scores: optimal_by_scenario(pool, scores).rows
    )
    assert warnings == ()
    assert field.entries == 3_000
    assert len({frozenset(row) for row in field.rows.tolist()}) == len(field.rows)
    assert_lawful(field, pool, slate, contest)
    missed = np.abs(field.ownership(pool) - ownership)
    top = np.argsort(-ownership)
    assert missed[top[:20]].mean() <= 0.005
    assert missed[top[:50]].mean() <= 0.005


def test_one_set_of_lineups_serves_crowds_of_different_minds() -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 120, 8, 1), contest)
    centre = project_ownership(pool.candidates, contest)
    liked = int(np.argsort(-centre)[10])
    players = [replace(c, ownership=0.5) if at == liked else c for at, c in enumerate(pool.candidates)]
    targets = np.array([centre, project_ownership(players, contest)])
    fields, _ = sample_fields(pool, centre, targets, 2_000, seed=2)
    for field, target in zip(fields, targets, strict=True):
        assert field.entries == 2_000
        assert abs(field.ownership(pool)[liked] - target[liked]) <= 0.03


def test_equal_seeds_give_equal_fields() -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 90, 6, 5), contest)
    ownership = project_ownership(pool.candidates, contest)
    one, two, other = (sample_field(pool, ownership, 500, seed=seed)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.count, two.count)
    assert one.rows.shape != other.rows.shape or (one.rows != other.rows).any()


def test_stacking_crowds_stack() -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 160, 16, 2), contest)
    ownership = project_ownership(pool.candidates, contest)

    def mates(style: FieldStyle) -> float:
        field, _ = sample_field(pool, ownership, 1_500, style=style, seed=1)
        most = [np.bincount(pool.team[row]).max() for row in field.rows]
        return float(np.average(most, weights=field.count))

    assert mates(FieldStyle(mate=6.0)) > mates(FieldStyle(mate=1.0)) + 0.2


def test_copies_are_counted_whatever_the_seats() -> None:
    field = Field(np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32), np.array([4, 1]))
    assert field.copies(np.array([[2, 0, 1], [0, 1, 5]], dtype=np.int32)).tolist() == [4, 0]
    assert field.unique_share == 0.4


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.2])
def test_ownership_that_is_no_share_is_named(value: float) -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 60, 6, 1), contest)
    ownership = project_ownership(pool.candidates, contest)
    ownership[3] = value
    with pytest.raises(InvalidInput, match="ownership of Player 3"):
        sample_field(pool, ownership, 100)


def test_ownership_that_does_not_sum_is_scaled_with_a_warning() -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 90, 6, 1), contest)
    ownership = project_ownership(pool.candidates, contest)
    field, warnings = sample_field(pool, ownership / 2, 500)
    assert any("sums to 4.00 players a lineup, not 8" in warning for warning in warnings)
    assert np.abs(field.ownership(pool) - ownership).max() < 0.03


def test_empty_fields_and_nobody_owned_are_refused() -> None:
    contest = load_contest("draftkings")
    pool = pool_of(slate_of(contest, 60, 6, 1), contest)
    ownership = project_ownership(pool.candidates, contest)
    with pytest.raises(InvalidInput, match="at least 1"):
        sample_field(pool, ownership, 0)
    with pytest.raises(InvalidInput, match="sums to 0"):
        sample_field(pool, np.zeros_like(ownership), 10)
    with pytest.raises(InvalidInput, match="one each"):
        sample_field(pool, ownership[:-1], 10)
