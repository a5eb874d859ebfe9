"""One process of bench_critical.py: sends critical events at a fixed rate, or is told of them as a hub worker is.

    python benchmarks/stream_critical.py source|subscriber --bus URL --state URL --league L --partitions P
        --rate R --seconds S

Critical events are of games of their own, so that the number of the newest play in a delta says exactly which of them
it tells of; each event's latency runs from its intended creation to the moment the subscriber has read that delta.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from typing import Any

import numpy as np
import redis

from features.stream.deltas import FIELD, decode_entry
from features.stream.directory import Directory
from features.stream.keys import Keys
from features.stream.metrics import Latencies, quantiles_ms
from features.stream.producer import Producer
from features.stream.simulated import Load
from features.stream.topics import game_topic

SEED = 1000
SWITCH_S = 0.0005
WARM_UP_S = 1.0
PATIENCE_S = 10.0


def source(args: argparse.Namespace) -> dict[str, Any]:
    """Send one event at a time, each at its moment."""
    load = Load(seed=SEED)
    with redis.Redis.from_url(args.state) as client:
        directory = Directory(client, args.league)
        for info in load.games:
            directory.register_game(info)
    sys.setswitchinterval(SWITCH_S)
    producer = Producer(args.bus, args.state, args.league, args.partitions, source="critical")
    start_ns, total = started(), int(args.rate * args.seconds)
    cpu = time.process_time()
    for number in range(total):
        created_ns = start_ns + int(number * 1e9 / args.rate)
        if (left := created_ns - time.time_ns()) > 0:
            time.sleep(left / 1e9)
        producer.send_critical(load.rows(number, 1, created_ns))
    producer.flush(60.0)
    cpu = time.process_time() - cpu
    producer.close()
    return {"sent": total, "cpu_s": cpu, "applied_s": (time.time_ns() - start_ns) / 1e9}


def subscriber(args: argparse.Namespace) -> dict[str, Any]:
    """Read deltas until all critical events were told of."""
    load, latencies = Load(seed=SEED), Latencies()
    games = {game_topic(info.game_id): at for at, info in enumerate(load.games)}
    told = np.full(len(games), -1)
    with redis.Redis.from_url(args.state) as client:
        at: dict[Any, Any] = {Keys(args.league, p).deltas: "$" for p in range(args.partitions)}
        at = {key: newest(client, key) for key in at}
        start_ns, total = started(), int(args.rate * args.seconds)
        cpu, seen = time.process_time(), 0
        deadline = start_ns + int((args.seconds + PATIENCE_S) * 1e9)
        while seen < total and time.time_ns() < deadline:
            for stream, entries in client.xread(at, block=100) or ():  # type: ignore[union-attr]
                now_ns = time.time_ns()
                for entry_id, fields in entries:
                    at[stream.decode()] = entry_id
                    for change in decode_entry(fields[FIELD]):
                        game = games.get(change.topic)
                        if game is None or "seq" not in change.data:
                            continue
                        numbers = np.arange(told[game] + 1, change.data["seq"] + 1) * len(games) + game
                        told[game] = max(told[game], change.data["seq"])
                        seen += len(numbers)
                        created = start_ns + (numbers * (1e9 / args.rate)).astype(np.int64)
                        latencies.record(created[created >= start_ns + int(WARM_UP_S * 1e9)], now_ns)
    return {"told": seen, "cpu_s": time.process_time() - cpu, **quantiles_ms(latencies.counts)}


def newest(client: redis.Redis, stream: str) -> Any:
    """Id of the stream's last entry."""
    entries: Any = client.xrevrange(stream, count=1)
    return entries[0][0] if entries else "0-0"


def started() -> int:
    """Say "ready" and wait for the beginning (UNIX ns)."""
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    return int(sys.stdin.readline())


def main() -> None:
    """Run the role and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=("source", "subscriber"))
    for name in ("bus", "state", "league"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    print(json.dumps(source(args) if args.role == "source" else subscriber(args)))


if __name__ == "__main__":
    main()
