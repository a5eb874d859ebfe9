"""Windows of recalibration, the replay sample, and what a fresh calibration changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.tables import Tables
from features.views import Views
from models.bundle import load_bundle
from models.errors import TrainingError
from models.families import family_of
from models.recalibrate import JUDGED_DATES, calibration_window, recalibrate
from models.training.config import Optimisation
from models.training.warm_start import EPOCHS, shortened, with_replay

FAMILY = "win_probability"
FIRST = date(2025, 1, 1)


def days(count: int) -> pl.DataFrame:
    """Two rows on each of `count` dates."""
    return pl.DataFrame({"game_date": [FIRST + timedelta(days=number // 2) for number in range(2 * count)]})


def test_the_window_is_what_the_weights_have_not_seen_and_the_judges_do_not_need() -> None:
    rows = days(60)
    window = calibration_window(rows, FIRST + timedelta(days=9), 20)
    assert (window["game_date"].min(), window["game_date"].max()) == (
        FIRST + timedelta(days=60 - JUDGED_DATES - 20), FIRST + timedelta(days=60 - JUDGED_DATES - 1),
    )  # fmt: skip
    assert window.height == 40
    short = calibration_window(rows, FIRST + timedelta(days=40), 20)
    assert short["game_date"].min() == FIRST + timedelta(days=41) and short.height == 2 * (60 - JUDGED_DATES - 41)
    assert calibration_window(rows, FIRST + timedelta(days=59), 20).is_empty()
    assert calibration_window(days(JUDGED_DATES), FIRST - timedelta(days=1), 20).is_empty()


def test_the_replay_sample_is_whole_games_of_older_seasons() -> None:
    games = [(season, f"{season}-{number}") for season in (2020, 2021, 2022) for number in range(400)]
    rows = pl.DataFrame(
        {"season": [s for s, _ in games for _ in range(3)], "game_id": [g for _, g in games for _ in range(3)]}
    )
    kept = with_replay(rows, seed=7)
    assert kept.filter(pl.col("season") == 2022).height == 1200
    older = kept.filter(pl.col("season") < 2022)
    assert older.height == pytest.approx(1200, rel=0.15) and set(older["season"]) == {2020, 2021}
    assert set(older.group_by("game_id").len()["len"]) == {3}
    assert with_replay(rows, seed=7).equals(kept) and not with_replay(rows, seed=8).equals(kept)
    assert with_replay(rows, seed=7, share=0.0).height == 1200
    alone = rows.filter(pl.col("season") == 2022)
    assert with_replay(alone, seed=7).equals(alone)


def test_fine_tuning_is_short_and_slow() -> None:
    usual = Optimisation(learning_rate=0.02, max_epochs=12)
    assert (shortened(usual).learning_rate, shortened(usual).max_epochs) == (pytest.approx(0.002), EPOCHS)
    assert shortened(Optimisation(max_epochs=1)).max_epochs == 1
    assert shortened(usual).seed == usual.seed


def test_a_fresh_calibration_follows_labels_that_moved(
    league: Tables, league_views: Views, league_as_of: datetime, small_params: dict[str, Any], tmp_path: Path
) -> None:
    from models.training.fit import train

    made = train(
        FAMILY, league, league_views, small_params, as_of=league_as_of, out=tmp_path / "old", device="cpu"
    )
    old = load_bundle(made.bundle_path)
    rows = family_of(FAMILY).labelled_rows(league, league_views)
    later = rows.filter(pl.col("game_date") > old.bundle.fit_through)
    high = later.with_columns((pl.col("total_points") + 40).alias("total_points"))
    new = load_bundle(
        recalibrate(
            old, high, out=tmp_path / "new", created_at=league_as_of, references={"kind": "recalibrated"}
        ).path
    )
    total = old.config["points"].index("total_points")
    moved = new.outputs(later)["points_mean"][:, total] - old.outputs(later)["points_mean"][:, total]
    assert np.all(moved > 10)
    assert new.bundle.references == {**old.bundle.references, "kind": "recalibrated"}
    assert new.trained_through == later["game_date"].max() and new.bundle.fit_through == old.bundle.fit_through
    with pytest.raises(TrainingError, match="weights were fitted through"):
        recalibrate(old, rows, out=tmp_path / "seen", created_at=league_as_of)
    with pytest.raises(TrainingError, match="too few to calibrate"):
        recalibrate(old, later.head(5), out=tmp_path / "few", created_at=league_as_of)
    assert not (tmp_path / "seen").exists() and not (tmp_path / "few").exists()
