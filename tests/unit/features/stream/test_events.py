"""The batch format: what is written is read, and whatever else is refused with a reason."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FutureVersion, InvalidInput, MalformedBatch
from features.stream.events import (
    EVENT,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    BatchFlag,
    Rows,
    blank,
    decode,
    encode,
    encode_news,
    key_of,
)


def random_rows(n: int, seed: int = 0) -> Rows:
    return np.frombuffer(np.random.default_rng(seed).bytes(n * EVENT.itemsize), EVENT)


@given(
    n=st.integers(0, 50), seed=st.integers(0, 100), source=st.integers(0, 2**32 - 1), epoch=st.integers(0, 2**32 - 1),
    first=st.integers(0, 2**64 - 1), critical=st.booleans(),
)  # fmt: skip
def test_what_is_encoded_is_decoded(
    n: int, seed: int, source: int, epoch: int, first: int, critical: bool
) -> None:
    rows, flags = random_rows(n, seed), BatchFlag.critical if critical else BatchFlag(0)
    batch = decode(encode(rows, source=source, epoch=epoch, first=first, flags=flags))
    assert batch.rows.tobytes() == rows.tobytes()
    assert (batch.source, batch.epoch, batch.first, batch.flags) == (source, epoch, first, flags)
    assert batch.news is None


def test_the_header_is_the_documented_one() -> None:
    data = encode(random_rows(3), source=1, epoch=2, first=3, flags=BatchFlag.critical)
    header = np.frombuffer(data, HEADER, 1)[0]
    assert (header["magic"], header["version"], header["flags"], header["count"]) == (MAGIC, VERSION, 1, 3)
    assert (header["source"], header["epoch"], header["first"], header["size"]) == (1, 2, 3, 3 * 64)
    assert (HEADER_BYTES, EVENT.itemsize) == (40, 64)


def test_news_travel_as_they_are() -> None:
    batch = decode(encode_news('{"é":1}'.encode(), source=1, epoch=2, first=7))
    assert batch.news == '{"é":1}'.encode()
    assert (len(batch.rows), batch.first) == (0, 7)
    assert batch.flags == BatchFlag.news | BatchFlag.critical


@given(cut=st.integers(0, 40 + 5 * 64 - 1))
def test_a_truncated_batch_is_refused(cut: int) -> None:
    data = encode(random_rows(5), source=1, epoch=1, first=0)
    with pytest.raises(MalformedBatch) as caught:
        decode(data[:cut])
    assert caught.value.reason == "truncated"


@given(at=st.integers(0, 40 + 5 * 64 - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_other_rows(at: int, bit: int) -> None:
    data = bytearray(encode(random_rows(5), source=1, epoch=1, first=0))
    data[at] ^= 1 << bit
    try:
        batch = decode(bytes(data))
    except (MalformedBatch, FutureVersion):
        return
    # source, epoch, first number, flags and an older version are no part of the checksum: the rows still are right
    assert 4 <= at < 24
    assert batch.rows.tobytes() == random_rows(5).tobytes()


@pytest.mark.parametrize(
    ("at", "layout", "value", "reason"),
    [
        (0, "<I", 0x4B4E_554A, "magic"),
        (24, "<I", 4, "count"),
        (28, "<I", 1, "truncated"),
        (32, "<Q", 1, "checksum"),
    ],
)
def test_every_mismatch_has_its_reason(at: int, layout: str, value: int, reason: str) -> None:
    data = bytearray(encode(random_rows(5), source=1, epoch=1, first=0))
    struct.pack_into(layout, data, at, value)
    with pytest.raises(MalformedBatch) as caught:
        decode(bytes(data))
    assert caught.value.reason == reason


def test_a_huge_count_allocates_nothing() -> None:
    data = bytearray(encode(random_rows(1), source=1, epoch=1, first=0))
    struct.pack_into("<I", data, 24, 2**32 - 1)
    with pytest.raises(MalformedBatch, match="4294967295 rows in 64 bytes"):
        decode(bytes(data))


def test_a_newer_version_says_what_to_update() -> None:
    data = bytearray(encode(random_rows(1), source=1, epoch=1, first=0))
    struct.pack_into("<H", data, 4, VERSION + 1)
    with pytest.raises(FutureVersion, match=f"version {VERSION + 1}.*update the consumer"):
        decode(bytes(data))


def test_rows_of_another_type_are_refused() -> None:
    with pytest.raises(InvalidInput, match="float64"):
        encode(np.zeros(3), source=1, epoch=1, first=0)
    with pytest.raises(InvalidInput, match="2 axes"):
        encode(blank(4).reshape(2, 2), source=1, epoch=1, first=0)


def test_decoded_rows_cannot_be_written() -> None:
    rows = decode(encode(random_rows(2), source=1, epoch=1, first=0)).rows
    with pytest.raises(ValueError, match="read-only"):
        rows["seq"] = 1


def test_keys_are_stable_and_never_null() -> None:
    # xxh32, seed 0: the published test vectors of "" and "a"
    assert key_of("") == 0x02CC5D05
    assert key_of("a") == 0x550D7456
    assert all(key_of(str(n)) for n in range(1000))
