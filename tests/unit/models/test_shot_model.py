"""The shot family: rows without leaks, baselines from the past, a network that learns what simulated shooters are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from features.errors import InvalidInput
from features.play.plays import COLUMNS, Plays
from features.sources.simulated import SimulatedSource
from features.tables import Tables
from models.device import one_thread
from models.families import family_of, judged_of
from models.metrics import squared_errors
from models.shot.config import FEATURES, ShotConfig
from models.shot.data import build, calibrate, config, labelled_rows, labels, outputs
from models.trunk import feature_matrix


@pytest.fixture(scope="module")
def league() -> tuple[Tables, Plays]:
    source = SimulatedSource(12, [2023], date(2023, 11, 8))
    batches = source.batches(as_of=datetime(2023, 11, 8, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    plays = frames["pbp"].select(COLUMNS).sort("game_id", "seq")
    return Tables(frames["games"], frames["box"]), Plays((2023,), lambda season: plays)


@pytest.fixture(scope="module")
def rows(league: tuple[Tables, Plays]) -> pl.DataFrame:
    return labelled_rows(league[0], {}, plays=league[1])


def test_a_third_of_the_shots_are_asked_and_always_the_same(
    league: tuple[Tables, Plays], rows: pl.DataFrame
) -> None:
    everything = labelled_rows(league[0], {}, plays=league[1], share=1)
    assert abs(rows.height / everything.height - 1 / 3) < 0.02
    keys = ["game_id", "seq"]
    assert rows.equals(everything.join(rows.select(keys), on=keys, how="semi", maintain_order="left"))
    assert set(FEATURES) <= set(rows.columns) and "made" not in FEATURES
    assert rows["as_of"].is_sorted()


def test_without_play_by_play_the_family_says_so(league: tuple[Tables, Plays]) -> None:
    with pytest.raises(InvalidInput, match="play-by-play"):
        labelled_rows(league[0], {})


def test_config_survives_json() -> None:
    plain = ShotConfig(FEATURES, hidden=4)
    assert ShotConfig.from_json(json.loads(json.dumps(plain.as_json()))) == plain


def test_the_model_beats_the_base_rate_on_later_days(rows: pl.DataFrame) -> None:
    cut = rows["game_date"].unique().sort()[-5]
    past, later = rows.filter(pl.col("game_date") < cut), rows.filter(pl.col("game_date") >= cut)
    shape = config({})
    torch.manual_seed(0)
    network = build(shape.as_json())
    x, y = feature_matrix(past, FEATURES), labels(past, shape)
    network.fit_scales(x, y)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    with one_thread():
        for _ in range(40):
            optimizer.zero_grad()
            torch.autograd.backward(network.loss(torch.from_numpy(x), torch.from_numpy(y)))
            optimizer.step()
    network.eval()
    calibration = calibrate(network, x, y)
    judged: Any = judged_of("shot")
    asked = judged.with_baselines(later, past, None)
    output = outputs(network, feature_matrix(later, FEATURES), calibration)
    (answer,) = judged.answers(asked, output, shape.as_json())
    label = answer.rows["label"].to_numpy()
    loss = squared_errors(output["make_probability"], label)
    np.testing.assert_allclose(judged.losses(asked, output, shape.as_json()), loss)
    rate = squared_errors(answer.rows["baseline_base_rate"].to_numpy(), label)
    assert loss.mean() < rate.mean() - 0.002
    assert set(answer.baselines) == {"type_distance", "base_rate"} and answer.primary in answer.baselines
    assert (
        answer.rows.null_count().select("label", "baseline_type_distance", "elapsed_s").sum_horizontal().item()
        == 0
    )


def test_a_baseline_is_the_share_of_past_shots_of_its_type_and_band(rows: pl.DataFrame) -> None:
    judged: Any = judged_of("shot")
    past, asked = rows.head(4000), rows.tail(50)
    told = judged.with_baselines(asked, past, None).row(0, named=True)
    zone = float(past.filter(pl.col("zone") == told["zone"])["made"].to_numpy().mean())
    alike = past.filter(
        pl.col("subtype") == told["subtype"], pl.col("value") == told["value"],
        (pl.col("distance") // 3) == told["distance"] // 3,
    )  # fmt: skip
    expected = (float(alike["made"].to_numpy().sum()) + 30 * zone) / (alike.height + 30)
    assert told["baseline_type_distance"] == pytest.approx(expected)
    bare = judged.with_baselines(asked, past.clear(), None)
    assert bare["baseline_type_distance"].null_count() == 0


def test_absurd_and_missing_inputs_stay_probabilities() -> None:
    inputs = np.full((3, len(FEATURES)), np.nan, np.float32)
    inputs[1:] = np.array([[1e30], [-np.inf]], np.float32)
    for hidden in (0, 4):
        network = build(config({"hidden": hidden}).as_json()).eval()
        answers = family_of("shot").outputs(network, inputs, {})["make_probability"]
        assert np.isfinite(answers).all() and ((answers > 0) & (answers < 1)).all()
