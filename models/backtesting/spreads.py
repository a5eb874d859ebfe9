"""What a point baseline's distribution costs: its residuals on rows before the questions, as quantiles around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from models.answers import BASELINE, Answers
from models.calibration import fit_residual_spread
from models.evaluation import CRPS, QUANTILES, baseline_crps
from models.metrics import crps_losses
from models.projection.config import LEVELS

#: Fewest earlier answers that a spread is taken from.
LEAST_ROWS = 30


def with_baseline_crps(answers: Sequence[Answers], earlier: Callable[[], list[Answers]] | None) -> list[Answers]:
    """The answers with a column `crps_NAME` per baseline of points, and without the quantile columns it came from.

    Baselines that are points only are spread by their residuals in the answers that `earlier` gives to the questions
    before these, per moment; without `earlier`, or with too few there, they have no such column.
    """
    before: list[Answers] | None = None
    done = []
    for each in answers:
        columns = {}
        for name in each.baselines if each.kind == "points" else ():
            losses = baseline_crps(each, name)
            if losses is None and earlier is not None:
                before = earlier() if before is None else before
                losses = _spread_crps(each, name, [past for past in before if past.target == each.target])
            if losses is not None:
                columns[f"{CRPS}{name}"] = losses
        quantiles = [name for name in each.rows.columns if name.startswith(QUANTILES)]
        rows = each.rows.drop(quantiles).with_columns(
            pl.Series(name, values).fill_nan(None) for name, values in columns.items()
        )
        arrays = (each.probability, each.mean, each.quantiles, each.classes)
        done.append(Answers(each.target, each.kind, rows, each.primary, *arrays))
    return done


def _spread_crps(answers: Answers, name: str, before: Sequence[Answers]) -> np.ndarray | None:
    """CRPS (n,) of a baseline's points spread by their errors before; NaN at moments without enough of them."""
    column = f"{BASELINE}{name}"
    label = answers.rows["label"].cast(pl.Float64).to_numpy()
    point = answers.rows[column].cast(pl.Float64).to_numpy()
    asked_at = answers.rows["asked_at"].to_numpy()
    losses, spread = np.full(label.size, np.nan), False
    for moment in answers.rows["asked_at"].unique():
        known = [
            past.rows.filter((pl.col("asked_at") == moment) & pl.col(column).is_not_null()).select(column, "label")
            for past in before
            if column in past.rows.columns
        ]
        rows = pl.concat(known) if known else pl.DataFrame()
        if rows.height < LEAST_ROWS:
            continue
        fitted = fit_residual_spread(rows[column].to_numpy(), rows["label"].to_numpy(), np.asarray(LEVELS))
        here = (asked_at == moment) & np.isfinite(point)
        losses[here] = crps_losses(fitted.quantiles(point[here]), LEVELS, label[here])
        spread = True
    return losses if spread else None
