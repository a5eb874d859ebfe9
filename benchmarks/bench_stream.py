"""A million events a second: producer, Redis Streams, consumer, state in Redis; nothing lost, nothing counted twice.

    python benchmarks/bench_stream.py [--rate 1000000] [--seconds 60] [--partitions 2] [--producers 1] [--consumers 1]
        [--rivals all|redis|nats|none] [--rival-seconds 8] [--json] [--out FILE]

Every role is a process of its own: producers (`Producer`), two Redis servers (bus without and state with an
append-only file, fsync every second), consumers (`python -m features.stream consumer`). An event is one row of 64
bytes that travels through all of them. Latency runs from the event's intended creation (open loop) to the reply of
the transaction that made it state; the first second is warm-up, left out of the latencies and of nothing else (a run
of two seconds or less has none). 1 % of the events are sent a second time by planting copies of whole batches on the
bus. In the end the state in Redis is compared, byte by byte, with the state that one thread computes from the same
events.

Then others at their own rates, each a producer and a consumer process: one stream entry an event through redis-py;
batches of Arrow IPC and of our rows through the same minimal pipeline; NATS JetStream (memory) with batches and with
one message an event, which writes no state at all (`make bench-peers`). Exits with 1 if anything of ours was lost or
counted twice.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import redis
from measure import machine, parser, write
from numpy.typing import NDArray
from stream_others import Say, rivals
from stream_servers import WARM_UP_S, Crew, Redis, begin, end, python, ready, redis_servers, report

from features.stream.directory import LocalDirectory
from features.stream.keys import Keys
from features.stream.metrics import merged, quantiles_ms
from features.stream.simulated import Load
from features.stream.state import PartitionState, checksum_of, unpack

LEAGUE = "bench"
#: Share of all events whose batches are sent a second time.
PLANTED = 0.01
CHUNK = 100_000
#: Time for processes to say that they are ready and for clocks to be set.
LEAD_S = 0.5
#: Progress is told this often.
TOLD_EVERY_S = 5.0


@dataclass
class Planter(threading.Thread):
    """Sends batches again that are on the bus, until 1 % of the events sent so far were sent twice."""

    url: str
    partitions: int
    rate: float
    start_ns: int
    rows: int = 0
    batches: int = 0
    _stop_asked: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Copy the newest entry of each stream from time to time."""
        with redis.Redis.from_url(self.url) as client:
            while not self._stop_asked.wait(0.02):
                due = PLANTED * self.rate * (time.time_ns() - self.start_ns) / 1e9
                for partition in range(self.partitions):
                    if self.rows < due:
                        self._plant(client, Keys(LEAGUE, partition).events)

    def _plant(self, client: redis.Redis, stream: str) -> None:
        for _, fields in client.xrevrange(stream, count=1):  # type: ignore[union-attr]
            client.xadd(stream, fields)
            self.rows += struct.unpack_from("<I", next(iter(fields.values())), 24)[0]
            self.batches += 1

    def finish(self) -> None:
        """End after what is under way."""
        self._stop_asked.set()
        self.join()


def stored(servers: Redis, partitions: int) -> tuple[dict[int, bytes], list[dict[str, str]]]:
    """Packed state of all games, and the metrics of all partitions."""
    packed: dict[int, bytes] = {}
    metrics = []
    with redis.Redis.from_url(servers.state_url) as client:
        for partition in range(partitions):
            keys = Keys(LEAGUE, partition)
            packed.update((int(k), v) for k, v in client.hgetall(keys.state).items())  # type: ignore[union-attr]
            found = client.hgetall(keys.metrics)
            metrics.append({k.decode(): v.decode() for k, v in found.items()})  # type: ignore[union-attr]
    return packed, metrics


def histogram(metrics: Sequence[dict[str, str]], name: str = "histogram") -> NDArray[np.int64]:
    """Latencies of all partitions, in the buckets of `features.stream.metrics`."""
    return merged([json.loads(each[name]) for each in metrics if name in each])


