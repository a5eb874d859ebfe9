"""A model's answers to one target on labelled rows: what every report, comparison and page is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from models.metrics import Array

#: Keys and descriptions of a question; those a target does not have are null.
KEYS: Final = ("game_id", "player_id", "team", "asked_at", "event_time")
#: Columns that `Answers.rows` must have.
REQUIRED: Final = ("game_id", "game_date", "season", "season_type", "asked_at", "event_time", "label")
#: Prefix of the columns that hold what a baseline answers: P(yes) for probabilities, points for points.
BASELINE: Final = "baseline_"
Kind = Literal["probability", "points", "classes"]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to `target` on n rows.

    kind `probability`: `probability` (n,) that the label is 1. kind `points`: `mean` (n,) and `quantiles` (n, K) at
    `models.projection.config.LEVELS`. kind `classes`: `classes` (n, C) probabilities that add to 1, the label is the
    class number. `rows` has REQUIRED, the keys that apply, `line` where a line was asked about, `elapsed_s` in game,
    columns to slice by, and one column `baseline_NAME` per baseline (null where it has no answer); for classes a
    baseline is a list column of C probabilities. `primary` names the baseline the bars are set against.
    """

    target: str
    kind: Kind
    rows: pl.DataFrame
    primary: str
    probability: Array | None = None
    mean: Array | None = None
    quantiles: Array | None = None
    classes: Array | None = None

    def where(self, keep: pl.Expr) -> Answers:
        """The answers whose row satisfies `keep` (null counts as no)."""
        mask = self.rows.select(keep.fill_null(False)).to_series().to_numpy()
        arrays = {
            name: None if (value := getattr(self, name)) is None else value[mask]
            for name in ("probability", "mean", "quantiles", "classes")
        }
        return Answers(self.target, self.kind, self.rows.filter(pl.Series(mask)), self.primary, **arrays)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the baselines on the rows."""
        return tuple(name.removeprefix(BASELINE) for name in self.rows.columns if name.startswith(BASELINE))


def join_answers(parts: list[Answers]) -> Answers:
    """Answers of several folds to one target as one."""
    first = parts[0]
    arrays = {
        name: None if getattr(first, name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("probability", "mean", "quantiles", "classes")
    }
    rows = pl.concat([part.rows for part in parts], how="diagonal_relaxed")
    return Answers(first.target, first.kind, rows, first.primary, **arrays)
