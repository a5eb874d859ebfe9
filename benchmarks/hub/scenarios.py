"""What is done to a server under load: selective fan-out, full broadcast, clients that never read, a reconnect storm.

Updates are open loop: each is due at its own time and carries that time, so a late publisher or a server that falls
behind shows as latency. `p50_ms` and `p99_ms` end when the kernel has the bytes for the client's socket, `app_p50_ms`
and `app_p99_ms` when the load client has read them.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hub.load import Load
from hub.targets import TEXT_BYTES, Target, cpu_s, rss_kb

WARM_UP_S = 1.0
ROUND_FIGURES = ("p50_ms", "p99_ms", "max_ms", "app_p50_ms", "app_p99_ms")
#: Pause between two full broadcasts.
ROUND_S = 0.3


class Publisher(threading.Thread):
    """Publishes to random `topics` at `rate` a second until `stop`, or for `seconds`.

    `told` counts updates by topic and `lags_ms` how late each left; `failure` is what ended it early.
    """

    def __init__(
        self,
        target: Target,
        topics: Sequence[str],
        rate: float,
        *,
        seconds: float | None = None,
        size: int = TEXT_BYTES,
        seed: int = 7,
    ) -> None:
        super().__init__(daemon=True)
        self._target, self._topics, self._rate, self._size = target, topics, rate, size
        self._count = None if seconds is None else max(1, round(rate * seconds))
        self._draw = random.Random(seed)
        self._ended = threading.Event()
        self.told: Counter[str] = Counter()
        self.lags_ms: list[float] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        """The thread."""
        try:
            self._publish()
        except Exception as error:
            self.failure = error

    def _publish(self) -> None:
        began = time.time_ns() + 1_000_000
        number = 0
        while not self._ended.is_set() and (self._count is None or number < self._count):
            due = began + round(number * 1e9 / self._rate)
            ahead = due - time.time_ns()
            if ahead > 0:
                time.sleep(ahead / 1e9)
            topic = self._draw.choice(self._topics)
            self.lags_ms.append(max(0.0, (time.time_ns() - due) / 1e6))
            self._target.publish(topic, due, self._size)
            self.told[topic] += 1
            number += 1

    def finish(self) -> None:
        """Wait for the end of `seconds`; raises what ended it early."""
        self.join()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End it now; raises what ended it early."""
        self._ended.set()
        self.finish()


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Latency of a load report under the names the results use, with what is needed to draw it."""
    kernel, app = report["kernel"], report["app"]
    found = {f"{name}_ms": kernel[f"{name}_ms"] for name in ("p50", "p99", "p999", "max")}
    found |= {f"app_{name}_ms": app[f"{name}_ms"] for name in ("p50", "p99", "p999", "max")}
    drawn = {"edges_ms": kernel["edges_ms"], "counts": kernel["counts"], "app_counts": app["counts"]}
    return found | {"histogram": drawn}


def delivered(told: Mapping[str, int], subscribers: Mapping[str, int]) -> int:
    """Messages that must arrive: every update at every client of its topic that reads."""
    return sum(count * subscribers.get(topic, 0) for topic, count in told.items())


def counted(report: Mapping[str, Any], expected: int) -> dict[str, int]:
    """What was lost or came twice."""
    return {
        "expected": expected,
        "received": report["received"],
        "dropped": max(0, expected - report["received"]),
        **{name: report[name] for name in ("gaps", "duplicates", "closed", "errors")},
    }


def fan_out(
    target: Target, load: Load, topics: Sequence[str], rate: float, seconds: float, *, size: int = TEXT_BYTES
) -> dict[str, Any]:
    """`rate` updates a second, each to the subscribers of a random one of `topics`."""
    subscribers = load.subscribers()
    warm = Publisher(target, topics, rate, seconds=WARM_UP_S, size=size, seed=5)
    warm.start()
    warm.finish()
    load.settled(delivered(warm.told, subscribers))
    load.reset()
    used = cpu_s(target)
    publisher = Publisher(target, topics, rate, seconds=seconds, size=size)
    publisher.start()
    publisher.finish()
    expected = delivered(publisher.told, subscribers)
    report = load.settled(expected)
    used = cpu_s(target) - used
    lags = sorted(publisher.lags_ms)
    return figures(report) | counted(report, expected) | {
        "updates_per_s": rate,
        "seconds": seconds,
        "deliveries_per_s": round(expected / seconds),
        "bytes_per_delivery": round(report["bytes"] / max(1, report["received"]), 1),
        "cpu_us_per_delivery": round(used * 1e6 / max(1, report["received"]), 2),
        "publisher_lag_p99_ms": round(lags[int(0.99 * (len(lags) - 1))], 3),
    }  # fmt: skip


def prime(target: Target, load: Load, topics: Sequence[str]) -> None:
    """Two updates of every topic: of the first the hub makes a snapshot, the second every client gets as a delta."""
    for _ in range(2):
        load.reset()
        for topic in topics:
            target.publish(topic, time.time_ns())
        load.settled(delivered(Counter(topics), load.subscribers()))


def broadcast(target: Target, load: Load, rounds: int) -> dict[str, Any]:
    """One update to all clients at once, `rounds` times after a first that does not count: medians of the rounds."""
    found: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    used = cpu_s(target)
    for number in range(rounds + 1):
        load.reset()
        if number == 1:
            used = cpu_s(target)
        target.publish(target.everyone, time.time_ns())
        report = load.settled(load.clients)
        if number:
            found.append(figures(report))
            counts.update(counted(report, load.clients))
        time.sleep(ROUND_S)
    by_round = {name: [round(one[name], 3) for one in found] for name in ROUND_FIGURES}
    return medians({"by_round": by_round, "cpu_s": cpu_s(target) - used, **counts})


def medians(row: dict[str, Any]) -> dict[str, Any]:
    """A broadcast's figures from its `by_round`, `cpu_s` and counts."""
    told = {name: round(statistics.median(values), 3) for name, values in row["by_round"].items()}
    return row | told | {
        "rounds": len(row["by_round"]["p99_ms"]),
        "cpu_us_per_delivery": round(row["cpu_s"] * 1e6 / max(1, row["received"]), 2),
    }  # fmt: skip


