"""A producer process of bench_stream.py and bench_critical.py: generated load at a fixed rate through `Producer`.

    python benchmarks/stream_source.py --bus URL --state URL --league L --partitions P --rate R --seconds S --seed N

Says "ready", reads the UNIX ns at which to begin, and in the end writes a JSON object. Event n was created, by
definition, n / rate seconds after the beginning: a producer that falls behind adds to the latency of its events.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator

import numpy as np

from features.stream.directory import Directory
from features.stream.events import Rows
from features.stream.producer import Producer
from features.stream.simulated import Load

#: Threads of this process hand the interpreter over after this long.
SWITCH_S = 0.0005
TICK_S = 0.001
MOST_ROWS = 20_000


def paced(load: Load, rate: float, seconds: float, start_ns: int, tick_s: float = TICK_S) -> Iterator[Rows]:
    """Rows as they fall due, looked after every `tick_s`."""
    sent, total = 0, int(rate * seconds)
    while sent < total:
        due = min(total, int((time.time_ns() - start_ns) * rate / 1e9))
        while sent < due:
            n = min(due - sent, MOST_ROWS)
            created = start_ns + (np.arange(sent, sent + n) * (1e9 / rate)).astype(np.int64)
            yield load.rows(sent, n, created)
            sent += n
        time.sleep(tick_s)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("bus", "state", "league"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--linger-ms", type=float, default=2.0)
    return parser.parse_args()


def main() -> None:
    """Send, wait until all is applied, report."""
    args = options()
    import redis

    load = Load(seed=args.seed)
    with redis.Redis.from_url(args.state) as client:
        directory = Directory(client, args.league)
        for info in load.games:
            directory.register_game(info)
    sys.setswitchinterval(SWITCH_S)
    producer = Producer(
        args.bus, args.state, args.league, args.partitions, source=f"load-{args.seed}", linger_ms=args.linger_ms
    )
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    start_ns = int(sys.stdin.readline())
    cpu = time.process_time()
    sent = 0
    for rows in paced(load, args.rate, args.seconds, start_ns):
        producer.send_many(rows)
        sent += len(rows)
    sent_ns = time.time_ns()
    producer.flush(60.0)
    applied_ns = time.time_ns()
    cpu = time.process_time() - cpu
    stats = producer.stats()
    producer.close()
    took = {"sent_s": (sent_ns - start_ns) / 1e9, "applied_s": (applied_ns - start_ns) / 1e9, "cpu_s": cpu}
    print(json.dumps({"sent": sent, **took, "stats": stats}))


if __name__ == "__main__":
    main()
