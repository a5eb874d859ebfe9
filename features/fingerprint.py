"""Content hashes: the same content gives the same hash on every machine, Python and polars version.

A record is one game's rows of one table. Its hash covers every archive column and `event_time`, and ignores row
order and `known_time` (learning the same thing again later is no change).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from features.tables import KEYS, SCHEMAS, TableName

Array = npt.NDArray[Any]
_FILE_CHUNK: Final = 1 << 20


def file_hash(path: Path) -> str:
    """xxh3-128 of a file's bytes, or of every file of a folder in name order, as 32 hex digits."""
    digest = xxhash.xxh3_128()
    for part in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        with part.open("rb") as handle:
            while chunk := handle.read(_FILE_CHUNK):
                digest.update(chunk)
    return str(digest.hexdigest())


def frame_hash(frame: pl.DataFrame) -> str:
    """xxh3-128 of a frame's values in their order, as 32 hex digits."""
    digest = xxhash.xxh3_128()
    for column in frame.columns:
        for values, offsets in _canonical(frame[column]):
            within = values if offsets is None else values[offsets[0] : offsets[-1]]
            digest.update(within.view(np.uint8).data)
    return str(digest.hexdigest())


def record_hashes(table: TableName, frame: pl.DataFrame) -> dict[str, str]:
    """Content hash of each game's rows (game id -> 32 hex digits) of a frame in the archive schema."""
    if frame.is_empty():
        return {}
    rows = frame.select(*SCHEMAS[table], "event_time").sort(KEYS[table], maintain_order=True)
    games = rows["game_id"].rle().struct.unnest()
    ids: list[str] = games["value"].to_list()
    ends = np.cumsum(games["len"].to_numpy())
    starts = ends - games["len"].to_numpy()
    digests = [xxhash.xxh3_128() for _ in ids]
    for column in rows.columns[1:]:
        for values, offsets in _canonical(rows[column]):
            lows, highs = (starts, ends) if offsets is None else (offsets[starts], offsets[ends])
            width = values.itemsize
            content = values.view(np.uint8).data
            for digest, low, high in zip(digests, lows.tolist(), highs.tolist(), strict=True):
                digest.update(content[low * width : high * width])
    return {game_id: digest.hexdigest() for game_id, digest in zip(ids, digests, strict=True)}


def _canonical(column: pl.Series) -> list[tuple[Array, Array | None]]:
    """Buffers of a column, each with the byte offsets of its rows, None where all rows have the same width.

    A null mask and the values; text has its lengths between them, so that "ab", "c" differs from "a", "bc".
    """
    nulls: Array = column.is_null().to_numpy().astype(np.uint8)
    if column.dtype == pl.String:
        text, offsets = _text(column.fill_null(""))
        return [(nulls, None), (np.diff(offsets), None), (text, offsets)]
    values = (column.cast(pl.Int8) if column.dtype == pl.Boolean else column.to_physical()).fill_null(0)
    numbers = np.ascontiguousarray(values.to_numpy())
    if values.dtype.is_float():
        numbers = numbers + 0.0  # -0.0 and 0.0 are the same measurement (polars would optimise this away)
    return [(nulls, None), (numbers, None)]


def _text(column: pl.Series) -> tuple[Array, Array]:
    """UTF-8 bytes of a text column without nulls, and where each row begins in them (one more than rows)."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, bounds, content = array.buffers()
    offsets = np.frombuffer(bounds, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(content if content is not None else b"", dtype=np.uint8), offsets
