"""A whole contest: legal entries within the rules, figures out of sample, equal by seed, bad requests named."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from features.contests import Contest, check_lineup, load_contest
from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.payouts import Payouts, preset_payouts
from models.errors import Cancelled
from models.lineups.rules import LineupRules
from models.lineups.simulation import SimulationRequest, SimulationResult, simulate_contest
from models.projection.slate import SlateProjections, project_slate

SMALL = SimulationRequest(
    entries=12,
    scenarios=400,
    field_size=500,
    candidates=150,
    payouts=preset_payouts("gpp", field_size=500),
    seed=3,
)


def slate_of(seed: int = 2) -> Slate:
    rng = np.random.default_rng(seed)
    names = ("PG", "SG", "SF", "PF", "C")
    rows = []
    for i in range(80):
        salary = int(rng.integers(30, 110)) * 100
        points = round(salary / 1000 * 5 * float(rng.lognormal(0, 0.12)), 2)
        team = i // 10
        rows.append(
            SlatePlayer(
                f"{i}", f"Player {i}", (names[i % 5],), salary, f"T{team}", f"T{team ^ 1}", team % 2 == 1, points
            )
        )
    games = tuple(SlateGame(f"T{g}", f"T{g + 1}", None) for g in range(0, 8, 2))
    return Slate("made-up", "draftkings", "nba", "classic", datetime(2026, 1, 1, tzinfo=UTC), games, tuple(rows))


@pytest.fixture(scope="module")
def contest() -> Contest:
    return load_contest("draftkings")


@pytest.fixture(scope="module")
def projected() -> tuple[Slate, SlateProjections]:
    return slate_of(), project_slate(slate_of(), None, {}, pl.DataFrame())


@pytest.fixture(scope="module")
def simulated(projected: tuple[Slate, SlateProjections], contest: Contest) -> SimulationResult:
    return simulate_contest(*projected, contest, LineupRules(max_exposure=0.5, excluded=frozenset({"3"})), SMALL)


def test_entries_are_legal_distinct_and_within_exposure(
    simulated: SimulationResult, projected: tuple[Slate, SlateProjections], contest: Contest
) -> None:
    assert len(simulated.lineups) == 12
    assert all(check_lineup(lineup, projected[0], contest) == () for lineup in simulated.lineups)
    counts = Counter(p.id for lineup in simulated.lineups for p in lineup.players)
    assert max(counts.values()) <= 6 and "3" not in counts
    assert len({frozenset(p.id for p in lineup.players) for lineup in simulated.lineups}) == 12


def test_figures_fit_together(simulated: SimulationResult) -> None:
    table, portfolio = simulated.table, simulated.portfolio
    assert table["expected_prize_usd"].sum() == pytest.approx(portfolio["expected_prize_usd"], rel=1e-4)
    assert portfolio["roi"] == pytest.approx(portfolio["expected_prize_usd"] / portfolio["cost_usd"] - 1)
    assert portfolio["cost_usd"] == 12 * 4.0 == simulated.baseline["cost_usd"]
    assert (table["win"] <= table["top1"]).all() and (table["top1"] <= table["cash"]).all()
    assert simulated.ownership["projected"].sum() == pytest.approx(8.0)
    assert simulated.ownership["field"].sum() == pytest.approx(8.0)
    assert simulated.optimal_share["optimal"].sum() == pytest.approx(8.0)
    assert simulated.contest["scenarios_reported"] == 200
    assert json.loads(json.dumps(simulated.as_json()))["portfolio"]["entries"] == 12


def test_equal_seeds_give_equal_results(
    simulated: SimulationResult, projected: tuple[Slate, SlateProjections], contest: Contest
) -> None:
    rules = LineupRules(max_exposure=0.5, excluded=frozenset({"3"}))
    again = simulate_contest(*projected, contest, rules, SMALL).as_json()
    assert {k: v for k, v in again.items() if k != "timings_ms"} == {
        k: v for k, v in simulated.as_json().items() if k != "timings_ms"
    }


def test_given_lineups_are_judged_on_all_scenarios(
    simulated: SimulationResult, projected: tuple[Slate, SlateProjections], contest: Contest
) -> None:
    wanted = replace(SMALL, lineups=simulated.lineups[:3])
    judged = simulate_contest(*projected, contest, LineupRules(), wanted)
    assert [lineup.players for lineup in judged.lineups] == [lineup.players for lineup in simulated.lineups[:3]]
    assert judged.contest["scenarios_reported"] == 400
    broken = replace(
        simulated.lineups[0], players=simulated.lineups[0].players[:-1] + simulated.lineups[0].players[:1]
    )
    with pytest.raises(InvalidInput, match="lineup 1 is not legal"):
        simulate_contest(*projected, contest, LineupRules(), replace(SMALL, lineups=(broken,)))


def test_progress_is_announced_and_cancelling_stops(
    projected: tuple[Slate, SlateProjections], contest: Contest
) -> None:
    seen: list[str] = []
    with pytest.raises(Cancelled):
        simulate_contest(
            *projected, contest, LineupRules(), SMALL,
            on_progress=lambda stage, done, total: seen.append(stage), cancelled=lambda: "field" in seen,
        )  # fmt: skip
    assert list(dict.fromkeys(seen)) == ["scenarios", "ownership", "field"]


def test_tables_that_do_not_fit_are_scaled_and_named(
    projected: tuple[Slate, SlateProjections], contest: Contest
) -> None:
    generous = Payouts(((1, 60, 100.0),), 100, 4.0)
    result = simulate_contest(*projected, contest, LineupRules(), replace(SMALL, payouts=generous))
    assert any("for 100 entries and was scaled to 500" in warning for warning in result.warnings)
    assert any("exceed the fees" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"entries": 0}, "entries is 0"), ({"entries": 151}, "entries is 151"), ({"scenarios": 5}, "scenarios is 5"),
        ({"field_size": 1}, "field_size is 1"), ({"field_size": 12}, "field_size only 12"),
        ({"candidates": 0}, "candidates is 0"), ({"objective": "luck"}, "objective 'luck'"), ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_requests_out_of_range_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        replace(SMALL, **change).check()  # type: ignore[arg-type]
