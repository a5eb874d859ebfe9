"""The figures of a report against values worked out by hand or known in closed form."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.answers import Answers
from models.backtesting.context import context
from models.backtesting.curves import curves, over_time, pit_histogram
from models.backtesting.predictions import PREDICTION, predictions
from models.backtesting.slices import slices
from models.backtesting.spreads import with_baseline_crps
from models.calibration import AdaptiveCoverage, adaptive_intervals
from models.evaluation import Bootstrap, figures, headline
from models.metrics import Blocks, brier_parts, inside, squared_errors
from models.projection.config import LEVELS
from models.report import by_moment
from models.selective import accuracy_at, generalised_risk_area, risk_area
from tests.fixtures.league import small_league

FEW = Bootstrap(n_boot=200)
DAYS = 40


def asked(count: int, moments: tuple[str, ...] = ("pregame",), **columns: Any) -> pl.DataFrame:
    """`count` rows on DAYS dates, a share of them at each of `moments`."""
    start = date(2024, 11, 1)
    return pl.DataFrame({
        "game_id": [f"g{k}" for k in range(count)],
        "game_date": [start + timedelta(days=k % DAYS) for k in range(count)],
        "season": [2024] * count, "season_type": ["regular"] * count,
        "asked_at": [moments[k % len(moments)] for k in range(count)],
        "event_time": [None] * count, **columns,
    }, schema_overrides={"event_time": pl.Datetime("us", "UTC")})  # fmt: skip


def yes_no(count: int = 4000, **more: Any) -> Answers:
    """Calibrated answers, and a base rate beside them."""
    rng = np.random.default_rng(1)
    p = rng.uniform(0.02, 0.98, count)
    label = (rng.uniform(size=count) < p).astype(float)
    rows = asked(count, label=label, baseline_base_rate=np.full(count, 0.5), **more)
    return Answers("home_win", "probability", rows, "base_rate", probability=p)


def normal(count: int = 3000, sd: float = 1.0) -> Answers:
    """Points around a known mean, claimed with standard deviation `sd` where it is 1."""
    from scipy.stats import norm

    rng = np.random.default_rng(2)
    mean = rng.normal(20, 5, count)
    label = mean + rng.normal(size=count)
    rows = asked(count, label=label, baseline_overall=np.full(count, 20.0))
    grid = mean[:, None] + sd * norm.ppf(np.array(LEVELS))[None]
    return Answers("points", "points", rows, "overall", mean=mean, quantiles=grid)


def test_the_parts_of_the_brier_score_add_up() -> None:
    answers = yes_no()
    label = answers.rows["label"].to_numpy()
    parts = brier_parts(answers.probability, label)  # type: ignore[arg-type]
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert whole == pytest.approx(squared_errors(answers.probability, label).mean())  # type: ignore[arg-type]
    assert parts.reliability < 0.002 and abs(parts.within) < 0.002
    sure = brier_parts([0.0, 1.0], [0, 1], bins=2)
    assert (sure.reliability, sure.resolution, sure.uncertainty) == (0.0, 0.25, 0.25)


def test_the_error_of_calibrated_answers_is_what_noise_gives() -> None:
    answers = yes_no()
    blocks = Blocks(answers.rows["game_date"].to_numpy(), n_boot=300)
    label = answers.rows["label"].to_numpy()
    calibrated, noise = blocks.calibration_error(answers.probability, label)  # type: ignore[arg-type]
    wrong, same_noise = blocks.calibration_error(np.clip(answers.probability - 0.1, 0, 1), label)  # type: ignore[operator]
    assert calibrated.value < 2 * noise < 0.06
    assert wrong.value == pytest.approx(0.1, abs=0.02) and wrong.low < wrong.value < wrong.high
    assert wrong.low > calibrated.value and same_noise == pytest.approx(noise, rel=0.3)


def test_risk_areas_by_hand() -> None:
    # Most confident first: hit, miss, hit. Error rates 0, 1/2, 1/3 at coverages 1/3, 2/3, 1.
    p, y = [0.9, 0.8, 0.7], [1, 0, 1]
    assert risk_area(p, y) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert generalised_risk_area(p, y) == pytest.approx((0 + 1 / 3 + 1 / 3) / 3)


def test_accuracy_at_coverage_takes_the_most_confident() -> None:
    blocks = Blocks([1, 2, 3, 4], n_boot=50)
    found = accuracy_at([0.95, 0.1, 0.6, 0.55], [1, 0, 0, 0], blocks, coverage=(0.5, 1.0))
    assert found["0.5"]["value"] == 1.0 and found["1"]["value"] == 0.5


def test_a_yes_no_report_compares_on_the_same_rows() -> None:
    answers = yes_no()
    gaps = answers.rows.with_columns(
        baseline_some=pl.when(pl.int_range(pl.len()) % 4 == 0).then(0.9).otherwise(None)
    )
    told = figures(Answers("home_win", "probability", gaps, "base_rate", probability=answers.probability),
                   gate=0.7, bootstrap=FEW)  # fmt: skip
    assert told["baselines"]["some"]["n"] == 1000 and told["baselines"]["base_rate"]["n"] == told["n"] == 4000
    assert told["baselines"]["base_rate"]["saved"]["low"] > 0
    saved = told["baselines"]["base_rate"]["brier"] - told["brier"]["value"]
    assert told["baselines"]["base_rate"]["saved"]["value"] == pytest.approx(saved)
    assert told["baselines"]["base_rate"]["gated_accuracy"] is None
    assert abs(told["gated"]["honesty"]["value"]) < 0.02


def test_points_are_told_with_intervals_and_the_baseline_s_spread() -> None:
    answers = normal()
    (spread,) = with_baseline_crps([answers], lambda: [normal()])
    told = figures(spread, gate=0.7, bootstrap=FEW)
    assert told["interval_80_coverage"]["value"] == pytest.approx(0.8, abs=0.03)
    assert told["mae"]["value"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)
    # A distribution of standard deviation 5 or so costs about five times one of 1.
    assert told["baselines"]["overall"]["crps_skill"]["value"] == pytest.approx(0.8, abs=0.03)
    assert "crps_skill" not in figures(answers, gate=0.7, bootstrap=FEW)["baselines"]["overall"]


def test_of_skewed_points_the_median_has_the_smaller_absolute_error() -> None:
    label = np.random.default_rng(4).exponential(size=4000)
    rows = asked(label.size, label=label, baseline_overall=np.ones(label.size))
    grid = np.tile(-np.log1p(-np.array(LEVELS)), (label.size, 1))
    answers = Answers("points", "points", rows, "overall", mean=np.ones(label.size), quantiles=grid)
    told = figures(answers, gate=0.7, bootstrap=FEW)
    assert told["mae"]["value"] == pytest.approx(2 / np.e, abs=0.03)
    assert told["mae_of_median"]["value"] == pytest.approx(np.log(2), abs=0.03)
    assert told["mae_of_median"]["value"] < told["mae"]["value"]


def test_adaptive_intervals_find_the_coverage_that_narrow_ones_miss() -> None:
    answers = normal(sd=0.6)
    label, dates = answers.rows["label"].to_numpy(), answers.rows["game_date"].to_numpy()
    assert answers.quantiles is not None
    plain = inside(answers.quantiles[:, LEVELS.index(0.1)], answers.quantiles[:, LEVELS.index(0.9)], label)
    assert plain.mean() < 0.62
    late = answers.rows["game_date"].to_numpy() >= np.sort(np.unique(dates))[DAYS // 2]
    start = AdaptiveCoverage(rate=0.2)
    adaptive = inside(*adaptive_intervals(answers.quantiles, LEVELS, label, dates, start), label)
    assert adaptive[late].mean() == pytest.approx(0.8, abs=0.06)


def test_an_adaptive_interval_knows_earlier_dates_only() -> None:
    answers = normal()
    label, dates = answers.rows["label"].to_numpy().copy(), answers.rows["game_date"].to_numpy()
    assert answers.quantiles is not None
    before = adaptive_intervals(answers.quantiles, LEVELS, label, dates)
    middle = np.sort(np.unique(dates))[DAYS // 2]
    label[dates >= middle] = 1e6
    after = adaptive_intervals(answers.quantiles, LEVELS, label, dates)
    same = dates <= middle
    assert np.array_equal(before[0][same], after[0][same]) and not np.array_equal(before[0], after[0])
    assert AdaptiveCoverage().after(1.0).aim < 0.2 < AdaptiveCoverage().after(0.0).aim


def test_classes_are_judged_against_their_base_rates() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet([4, 1, 3, 1], 4000)
    label = np.array([rng.choice(4, p=row) for row in shares])
    base = np.bincount(label, minlength=4) / 4000
    rows = asked(4000, label=label, baseline_base_rate=[base.tolist()] * 4000)
    answers = Answers("next_possession_points", "classes", rows, "base_rate", classes=shares)
    told = figures(answers, gate=0.7, bootstrap=FEW)
    assert told["base_rates"] == pytest.approx(base.tolist())
    assert told["baselines"]["base_rate"]["skill"]["low"] > 0
    assert told["ece"]["value"] < 0.03
    assert len(curves(answers)["reliability_by_class"]) == 4


def test_the_histogram_of_a_calibrated_forecast_is_flat() -> None:
    answers = normal(20_000)
    assert answers.quantiles is not None
    flat = pit_histogram(answers.quantiles, answers.rows["label"].to_numpy())
    assert sum(flat) == pytest.approx(1) and max(flat) < 0.06 and min(flat) > 0.04
    assert pit_histogram(np.zeros((1, len(LEVELS))), np.array([0.0])) == pytest.approx([1 / 20] * 20)


def test_error_over_time_has_a_stretch_for_overtime() -> None:
    count = 3000
    answers = yes_no(count, elapsed_s=[float(k % 3100) for k in range(count)])
    told = over_time(answers)
    assert told["loss"] == "Brier score" and sum(point["n"] for point in told["stretches"]) == count
    assert told["stretches"][-1]["from_s"] == 2880 and told["stretches"][-1]["to_s"] is None
    assert {cell["from_s"] for cell in told["surface"]} <= {point["from_s"] for point in told["stretches"]}


def test_moments_come_in_the_order_of_the_game_and_random_ones_last() -> None:
    moments = ("event", "q3", "q1", "half")
    seconds = {"q1": 720.0, "half": 1440.0, "q3": 2160.0, "event": 5.0}
    rows = asked(400, moments, label=[1.0] * 400)
    rows = rows.with_columns(elapsed_s=pl.col("asked_at").replace_strict(seconds))
    answers = Answers("home_win", "probability", rows, "none", probability=np.full(400, 0.6))
    assert list(by_moment(answers)) == ["q1", "half", "q3", "event"]
    written = predictions(answers, "nba-live_win")
    assert written.schema == pl.Schema(PREDICTION) and "event" not in written["asked_at"].to_list()
    assert written["baseline"].null_count() == written.height == 300


def test_every_dimension_is_told_where_its_columns_are() -> None:
    tables = small_league()
    box = tables.box.filter(pl.col("season") == 2021)
    rows = box.select(
        "game_id", "player_id", "team", "game_date", "season", "season_type", "event_time",
        asked_at=pl.lit("pregame"), label=pl.col("pts").cast(pl.Float64),
    )  # fmt: skip
    grid = np.tile(np.linspace(0, 30, len(LEVELS)), (rows.height, 1))
    points = Answers("points", "points", rows, "none", mean=np.full(rows.height, 10.0), quantiles=grid)
    answers = context(tables).describe(points)
    assert answers.rows.height == rows.height
    found = {(dimension, name): part.rows for dimension, name, part in slices(answers)}
    starters, bench = found["role", "starters"], found["role", "bench"]
    assert starters.height + bench.height == rows.height
    assert {player % 100 for player in found["experience", "first season in the data"]["player_id"]} == {58}
    assert found["closing line", "no line"].height == rows.height
    assert headline(answers, gate=0.7, bootstrap=FEW)["n"] == rows.height
