"""Play-by-play frames as event rows and back, exactly: what the models read live is what they learned from."""

from __future__ import annotations

import math
from itertools import starmap
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import SchemaError
from features.play.player_actions import TECHNICAL
from features.play.plays import COLUMNS
from features.play.tally import Play, Untold
from features.stream.directory import Glossary
from features.stream.events import NO_INT8, NO_INT16, NO_INT32, Flag, Kind, Rows, blank, key_of
from features.tables import PBP

#: Column of a frame, field of a row, and what stands for null there.
_PLAIN: Final[tuple[tuple[str, str, int], ...]] = (
    ("seq", "seq", NO_INT32), ("period", "period", 0), ("event_num", "event_num", NO_INT16),
    ("wall_et_min", "wall_et_min", NO_INT16), ("points", "points", NO_INT8), ("shot_value", "shot_value", NO_INT8),
    ("shot_dist", "shot_dist", NO_INT8), ("p1_id", "player", NO_INT32), ("p2_id", "second", NO_INT32),
    ("p3_id", "third", NO_INT32), ("home_score", "home_score", NO_INT16), ("away_score", "away_score", NO_INT16),
)  # fmt: skip
_CLOCKS: Final = ("clock_s", "elapsed_s")
_TEXTS: Final = ("subtype", "home_lineup", "away_lineup")
_KINDS: Final = {kind.name: int(kind) for kind in Kind if kind is not Kind.unknown}
_MOST_SEQ: Final = -NO_INT16 - 1
_NAMES: Final = {code: name for name, code in _KINDS.items()}
_FIELDS: Final = {column: (field, null) for column, field, null in _PLAIN}
_REQUIRED: Final = ("game_id", "seq", "home_team", "away_team")


def events_of(plays: pl.DataFrame, directory: Glossary, *, keep: bool = True) -> tuple[Rows, tuple[str, ...]]:
    """Rows of `plays` (features.play.plays.COLUMNS) in their order, and the texts they name, which are registered.

    `created_ns` is left 0. `keep` flags the rows for the models. A clock of NaN counts as null. The games are the
    caller's to register. Raises `SchemaError` for absent columns, an unknown event type, or a team that does not play.
    """
    missing = [name for name in COLUMNS if name not in plays.columns]
    if missing:
        raise SchemaError(f"plays lack columns {missing}; read them with features.play.plays")
    _check(plays)
    rows = blank(plays.height)
    for column, field, null in _PLAIN:
        rows[field] = plays[column].cast(pl.Int32).fill_null(null).to_numpy()
    for column in _CLOCKS:
        rows[column] = plays[column].cast(pl.Float32).fill_null(np.nan).to_numpy()
    texts = [name for column in _TEXTS for name in plays[column].drop_nulls().unique(maintain_order=True)]
    keys = directory.register(texts)
    for column in _TEXTS:
        rows[column] = _keyed(plays[column], keys)
    rows["game"] = _keyed(plays["game_id"], {name: key_of(name) for name in plays["game_id"].unique()})
    rows["kind"] = _keyed(plays["event_type"], _KINDS)
    team = pl.col("team")
    side = pl.when(team == pl.col("home_team")).then(1).when(team == pl.col("away_team")).then(2).otherwise(0)
    coded = plays.select(side.cast(pl.UInt8).alias("side"), _flags(keep).alias("flags"))
    rows["side"], rows["flags"] = coded["side"].to_numpy(), coded["flags"].to_numpy()
    return rows, tuple(dict.fromkeys(texts))


def plays_of(rows: Rows, directory: Glossary) -> pl.DataFrame:
    """Plays (features.play.plays.COLUMNS) of `rows`, ordered by game and seq; what was taken back is left out.

    Raises `SchemaError` when the directory lacks a game or text that a row names.
    """
    rows = _kept(rows)
    games = directory.games(np.unique(rows["game"]).tolist())
    game = {key: (info.game_id, info.season, info.home_team, info.away_team) for key, info in games.items()}
    columns: dict[str, pl.Series] = {
        name: _named(name, rows["game"], {key: known[at] for key, known in game.items()}, pl.String())
        for at, name in ((0, "game_id"), (2, "home_team"), (3, "away_team"))
    }
    columns["season"] = _named("season", rows["game"], {key: known[1] for key, known in game.items()}, pl.Int16())
    for column, field, null in _PLAIN:
        columns[column] = _nullable(column, np.ascontiguousarray(rows[field]), null)
    for column in _CLOCKS:
        columns[column] = pl.Series(column, np.ascontiguousarray(rows[column])).fill_nan(None)
    used = np.unique(np.concatenate([rows[column] for column in _TEXTS])) if len(rows) else np.empty(0, np.uint32)
    texts = directory.texts([key for key in used.tolist() if key])
    for column in _TEXTS:
        columns[column] = _named(column, rows[column], texts, pl.String(), null=0)
    columns["event_type"] = _named("event_type", rows["kind"], _NAMES, pl.String(), null=int(Kind.unknown))
    side = pl.Series("side", np.ascontiguousarray(rows["side"]))
    frame = pl.DataFrame(columns).with_columns(
        pl.when(side == 1).then("home_team").when(side == 2).then("away_team").alias("team")
    )
    try:
        typed = frame.select(pl.col(name).cast(PBP[name]) for name in COLUMNS)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"events: a value does not fit play-by-play ({error}); leave the event out") from error
    return typed.sort("game_id", "seq", maintain_order=True)


