"""What a worker counts, how it is posted to the state Redis for all to see, and as Prometheus text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

#: hash of the state Redis: newest `WorkerState` per worker, JSON.
STATES_KEY: Final = "fantasy:live:workers"
STALE_S: Final = 10.0


class WorkerState(msgspec.Struct):
    """Counts since the worker started, except gauges. Frames are deltas and snapshots written to sockets.

    `conflated`: updates that reached a client merged with a newer one. `skipped_critical`: critical updates that a
    client which was behind for long got only as part of a snapshot. `closed`: connections closed, by code.
    `lag_ms`: age of the newest entry when it was read. `feeds_down`: partitions whose stream cannot be read now.
    """

    worker: str
    pid: int
    port: int
    started_s: float
    at_s: float = 0.0
    draining: bool = False
    connections: int = 0
    behind: int = 0
    topics: int = 0
    subscriptions: int = 0
    feeds_down: int = 0
    lag_ms: float = 0.0
    accepted: int = 0
    refused: int = 0
    updates: int = 0
    frames: int = 0
    frame_bytes: int = 0
    snapshots: int = 0
    resumed: int = 0
    conflated: int = 0
    skipped_critical: int = 0
    reloads: int = 0
    asked: int = 0
    closed: dict[str, int] = {}


_GAUGES: Final = ("connections", "behind", "topics", "subscriptions", "feeds_down", "lag_ms")
_COUNTERS: Final = (
    "accepted", "refused", "updates", "frames", "frame_bytes", "snapshots", "resumed", "conflated",
    "skipped_critical", "reloads", "asked",
)  # fmt: skip
_decoder = msgspec.json.Decoder(WorkerState)


def decode_states(posted: Mapping[bytes, bytes], *, now_s: float | None = None) -> list[WorkerState]:
    """The states of workers that posted within `STALE_S`, by name."""
    now = time.time() if now_s is None else now_s
    states = [_decoder.decode(state) for state in posted.values()]
    return sorted((s for s in states if now - s.at_s <= STALE_S), key=lambda s: s.worker)


def total(states: Iterable[WorkerState]) -> dict[str, Any]:
    """Sums over workers; `lag_ms` is the worst."""
    listed = list(states)
    sums: dict[str, Any] = {name: sum(getattr(s, name) for s in listed) for name in (*_GAUGES, *_COUNTERS)}
    sums["lag_ms"] = max((s.lag_ms for s in listed), default=0.0)
    closed: dict[str, int] = {}
    for state in listed:
        for code, count in state.closed.items():
            closed[code] = closed.get(code, 0) + count
    return {**sums, "closed": closed}


def prometheus_text(states: Iterable[WorkerState]) -> bytes:
    """Metrics `fantasy_live_*` with the label `worker`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(states)))
    return generate_latest(registry)


class _Collector:
    def __init__(self, states: list[WorkerState]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        for name in _GAUGES:
            gauge = GaugeMetricFamily(f"fantasy_live_{name}", f"Hub worker: {name}", labels=["worker"])
            for state in self._states:
                gauge.add_metric([state.worker], getattr(state, name))
            yield gauge
        for name in _COUNTERS:
            counter = CounterMetricFamily(f"fantasy_live_{name}", f"Hub worker: {name}", labels=["worker"])
            for state in self._states:
                counter.add_metric([state.worker], getattr(state, name))
            yield counter
        closed = CounterMetricFamily("fantasy_live_closed", "Connections closed", labels=["worker", "code"])
        for state in self._states:
            for code, count in state.closed.items():
                closed.add_metric([state.worker, code], count)
        yield closed
