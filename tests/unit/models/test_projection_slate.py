"""A slate gets the champion's answers as of its lock, and says so where it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from features.scoring import SITES
from features.slate import Slate, SlateGame, SlatePlayer
from features.tables import Tables
from features.views import Views
from features.views.entities import player_directory
from models.bundle import LoadedModel, load_bundle
from models.projection.availability import Availability, fit_availability
from models.projection.config import LEVELS
from models.projection.newcomer import PLAYS, newcomer
from models.projection.slate import mixture_quantiles, project_slate
from models.training.fit import train


@pytest.fixture(scope="session")
def champion(
    league: Tables,
    league_views: Views,
    league_as_of: datetime,
    small_params: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> LoadedModel:
    """A champion of the invented league."""
    out = tmp_path_factory.mktemp("slate") / "projection"
    made = train("projection", league, league_views, small_params, as_of=league_as_of, out=out)
    return load_bundle(made.bundle_path, version="1")


def _player(number: int, player_id: int | None, average: float = 20.0, status: str = "") -> SlatePlayer:
    return SlatePlayer(
        f"s{number}", f"Player {number}", ("PG", "SG"), 5000, "ATL", "BOS", True, average, status, player_id
    )


@pytest.fixture
def slate(league_as_of: datetime) -> Slate:
    """Five known players of ATL, one unknown, one ruled out."""
    players = [_player(n, 1000 + n) for n in range(5)]
    players += [_player(5, None, average=12.5), _player(6, 1006, status="O")]
    lock = league_as_of + timedelta(days=1)
    return Slate("s", "draftkings", "nba", "classic", lock, (SlateGame("BOS", "ATL", lock),), tuple(players))


def test_known_unknown_and_out(slate: Slate, champion: LoadedModel, league: Tables, league_views: Views) -> None:
    found = project_slate(slate, champion, league_views, player_directory(league))
    assert found.frame["basis"].to_list() == ["champion"] * 5 + ["file_average", "out"]
    assert (found.model_name, found.model_version, found.fallback) == ("nba-projection", "1", False)
    assert found.frame["mean"][5] == 12.5
    assert found.frame.row(6, named=True)["mean"] == found.frame.row(6, named=True)["q90"] == 0.0
    own = found.frame.head(5)
    assert (own["q10"] <= own["q50"]).all() and (own["q50"] <= own["q90"]).all()
    # Roster slots are sorted by level in this league.
    assert own["mean"][0] > own["mean"][4]
    assert found.data_timestamp is not None and slate.lock is not None and found.data_timestamp <= slate.lock
    assert any("1 of 7" in warning for warning in found.warnings)


def test_an_unknown_player_without_an_average_gets_the_prior_of_newcomers(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    players = (*slate.players, _player(7, None, average=0.0), _player(8, 999_999, average=0.0))
    found = project_slate(replace(slate, players=players), champion, league_views, player_directory(league))
    assert found.frame["basis"].to_list()[-2:] == ["prior", "prior"] and not found.fallback
    row = found.frame.row(-1, named=True)
    assert row["p_play"] == PLAYS and 0 < row["mean"] < 2
    assert row["q10"] == row["q50"] == 0.0 <= row["q90"]
    assert any("2 of 9" in warning and "newcomers" in warning for warning in found.warnings)
    # Without a champion nobody is known, and a prior for everybody would be no projection.
    alone = project_slate(replace(slate, players=players), None, league_views, player_directory(league))
    assert set(alone.frame["basis"]) == {"file_average", "out"}


def test_newcomers_points_follow_their_own_quantiles() -> None:
    for site in SITES:
        mean, quantiles = newcomer(site)
        assert (np.diff(quantiles) >= 0).all() and quantiles[3] < mean < quantiles[5]


def test_mean_is_weighted_by_the_chance_to_play(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    sure = project_slate(slate, champion, league_views, player_directory(league)).frame
    often_out = Availability((), (), (), float(np.log(0.25 / 0.75))).as_json()
    calibration = {**champion.bundle.calibration, "availability": often_out}
    doubtful = LoadedModel(replace(champion.bundle, calibration=calibration), champion.network, champion.device)
    half = project_slate(slate, doubtful, league_views, player_directory(league)).frame
    assert half["p_play"][0] == pytest.approx(0.25)
    assert half["mean"][0] == pytest.approx(sure["mean"][0] / sure["p_play"][0] * 0.25)
    assert half["q50"][0] == 0.0 < half["q90"][0]


def test_nobody_known_falls_back_and_says_so(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    strangers = replace(slate, players=tuple(replace(p, player_id=None) for p in slate.players[:5]))
    found = project_slate(strangers, champion, league_views, player_directory(league))
    assert found.fallback
    assert found.frame["mean"].to_list() == [20.0] * 5
    assert any("none of the slate's" in warning for warning in found.warnings)


def test_no_champion_falls_back(slate: Slate, league: Tables, league_views: Views) -> None:
    found = project_slate(slate, None, league_views, player_directory(league))
    assert found.fallback and "no champion" in found.warnings[0]
    row = found.frame.row(0, named=True)
    assert row["q10"] < row["mean"] == 20.0 < row["q90"]


def test_a_slate_without_a_date_falls_back(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    found = project_slate(replace(slate, lock=None), champion, league_views, player_directory(league))
    assert found.fallback and "--date" in found.warnings[0]


def test_a_slate_the_champion_has_seen_is_flagged(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    seen = datetime.combine(champion.trained_through, datetime.min.time(), tzinfo=slate.lock.tzinfo)  # type: ignore[union-attr]
    found = project_slate(replace(slate, lock=seen), champion, league_views, player_directory(league))
    assert any("has seen" in warning for warning in found.warnings)
    fresh = project_slate(slate, champion, league_views, player_directory(league))
    assert not any("has seen" in warning for warning in fresh.warnings)


def test_games_after_the_lock_change_nothing(
    slate: Slate, champion: LoadedModel, league: Tables, league_views: Views
) -> None:
    middle = league.games.sort("event_time")["event_time"][400]
    early = replace(slate, lock=middle)
    before = {name: view.filter(pl.col("known_time") <= middle) for name, view in league_views.items()}
    directory = player_directory(league)
    full = project_slate(early, champion, league_views, directory)
    cut = project_slate(early, champion, before, directory)
    assert full.frame.equals(cut.frame)


def test_mixture_quantiles_match_simulation() -> None:
    grid = 20 + 9 * norm.ppf(np.array(LEVELS))[None]
    p_play = np.array([0.7])
    rng = np.random.default_rng(0)
    played = rng.random(400_000) < 0.7
    points = np.where(played, 20 + 9 * rng.normal(size=400_000), 0.0)
    found = mixture_quantiles(grid, LEVELS, p_play, [0.2, 0.5, 0.9])[0]
    assert found == pytest.approx(np.quantile(points, [0.2, 0.5, 0.9]), abs=0.25)


def test_availability_learns_who_sits(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = ("team_games_missed", "min_ewm5", "unrelated")
    inputs = np.stack([rng.integers(0, 5, 6000), rng.uniform(5, 36, 6000), rng.normal(size=6000)], 1)
    truth = np.where(inputs[:, 0] == 0, 0.95, 0.3)
    played = rng.random(6000) < truth
    fitted = fit_availability(inputs.astype(np.float32), names, played)
    again = Availability.from_json(fitted.as_json())
    found = again.probability(np.array([[0, 20, 0], [3, 20, 0], [np.nan, np.nan, 0]], np.float32), names)
    assert found[:2] == pytest.approx([0.95, 0.3], abs=0.04)
    assert 0 < found[2] < 1