def told_plays(rows: Rows, directory: Glossary) -> list[Play]:
    """Plays of one game's rows as `plays_of` gives them, one by one in the order of the rows.

    Raises `Untold` for rows that only `plays_of` can read, or refuses: taken back, of an unknown kind or key.
    """
    if (rows["flags"] & Flag.retract).any():
        raise Untold("plays were taken back")
    keys = {int(key) for column in _TEXTS for key in np.unique(rows[column])}
    texts = {0: None, **directory.texts(keys - {0})}
    infos = directory.games(np.unique(rows["game"]).tolist())
    numbered = (
        (rows["seq"] >= 0) & (rows["seq"] <= _MOST_SEQ) & (rows["period"] >= 1) & (rows["period"] < -NO_INT8)
    )
    if len(infos) != 1 or not keys <= texts.keys() or not (numbered & (rows["kind"] > 0)).all():
        raise Untold("rows are of several games, or of unknown kinds, periods or texts")
    (info,) = infos.values()
    teams = (None, info.home_team, info.away_team)
    columns: list[list[Any]] = []
    for name in Play._fields:
        if name == "team":
            columns.append([teams[side] if side < len(teams) else None for side in rows["side"].tolist()])
        elif name == "event_type":
            columns.append([_NAMES.get(kind) for kind in rows["kind"].tolist()])
        elif name in _TEXTS:
            columns.append([texts[key] for key in rows[name].tolist()])
        elif name in _CLOCKS:
            columns.append([None if math.isnan(value) else value for value in rows[name].tolist()])
        else:
            field, null = _FIELDS[name]
            columns.append([None if value == null else value for value in rows[field].tolist()])
    return list(starmap(Play, zip(*columns, strict=True)))


def _check(plays: pl.DataFrame) -> None:
    """Raise `SchemaError` for what has no place in a row."""
    unnamed = [name for name in _REQUIRED if plays[name].null_count()]
    if unnamed:
        raise SchemaError(f"plays: nulls in {unnamed}; leave those rows out")
    kinds = plays["event_type"].drop_nulls()
    strange = kinds.filter(~kinds.is_in(list(_KINDS))).head(1).to_list()
    if strange:
        raise SchemaError(f"event_type: {strange[0]!r} is none of {sorted(_KINDS)}; correct or leave out the row")
    team, home, away = pl.col("team"), pl.col("home_team"), pl.col("away_team")
    stranger = plays.filter(team.is_not_null() & (team != home) & (team != away)).head(1)
    if stranger.height:
        row = stranger.row(0, named=True)
        raise SchemaError(
            f"team: {row['team']!r} of play {row['seq']} does not play game {row['game_id']} "
            f"({row['away_team']} at {row['home_team']}); correct or leave out the row"
        )


def _flags(keep: bool) -> pl.Expr:
    """Flag of each play: what the fold has to know of its subtype."""
    kind, subtype = pl.col("event_type"), pl.col("subtype")
    rebound = kind == "rebound"
    given = {
        Flag.offensive: rebound & (subtype == "offensive"),
        Flag.defensive: rebound & (subtype == "defensive"),
        Flag.team_offensive: rebound & (subtype == "team_offensive"),
        Flag.personal: (kind == "foul") & subtype.is_not_null() & ~subtype.is_in(TECHNICAL),
    }
    flags = sum((when.fill_null(False).cast(pl.UInt8) * int(flag) for flag, when in given.items()), pl.lit(0))
    return (flags + (int(Flag.keep) if keep else 0)).cast(pl.UInt8)


def _keyed(column: pl.Series, keys: dict[str, int]) -> NDArray[np.uint32]:
    """Keys of texts, 0 for null."""
    if not keys:
        return np.zeros(len(column), np.uint32)
    return column.replace_strict(keys, return_dtype=pl.UInt32, default=None).fill_null(0).to_numpy()


def _named(
    name: str, keys: NDArray[Any], known: dict[int, Any], dtype: pl.DataType, null: int | None = None
) -> pl.Series:
    """What keys stand for; null where they equal `null`."""
    column = pl.Series(name, np.ascontiguousarray(keys).astype(np.int64))
    if null is not None:
        column = column.set(column == null, None)
    found = (
        column.replace_strict(known, return_dtype=dtype, default=None)
        if known
        else column.clear(len(column)).cast(dtype)
    )
    unknown = column.filter(found.is_null() & column.is_not_null()).head(1).to_list()
    if unknown:
        raise SchemaError(
            f"{name}: nobody registered key {unknown[0]}; register games and texts before sending events"
        )
    return found.alias(name)


def _nullable(name: str, values: NDArray[Any], null: int) -> pl.Series:
    column = pl.Series(name, values)
    return column.set(column == null, None)


def _kept(rows: Rows) -> Rows:
    """Without the plays that were taken back, and without what took them back: one play for each."""
    if not (rows["flags"] & Flag.retract).any():
        return rows
    kept: list[int] = []
    open_plays: dict[tuple[int, int, int], list[int]] = {}
    taken = (rows["flags"] & Flag.retract) != 0
    names = list(zip(rows["game"].tolist(), rows["seq"].tolist(), rows["event_num"].tolist(), strict=True))
    for at in np.flatnonzero(~taken).tolist():
        open_plays.setdefault(names[at], []).append(at)
    for at in np.flatnonzero(taken).tolist():
        if open_plays.get(names[at]):
            open_plays[names[at]].pop(0)
    for left in open_plays.values():
        kept.extend(left)
    return rows[np.sort(np.array(kept, np.intp))]
