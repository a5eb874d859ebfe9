"""Tells the live hub something that belongs to no game, from a process that is no consumer of the stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from features.errors import StoreUnavailable
from features.stream.connections import TRANSIENT, Servers
from features.stream.deltas import DeltaWriter
from features.stream.directory import partition_of
from features.stream.events import key_of
from features.workspace import League


def announce(
    redis_url: str,
    league: League,
    partitions: int,
    topic: str,
    fields: Mapping[str, Any],
    *,
    writer: str,
    clock_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Publish the whole of `topic` as `writer` says it; clients are told of it at once.

    Raises `StoreUnavailable` when Redis does not answer.
    """
    servers = Servers(redis_url)
    try:
        telling = DeltaWriter(league, partition_of(key_of(topic), partitions), writer)
        update = telling.changed(topic, fields, critical=True)
        if update is not None:
            telling.publish(servers.client_of(telling.keys.topics), [update], at_ns=clock_ns())
    except TRANSIENT as error:
        raise StoreUnavailable(
            f"Redis at {redis_url} does not take {topic} ({error!r}); check FANTASY_REDIS_URL"
        ) from error
    finally:
        servers.close()
