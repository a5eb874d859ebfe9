"""The archive tables (games, box, pbp): their columns, keys, and the times that make them bitemporal.

`season=YYYY` is the start year; game ids are ten characters; player ids are NBA.com person ids.
Every row carries `event_time` (when it happened: tip-off) and `known_time` (when we could know it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import polars as pl

from features.errors import SchemaError

TableName = Literal["games", "box", "pbp"]
TABLES: Final[tuple[TableName, ...]] = ("games", "box", "pbp")

#: A final box score is taken as known this long after tip-off when the source does not say when it was
#: published: a regulation game lasts about 2 h 15 min, an overtime adds about 25 minutes.
FINAL_AFTER_TIP: Final = timedelta(hours=3, minutes=30)
EASTERN: Final = "America/New_York"

GAMES: Final[dict[str, pl.DataType]] = {
    "game_id": pl.String(), "season": pl.Int16(), "season_type": pl.String(), "game_date": pl.Date(),
    "tip_et_min": pl.Int16(), "home_team": pl.String(), "away_team": pl.String(), "home_score": pl.Int16(),
    "away_score": pl.Int16(), "home_win": pl.Boolean(), "periods": pl.Int8(), "home_q1": pl.Int16(),
    "home_q2": pl.Int16(), "home_q3": pl.Int16(), "home_q4": pl.Int16(), "away_q1": pl.Int16(),
    "away_q2": pl.Int16(), "away_q3": pl.Int16(), "away_q4": pl.Int16(), "close_home_spread": pl.Float32(),
    "close_total": pl.Float32(), "close_home_ml": pl.Int64(), "close_away_ml": pl.Int64(),
}  # fmt: skip
BOX: Final[dict[str, pl.DataType]] = {
    "game_id": pl.String(), "game_date": pl.Date(), "season": pl.Int16(), "season_type": pl.String(),
    "player_id": pl.Int32(), "player_name": pl.String(), "team": pl.String(), "opp": pl.String(),
    "is_home": pl.Boolean(), "starter": pl.Boolean(), "min": pl.Float32(), "pts": pl.Int16(), "fgm": pl.Int16(),
    "fga": pl.Int16(), "fg3m": pl.Int16(), "fg3a": pl.Int16(), "ftm": pl.Int16(), "fta": pl.Int16(),
    "oreb": pl.Int16(), "dreb": pl.Int16(), "reb": pl.Int16(), "ast": pl.Int16(), "stl": pl.Int16(),
    "blk": pl.Int16(), "tov": pl.Int16(), "pf": pl.Int16(), "plus_minus": pl.Int16(), "win": pl.Boolean(),
    "source": pl.String(),
}  # fmt: skip
PBP: Final[dict[str, pl.DataType]] = {
    "game_id": pl.String(), "season": pl.Int16(), "seq": pl.Int16(), "event_num": pl.Int16(), "period": pl.Int8(),
    "clock_s": pl.Float32(), "elapsed_s": pl.Float32(), "wall_et_min": pl.Int16(), "event_type": pl.String(),
    "subtype": pl.String(), "action_code": pl.Int16(), "team": pl.String(), "points": pl.Int8(),
    "shot_value": pl.Int8(), "shot_dist": pl.Int8(), "p1_id": pl.Int32(), "p1_name": pl.String(),
    "p2_id": pl.Int32(), "p2_name": pl.String(), "p3_id": pl.Int32(), "p3_name": pl.String(),
    "home_team": pl.String(), "away_team": pl.String(), "home_score": pl.Int16(), "away_score": pl.Int16(),
    "home_lineup": pl.String(), "away_lineup": pl.String(), "description": pl.String(),
}  # fmt: skip
TIMES: Final[dict[str, pl.DataType]] = {
    "event_time": pl.Datetime("us", "UTC"),
    "known_time": pl.Datetime("us", "UTC"),
}
SCHEMAS: Final[dict[TableName, dict[str, pl.DataType]]] = {"games": GAMES, "box": BOX, "pbp": PBP}
KEYS: Final[dict[TableName, tuple[str, ...]]] = {
    "games": ("game_id",),
    "box": ("game_id", "player_id"),
    "pbp": ("game_id", "seq"),
}
#: Columns that a source may lack; they are filled with nulls.
OPTIONAL: Final[dict[TableName, frozenset[str]]] = {
    "games": frozenset({"tip_et_min", "close_home_spread", "close_total", "close_home_ml", "close_away_ml", "periods",
                        "home_q1", "home_q2", "home_q3", "home_q4", "away_q1", "away_q2", "away_q3", "away_q4"}),
    "box": frozenset({"plus_minus", "pf", "source", "oreb", "dreb", "win"}),
    "pbp": frozenset({"action_code", "wall_et_min", "shot_dist", "subtype", "p3_id", "p3_name", "p2_id",
                      "p2_name", "p1_name", "home_lineup", "away_lineup", "description", "event_num"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tables:
    """What is known of one league: `games` and `box` frames with `TIMES`; play-by-play is read when needed."""

    games: pl.DataFrame
    box: pl.DataFrame


def tip_time() -> pl.Expr:
    """UTC tip-off from `game_date` and `tip_et_min` (minutes since midnight Eastern; >1440 after midnight)."""
    naive = pl.col("game_date").cast(pl.Datetime("us")) + pl.duration(minutes=pl.col("tip_et_min"))
    return naive.dt.replace_time_zone(EASTERN, ambiguous="earliest", non_existent="null").dt.convert_time_zone(
        "UTC"
    )


def conform(table: TableName, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with exactly the table's columns and types (times kept when present).

    Raises `SchemaError` naming the missing columns or the column that cannot be cast.
    """
    schema = SCHEMAS[table]
    missing = [c for c in schema if c not in frame.columns and c not in OPTIONAL[table]]
    if missing:
        raise SchemaError(f"table {table!r} lacks columns {missing}; see docs/data.md for the schema")
    times = {name: dtype for name, dtype in TIMES.items() if name in frame.columns}
    columns: list[pl.Expr] = []
    for name, dtype in {**schema, **times}.items():
        source = pl.col(name) if name in frame.columns else pl.lit(None)
        columns.append(source.cast(dtype).alias(name))
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"table {table!r} holds values of the wrong type: {error}") from error
