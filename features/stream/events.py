"""What travels: fixed 64-byte event rows in batches with a header, and news as JSON.

A batch is `HEADER` followed by `count` rows of `EVENT` (or, flagged `NEWS`, UTF-8 JSON), little-endian. Texts
(game ids, subtypes, line-ups) travel as 32-bit keys; `features.stream.directory` has the texts. Rows beat Arrow
record batches here by benchmark (benchmarks/bench_stream.py, docs/adr/0011).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from features.errors import FutureVersion, InvalidInput, MalformedBatch

MAGIC: Final = 0x31_46_41_45  # "EAF1"
VERSION: Final = 1

EVENT: Final = np.dtype(
    [
        ("created_ns", "<i8"),  # intended creation time, UNIX ns: latency is measured from here
        ("game", "<u4"),  # key of the game id
        ("subtype", "<u4"),  # keys; 0 is null
        ("home_lineup", "<u4"),
        ("away_lineup", "<u4"),
        ("player", "<i4"),  # p1_id, p2_id, p3_id; NO_INT32 is null
        ("second", "<i4"),
        ("third", "<i4"),
        ("clock_s", "<f4"),  # NaN is null
        ("elapsed_s", "<f4"),
        ("seq", "<i4"),  # of the play within its game
        ("home_score", "<i2"),  # after the play; NO_INT16 is null
        ("away_score", "<i2"),
        ("event_num", "<i2"),
        ("wall_et_min", "<i2"),
        ("kind", "u1"),  # Kind
        ("side", "u1"),  # 0 nobody, 1 home, 2 away
        ("period", "u1"),
        ("flags", "u1"),  # Flag
        ("points", "i1"),  # NO_INT8 is null
        ("shot_value", "i1"),
        ("shot_dist", "i1"),
        ("spare", "u1"),
    ]
)
NO_INT8: Final = -(2**7)
NO_INT16: Final = -(2**15)
NO_INT32: Final = -(2**31)

HEADER: Final = np.dtype(
    [
        ("magic", "<u4"),
        ("version", "<u2"),
        ("flags", "<u2"),  # BatchFlag
        ("source", "<u4"),  # key of the source's name
        ("epoch", "<u4"),  # life of the source: sequence numbers start again in a new one
        ("first", "<u8"),  # sequence number of the first row within (source, lane, partition), from 0
        ("count", "<u4"),
        ("size", "<u4"),  # bytes after the header
        ("checksum", "<u8"),  # xxh3_64 of those bytes
    ]
)


class Kind(IntEnum):
    """Event types of the archive's `pbp.event_type`, in its words."""

    unknown = 0
    made_shot = 1
    missed_shot = 2
    free_throw = 3
    rebound = 4
    turnover = 5
    foul = 6
    violation = 7
    substitution = 8
    timeout = 9
    jump_ball = 10
    ejection = 11
    period_start = 12
    period_end = 13
    replay = 14
    stoppage = 15


class Flag(IntFlag):
    """What a row's subtype means for box lines, so that the fold needs no texts."""

    offensive = 1  # a player's offensive rebound
    defensive = 2
    personal = 4  # a foul that counts towards the limit
    team_offensive = 8  # an offensive rebound of the team itself
    keep = 16  # the play is kept for the models (`Keys.plays`); generated load is not
    retract = 32  # the source takes this play back: what it added is taken off again
    final = 64  # the source knows that the game ended with this play


class BatchFlag(IntFlag):
    """What a batch holds."""

    critical = 1  # of the critical lane
    news = 2  # JSON of one News instead of rows


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch: `rows` of EVENT, or `news` (JSON bytes). Row i has sequence number `first + i`."""

    source: int
    epoch: int
    first: int
    flags: BatchFlag
    rows: NDArray[np.void]
    news: bytes | None = None


Rows = NDArray[np.void]
_HEADER: Final = struct.Struct("<IHHIIQIIQ")
ROW_BYTES: Final = EVENT.itemsize
HEADER_BYTES: Final = HEADER.itemsize
_NULLS: Final[dict[str, Any]] = {
    "player": NO_INT32, "second": NO_INT32, "third": NO_INT32, "clock_s": np.nan, "elapsed_s": np.nan,
    "home_score": NO_INT16, "away_score": NO_INT16, "event_num": NO_INT16, "wall_et_min": NO_INT16,
    "points": NO_INT8, "shot_value": NO_INT8, "shot_dist": NO_INT8,
}  # fmt: skip


def key_of(text: str) -> int:
    """32-bit key of a text (xxh32); 0 is kept for null."""
    return xxhash.xxh32_intdigest(text.encode()) or 1


def blank(n: int) -> Rows:
    """`n` rows in which every field that may be null is null, and all others are 0."""
    rows = np.zeros(n, EVENT)
    for name, null in _NULLS.items():
        rows[name] = null
    return rows


def encode(rows: Rows, *, source: int, epoch: int, first: int, flags: int = 0) -> bytes:
    """A batch of EVENT rows, `flags` of BatchFlag; row i has sequence number `first + i`.

    Raises `InvalidInput` for rows of another type.
    """
    if rows.dtype != EVENT or rows.ndim != 1:
        raise InvalidInput(
            f"rows: dtype {rows.dtype} with {rows.ndim} axes; make them with features.stream.events.blank"
        )
    return _batch(rows.tobytes(), len(rows), source, epoch, first, flags)


def encode_news(news_json: bytes, *, source: int, epoch: int, first: int) -> bytes:
    """One `News` (JSON, UTF-8) as a batch of the critical lane with sequence number `first`."""
    return _batch(news_json, 1, source, epoch, first, int(BatchFlag.news | BatchFlag.critical))


def decode(data: bytes) -> Batch:
    """The batch in `data`; rows are a read-only view of it.

    Raises `MalformedBatch` (its `reason`: truncated, magic, count, checksum) and `FutureVersion`.
    """
    if len(data) < HEADER_BYTES:
        raise MalformedBatch(
            "truncated", f"batch: {len(data)} bytes, less than its header of {HEADER_BYTES}; send it again"
        )
    magic, version, flags, source, epoch, first, count, size, checksum = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise MalformedBatch(
            "magic", f"batch: begins with {magic:#x} instead of {MAGIC:#x}; it was not written by encode()"
        )
    if version > VERSION:
        raise FutureVersion(f"batch: version {version}, this software reads up to {VERSION}; update the consumer")
    body = memoryview(data)[HEADER_BYTES:]
    if len(body) != size:
        raise MalformedBatch(
            "truncated", f"batch: {len(body)} bytes after the header instead of {size}; send it again"
        )
    news = bool(flags & BatchFlag.news)
    if count != 1 if news else count * ROW_BYTES != size:
        raise MalformedBatch("count", f"batch: {count} rows in {size} bytes; a row has {ROW_BYTES} bytes")
    if xxhash.xxh3_64_intdigest(body) != checksum:
        raise MalformedBatch("checksum", "batch: its bytes differ from its checksum; send it again")
    rows = np.frombuffer(data, EVENT, 0 if news else count, HEADER_BYTES)
    return Batch(source, epoch, first, BatchFlag(flags), rows, bytes(body) if news else None)


def _batch(body: bytes, count: int, source: int, epoch: int, first: int, flags: int) -> bytes:
    checksum = xxhash.xxh3_64_intdigest(body)
    return _HEADER.pack(MAGIC, VERSION, flags, source, epoch, first, count, len(body), checksum) + body
