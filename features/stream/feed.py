"""A recorded DFS feed as news: what changed between two sightings of a player on a slate, when it was seen.

The feed is a Parquet file with a row per sighting (time stamp `ts`, `player`, `team`, `date`, `slate` and the columns
of `FIELDS`). A salary belongs to a player's place on a slate (a captain costs more), a projection to the player on the
slate, injuries, starters and market lines to the player whatever the slate, and spread and total to his team: each
is told once, however many rows repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from features.errors import SchemaError, SourceUnavailable
from features.sources.player_names import normalize_name
from features.stream.news import News, NewsKind

Of = Literal["place", "slate", "player", "team"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the feed: the kind of news its changes are, and whose value it is."""

    kind: NewsKind
    of: Of
    #: Nothing is a value: the first sighting of something is a change from it.
    from_null: bool = False


_LINES: Final = ("mkt_pts", "mkt_reb", "mkt_ast", "mkt_3pm", "mkt_blk", "mkt_stl", "mkt_tov", "pp_line", "ud_line")
FIELDS: Final[dict[str, Field]] = {
    "injury_status": Field("injury", "player", from_null=True),
    "injury_comment": Field("injury", "player", from_null=True),
    "starter": Field("starter", "player", from_null=True),
    "salary": Field("salary", "place"),
    "proj_fp": Field("projection", "slate"),
    **{name: Field("line", "player") for name in _LINES},
    "spread": Field("line", "team"),
    "total": Field("line", "team"),
}
_KEYS: Final = ("ts", "player", "team", "date", "slate")
#: Columns that tell one entry of the feed from another, per owner of a value.
_ENTRY: Final[dict[Of, tuple[str, ...]]] = {
    "place": ("date", "slate", "player", "team", "captain"),
    "slate": ("date", "slate", "player", "team"),
    "player": ("date", "player", "team"),
    "team": ("date", "team"),
}
#: Decimals of the feed's numbers: it has 32-bit floats, whose further digits are noise.
_DECIMALS: Final = 2


@dataclass(frozen=True, slots=True)
class Feed:
    """News in the order in which it came; `at_ns` is when, UNIX ns."""

    news: tuple[News, ...]
    at_ns: NDArray[np.int64]


def read_feed(path: Path, ids: Mapping[str, int] | None = None) -> Feed:
    """News in the feed file `path`; `ids` gives player ids by normalized name, for subjects `player:{id}`.

    Raises `SourceUnavailable` when the file cannot be read, `SchemaError` when it lacks columns.
    """
    try:
        rows = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceUnavailable(f"{path} is not readable as Parquet ({error}); give a feed file") from error
    return changes(rows, ids, what=str(path))


def ids_by_name(people: pl.DataFrame) -> dict[str, int]:
    """Player ids by normalized name from rows of `player_id` and `player_name`; shared names are left out."""
    named = people.select("player_id", "player_name").drop_nulls().unique()
    ids: dict[str, set[int]] = {}
    for player_id, name in named.iter_rows():
        ids.setdefault(normalize_name(name), set()).add(player_id)
    return {name: found.pop() for name, found in ids.items() if len(found) == 1}


def changes(rows: pl.DataFrame, ids: Mapping[str, int] | None = None, *, what: str = "feed") -> Feed:
    """News in the sightings `rows`. Raises `SchemaError` when key columns, or all of `FIELDS`, are missing."""
    missing = [name for name in _KEYS if name not in rows.columns]
    present = [name for name in FIELDS if name in rows.columns]
    if missing or not present:
        raise SchemaError(f"{what} lacks columns {missing or list(FIELDS)}; see docs/live.md for what a feed has")
    if not isinstance(rows.schema["ts"], pl.Datetime) or rows.schema["ts"].time_zone is None:
        raise SchemaError(f"{what}: ts has type {rows.schema['ts']}; times with a zone are needed")
    captain = pl.col("pos").cast(pl.String) == "CPT" if "pos" in rows.columns else pl.lit(False)
    base = rows.select(
        pl.col("ts").dt.convert_time_zone("UTC").dt.cast_time_unit("ns"),
        "date",
        *(pl.col(name).cast(pl.String) for name in ("player", "team", "slate")),
        captain.fill_null(False).alias("captain"),
        *(_text(name, rows.schema[name]) for name in present),
    ).sort("ts", "date", "slate", "player", "team", "captain", maintain_order=True)
    found = pl.concat([_field_changes(base, name) for name in present])
    order = found.sort("ts", "kind", "field", "player", "team", "date", "slate", "captain", nulls_last=True)
    news = tuple(_news(row, ids or {}) for row in order.iter_rows(named=True))
    return Feed(news, order["ts"].dt.timestamp("ns").to_numpy().copy())


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():
        return column.cast(pl.Float64).fill_nan(None).round(_DECIMALS).cast(pl.String)
    return column.cast(pl.String)


def _field_changes(base: pl.DataFrame, name: str) -> pl.DataFrame:
    """Rows of one field where it differs from the entry's sighting before."""
    field = FIELDS[name]
    entry, owner = list(_ENTRY["place"]), list(_ENTRY[field.of])
    seen = base.select("ts", *entry, new=pl.col(name)).filter(
        pl.col("slate").is_not_null() if "slate" in owner else pl.lit(True)
    )
    told = seen.with_columns(
        old=pl.col("new").shift(1).over(entry), first=pl.int_range(pl.len()).over(entry) == 0
    ).filter(pl.col("new").ne_missing(pl.col("old")))
    if not field.from_null:
        told = told.filter(~pl.col("first"))
    if owner != entry:
        # Several rows repeat one change, at once or later: what was told last is not told again.
        told = told.unique(["ts", *owner], keep="last", maintain_order=True)
        before, is_first = pl.col("new").shift(1).over(owner), pl.int_range(pl.len()).over(owner) == 0
        told = told.filter(is_first | pl.col("new").ne_missing(before))
        told = told.with_columns(
            old=pl.when(is_first).then(pl.col("old")).otherwise(before),
            slate=pl.col("slate") if "slate" in owner else pl.lit(None, pl.String),
            player=pl.col("player") if "player" in owner else pl.lit(None, pl.String),
            captain=pl.lit(False),
        )
    return told.select(
        "ts", *entry, "old", "new", kind=pl.lit(field.kind, pl.String), field=pl.lit(name, pl.String)
    )


def _news(row: Mapping[str, object], ids: Mapping[str, int]) -> News:
    player, team, slate, old, new = (
        None if row[name] is None else str(row[name]) for name in ("player", "team", "slate", "old", "new")
    )
    name = player or team or ""
    player_id = None if player is None else ids.get(normalize_name(player))
    field = f"captain_{row['field']}" if row["captain"] else str(row["field"])
    at = str(row["ts"]).replace(" ", "T")
    identity = "|".join(str(row[part]) for part in (*_KEYS, "captain", "field", "new"))
    kind: NewsKind = FIELDS[str(row["field"])].kind
    return News(
        id=xxhash.xxh3_64_hexdigest(identity.encode()),
        at=at,
        subject=f"name:{name}" if player_id is None else f"player:{player_id}",
        kind=kind,
        field=field,
        name=name,
        team=team,
        slate=slate,
        old=old,
        new=new,
    )
