"""The player's own projections in place of the champion's, with the champion's spread around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from features.sources.projections_file import OwnNumbers
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


def with_spread(projections: SlateProjections, numbers: Mapping[str, OwnNumbers]) -> SlateProjections:
    """Put the given floors (`q10`), ceilings (`q90`) and `ownership` in; the others' interval stays around the mean."""
    given = pl.DataFrame(
        {
            "site_id": list(numbers),
            "floor": [each.floor for each in numbers.values()],
            "ceiling": [each.ceiling for each in numbers.values()],
            "ownership": [each.ownership for each in numbers.values()],
        },
        schema={"site_id": pl.String, "floor": pl.Float64, "ceiling": pl.Float64, "ownership": pl.Float64},
    )
    frame = projections.frame.drop("ownership", strict=False)
    frame = frame.join(given, on="site_id", how="left", maintain_order="left").with_columns(
        q10=pl.coalesce("floor", pl.min_horizontal("q10", "mean")),
        q90=pl.coalesce("ceiling", pl.max_horizontal("q90", "mean")),
    )
    inside = pl.col("q50").clip(pl.col("q10"), pl.max_horizontal("q10", "q90"))
    frame = frame.with_columns(q50=inside).drop("floor", "ceiling")
    if frame["ownership"].null_count() == frame.height:
        frame = frame.drop("ownership")
    return replace(projections, frame=frame)