def warm_up_s(seconds: float) -> float:
    """Seconds left out of the latencies of a run; a short one has none to spare."""
    return WARM_UP_S if seconds > 2 * WARM_UP_S else 0.0


def after_warm_up(servers: Redis, partitions: int, start_ns: int, name: str = "histogram") -> NDArray[np.int64]:
    """Latencies as they stood when every partition had reported once after the warm-up."""
    until = start_ns + int(WARM_UP_S * 1e9)
    while True:
        metrics = stored(servers, partitions)[1]
        # a partition without events has no need to report
        if all(int(each.get("at_ns", 0)) >= until for each in metrics):
            return histogram(metrics, name)
        time.sleep(0.05)


def wait_owned(servers: Redis, partitions: int) -> None:
    """Until every partition has an owner."""
    with redis.Redis.from_url(servers.state_url) as client:
        while not all(client.exists(Keys(LEAGUE, p).owner) for p in range(partitions)):
            time.sleep(0.05)


def consumers(crew: Crew, servers: Redis, partitions: int, number: int) -> list[Any]:
    """Consumer processes as users start them; partitions are shared out."""
    command = [sys.executable, "-m", "features.stream", "consumer", "--league", LEAGUE]
    command += ["--bus-url", servers.bus_url, "--redis-url", servers.state_url, "--partitions", str(partitions)]
    shares = [[str(p) for p in range(partitions) if p % number == n] for n in range(min(number, partitions))]
    return [crew.start("consumer", [*command, "--only", *share]) for share in shares]


def watch(sources: Sequence[subprocess.Popen[str]], start_ns: int, seconds: float, say: Say) -> None:
    """Say every few seconds how far the load is, until all of it is sent or a source has ended."""
    told = 0.0
    while (done := (time.time_ns() - start_ns) / 1e9) < seconds and all(one.poll() is None for one in sources):
        if done - told >= TOLD_EVERY_S:
            told = done
            say(f"{done:.0f} of {seconds:g} s sent")
        time.sleep(0.2)


