"""How a partition is doing: counts, rates, latencies from intended creation to commit, lag, and what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BUCKET_US: Final = 50
_BUCKETS: Final = 200_000  # up to 10 s; what took longer is in the last one
#: Share of the trim horizon from which on the lag is an alarm.
LAG_ALARM: Final = 0.5
#: Counts that go on across owners.
COUNTS: Final = (
    "events", "critical", "news", "commits", "dead", "rejected", "gaps", "duplicates", "trimmed", "lost", "late",
    "takeovers", "removed",
)  # fmt: skip


class Latencies:
    """Counts of latencies in steps of `BUCKET_US`, of all time and since the last `recent`."""

    def __init__(self) -> None:
        self._all: NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
        self._recent: NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
        self._used = self._used_recently = 0  # buckets above are empty: reading all of them takes milliseconds

    def record(self, created_ns: NDArray[np.int64], now_ns: int) -> None:
        """Events created at `created_ns` were committed at `now_ns`."""
        steps = np.clip((now_ns - created_ns) // (BUCKET_US * 1000), 0, _BUCKETS - 1)
        counts = np.bincount(steps)
        self._all[: len(counts)] += counts
        self._recent[: len(counts)] += counts
        self._used = max(self._used, len(counts))
        self._used_recently = max(self._used_recently, len(counts))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Events per bucket of all time, up to the last bucket that has any."""
        return self._all[: self._used]

    def recent(self) -> dict[str, float | None]:
        """p50, p99 and p99.9 in ms since this was last asked; None without events."""
        counts = self._recent[: self._used_recently]
        found = quantiles_ms(counts)
        counts[:] = 0
        self._used_recently = 0
        return found

    def histogram(self) -> dict[int, int]:
        """Events per bucket of all time."""
        at = np.flatnonzero(self.counts)
        return dict(zip(at.tolist(), self._all[at].tolist(), strict=True))


def quantiles_ms(counts: NDArray[np.int64]) -> dict[str, float | None]:
    """p50, p99, p99.9 in ms (upper end of the bucket) of a histogram in steps of `BUCKET_US`."""
    total = int(counts.sum())
    if not total:
        return {"p50_ms": None, "p99_ms": None, "p999_ms": None}
    steps = np.searchsorted(np.cumsum(counts), [total * q for q in (0.5, 0.99, 0.999)]) + 1
    return dict(zip(("p50_ms", "p99_ms", "p999_ms"), (steps * BUCKET_US / 1000).tolist(), strict=True))


def merged(histograms: list[Mapping[str, int]]) -> NDArray[np.int64]:
    """One histogram of those that partitions report (field `histogram` of `Keys.metrics`, JSON)."""
    total: NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[int(bucket)] += count
    return total


@dataclass(slots=True)
class Metrics:
    """Of one partition, as its owner counts them."""

    owner: str
    horizon: int
    counts: Counter[str] = field(default_factory=Counter)
    bulk: Latencies = field(default_factory=Latencies)
    critical: Latencies = field(default_factory=Latencies)
    lag: int = 0
    alarm: str | None = None
    _events: int = 0
    told: float = 0.0

    def load(self, stored: Mapping[bytes, bytes]) -> None:
        """Go on from what the owner before counted."""
        for name in COUNTS:
            self.counts[name] = int(stored.get(name.encode(), 0))
        self._events = self.counts["events"]

    def snapshot(self, now: float, now_ns: int) -> dict[str, Any]:
        """Fields of `Keys.metrics`; rates and quantiles are since the last snapshot (monotonic `now`)."""
        seconds = now - self.told if self.told else 0.0
        rate = (self.counts["events"] - self._events) / seconds if seconds else 0.0
        self._events, self.told = self.counts["events"], now
        share = self.lag / self.horizon
        alarm = self.alarm
        if share > LAG_ALARM:
            alarm = f"lag: {self.lag} entries are {share:.0%} of what the stream keeps; add consumers or send less"
        fields: dict[str, Any] = {name: self.counts[name] for name in COUNTS} | {
            "owner": self.owner,
            "at_ns": now_ns,
            "events_per_s": round(rate, 1),
            "lag_entries": self.lag,
            "lag_share": round(share, 4),
            "alarm": alarm or "",
            "histogram": json.dumps(self.bulk.histogram()),
            "critical_histogram": json.dumps(self.critical.histogram()),
        }
        for prefix, latencies in (("", self.bulk), ("critical_", self.critical)):
            for name, value in latencies.recent().items():
                fields[prefix + name] = "" if value is None else round(value, 2)
        return fields
