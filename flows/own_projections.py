"""The player's own projections, from a file or the salary file's averages, in place of the champion's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from features.slate import Slate
from features.sources.projections_file import OwnNumbers, read_own_numbers
from models.projection.own_numbers import use_own_numbers
from models.projection.slate import OUT_STATUSES, SlateProjections


def with_own_numbers(projections: SlateProjections, slate: Slate, own: str) -> SlateProjections:
    """Return `projections` with the numbers of the file `own`, or of `salaries`, the salary file's own averages.

    Players the salary file marks out keep 0 with `salaries`; a file of the player's own has the last word.
    """
    if own == "salaries":
        averages = {
            p.site_id: 0.0 if p.injury_status.strip().upper() in OUT_STATUSES else p.average_points
            for p in slate.players
        }
        return use_own_numbers(projections, averages, source=own)
    numbers = read_own_numbers(Path(own), slate)
    moved = use_own_numbers(projections, {id_: each.points for id_, each in numbers.items()}, source=own)
    return with_spread(moved, numbers)


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
    frame = frame.with_columns(q50=pl.col("q50").clip(pl.col("q10"), pl.col("q90"))).drop("floor", "ceiling")
    if frame["ownership"].null_count() == frame.height:
        frame = frame.drop("ownership")
    return replace(projections, frame=frame)
