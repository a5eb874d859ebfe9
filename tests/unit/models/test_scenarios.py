"""Scenarios: marginals, dependence, grid, seeds and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import kurtosis, rankdata, skew

from features.errors import InvalidInput
from features.slate import Slate, SlatePlayer
from models.lineups.correlation import (
    TABLES,
    game_matrix,
    load_correlation,
    nearest_correlation,
    parse_correlation,
)
from models.lineups.problem import Candidate
from models.lineups.scenarios import (
    Outcomes,
    Scenarios,
    outcomes_of,
    outcomes_of_candidates,
    sample_scenarios,
)

N = 20_000
SPORTS = sorted(path.stem for path in TABLES.glob("*.toml"))
NFL = ("QB", "RB", "WR", "WR", "WR", "TE", "DST")


def outcomes(count: int = 40, *, p_play: float = 1.0, site: str = "draftkings", sport: str = "nba") -> Outcomes:
    """Players with quantiles of a skewed distribution (gamma) and its own mean, four teams, two games."""
    from scipy.stats import gamma

    levels = np.array([0.1, 0.5, 0.9])
    played = np.linspace(12, 48, count)
    mixed = np.clip((levels - (1 - p_play)) / p_play, 0, 1)
    quantiles = np.array([gamma.ppf(mixed, a=9, scale=mean / 9) for mean in played])
    code = np.arange(count)
    return Outcomes(
        tuple(f"p{row}" for row in code), played * p_play, quantiles, levels, np.full(count, p_play), code, code % 4,
        code % 4 // 2, (("PG",),) * count, np.zeros(count, dtype=np.int64), site, sport,
    )  # fmt: skip


def nfl(teams: int = 2) -> Outcomes:
    """Whole offences: one player per entry of `NFL` and team, receivers in falling order."""
    count = len(NFL) * teams
    mean = np.tile(np.array([20.0, 15, 16, 12, 8, 9, 7]), teams)
    code = np.arange(count)
    return Outcomes(
        tuple(f"{position}{row}" for row, position in enumerate(NFL * teams)), mean, np.full((count, 1), np.nan),
        np.array([0.5]), np.ones(count), code, code // len(NFL), code // len(NFL) // 2,
        tuple((position,) for position in NFL * teams), np.zeros(count, dtype=np.int64), "draftkings", "nfl",
    )  # fmt: skip


def points(scenarios: Scenarios) -> NDArray[np.float64]:
    return scenarios.points * scenarios.step


def latent(scenarios: Scenarios) -> NDArray[np.float64]:
    """The copula's correlations, from ranks: 2 sin(pi/6 x Spearman)."""
    ranks = np.apply_along_axis(rankdata, 0, scenarios.points)
    return np.asarray(2 * np.sin(np.pi / 6 * np.corrcoef(ranks, rowvar=False)))


@pytest.mark.parametrize("p_play", [1.0, 0.85, 0.3])
def test_every_player_keeps_his_mean(p_play: float) -> None:
    slate = outcomes(p_play=p_play)
    drawn = points(sample_scenarios(slate, n=N, seed=1))
    error = (drawn.mean(axis=0) - slate.mean) / (drawn.std(axis=0) / np.sqrt(N))
    assert np.abs(error).max() < 4.5
    assert abs(error.mean()) < 1.5


@pytest.mark.parametrize("p_play", [1.0, 0.85])
def test_the_projected_quantiles_are_met(p_play: float) -> None:
    slate = outcomes(p_play=p_play)
    drawn = points(sample_scenarios(slate, n=N, seed=2))
    for column, level in enumerate(slate.levels):
        share = (drawn <= slate.quantiles[:, column]).mean(axis=0)
        known = slate.quantiles[:, column] > 0
        # Interpolating three quantiles and keeping the mean moves a level by 2 or 3 points at most.
        assert np.abs(share[known] - level).max(initial=0.0) < 0.035
        assert known.all() or level < 1 - p_play


