"""`python -m features.stream consumer --league L`: one consumer process; several may run, each partition has one owner.

Settings come from `FANTASY_BUS_URL`, `FANTASY_REDIS_URL`, `FANTASY_STREAM_PARTITIONS`, `FANTASY_LIVE_KEEP_HOURS` and
`FANTASY_LIVE_KEEP_UNFINISHED_HOURS`.
SIGTERM and SIGINT end it after the commit under way, with its leases given back.
"""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from features.settings import FeatureSettings
from features.stream.consumer import TICK_MS, Consumer
from features.stream.ownership import LEASE_MS
from features.stream.partition import warm_up
from features.stream.schedule import short_slices

#: Threads of this process hand the interpreter over after this long (the default of 5 ms is a whole latency budget).
SWITCH_S: Final = 0.0005
#: Objects made before the youngest are looked through for cycles (700 by default).
GARBAGE: Final = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal comes."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = FeatureSettings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sys.setswitchinterval(SWITCH_S)
    short_slices()
    consumer = Consumer(
        options.bus_url or settings.bus_url,
        options.redis_url or settings.redis_url,
        options.league,
        options.partitions or settings.stream_partitions,
        options.name,
        only=options.only,
        lease_ms=options.lease_ms,
        tick_ms=options.tick_ms,
        keep_hours=settings.live_keep_hours,
        keep_unfinished_hours=settings.live_keep_unfinished_hours,
    )
    warm_up()
    gc.collect()
    gc.freeze()  # what is here by now stays: a full collection would stop the fold for tens of milliseconds
    gc.set_threshold(GARBAGE)  # objects die by themselves; what is in cycles comes of failures only
    consumer.run(stop)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m features.stream", description=__doc__)
    verb = parser.add_subparsers(dest="verb", required=True).add_parser("consumer", help="fold events into state")
    verb.add_argument("--league", required=True)
    verb.add_argument("--bus-url", help="instead of FANTASY_BUS_URL")
    verb.add_argument("--redis-url", help="instead of FANTASY_REDIS_URL")
    verb.add_argument("--partitions", type=int, help="instead of FANTASY_STREAM_PARTITIONS")
    verb.add_argument("--only", type=int, nargs="+", metavar="N", help="partitions it may own (default: all)")
    verb.add_argument("--name", help="of this consumer (default: host, process id)")
    verb.add_argument(
        "--lease-ms", type=int, default=LEASE_MS, help="how long a dead owner's partition stands still"
    )
    verb.add_argument("--tick-ms", type=float, default=TICK_MS, help="least time between two bulk commits")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
