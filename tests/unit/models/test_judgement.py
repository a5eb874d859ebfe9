"""A challenger is judged on games that neither side learned from, by rules that cannot be talked round."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from features.params import read_params
from features.tables import Tables
from features.views import VIEW_VERSIONS, Views
from models.bundle import Bundle, LoadedModel
from models.families import family_of
from models.judgement import Verdict, judge
from models.projection.config import ProjectionConfig
from models.projection.network import ProjectionNetwork
from models.win_probability.config import WinProbabilityConfig
from models.win_probability.network import WinProbabilityNetwork

#: Between the two invented seasons: all 240 games of the second are judged.
LEARNED = date(2022, 7, 1)
MARGIN = "expected_margin"


@pytest.fixture(scope="module")
def params() -> dict[str, Any]:
    """The project's own limits with fewer resamples."""
    own = read_params()
    return {**own, "evaluate": {**own["evaluate"], "bootstrap": 400}}


@pytest.fixture(scope="module")
def slope(league: Tables, league_views: Views) -> float:
    """Log-odds of a home win per point of expected margin, from the first season."""
    rows = family_of("win_probability").labelled_rows(league, league_views)
    first = rows.filter((pl.col("game_date") < LEARNED) & pl.col(MARGIN).is_not_null())
    fitted = LogisticRegression(fit_intercept=False).fit(first.select(MARGIN).to_numpy(), first["home_win"])
    return float(fitted.coef_[0, 0])


def _loaded(family: str, network: Any, version: str, learned: date) -> LoadedModel:
    bundle = Bundle(
        family=family, name=f"invented-{family}", league="simulated", path=Path("unused"),
        config=network.config.as_json(), calibration={}, view_versions=dict(VIEW_VERSIONS), label="", references={},
        fit_through=learned, calibrated_through=learned, trained_through=learned,
        created_at=datetime(2022, 7, 2, tzinfo=UTC),
    )  # fmt: skip
    return LoadedModel(bundle, network.eval(), torch.device("cpu"), version)


def winner(slope: float, version: str = "1", *, learned: date = LEARNED, feature: str = MARGIN) -> LoadedModel:
    """A winner model that answers expit(slope * feature)."""
    network = WinProbabilityNetwork(WinProbabilityConfig((feature,), hidden=1))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, 0] = slope
    return _loaded("win_probability", network, version, learned)


def constant(points: float, *, learned: date = LEARNED) -> LoadedModel:
    """A projection that answers about `points` for everybody."""
    network = ProjectionNetwork(ProjectionConfig(("dk_ewm12",), (), hidden=1, layers=1))
    with torch.no_grad():
        network.head.weight.zero_()
        network.label_mean_S.fill_(points)
        network.label_scale_S.fill_(10.0)
    return _loaded("projection", network, "1", learned)


@pytest.fixture
def decide(league: Tables, league_views: Views, league_as_of: datetime, params: dict[str, Any]) -> Any:
    """`judge` on the invented league."""

    def decide(challenger: LoadedModel, champion: LoadedModel | None = None, **changed: Any) -> Verdict:
        as_of = changed.get("as_of", league_as_of)
        return judge(challenger, champion, league, league_views, params, as_of=as_of)

    return decide


def test_a_better_challenger_is_promoted(decide: Any, slope: float) -> None:
    verdict = decide(winner(slope, "2"), winner(0.0))
    assert verdict.action == "promote", verdict.summary()
    assert (verdict.challenger, verdict.champion) == ("2", "1")
    evidence = verdict.evidence
    assert evidence.comparison.low > 0
    assert evidence.challenger.n == evidence.champion.n == 240
    assert evidence.first_date > LEARNED


def test_an_identical_challenger_is_held(decide: Any, slope: float) -> None:
    verdict = decide(winner(slope, "2"), winner(slope))
    assert verdict.action == "hold"
    assert verdict.evidence.comparison.estimate == 0.0
    assert verdict.evidence.declared_reason == ""


def test_a_worse_challenger_is_rejected(decide: Any, slope: float) -> None:
    verdict = decide(winner(-slope, "2"), winner(slope))
    assert verdict.action == "reject"
    assert "worse" in verdict.reasons[0]


def test_an_equal_challenger_with_fresher_games_is_promoted(decide: Any, slope: float) -> None:
    fresher = LEARNED + timedelta(days=150)
    verdict = decide(winner(slope, "2", learned=fresher), winner(slope))
    assert verdict.action == "promote", verdict.summary()
    assert str(fresher) in verdict.evidence.declared_reason
    assert verdict.evidence.first_date > fresher


def test_swapped_roles_flip_the_sign(decide: Any, slope: float) -> None:
    one, other = winner(slope, "2"), winner(slope / 3)
    there, back = decide(one, other).evidence.comparison, decide(other, one).evidence.comparison
    assert there.estimate == pytest.approx(-back.estimate)
    assert (there.champion, there.challenger) == (back.challenger, back.champion)


def test_a_model_that_reads_the_result_is_rejected(decide: Any) -> None:
    verdict = decide(winner(20.0, "2", feature="home_win"), winner(0.0))
    assert verdict.action == "reject"
    assert "home_win" in verdict.reasons[0]
    assert verdict.evidence is None


def test_answers_that_are_not_numbers_are_rejected(decide: Any, slope: float) -> None:
    assert decide(winner(float("nan"), "2"), winner(slope)).action == "reject"
    points = decide(constant(float("nan")))
    assert points.action == "reject"
    assert "not finite" in points.reasons[0]


@pytest.mark.parametrize("broken", [winner(float("nan")), winner(1.0, feature="feature_of_last_year")])
def test_a_champion_that_no_longer_answers_does_not_block_its_successor(
    decide: Any, slope: float, broken: LoadedModel
) -> None:
    verdict = decide(winner(slope, "2"), broken)
    assert verdict.champion == "1"
    assert verdict.evidence.opponent.startswith("baseline")
    assert np.isfinite(verdict.evidence.comparison.estimate)


def test_the_first_model_meets_the_best_baseline(decide: Any, slope: float) -> None:
    verdict = decide(winner(0.0, "1"))
    assert verdict.evidence.opponent == "baseline elo"
    assert verdict.evidence.champion_version is None
    assert verdict.action == "reject"
    # What a baseline dares to claim is nothing that users would lose.
    assert verdict.evidence.champion.gate_coverage is None


def test_a_first_projection_meets_the_best_of_its_baselines(decide: Any) -> None:
    verdict = decide(constant(25.0))
    assert verdict.action == "reject"
    assert verdict.evidence.opponent in {"baseline season_mean", "baseline ewma"}
    assert {"starters", "bench", "home"} <= set(verdict.evidence.slices)


def test_a_champion_that_knows_every_game_leaves_nothing_to_judge(
    decide: Any, slope: float, league: Tables
) -> None:
    newest = league.games["game_date"].max()
    assert isinstance(newest, date)
    verdict = decide(winner(slope, "2"), winner(0.0, learned=newest))
    assert verdict.action == "hold"
    assert "nothing to compare on" in verdict.reasons[0]
    assert verdict.as_json()["evidence"] is None


def test_games_of_the_day_itself_are_not_judged(decide: Any, slope: float, league: Tables) -> None:
    day = league.games.filter(pl.col("game_date") > LEARNED)["game_date"].unique().sort()[20]
    verdict = decide(winner(slope, "2"), winner(0.0), as_of=datetime(day.year, day.month, day.day, 17, tzinfo=UTC))
    assert verdict.evidence.last_date < day
    assert verdict.evidence.challenger.n == 80