def test_beyond_the_grid_points_are_skewed_and_never_negative() -> None:
    drawn = points(sample_scenarios(outcomes(), n=N, seed=3))
    assert drawn.min() >= 0
    assert skew(drawn, axis=0).min() > 0.3
    assert kurtosis(drawn, axis=0).mean() > 0.1


def test_who_may_sit_out_scores_nothing_that_often() -> None:
    drawn = points(sample_scenarios(outcomes(p_play=0.7), n=N, seed=4))
    share = (drawn == 0).mean(axis=0)
    assert np.abs(share - 0.3).max() < 5 * np.sqrt(0.21 / N)


def test_ruled_out_players_score_nothing() -> None:
    slate = outcomes(4)
    mean, p_play = slate.mean.copy(), slate.p_play.copy()
    mean[1] = p_play[1] = 0.0
    drawn = sample_scenarios(replace(slate, mean=mean, p_play=p_play), n=100, seed=0)
    assert not drawn.points[:, 1].any()
    assert drawn.points[:, 0].any()


@pytest.mark.parametrize(("site", "step"), [("draftkings", 0.25), ("fanduel", 0.1), ("yahoo", 0.1)])
def test_points_lie_on_the_sites_grid(site: str, step: float) -> None:
    drawn = sample_scenarios(outcomes(site=site), n=500, seed=5)
    assert drawn.step == step
    assert drawn.points.dtype == np.int16
    assert len(np.unique(drawn.points[:, -1])) > 100


def test_a_seed_is_a_slate() -> None:
    slate = outcomes()
    one, same, other = (sample_scenarios(slate, n=300, seed=seed) for seed in (7, 7, 8))
    assert (one.points == same.points).all()
    assert (one.points != other.points).mean() > 0.5
    assert one.ids == slate.ids


