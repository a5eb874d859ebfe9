"""One row per question and model: the columns that `predictions.parquet` has for every target."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from features.play.moments import EVENT
from models.answers import BASELINE, Answers
from models.projection.config import LEVELS

PREDICTION: Final[dict[str, Any]] = {
    "model": pl.String, "version": pl.String, "target": pl.String, "game_id": pl.String, "player_id": pl.Int32,
    "asked_at": pl.String, "event_time": pl.Datetime("us", "UTC"), "mean": pl.Float64, "probability": pl.Float64,
    "q10": pl.Float64, "q50": pl.Float64, "q90": pl.Float64, "label": pl.Float64, "baseline": pl.Float64,
    "team": pl.String, "line": pl.Float64, "p0": pl.Float64, "p1": pl.Float64, "p2": pl.Float64, "p3": pl.Float64,
    "elapsed_s": pl.Float64,
}  # fmt: skip
_SHOWN: Final = (("q10", 0.10), ("q50", 0.50), ("q90", 0.90))


def predictions(answers: Answers, model: str) -> pl.DataFrame:
    """The answers in the columns of PREDICTION, without those at random moments.

    `version` comes from the rows; `baseline` is the primary one: a probability or points, null for classes.
    """
    columns: list[pl.Series] = []
    if answers.probability is not None:
        columns.append(pl.Series("probability", answers.probability))
    if answers.mean is not None:
        columns.append(pl.Series("mean", answers.mean))
    if answers.quantiles is not None:
        columns += [pl.Series(name, answers.quantiles[:, LEVELS.index(level)]) for name, level in _SHOWN]
    if answers.classes is not None:
        columns += [pl.Series(f"p{k}", answers.classes[:, k]) for k in range(answers.classes.shape[1])]
    own = [name for name in PREDICTION if name in answers.rows.columns and name not in {"baseline", "model"}]
    rows = answers.rows.select(own).with_columns(
        pl.lit(model).alias("model"), pl.lit(answers.target).alias("target"), *columns
    )
    baseline = f"{BASELINE}{answers.primary}"
    if answers.kind != "classes" and baseline in answers.rows.columns:
        rows = rows.with_columns(answers.rows[baseline].alias("baseline"))
    empty = [pl.lit(None).alias(name) for name in PREDICTION if name not in rows.columns]
    complete = rows.with_columns(empty).select(pl.col(name).cast(kind) for name, kind in PREDICTION.items())
    return complete.filter(pl.col("asked_at") != EVENT)
