"""The box line of every player of a slate, from the same inference as his fantasy points."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from models.bundle import LoadedModel
from models.projection.joint import chance_of_double, sample_lines
from models.projection.slate import ASKED, Answered, mixture_quantiles

#: Lines drawn per player for the chance of a double-double: its standard error is at most .023.
DRAWS: Final = 500
SEED: Final = 20_261_123
DOUBLE: Final = "double_double"


def stat_lines(model: LoadedModel, answered: Answered) -> pl.DataFrame | None:
    """One row per player asked about: player_id, `{stat}_mean`, `{stat}_q10`, `_q50`, `_q90` and `double_double`.

    The chance of not playing (a line of zeros) is in all of them, as in the fantasy points. None where the model does
    not answer the box line.
    """
    answer, stats = answered.output, tuple(model.config.get("stats", ()))
    if not stats or "stat_mean" not in answer:
        return None
    plays = answer["p_play"]
    columns: dict[str, Any] = {"player_id": answered.rows["player_id"]}
    for index, stat in enumerate(stats):
        grid = np.maximum(answer["stat_quantiles"][:, index], 0.0)
        mixed = mixture_quantiles(grid, model.config["levels"], plays, list(ASKED.values()))
        columns[f"{stat}_mean"] = plays * answer["stat_mean"][:, index]
        columns |= {f"{stat}_{name}": mixed[:, k] for k, name in enumerate(ASKED)}
    drawn = sample_lines(answer, model.config, model.bundle.calibration, DRAWS, SEED)
    columns[DOUBLE] = plays * chance_of_double(drawn, stats)
    return pl.DataFrame(columns)
