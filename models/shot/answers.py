"""How the shot model is judged: beside the share of past shots made, by type and distance and overall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.play.shots import BAND_FT, LEAGUE, ZONES
from features.tables import Tables
from models.answers import BASELINE, Answers
from models.metrics import Array, squared_errors

METRIC: Final = "Brier score"
TARGET: Final = "shot_made"
PRIMARY: Final = "type_distance"
#: Past shots that a type's own rate at a distance must show to outweigh its zone's.
LEANING: Final = 30.0
#: Share of shots made before any is known: the NBA of 2015-17.
PRIOR: Final = 0.457
_CELL: Final = ["subtype", "value", "band"]
_KEPT: Final = (
    "game_id", "player_id", "team", "opp", "game_date", "season", "season_type", "asked_at", "elapsed_s", "period",
    "zone", "value", "distance", "margin", "log_tries",
)  # fmt: skip


def with_baselines(rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`rows` with `baseline_type_distance` (the share that went in of past shots of the same printed type, value and
    band of distance, leaning towards their zone's) and `baseline_base_rate` (the share of all past shots)."""
    made = pl.col("made").cast(pl.Float64)
    zones = pl.DataFrame({"zone": ZONES, "prior": [LEAGUE[name] for name in ZONES]})
    seen = past.group_by("zone").agg(made.mean().alias("zone_rate"))
    cells = past.with_columns(_band()).group_by(_CELL).agg(made.sum().alias("hits"), pl.len().alias("tries"))
    overall = past.select(made.mean()).item()
    zone_rate = pl.coalesce("zone_rate", "prior")
    rate = (pl.col("hits").fill_null(0) + LEANING * zone_rate) / (pl.col("tries").fill_null(0) + LEANING)
    return (
        rows.with_columns(_band())
        .join(cells, on=_CELL, how="left", nulls_equal=True, maintain_order="left")
        .join(zones.join(seen, on="zone", how="left"), on="zone", how="left", maintain_order="left")
        .with_columns(
            rate.alias(f"{BASELINE}{PRIMARY}"),
            pl.lit(PRIOR if overall is None else overall, pl.Float64).alias(f"{BASELINE}base_rate"),
        )
        .drop("band", "hits", "tries", "prior", "zone_rate")
    )


def answers(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> list[Answers]:
    """`shot_made` on every row."""
    own = [name for name in rows.columns if name.startswith(BASELINE)]
    asked = rows.select(
        *(pl.col(name) for name in _KEPT), pl.col("as_of").alias("event_time"),
        pl.col("made").cast(pl.Float64).alias("label"), *own,
    )  # fmt: skip
    probability = np.asarray(output["make_probability"], dtype=np.float64)
    return [Answers(TARGET, "probability", asked, PRIMARY, probability=probability)]


def losses(rows: pl.DataFrame, output: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> Array:
    """Squared error of P(made) per row (n,)."""
    return squared_errors(output["make_probability"], rows["made"].cast(pl.Float64).to_numpy())


def _band() -> pl.Expr:
    return (pl.col("distance") // BAND_FT).alias("band")
