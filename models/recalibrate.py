"""A champion's calibration fitted anew on the newest games, its weights as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from models.bundle import GOLDEN_ROWS, Bundle, LoadedModel, save_bundle
from models.errors import TrainingError
from models.families import family_of
from models.trunk import feature_matrix

#: Newest game dates that a new calibration is judged on. The gate wants ten; the fewer, the sooner drift is answered.
JUDGED_DATES: Final = 14


def calibration_window(
    rows: pl.DataFrame, fit_through: date, calibration_dates: int, judged_dates: int = JUDGED_DATES
) -> pl.DataFrame:
    """The newest `calibration_dates` game dates of `rows` that the weights have not seen (after `fit_through`) and
    that leave the newest `judged_dates` to judge on; empty when there are none."""
    played = rows["game_date"].unique().sort()
    window = played[: max(len(played) - judged_dates, 0)]
    window = window.filter(window > fit_through)[-calibration_dates:]
    return rows.filter(pl.col("game_date").is_in(window.to_list()))


def recalibrate(
    model: LoadedModel,
    rows: pl.DataFrame,
    *,
    out: Path,
    created_at: datetime,
    references: Mapping[str, Any] | None = None,
) -> Bundle:
    """Write to `out` the model with its calibration fitted on the labelled `rows`; numbers that the family's own
    calibration does not give (P(plays), the spread of file averages) stay as they were.

    Raises `TrainingError` when rows are too few or were seen by the weights.
    """
    kind, bundle = family_of(model.family), model.bundle
    least = kind.LEAST_ROWS[1]
    if rows.height < least:
        raise TrainingError(
            f"{model.family}: {rows.height} rows are too few to calibrate on, {least} are needed; collect more games"
        )
    first, last = rows["game_date"].min(), rows["game_date"].max()
    if not isinstance(first, date) or not isinstance(last, date) or first <= bundle.fit_through:
        raise TrainingError(
            f"{model.family}: calibration rows begin on {first!s}, but the weights were fitted through "
            f"{bundle.fit_through}; calibrate on later games"
        )
    network: Any = kind.build(bundle.config)
    network.load_state_dict({name: value.cpu() for name, value in model.network.state_dict().items()})
    network.eval()
    inputs = feature_matrix(rows, model.features)
    calibration = bundle.calibration | kind.calibrate(network, inputs, kind.labels(rows, network.config))
    unknown = np.full((1, inputs.shape[1]), np.nan, dtype=np.float32)
    fresh = replace(
        bundle, path=out, calibration=calibration, calibrated_through=last, trained_through=last,
        created_at=created_at, references={**bundle.references, **(references or {})},
    )  # fmt: skip
    return save_bundle(out, fresh, network, np.vstack([unknown, inputs[-(GOLDEN_ROWS - 1) :]]))