def ours(args: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Our pipeline under the load."""
    each = args.rate / args.producers
    with redis_servers() as servers, Crew() as crew:
        crew.watch(servers.pids)
        running = consumers(crew, servers, args.partitions, args.consumers)
        common = ("--bus", servers.bus_url, "--state", servers.state_url, "--league", LEAGUE)
        common += ("--partitions", args.partitions, "--rate", each, "--seconds", args.seconds)
        sources = [
            crew.start("producer", python("stream_source.py", *common, "--seed", seed))
            for seed in range(args.producers)
        ]
        for source in sources:
            ready(source)
        wait_owned(servers, args.partitions)
        start_ns = time.time_ns() + int(LEAD_S * 1e9)
        for source in sources:
            begin(source, start_ns)
        crew.mark()
        planter = Planter(servers.bus_url, args.partitions, args.rate, start_ns)
        planter.start()
        before = np.zeros((), np.int64)
        if warm_up_s(args.seconds):
            before = after_warm_up(servers, args.partitions, start_ns)
        watch(sources, start_ns, args.seconds, say)
        sent = [report(source, args.seconds + 90) for source in sources]
        planter.finish()
        cpu = crew.cpu_s() | {"producer": round(sum(one.get("cpu_s", 0.0) for one in sent), 3)}
        time.sleep(0.5)  # what was planted last is still to be dropped
        for process in running:
            end(process)
        packed, metrics = stored(servers, args.partitions)
    if failed := [one["error"] for one in sent if "error" in one]:
        sys.exit(f"a producer failed: {failed}")
    return verdict(args, sent, planter, cpu, packed, metrics, before)


def verdict(
    args: argparse.Namespace,
    sent: list[dict[str, Any]],
    planter: Planter,
    cpu: dict[str, float],
    packed: dict[int, bytes],
    metrics: list[dict[str, str]],
    before: NDArray[np.int64],
) -> dict[str, Any]:
    """What it came to, judged against the state that one thread computes."""
    total, wall_s = sum(one["sent"] for one in sent), max(one["applied_s"] for one in sent)
    truth = ground_truth([one["sent"] for one in sent])
    off = {
        game: unpack(packed[game]).events - count if game in packed else -count for game, count in truth[1].items()
    }
    latency = histogram(metrics) - before
    counts = {
        name: sum(int(each.get(name, 0)) for each in metrics)
        for name in ("duplicates", "dead", "rejected", "gaps")
    }
    return {
        "rate": args.rate,
        "seconds": args.seconds,
        "partitions": args.partitions,
        "events": total,
        "events_per_s": round(total / wall_s, 1),
        **{name: value for name, value in quantiles_ms(latency).items()},
        "max_ms": float((np.flatnonzero(latency).max() + 1) * 0.05) if latency.any() else None,
        "warm_up_s": warm_up_s(args.seconds),
        "events_in_latency": int(latency.sum()),
        "lost": -sum(min(each, 0) for each in off.values()),
        "duplicated": sum(max(each, 0) for each in off.values()),
        "duplicates_planted": planter.rows,
        "duplicate_batches_planted": planter.batches,
        "duplicates_dropped": counts["duplicates"],
        "rejected": counts["rejected"],
        "dead": counts["dead"],
        "gaps": counts["gaps"],
        "state_equal": checksum_of(packed) == truth[0],
        "checksum": truth[0],
        "cpu": {role: {"seconds": used, "cores": round(used / wall_s, 3)} for role, used in sorted(cpu.items())},
        "cpu_cores": round(sum(cpu.values()) / wall_s, 3),
        "producers": [one["stats"] | {"sent_s": round(one["sent_s"], 3)} for one in sent],
    }


def ground_truth(sent: list[int]) -> tuple[str, dict[int, int]]:
    """Checksum of the state after all events, and events per game, computed by this thread alone."""
    loads = [Load(seed=seed) for seed in range(len(sent))]
    state = PartitionState(LocalDirectory(info for load in loads for info in load.games))
    for load, count in zip(loads, sent, strict=True):
        for first in range(0, count, CHUNK):
            state.apply(load.rows(first, min(CHUNK, count - first)), now_ns=0)
    return state.checksum(), {game: state.state(game).events for game in state.games}


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, "stream.json")
    made.add_argument("--rate", type=float, default=1e6, help="events per second")
    made.add_argument("--seconds", type=float, default=60.0)
    made.add_argument("--partitions", type=int, default=2)
    made.add_argument("--producers", type=int, default=1, help="producer processes")
    made.add_argument("--consumers", type=int, default=1, help="consumer processes")
    made.add_argument("--rivals", choices=("all", "redis", "nats", "none"), default="all")
    made.add_argument("--rival-seconds", type=float, default=8.0, help="per rung")
    made.add_argument("--json", action="store_true", help="print the report on standard output")
    made.add_argument("--nats-python", type=Path, help="Python with nats-py (default: .venv-bench)")
    given = made.parse_args()
    for name in ("rate", "seconds"):
        if not (1 <= getattr(given, name) < math.inf):
            made.error(f"--{name} {getattr(given, name):g}: give a number from 1")
    return given


def main() -> None:
    """Measure, say it, write JSON."""
    args = options()
    say = (
        (lambda text: print(text, file=sys.stderr, flush=True))
        if args.json
        else (lambda text: print(text, flush=True))
    )
    result = ours(args, say)
    say(
        f"ours: {result['events_per_s']:,.0f} events/s for {args.seconds:g} s, p50 {result['p50_ms']} p99 "
        f"{result['p99_ms']} p99.9 {result['p999_ms']} ms, lost {result['lost']}, counted twice "
        f"{result['duplicated']} of {result['duplicates_planted']:,} sent twice, state equal: "
        f"{result['state_equal']}, {result['cpu_cores']} cores {result['cpu']}"
    )
    found = machine(("redis", "numpy", "numba", "pyarrow")) | result
    found["rivals"] = rivals(args, say)
    write(found, args.out)
    if args.json:
        print(json.dumps(found))
    if result["lost"] or result["duplicated"] or not result["state_equal"]:
        sys.exit("events were lost or counted twice")


if __name__ == "__main__":
    main()