def test_receivers_rise_with_their_quarterback_and_fall_against_the_defence() -> None:
    slate = nfl()
    found = latent(sample_scenarios(slate, n=40_000, seed=6))
    at = {(position, team): [] for position in NFL for team in (0, 1)}
    for row, position in enumerate(slate.positions):
        at[position[0], row // len(NFL)].append(row)
    quarterback, receivers = at["QB", 0][0], at["WR", 0]
    assert found[quarterback, receivers] == pytest.approx([0.34, 0.33, 0.25], abs=0.02)
    assert found[quarterback, at["QB", 1][0]] == pytest.approx(0.15, abs=0.02)
    assert found[quarterback, at["DST", 1][0]] == pytest.approx(-0.35, abs=0.02)
    assert found[receivers[0], receivers[1]] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("sport", ["nba", "nfl"])
def test_the_games_matrix_is_reproduced(sport: str) -> None:
    slate = outcomes(40) if sport == "nba" else nfl(4)
    correlation = load_correlation(sport)
    found = latent(sample_scenarios(slate, n=40_000, seed=8))
    from models.lineups.correlation import roles_of

    role = roles_of(correlation, slate.positions, slate.team, slate.mean)
    for game in (0, 1):
        members = np.flatnonzero(slate.game == game)
        wanted = game_matrix(correlation, role[members], slate.team[members], slate.batting_order[members])
        assert np.abs(found[np.ix_(members, members)] - wanted).max() < 5 / np.sqrt(40_000)
    apart = found[np.ix_(np.flatnonzero(slate.game == 0), np.flatnonzero(slate.game == 1))]
    assert np.abs(apart).max() < 5 / np.sqrt(40_000)


def test_neighbours_in_the_batting_order_share_most_and_pitchers_fear_the_other_side() -> None:
    count = 20
    code = np.arange(count)
    order = np.concatenate([np.arange(10), np.arange(10)])
    positions = tuple(("P",) if row == 0 else ("OF",) for row in order)
    slate = Outcomes(
        tuple(map(str, code)), np.where(order == 0, 18.0, 8.0), np.full((count, 1), np.nan), np.array([0.5]),
        np.ones(count), code, code // 10, code * 0, positions, order, "draftkings", "mlb",
    )  # fmt: skip
    found = latent(sample_scenarios(slate, n=40_000, seed=9))
    assert found[1, [2, 3, 4, 5]] == pytest.approx([0.20, 0.16, 0.12, 0.10], abs=0.025)
    assert found[1, 9] == pytest.approx(0.20, abs=0.025)  # the ninth bats before the first
    assert found[0, 11:].mean() == pytest.approx(-0.25, abs=0.02)


def test_captain_and_flex_of_one_person_come_out_alike() -> None:
    slate = outcomes(8)
    twice = replace(slate, person=np.array([0, 0, 1, 1, 2, 2, 3, 3]), mean=np.repeat(slate.mean[::2], 2),
                    quantiles=np.repeat(slate.quantiles[::2], 2, axis=0))  # fmt: skip
    drawn = sample_scenarios(replace(twice, p_play=np.full(8, 0.8)), n=400, seed=10).points
    assert (drawn[:, ::2] == drawn[:, 1::2]).all()
    assert (drawn[:, 0] != drawn[:, 2]).any()


def test_own_floor_and_ceiling_are_the_outer_tenths() -> None:
    players = [
        Candidate("a", "A", ("PG",), "T", "G", 5000, 30.0, floor=20.0, ceiling=41.0),
        Candidate("b", "B", ("PG",), "U", "G", 5000, 30.0),
        Candidate("c", "C", ("PG",), "U", "G", 5000, 30.0, floor=29.0, ceiling=31.0),
    ]
    drawn = points(sample_scenarios(outcomes_of_candidates(players, site="fanduel", sport="nba"), n=N, seed=11))
    assert drawn.mean(axis=0) == pytest.approx([30.0] * 3, abs=0.4)
    assert (drawn[:, 0] < 20).mean() == pytest.approx(0.1, abs=0.02)
    assert (drawn[:, 0] > 41).mean() == pytest.approx(0.1, abs=0.02)
    assert drawn[:, 2].std() < 2 < drawn[:, 1].std()


def test_a_projections_frame_is_read_with_every_quantile_it_has() -> None:
    people = [SlatePlayer(f"s{row}", "N", ("PG",), 5000, "LAL", "BOS", True, 10.0) for row in range(2)]
    people.append(SlatePlayer("s2", "N", ("C",), 5000, "BOS", "LAL", False, 10.0, person="twin"))
    slate = Slate("id", "draftkings", "nba", "classic", None, (), tuple(people))
    frame = pl.DataFrame(
        {"site_id": ["s2", "s0", "s1"], "mean": [12.0, 10.0, 11.0], "q05": [1.0, 2, 3], "q50": [11.0, 9, 10],
         "q90": [22.0, 20, 21], "p_play": [0.9, 1.0, 1.0], "basis": ["user"] * 3}
    )  # fmt: skip
    read = outcomes_of(slate, frame)
    assert read.ids == ("s0", "s1", "s2")
    assert read.levels.tolist() == [0.05, 0.5, 0.9]
    assert read.mean.tolist() == [10.0, 11.0, 12.0]
    assert read.quantiles[2].tolist() == [1.0, 11.0, 22.0]
    assert read.game.tolist() == [0, 0, 0]
    assert read.team.tolist() == [0, 0, 1]
    with pytest.raises(InvalidInput, match="s1"):
        outcomes_of(slate, frame.filter(pl.col("site_id") != "s1"))
    empty = frame.with_columns(mean=pl.when(pl.col("site_id") == "s0").then(None).otherwise(pl.col("mean")))
    with pytest.raises(InvalidInput, match="mean of player s0 is nan"):
        outcomes_of(slate, empty)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mean", np.nan, "mean of player p1"),
        ("mean", np.inf, "mean of player p1"),
        ("p_play", 1.2, "p_play of player p1 is 1.2"),
        ("p_play", -0.1, "p_play of player p1"),
        ("p_play", np.nan, "p_play of player p1"),
        ("p_play", 0.0, "p_play 0 but mean"),
        ("quantiles", (30.0, 20.0, 40.0), "quantiles of player p1"),
        ("quantiles", (10.0, np.nan, 40.0), "quantiles of player p1"),
    ],
)
def test_wrong_numbers_are_named(field: str, value: object, message: str) -> None:
    slate = outcomes(6)
    changed = getattr(slate, field).copy()
    changed[1] = value
    with pytest.raises(InvalidInput, match=message):
        sample_scenarios(replace(slate, **{field: changed}), n=10, seed=0)


