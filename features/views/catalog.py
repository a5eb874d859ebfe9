"""The catalogue of views: names, keys, versions, and the one call that computes them all."""

from __future__ import annotations

import hashlib
from types import ModuleType
from typing import Final

import polars as pl

from features.tables import Tables
from features.views import matchup, minutes, player_form, rest, rotation, team_strength
from features.views.lines import player_lines, team_lines

#: View name -> rows: key columns, `event_time`, `known_time`, feature columns.
Views = dict[str, pl.DataFrame]

_FROM_PLAYER_LINES: Final = (player_form, minutes, matchup, rotation)
_FROM_TEAM_LINES: Final = (team_strength, rest)
_MODULES: Final = (*_FROM_PLAYER_LINES, *_FROM_TEAM_LINES)

#: View name -> entity key columns.
VIEW_KEYS: Final[dict[str, tuple[str, ...]]] = {module.NAME: module.KEYS for module in _MODULES}


def _version(module: ModuleType) -> str:
    """The view's own number, bumped when its meaning changes, and a digest of its columns."""
    columns = [*getattr(module, "CARRIED", ()), *getattr(module, "FEATURES", ()), *getattr(module, "LISTS", ())]
    return f"{module.NUMBER}-{hashlib.sha256(' '.join(columns).encode()).hexdigest()[:8]}"


#: View name -> version; part of cache keys and of every model bundle.
VIEW_VERSIONS: Final[dict[str, str]] = {module.NAME: _version(module) for module in _MODULES}


def compute_views(tables: Tables) -> Views:
    """Every view of everything in `tables` (with `event_time` and `known_time`), sorted by key and time."""
    by_player = player_lines(tables)
    by_team = team_lines(tables)
    views = {module.NAME: module.compute(by_player) for module in _FROM_PLAYER_LINES}
    views |= {module.NAME: module.compute(by_team) for module in _FROM_TEAM_LINES}
    return {name: _without_nan(view) for name, view in views.items()}


def _without_nan(view: pl.DataFrame) -> pl.DataFrame:
    """Nulls for what cannot be computed: a NaN would pass through joins and sums unseen."""
    floats = pl.col(pl.Float32, pl.Float64)
    return view.with_columns(pl.when(floats.is_finite()).then(floats).name.keep())
