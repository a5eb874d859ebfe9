"""Live accuracy, predict-then-score: what was served before an event, beside what then happened.

Per target, moment, model version and band of claimed confidence. Intervals resample game dates. A cell of fewer than
LEAST answers tells its n and nothing else: with 200 answers the standard error of a hit rate is still 3 points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from features.stores.database import Database
from features.stores.outcomes import scored_predictions
from models.evaluation import finite
from models.metrics import Blocks, absolute_errors, crps_losses, inside, squared_errors
from models.selective import confidence, hits

#: Answers below which no figure is shown.
LEAST: Final = 200
TOO_FEW: Final = "too few"
#: Bands of claimed confidence, lower end in; the last one ends with certainty. Fixed in advance.
BANDS: Final[tuple[tuple[float, float], ...]] = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0))
ALL: Final = "all"
#: Quantiles that are kept with a prediction; CRPS is taken over them alone.
KEPT_LEVELS: Final = (0.1, 0.5, 0.9)
_GROUP: Final = ("target", "asked_at", "model_name", "model_version", "fallback")
#: Probabilities are compared with the bands' ends at so many decimals, so that .70 falls where it is written.
_DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class Cell:
    """The accuracy of one version on one target at one moment, in one band (`all`: in every band).

    `figures` is None and `note` says why when there are fewer than LEAST answers. For probabilities: hit_rate,
    claimed, honesty (claimed minus hit), brier and base_rate; for points: mae, bias, interval_80_coverage and crps over
    KEPT_LEVELS (those two where every answer has its quantiles). Each is {value, low, high, blocks}. `fallback` cells
    hold answers that no model gave.
    """

    target: str
    asked_at: str
    model_name: str
    model_version: str
    fallback: bool
    kind: Literal["probability", "points"]
    band: str
    n: int
    dates: int
    first_date: date | None
    last_date: date | None
    figures: dict[str, dict[str, Any]] | None
    note: str

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        days = {name: None if (day := getattr(self, name)) is None else str(day) for name in _DAYS}
        return {**asdict(self), **days}


_DAYS: Final = ("first_date", "last_date")


def live_accuracy(
    database: Database, league: str, *, target: str | None = None, asked_at: str | None = None
) -> list[Cell]:
    """The accuracy of everything served in `league` whose outcome is known; empty when there is nothing yet."""
    return list(accuracy_cells(scored_predictions(database, league, target=target, asked_at=asked_at)))


def accuracy_cells(scored: pl.DataFrame) -> Iterator[Cell]:
    """Cells of `features.stores.outcomes.scored_predictions`, by target, moment and version."""
    names = [*_GROUP, "probability"]
    parts = scored.with_columns(pl.col("probability").is_not_null().alias("is_probability"))
    for _, rows in parts.sort(*_GROUP).group_by(*_GROUP, "is_probability", maintain_order=True):
        first = rows.row(0, named=True)
        key = {name: first[name] for name in names if name != "probability"}
        if not first["is_probability"]:
            yield _cell(rows, "points", ALL, key)
            continue
        claimed = np.round(confidence(rows["probability"].to_numpy()), _DECIMALS)
        yield _cell(rows, "probability", ALL, key)
        for low, high in BANDS:
            last = high == BANDS[-1][1]
            held = (claimed >= low) & ((claimed <= high) if last else (claimed < high))
            yield _cell(rows.filter(pl.Series(held)), "probability", band_name(low, high), key)


def band_name(low: float, high: float) -> str:
    """How a band is called, e.g. `.50-.60`, the last one `.90+`."""
    if high == BANDS[-1][1]:
        return f"{low:.2f}+"[1:]
    return f"{low:.2f}"[1:] + "-" + f"{high:.2f}"[1:]


def _cell(rows: pl.DataFrame, kind: Literal["probability", "points"], band: str, key: dict[str, Any]) -> Cell:
    enough = rows.height >= LEAST
    days = rows["game_date"]
    first, last = days.min(), days.max()
    return Cell(
        **key, kind=kind, band=band, n=rows.height, dates=days.n_unique(),
        first_date=first if isinstance(first, date) else None, last_date=last if isinstance(last, date) else None,
        figures=(_probability(rows) if kind == "probability" else _points(rows)) if enough else None,
        note="" if enough else TOO_FEW,
    )  # fmt: skip


def _probability(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    p, y = rows["probability"].to_numpy(), rows["value"].to_numpy()
    blocks, claimed, hit = Blocks(rows["game_date"].to_numpy()), confidence(p), hits(p, y)
    parts = {
        "hit_rate": hit, "claimed": claimed, "honesty": claimed - hit, "brier": squared_errors(p, y),
        "base_rate": y,
    }  # fmt: skip
    return {name: finite(blocks.mean(values).as_json()) for name, values in parts.items()}


def _points(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    mean, y = rows["mean"].to_numpy(), rows["value"].to_numpy()
    blocks = Blocks(rows["game_date"].to_numpy())
    parts = {"mae": absolute_errors(mean, y), "bias": mean - y}
    names = [f"q{round(100 * level):02d}" for level in KEPT_LEVELS]
    if not any(rows[name].null_count() for name in names):
        grid = rows.select(names).to_numpy()
        parts |= {
            "interval_80_coverage": inside(grid[:, 0], grid[:, -1], y),
            "crps": crps_losses(grid, KEPT_LEVELS, y),
        }
    return {name: finite(blocks.mean(values).as_json()) for name, values in parts.items()}
