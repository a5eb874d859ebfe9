"""Answers to the macro targets: which rows count, what the baselines are, and that neither sees its own game."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from features.tables import Tables
from features.views import Views
from models.answers import Answers
from models.families import family_of, judged_of
from models.projection.answers import ROTATION_GAMES, ROTATION_MEAN
from models.projection.config import LEVELS
from models.projection.distribution import probability_over


def _split(family: str, league: Tables, views: Views) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = family_of(family).labelled_rows(league, views)
    first = rows["game_date"].unique().sort()[-30]
    return rows.filter(pl.col("game_date") >= first), rows.filter(pl.col("game_date") < first)


def _named(found: list[Answers]) -> dict[str, Answers]:
    return {each.target: each for each in found}


@pytest.fixture(scope="module")
def projected(league: Tables, league_views: Views) -> tuple[pl.DataFrame, dict[str, Answers]]:
    """Rows with baselines, and answers that put a normal distribution around the season mean so far."""
    rows, past = _split("projection", league, league_views)
    judged = judged_of("projection")
    known = judged.with_baselines(rows, past, league)
    config = {"sites": ["draftkings", "fanduel", "yahoo"], "levels": list(LEVELS), "stats": ["minutes", "points"]}
    spread = norm.ppf(np.array(LEVELS))
    output: dict[str, Any] = {}
    for prefix, names in (("", config["sites"]), ("stat_", config["stats"])):
        means = np.stack(
            [known[f"baseline_season_mean_{name}"].fill_null(0.0).to_numpy() for name in names], axis=1
        )
        output[f"{prefix}mean"] = means
        output[f"{prefix}quantiles"] = means[..., None] + 8 * spread
    return known, _named(judged.answers(known, output, config))


def test_projection_targets_and_rows_that_count(projected: tuple[pl.DataFrame, dict[str, Answers]]) -> None:
    known, found = projected
    sites = {f"fantasy_points_{site}" for site in ("draftkings", "fanduel", "yahoo")}
    assert set(found) == sites | {"points", "minutes", "over_season_mean"}
    points = found["fantasy_points_draftkings"]
    assert points.rows.height == known.filter(pl.col("earlier_games") >= 1).height == len(points.quantiles)  # type: ignore[arg-type]
    assert set(points.baselines) == {"season_mean", "ewma"} and points.primary == "ewma"
    assert (points.rows["baseline_season_mean"].to_numpy() == points.mean).all()
    assert set(points.rows["asked_at"]) == {"pregame"}
    assert points.rows["quantiles_ewma"].list.len().unique().to_list() == [len(LEVELS)]


def test_over_the_season_mean_is_asked_of_rotation_players_only(
    projected: tuple[pl.DataFrame, dict[str, Answers]],
) -> None:
    known, found = projected
    over = found["over_season_mean"]
    mean = pl.col("baseline_season_mean_draftkings")
    asked = known.filter((mean >= ROTATION_MEAN) & (pl.col("earlier_games") >= ROTATION_GAMES))
    assert over.rows.height == asked.height > 20
    assert over.rows["label"].to_list() == asked.select(
        (pl.col("fantasy_points_draftkings") > mean).cast(pl.Float64)
    ).to_series().to_list()  # fmt: skip
    # The line is the centre of every distribution given.
    assert over.probability == pytest.approx(np.full(asked.height, 0.5))
    assert over.rows["baseline_base_rate"].n_unique() == 1
    assert over.rows["baseline_ewma"].is_between(0, 1).all()


def test_winner_baselines_of_every_target(league: Tables, league_views: Views) -> None:
    rows, past = _split("win_probability", league, league_views)
    judged = judged_of("win_probability")
    known = judged.with_baselines(rows, past, league)
    n = known.height
    output = {
        "home_win_probability": np.full(n, 0.6), "points_mean": np.zeros((n, 2)),
        "points_quantiles": np.zeros((n, 2, len(LEVELS))),
    }  # fmt: skip
    config = {"points": ["home_margin", "total_points"]}
    found = _named(judged.answers(known, output, config))
    assert set(found) == {"home_win", "home_margin", "total_points"}
    assert set(found["home_win"].baselines) == {"elo", "home", "market"}
    assert set(found["total_points"].baselines) == {"recent", "league", "market"}
    margin = found["home_margin"].rows
    assert np.corrcoef(margin["baseline_elo"], margin["label"])[0, 1] > 0.3
    assert (margin["baseline_home"] == past["home_margin"].mean()).all()
    assert judged.losses(known, output, config) == pytest.approx(
        (0.6 - known["home_win"].cast(pl.Float64).to_numpy()) ** 2
    )


@pytest.mark.parametrize("family", ["projection", "win_probability"])
def test_no_baseline_moves_when_its_own_game_changes(family: str, league: Tables, league_views: Views) -> None:
    rows, past = _split(family, league, league_views)
    game = rows["game_id"][5]
    own = pl.col("game_id") == game

    def more(name: str) -> pl.Expr:
        return pl.when(own).then(pl.col(name) + 50).otherwise(pl.col(name)).cast(pl.Int16).alias(name)

    changed = Tables(league.games.with_columns(more("home_score")), league.box.with_columns(more("pts")))
    before, after = (judged_of(family).with_baselines(rows, past, tables) for tables in (league, changed))
    columns = [name for name in before.columns if name.startswith(("baseline_", "quantiles_"))]
    assert len(columns) >= 9
    assert before.filter(own).select(columns).equals(after.filter(own).select(columns))
    assert not before.select(columns).equals(after.select(columns))


def test_chance_over_a_line_is_read_from_the_grid() -> None:
    levels = np.array(LEVELS)
    grid = np.vstack([10 + 4 * norm.ppf(levels), 30 + 9 * norm.ppf(levels), np.full(len(levels), 7.0)])
    lines = np.array([13.0, 55.0, 7.0])
    found = probability_over(grid, levels, lines)
    assert found[:2] == pytest.approx(norm.sf([3 / 4, 25 / 9]), abs=1e-6)
    assert 0 <= found[2] <= 1
    assert np.isnan(probability_over(grid[:1], levels, [np.nan])).all()
