"""One game of the offline store: its plays, rows and what was known of its sides before it, without reading seasons.

Files are filtered while they are read. Nothing here is kept: `stamp` tells when what was read has changed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from features.errors import NotMaterialized, SchemaError
from features.play.plays import COLUMNS
from features.play.views import PLAY_VIEW_KEYS
from features.stores.offline import OfflineStore
from features.tables import SCHEMAS, TIMES, TableName
from features.views import VIEW_KEYS, Views

#: Whoever played for a side within so many days before the game may be on its bench.
ABSENT: Final = timedelta(days=21)
RECENT: Final = {
    "player_id": pl.Int32(),
    "player_name": pl.String(),
    "team": pl.String(),
    "last_played": pl.Date(),
}


class RecordedGames:
    """Reads single games of one league's offline store. Raises `SchemaError` for a damaged file."""

    def __init__(self, store: OfflineStore) -> None:
        self._store = store

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Files of tables and views with the time each was replaced; another stamp, another content."""
        folders = (self._store.workspace.tables, self._store.workspace.views)
        files = sorted(path for folder in folders for path in folder.glob("**/*.parquet"))
        return tuple((str(path), path.stat().st_mtime_ns) for path in files)

    def game(self, game_id: str) -> pl.DataFrame:
        """Its row of the games table, or none."""
        return self._rows("games", game_id, None)

    def box(self, game_id: str, season: int) -> pl.DataFrame:
        """Its box lines, or none."""
        return self._rows("box", game_id, season)

    def plays(self, game_id: str, season: int | None = None) -> pl.DataFrame:
        """Its plays in the columns of `features.play.plays` with both times, by `seq`; none when none are stored."""
        return self._rows("pbp", game_id, season).select(*COLUMNS, "event_time", "known_time").sort("seq")

    def recent_players(self, teams: Collection[str], before: datetime) -> pl.DataFrame:
        """RECENT columns of who last played for one of `teams` within ABSENT before `before`."""
        parts = [
            _collected(path, (pl.col("event_time") < before) & (pl.col("event_time") >= before - ABSENT))
            .select("player_id", "player_name", "team", "game_date", "event_time")
            for path in self._seasons_near("box", before)
        ]  # fmt: skip
        if not parts:
            return pl.DataFrame(schema=RECENT)
        newest = pl.concat(parts).sort("event_time").unique("player_id", keep="last", maintain_order=True)
        named = newest.rename({"game_date": "last_played"}).filter(pl.col("team").is_in(list(teams)))
        return named.select(pl.col(name).cast(dtype) for name, dtype in RECENT.items()).sort("player_id")

    def views(self, teams: Collection[str], player_ids: Collection[int], before: datetime) -> Views:
        """Rows of every stored view of these teams and players that lie before a moment.

        Raises `NotMaterialized` when a view of `features.views` is missing; those made from plays may be.
        """
        known = pl.col("event_time") <= before
        chosen: dict[tuple[str, ...], pl.Expr] = {
            ("player_id",): known & pl.col("player_id").is_in(list(player_ids)),
            ("team",): known & pl.col("team").is_in(list(teams)),
        }
        found = {}
        for name, keys in (VIEW_KEYS | PLAY_VIEW_KEYS).items():
            path = self._store.workspace.views / f"{name}.parquet"
            if path.is_file():
                found[name] = _collected(path, chosen.get(keys, known))
            elif name in VIEW_KEYS:
                raise NotMaterialized(f"no view {name!r} in {path.parent}; run `fantasy run` first")
        return found

    def _rows(self, table: TableName, game_id: str, season: int | None) -> pl.DataFrame:
        """Rows of one game; without `season` the newest file that has any."""
        seasons = self._store.seasons(table)
        wanted = [each for each in reversed(seasons) if season is None or each == season]
        for each in wanted:
            rows = _collected(self._store.path(table, each), pl.col("game_id") == game_id)
            if rows.height:
                return rows
        return pl.DataFrame(schema={**SCHEMAS[table], **TIMES})

    def _seasons_near(self, table: TableName, moment: datetime) -> list[Path]:
        """Files of the season of `moment` and the one before."""
        return [
            self._store.path(table, season)
            for season in self._store.seasons(table)
            if moment.year - 1 <= season <= moment.year
        ]


def _collected(path: Path, keep: pl.Expr) -> pl.DataFrame:
    try:
        return pl.scan_parquet(path, glob=False).filter(keep).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SchemaError(f"{path} cannot be read ({error}); delete it and run `fantasy collect` again") from error