def together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two broadcasts of one server as if they were one."""
    by_round = {name: values + second["by_round"][name] for name, values in first["by_round"].items()}
    summed = ("cpu_s", "expected", "received", "dropped", "gaps", "duplicates", "closed", "errors")
    return medians({"by_round": by_round} | {name: first[name] + second[name] for name in summed})


def with_stuck(
    target: Target, load: Load, topics: Sequence[str], rate: float, seconds: float, size: int
) -> dict[str, Any]:
    """Fan-out of large updates while some clients never read: growth of the server's memory, and the others' latency.

    Growth is the highest resident memory seen, less that of the connected server after its warm-up. A server that
    keeps history grows without any stuck client, too: run it with none first, on the same server.
    """
    subscribers = load.subscribers()
    warm = Publisher(target, topics, rate / 4, seconds=WARM_UP_S, size=size, seed=5)
    warm.start()
    warm.finish()
    load.settled(delivered(warm.told, subscribers))
    load.reset()
    before = highest = rss_kb(target)
    publisher = Publisher(target, topics, rate, seconds=seconds, size=size)
    publisher.start()
    while publisher.is_alive():
        publisher.join(0.1)
        highest = max(highest, rss_kb(target))
    publisher.finish()
    expected = delivered(publisher.told, subscribers)
    report = load.settled(expected)
    highest = max(highest, rss_kb(target))
    return figures(report) | counted(report, expected) | {
        "stuck": report["stuck"],
        "stuck_closed": load.clients - established(target.port),
        "growth_mb": round((highest - before) / 1024, 2),
        "updates_per_s": rate,
        "update_bytes": size,
        "offered_mb_per_stuck_client": round(expected / max(1, load.clients - report["stuck"]) * size / 1e6, 2),
    }  # fmt: skip


def established(port: int) -> int:
    """Connections the server on `port` still holds: a client whose window is closed never sees that it was let go."""
    local, state = f":{port:04X}", "01"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(local) and row[3] == state for row in rows)


def storm(target: Target, load: Load, topics: Sequence[str], rate: float) -> dict[str, Any]:
    """All clients vanish at once and come back with their offsets, while updates go on."""
    prime(target, load, topics)
    subscribers = load.subscribers()
    load.reset()
    publisher = Publisher(target, topics, rate)
    publisher.start()
    time.sleep(0.5)
    found = load.storm()
    time.sleep(0.5)
    publisher.stop()
    expected = delivered(publisher.told, subscribers)
    report = load.settled(expected)
    return counted(report, expected) | {
        "seconds": found["ready_s"],
        "connected_s": found["open_s"],
        "resumed": found["resumed"],
        "snapshot_instead": found["snapshot_instead"],
        "updates_per_s": rate,
        "clients": load.clients,
    }