def test_wrong_levels_counts_and_sports_are_refused() -> None:
    slate = outcomes(6)
    with pytest.raises(InvalidInput, match="levels"):
        sample_scenarios(replace(slate, levels=np.array([0.1, 0.9, 0.5])), n=10, seed=0)
    with pytest.raises(InvalidInput, match="scenarios is 0"):
        sample_scenarios(slate, n=0, seed=0)
    with pytest.raises(InvalidInput, match="'curling'"):
        sample_scenarios(replace(slate, sport="curling"), n=10, seed=0)


@pytest.mark.parametrize("sport", SPORTS)
def test_every_sports_table_says_where_it_comes_from_and_can_be_drawn(sport: str) -> None:
    correlation = load_correlation(sport)
    assert correlation.sport == sport
    assert len(correlation.source) > 10
    wanted = tuple((min(role.positions, default="X"),) for role in correlation.roles)
    count = len(wanted) * 12
    code = np.arange(count)
    slate = Outcomes(
        tuple(map(str, code)), np.full(count, 20.0), np.full((count, 1), np.nan), np.array([0.5]), np.ones(count),
        code, code % 2, code * 0, wanted * 12, np.zeros(count, dtype=np.int64), "draftkings", sport,
    )  # fmt: skip
    drawn = points(sample_scenarios(slate, n=2_000, seed=0))
    assert drawn.mean() == pytest.approx(20.0, abs=1.0)


def test_impossible_tables_become_the_nearest_possible() -> None:
    wanted = np.full((12, 12), -0.3)
    np.fill_diagonal(wanted, 1.0)
    found = nearest_correlation(wanted)
    assert np.linalg.eigvalsh(found)[0] > 0
    assert np.diag(found) == pytest.approx(np.ones(12))
    assert (found[~np.eye(12, dtype=bool)] < -0.05).all()


def test_independent_tables_tie_nobody() -> None:
    found = latent(sample_scenarios(nfl(), n=N, seed=1, correlation=load_correlation("nfl").independent()))
    assert np.abs(found[~np.eye(len(found), dtype=bool)]).max() < 5 / np.sqrt(N)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"teammates": {"a z": 0.1}}, "a z"), ({"opponents": {"a a": 1.5}}, "1.5"), ({"roles": None}, "correlation")],
)
def test_wrong_tables_are_named(change: dict[str, object], message: str) -> None:
    table = {"sport": "x", "source": "y", "steps": {}, "roles": [{"name": "a"}]} | change
    with pytest.raises(InvalidInput, match=message):
        parse_correlation(table)


@pytest.mark.real_data
def test_the_nba_table_is_what_the_box_scores_say(fantasy_data: Path) -> None:
    from benchmarks.measure_correlations import pairs, player_games, scored

    rows, _, _ = scored(player_games(fantasy_data))
    correlation = load_correlation("nba")
    names = [role.name for role in correlation.roles]
    for side, table in (("team", correlation.teammates), ("opp", correlation.opponents)):
        for row in pairs(rows, side).to_dicts():
            a, b = names.index(row["role"]), names.index(row["role_2"])
            if row["n"] > 1_000:
                assert row["rho"] == pytest.approx(table[a, b], abs=0.001)
