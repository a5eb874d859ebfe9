"""The player's own projections in place of the champion's, with the champion's spread around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from models.projection.slate import SlateProjections


def use_own_numbers(
    projections: SlateProjections, numbers: Mapping[str, float], *, source: str
) -> SlateProjections:
    """Return `projections` with `numbers` (site id -> fantasy points) as means; who is not named gets 0.

    The interval keeps its width and moves with the mean. `source` names the file, or `salaries` for the salary
    file's own averages.
    """
    known = pl.DataFrame(
        {"site_id": list(numbers), "own": [float(value) for value in numbers.values()]},
        schema={"site_id": pl.String, "own": pl.Float64},
    )
    basis = "file_average" if source == "salaries" else "user"
    frame = projections.frame.join(known, on="site_id", how="left", maintain_order="left")
    shift = pl.col("own").fill_null(0.0) - pl.col("mean")
    moved = frame.with_columns(
        *((pl.col(name) + shift).clip(lower_bound=0.0).alias(name) for name in ("q10", "q50", "q90")),
        mean=pl.col("own").fill_null(0.0),
        p_play=pl.lit(1.0),
        basis=pl.lit(basis),
    ).drop("own")
    unnamed = frame["own"].null_count()
    warnings = (f"{unnamed} of {frame.height} players have no number in {source}: projected 0",) if unnamed else ()
    return replace(
        projections, frame=moved, model_name=source, model_version="", fallback=False, warnings=warnings
    )
