"""Where play-by-play is read from, one season at a time: ten seasons at once would not fit in 8 GB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from features.sources.archive import ArchiveSource
from features.stores.offline import OfflineStore

#: What states and possessions are computed from; names are not among them, since some seasons have last names only.
COLUMNS: Final = (
    "game_id", "season", "seq", "event_num", "period", "clock_s", "elapsed_s", "wall_et_min", "event_type", "subtype",
    "team", "points", "shot_value", "shot_dist", "p1_id", "p2_id", "p3_id", "home_team", "away_team", "home_score",
    "away_score", "home_lineup", "away_lineup",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plays:
    """Play-by-play of `seasons` (start years, ascending): `read(season)` gives COLUMNS ordered by game and seq."""

    seasons: tuple[int, ...]
    read: Callable[[int], pl.DataFrame]

    def each(self) -> Iterator[tuple[int, pl.DataFrame]]:
        """Season by season."""
        for season in self.seasons:
            yield season, self.read(season)

    def only(self, seasons: Sequence[int]) -> Plays:
        """The same source, of those of `seasons` that it has."""
        return Plays(tuple(season for season in self.seasons if season in set(seasons)), self.read)


#: Of a league whose play-by-play was never collected.
NO_PLAYS: Final = Plays((), lambda season: pl.DataFrame())


def stored_plays(
    store: OfflineStore, *, known_by: datetime | None = None, excluded_seasons: Sequence[int] = ()
) -> Plays:
    """Play-by-play that was collected and is known by `known_by`, without the quarantined seasons."""

    def read(season: int) -> pl.DataFrame:
        rows = store.read("pbp", seasons=[season], columns=COLUMNS, known_by=known_by)
        return rows.sort("game_id", "seq")

    return Plays(tuple(season for season in store.seasons("pbp") if season not in excluded_seasons), read)


def recorded_plays(data: Path) -> Plays:
    """Play-by-play of the recorded seasons in the folder `data`."""
    source = ArchiveSource(data, tables=("games", "pbp"))
    return Plays(source.play_seasons(), lambda season: source.plays(season).select(COLUMNS).sort("game_id", "seq"))
