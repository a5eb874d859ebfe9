"""P(plays) of a rostered player: a scorecard of binned features, small enough to read in `bundle.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError

#: Team games this season since the player's last game (unknown after a trade), and for somebody who has not played
#: this season yet, all of them: computed here, since the same absence means less before a season than within it.
MISSED: Final = "missed_this_season"
UNPLAYED: Final = "team_games_before_debut"
_SOURCES: Final = ("team_games_missed", "team_games_season", "new_season")
#: Features that tell whether somebody plays tonight; those the views do not offer are left out.
PREFERRED: Final[tuple[str, ...]] = (
    MISSED, UNPLAYED, "team_games_missed", "days_since_last", "presence10", "min_ewm5", "min_last", "starter_ewm15",
    "team_back_to_back", "new_team", "dk_career",
)  # fmt: skip
#: Counts of games missed keep these edges whatever the data: long absences are rare, and quantiles would merge them.
_MISSED_EDGES: Final = (0.5, 1.5, 2.5, 5.5, 10.5, 20.5)
BINS: Final = 8
#: Rows needed to fit; fewer leave every player at the share observed.
MIN_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Availability:
    """log-odds = intercept + one weight per feature, picked by the bin its value falls in (last = missing)."""

    features: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    intercept: float

    def probability(self, inputs: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
        """P(plays) (n,) of feature rows (n, F) whose columns are `names`."""
        odds = np.full(len(inputs), self.intercept)
        for feature, edges, weights in zip(self.features, self.edges, self.weights, strict=True):
            odds += np.asarray(weights)[_bins(_column(feature, inputs, names), edges)]
        return np.asarray(1 / (1 + np.exp(-odds)))

    def as_json(self) -> dict[str, Any]:
        """Numbers for `bundle.json`."""
        return {
            "features": list(self.features),
            "edges": [list(row) for row in self.edges],
            "weights": [list(row) for row in self.weights],
            "intercept": self.intercept,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Availability:
        """Back from `as_json`."""
        edges, weights = (tuple(tuple(map(float, row)) for row in data[key]) for key in ("edges", "weights"))
        return cls(tuple(data["features"]), edges, weights, float(data["intercept"]))


def fit_availability(inputs: NDArray[np.float32], names: Sequence[str], played: NDArray[np.bool_]) -> Availability:
    """Fit on candidate rows (n, F), who played and who did not; few rows or one outcome give a constant.

    Raises `TrainingError` when there are no rows at all.
    """
    from sklearn.linear_model import LogisticRegression  # seconds to import, and only training needs it

    if len(played) == 0:
        raise TrainingError("no candidate rows to fit P(plays) on; collect at least one week of games")
    share = float(np.clip(played.mean(), 0.01, 0.99))
    if len(played) < MIN_ROWS or played.all() or not played.any():
        return Availability((), (), (), float(np.log(share / (1 - share))))
    known = {*names, *((MISSED, UNPLAYED) if set(_SOURCES) <= set(names) else ())}
    chosen = tuple(name for name in PREFERRED if name in known)
    columns = [_column(name, inputs, names) for name in chosen]
    edges = [_edges(name, column) for name, column in zip(chosen, columns, strict=True)]
    blocks = [np.eye(len(cuts) + 2)[_bins(column, cuts)] for column, cuts in zip(columns, edges, strict=True)]
    model = LogisticRegression(C=1.0, max_iter=500).fit(np.hstack(blocks), played)
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    weights = tuple(tuple(float(w) for w in part) for part in np.split(model.coef_[0], ends))
    return Availability(chosen, tuple(edges), weights, float(model.intercept_[0]))


def _column(name: str, inputs: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """A feature (n,) of rows (n, F), read or computed; NaN where it does not apply."""
    at = list(names).index
    if name not in (MISSED, UNPLAYED):
        return inputs[:, at(name)]
    since, team_games, new_season = (inputs[:, at(source)] for source in _SOURCES)
    so_far = np.nan_to_num(team_games, nan=0.0)
    debut = new_season == 1
    missed = np.where(debut, np.float32(np.nan), np.minimum(since, so_far))
    return np.where(debut, so_far, np.float32(np.nan)) if name == UNPLAYED else missed


def _edges(name: str, column: NDArray[np.float32]) -> tuple[float, ...]:
    known = column[np.isfinite(column)]
    if name in (MISSED, UNPLAYED):
        return _MISSED_EDGES
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)
    return tuple(float(cut) for cut in cuts)


def _bins(column: NDArray[np.float32], edges: Sequence[float]) -> NDArray[np.intp]:
    """Bin of each value: 0 ... len(edges), and len(edges) + 1 when missing."""
    found = np.searchsorted(np.asarray(edges), column, side="right")
    return np.asarray(np.where(np.isfinite(column), found, len(edges) + 1), dtype=np.intp)
