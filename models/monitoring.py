"""Is the champion still looking at the world it was fitted on? Drift of inputs and answers, and age.

Two frames are compared column by column: `reference` rows the model was fitted on, `current` rows it answers now.
Nothing here needs labels, so it warns before accuracy can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import InvalidInput

Level = Literal["ok", "watch", "alert", "unknown"]
Array = NDArray[np.float64]
LEVELS: Final[tuple[Level, ...]] = ("unknown", "ok", "watch", "alert")
#: Population stability index: under .1 nothing, above .25 another population (credit scoring's customary limits).
PSI_LIMITS: Final = (0.1, 0.25)
#: Largest distance between the two distribution functions.
KS_LIMITS: Final = (0.1, 0.2)
#: Change of the share of missing values.
NULL_LIMITS: Final = (0.05, 0.2)
#: Days since the newest game that influenced the model.
AGE_LIMITS_DAYS: Final = (14, 45)
BINS: Final = 10
#: Fewer rows than this on either side say nothing.
MIN_ROWS: Final = 50
#: Kolmogorov's 95 % point: what two samples of one distribution differ by, times sqrt((n + m) / (n m)).
_KS_CHANCE: Final = 1.3581


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column. `psi` has the amount that chance gives already taken off (never below 0); `ks` is the largest
    distance between the two distribution functions; null shares are fractions of rows."""

    column: str
    psi: float
    ks: float
    ks_p_value: float
    null_reference: float
    null_current: float
    level: Level


@dataclass(frozen=True, slots=True)
class Staleness:
    """Age of the model in days since the newest game that influenced it."""

    trained_through: date
    age_days: int
    level: Level


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Worst column first; `level` is the worst of all columns and of the age."""

    columns: tuple[ColumnDrift, ...]
    staleness: Staleness | None
    reference_rows: int
    current_rows: int
    level: Level

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        if self.staleness is not None:
            plain["staleness"]["trained_through"] = self.staleness.trained_through.isoformat()
        return plain


def drift_report(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    columns: Sequence[str],
    *,
    staleness: Staleness | None = None,
) -> DriftReport:
    """Compare `columns` (features, or a model's own answers) of the two frames.

    A column with fewer than `MIN_ROWS` values on a side has level `unknown`. Raises `InvalidInput` naming columns
    that a frame lacks.
    """
    for name, frame in (("reference", reference), ("current", current)):
        if missing := [column for column in columns if column not in frame.columns]:
            raise InvalidInput(f"{name} rows lack columns {missing}; materialize the views again")
    found = [_column(column, reference[column], current[column]) for column in columns]
    found.sort(key=lambda each: (-LEVELS.index(each.level), -each.psi))
    levels = [each.level for each in found] + ([staleness.level] if staleness else [])
    return DriftReport(tuple(found), staleness, reference.height, current.height, worst(levels))


def model_staleness(
    trained_through: date, now: datetime, *, limits_days: tuple[int, int] = AGE_LIMITS_DAYS
) -> Staleness:
    """Age of a model at `now` (aware)."""
    age = (now.date() - trained_through).days
    return Staleness(trained_through, age, _level(age, limits_days))


def population_stability(reference: Array, current: Array, bins: int = BINS) -> float:
    """Population stability index over bins of equal mass in `reference`, less what chance gives.

    For k bins and n, m rows of one population the index is about chi-square(k - 1) * (1/n + 1/m): its 95 % point
    is taken off. Values that repeat share a bin, so a column of few values is compared value by value.
    """
    from scipy.special import chdtri

    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    expected, seen = (
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        for values in (reference, current)
    )
    # Half a row in every bin keeps an empty bin from being infinitely surprising.
    p = (expected + 0.5) / (len(reference) + 0.5 * len(expected))
    q = (seen + 0.5) / (len(current) + 0.5 * len(seen))
    chance = float(chdtri(max(len(p) - 1, 1), 0.05)) * (1 / len(reference) + 1 / len(current))
    return max(float(((q - p) * np.log(q / p)).sum()) - chance, 0.0)


def kolmogorov_smirnov(reference: Array, current: Array) -> tuple[float, float]:
    """Two-sample statistic and asymptotic p-value, which takes rows as independent (rows of one night are not)."""
    from scipy.special import kolmogorov

    values = np.concatenate([reference, current])
    distance = float(
        np.abs(
            np.searchsorted(np.sort(reference), values, side="right") / len(reference)
            - np.searchsorted(np.sort(current), values, side="right") / len(current)
        ).max()
    )
    size = len(reference) * len(current) / (len(reference) + len(current))
    return distance, float(kolmogorov(np.sqrt(size) * distance))


def worst(levels: Sequence[Level]) -> Level:
    """The worst of several levels; `unknown` only when nothing is known."""
    return max(levels, key=LEVELS.index, default="unknown")


def _column(name: str, reference: pl.Series, current: pl.Series) -> ColumnDrift:
    before, after = (_values(series) for series in (reference, current))
    nulls = [1 - len(values) / max(len(series), 1) for values, series in ((before, reference), (after, current))]
    if min(len(before), len(after)) < MIN_ROWS:
        emptied = len(before) >= MIN_ROWS and len(current) >= MIN_ROWS
        return ColumnDrift(name, 0.0, 0.0, 1.0, nulls[0], nulls[1], "alert" if emptied else "unknown")
    psi = population_stability(before, after)
    distance, p_value = kolmogorov_smirnov(before, after)
    chance = _KS_CHANCE * float(np.sqrt((len(before) + len(after)) / (len(before) * len(after))))
    level = worst(
        [
            _level(psi, PSI_LIMITS),
            _level(distance - chance, KS_LIMITS),
            _level(abs(nulls[1] - nulls[0]), NULL_LIMITS),
        ]
    )
    return ColumnDrift(name, psi, distance, p_value, nulls[0], nulls[1], level)


def _values(series: pl.Series) -> Array:
    values = series.cast(pl.Float64).drop_nulls().to_numpy()
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def _level(value: float, limits: tuple[float, float]) -> Level:
    return "alert" if value > limits[1] else "watch" if value > limits[0] else "ok"
