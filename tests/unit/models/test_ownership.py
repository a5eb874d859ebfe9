"""Projected ownership: shares rosters can have, the user's own first, fitted weights that recover a known crowd."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from features.contests import Contest, Slot, load_contest
from features.errors import InvalidInput
from models.lineups.problem import Candidate
from models.ownership.config import MOST, Weights, load_weights
from models.ownership.fit import Example, fit_weights, leave_one_out
from models.ownership.model import fit_rosters, project_ownership, shares_of, slot_bits


def players_of(contest: Contest, count: int, seed: int) -> tuple[Candidate, ...]:
    rng = np.random.default_rng(seed)
    positions = sorted(contest.positions)
    found = []
    for i in range(count):
        salary = int(rng.integers(30, 110)) * 100
        points = salary / 1000 * 5 * float(rng.lognormal(0, 0.2))
        found.append(
            Candidate(
                f"{i}", f"Player {i}", (positions[i % len(positions)],), f"T{i % 8}", f"G{i % 4}", salary, points
            )
        )
    return tuple(found)


def showdown() -> Contest:
    slots = (Slot("CPT", frozenset({"CPT"}), points_multiplier=1.5),) + (Slot("FLEX", frozenset({"FLEX"})),) * 5
    return replace(load_contest("draftkings"), mode="showdown", slots=slots)


@pytest.mark.parametrize("sport", ["nba", "nfl"])
def test_shares_fill_the_roster_position_by_position(sport: str) -> None:
    contest = load_contest("draftkings", sport)
    players = players_of(contest, 80, 1)
    shares = project_ownership(players, contest)
    assert shares.sum() == pytest.approx(contest.lineup_size)
    assert ((shares >= 0) & (shares <= 1)).all()
    slots = slot_bits(players, contest)
    for union in set(slots.tolist()):
        inside = shares[(slots & ~union) == 0].sum()
        assert inside <= union.bit_count() + 1e-6
        assert shares[(slots & union) != 0].sum() >= union.bit_count() - 1e-6


def test_captain_rows_sum_to_the_captain_slot() -> None:
    players = []
    for c in players_of(showdown(), 40, 2)[::2]:
        players.append(
            replace(c, id=c.id + "c", positions=("CPT",), person=c.id, salary_usd=c.salary_usd * 3 // 2)
        )
        players.append(replace(c, positions=("FLEX",), person=c.id))
    shares = project_ownership(players, showdown())
    captains = np.array([c.positions == ("CPT",) for c in players])
    assert shares[captains].sum() == pytest.approx(1.0)
    assert shares[~captains].sum() == pytest.approx(5.0)


def test_better_value_and_optimal_share_are_owned_more() -> None:
    contest = load_contest("draftkings")
    players = [
        replace(c, salary_usd=5_000, projection=25.0, positions=("PG", "SG", "SF", "PF", "C"))
        for c in players_of(contest, 40, 3)
    ]
    players[5] = replace(players[5], projection=32.0)
    plain = project_ownership(players, contest)
    assert plain[5] == plain.max() and np.ptp(np.delete(plain, 5)) < 1e-9
    often = np.full(40, 0.1)
    often[7] = 0.6
    assert project_ownership(players, contest, optimal_share=often)[7] > plain[7]


def test_the_users_own_ownership_wins_and_the_rest_shares_what_is_left() -> None:
    contest = load_contest("draftkings")
    players = list(players_of(contest, 60, 4))
    for at, share in ((3, 0.5), (8, 0.0), (11, 0.31)):
        players[at] = replace(players[at], ownership=share)
    shares = project_ownership(players, contest)
    assert shares[[3, 8, 11]] == pytest.approx([0.5, 0.0, 0.31], abs=0.01)
    assert shares.sum() == pytest.approx(8.0)


@pytest.mark.parametrize("value", [math.nan, -0.2, 23.5])
def test_ownership_that_is_no_share_is_named(value: float) -> None:
    contest = load_contest("draftkings")
    players = list(players_of(contest, 20, 5))
    players[2] = replace(players[2], ownership=value)
    with pytest.raises(InvalidInput, match="ownership of Player 2"):
        project_ownership(players, contest)


def test_no_players_and_broken_projections_are_refused() -> None:
    contest = load_contest("draftkings")
    with pytest.raises(InvalidInput, match="empty"):
        project_ownership([], contest)
    players = list(players_of(contest, 20, 6))
    players[4] = replace(players[4], projection=math.inf)
    with pytest.raises(InvalidInput, match="projection of Player 4"):
        project_ownership(players, contest)


def test_nobody_is_above_the_most_there_is() -> None:
    shares = shares_of(np.array([50.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 8)
    assert shares.max() == pytest.approx(MOST) and shares.sum() == pytest.approx(8)
    assert fit_rosters(np.full(3, 0.9), np.array([1, 1, 2]), 2).tolist() == pytest.approx([0.5, 0.5, 1.0])


def test_fitting_recovers_the_crowd_that_made_the_contests() -> None:
    contest = load_contest("draftkings")
    rng = np.random.default_rng(7)
    truth = Weights(value=3.0, optimal=0.5, points=0.6)
    examples = []
    for day in range(6):
        players = tuple(
            replace(c, positions=("PG", "SG", "SF", "PF", "C")) for c in players_of(contest, 70, 10 + day)
        )
        optimal = rng.dirichlet(np.full(70, 0.3)) * 8 * 0.12
        drafted = project_ownership(players, contest, optimal_share=optimal, weights=truth)
        examples.append(Example(f"day {day}", players, contest, drafted, optimal))
    found = fit_weights(examples, ridge=1e-6)
    # Weights of what salary explains trade off against its price; the shares they give do not.
    assert found.optimal == pytest.approx(0.5, abs=0.1)
    assert max(one.top_error for one in leave_one_out(examples)) < 0.02
    with pytest.raises(InvalidInput, match="2 days"):
        leave_one_out(examples[:1])
    with pytest.raises(InvalidInput, match="no contests"):
        fit_weights([])


def test_shipped_weights_load_for_every_basis() -> None:
    for basis in ("averages", "informed"):
        assert load_weights(basis, with_optimal=True).optimal > 0
        assert load_weights(basis, with_optimal=False).optimal == 0
