"""The bitemporal as-of join: what was known of an entity at a moment, and nothing later.

Invariant: an output row uses only the view row with the newest `event_time` among those with
`event_time <= as_of` and `known_time <= as_of`; equal event times are decided by the later `known_time`,
and equal times by the later position in the view. The output is 1:1 with the entities, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from features.errors import SchemaError

_POSITION: Final = "__position"
_AVAILABLE: Final = "__available"
_ORDER: Final = "__order"


def as_of_join(
    entities: pl.DataFrame,
    view: pl.DataFrame,
    *,
    by: Sequence[str],
    prefix: str = "",
    keep_times: bool = False,
) -> pl.DataFrame:
    """Add the newest known row of `view` to each entity row.

    `entities` holds `as_of` (Datetime UTC) and the key columns `by`; `view` holds the same keys, `event_time`,
    `known_time` and feature columns, which come back named `prefix + name` (null where nothing was known).
    With `keep_times`, `prefix + "event_time"` and `prefix + "known_time"` come back too.

    Raises `SchemaError` for missing columns, a null `as_of`, or names that both frames hold.
    """
    keys = list(by)
    features = [c for c in view.columns if c not in {*keys, "event_time", "known_time"}]
    added = [*features, *(("event_time", "known_time") if keep_times else ())]
    _check(entities, view, keys, [prefix + name for name in added])

    best = _best_so_far(view, keys)
    numbered = entities.select(*keys, "as_of").with_row_index(_POSITION)
    matched = (
        numbered.sort("as_of", maintain_order=True)
        .join_asof(
            best.sort(_AVAILABLE, maintain_order=True),
            left_on="as_of",
            right_on=_AVAILABLE,
            by=keys,
            strategy="backward",
            check_sortedness=False,
        )
        .sort(_POSITION)
    )
    rows = view.select(pl.col(name).alias(prefix + name) for name in added).with_row_index(_ORDER)
    values = matched.select(_ORDER).join(rows, on=_ORDER, how="left", maintain_order="left").drop(_ORDER)
    return pl.concat([entities, values], how="horizontal")


def newest(view: pl.DataFrame, *, by: Sequence[str]) -> pl.DataFrame:
    """The one row per key that `as_of_join` would pick once everything in `view` is known, sorted by key."""
    keys = list(by)
    ordered = view.sort("event_time", "known_time", maintain_order=True)
    return ordered.unique(subset=keys, keep="last", maintain_order=True).sort(keys)


def _best_so_far(view: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Keys, the moment from which a row can be seen, and the position in `view` of the best row seen by then."""
    rank = "__rank"
    ranked = (
        view.select(*keys, "event_time", "known_time")
        .with_row_index(_ORDER)
        .sort("event_time", "known_time", maintain_order=True)
        .with_row_index(rank)
    )
    by_rank = ranked.select(rank, best=_ORDER)
    return (
        ranked.select(*keys, rank, pl.max_horizontal("event_time", "known_time").alias(_AVAILABLE))
        .drop_nulls()
        .sort(_AVAILABLE, rank)
        .with_columns(pl.col(rank).cum_max().over(keys))
        .unique(subset=[*keys, _AVAILABLE], keep="last", maintain_order=True)
        .join(by_rank, on=rank, how="left", maintain_order="left")
        .select(*keys, _AVAILABLE, pl.col("best").alias(_ORDER))
    )


def _check(entities: pl.DataFrame, view: pl.DataFrame, keys: list[str], added: list[str]) -> None:
    lacking = [c for c in (*keys, "as_of") if c not in entities.columns]
    if lacking:
        raise SchemaError(f"entities lack columns {lacking}; an as-of join needs its keys and as_of")
    lacking = [c for c in (*keys, "event_time", "known_time") if c not in view.columns]
    if lacking:
        raise SchemaError(f"the view lacks columns {lacking}; a view needs its keys, event_time and known_time")
    if entities["as_of"].null_count():
        raise SchemaError(f"as_of is null in {entities['as_of'].null_count()} entity rows; give every row a time")
    clash = [name for name in added if name in entities.columns]
    if clash:
        raise SchemaError(f"columns {clash} exist on both sides of the as-of join; pass another prefix")
