"""The hub's own Redis connection: replies in order, errors told, and a server that goes away noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from features.stream.connections import Servers
from serving.live.wire import Wire
from tests.fixtures.hub import OwnRedis

pytestmark = pytest.mark.xdist_group("hub")


@pytest.fixture
def servers(own_redis: OwnRedis) -> Iterator[Servers]:
    made = Servers(own_redis.url)
    yield made
    made.close()


async def test_replies_come_in_order_however_long_they_are(servers: Servers) -> None:
    wire = await Wire.open(servers, "k")
    long = b"x" * (3 << 20)  # many reads of the socket
    assert await wire.call(("SET", "wire:a", long), ("GET", "wire:a"), ("DEL", "wire:a")) == [b"OK", long, 1]
    assert await wire.call(("ECHO", "next")) == [b"next"]
    wire.close()


async def test_an_error_reply_is_raised_and_the_loop_is_not_held_up_by_a_wait(servers: Servers) -> None:
    wire, other = await Wire.open(servers, "k"), await Wire.open(servers, "k")
    waiting = asyncio.create_task(
        wire.call(("XREAD", "BLOCK", 60_000, "STREAMS", "wire:s", "0-0"), ("ECHO", "after"))
    )
    with pytest.raises(redis.ResponseError, match="not an integer"):
        await other.call(("SET", "wire:n", "x"), ("INCR", "wire:n"))
    assert not waiting.done()
    (number,) = await other.call(("XADD", "wire:s", "*", "u", "1"))
    assert await waiting == [[[b"wire:s", [[number, [b"u", b"1"]]]]], b"after"]
    wire.close()
    other.close()


async def test_a_server_that_goes_away_ends_what_waits_and_all_later_calls(
    servers: Servers, own_redis: OwnRedis
) -> None:
    wire = await Wire.open(servers, "k")
    waiting = asyncio.create_task(wire.call(("XREAD", "BLOCK", 60_000, "STREAMS", "wire:none", "$")))
    await asyncio.sleep(0)
    own_redis.kill()
    try:
        with pytest.raises(redis.ConnectionError):
            await waiting
        with pytest.raises(redis.ConnectionError):
            await wire.call(("PING",))
        wire.close()
    finally:
        own_redis.start()
