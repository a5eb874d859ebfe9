"""From the ball to the browser: an event is created, and every client that watches its game has it on its socket.

    python benchmarks/bench_ball_to_browser.py [--clients 10000] [--events 20] [--bulk 1000000] [--seconds 20]
        [--consumers 1] [--out FILE] [--json] [--quick]

The way is the whole product's: Producer, critical lane (state Redis, AOF everysec), consumer process, deltas stream,
two hub workers, WebSocket. Each client watches one of 15 games; `events` a second (evenly, open loop) are of random
ones. Measured alone and with `bulk` events a second of 15 other games through the bulk lane beside it, all on this
machine. An event carries its intended creation time as its `seq`, so nothing that waits for it can hide. At the end
every game gets one more event: a client that missed anything before would see the gap.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench_hub import WORKERS, open_files, say
from hub import scenarios
from hub.build import MissingTool, compiled
from hub.load import Load, LoadFailed
from hub.targets import LEAGUE, PARTITIONS, NotStarted, our_hub, servers
from measure import machine, parser, write

from features.stream.connections import Servers
from features.stream.directory import Directory
from features.stream.events import Rows
from features.stream.keys import Keys
from features.stream.producer import Producer
from features.stream.simulated import Load as Generated
from flows.settings import FlowSettings

#: Unit of a ball event's `seq`.
TICK_NS = 10_000
GAMES = 15
BALL_SEED, BULK_SEED = 11, 12
WARM_UP_S = 2.0
SLICE_S = 0.001
STARTUP_S = 120.0


def bulk(bus: str, state: str, rate: float) -> None:
    """The bulk load, in a process of its own: `rate` events a second until stdin ends; its figures on stdout."""
    made = Generated(GAMES, seed=BULK_SEED)
    register(made, state)
    with Producer(bus, state, LEAGUE, PARTITIONS, source="bulk") as producer:
        print("ready", flush=True)
        os.set_blocking(0, False)
        began, first = time.time_ns(), 0
        while sys.stdin.buffer.read(1) is None:
            due = int((time.time_ns() - began) * rate / 1e9)
            if due > first:
                created = began + np.arange(first, due, dtype=np.int64) * round(1e9 / rate)
                producer.send_many(made.rows(first, due - first, created))
                first = due
            time.sleep(SLICE_S)
        took = (time.time_ns() - began) / 1e9
        producer.flush(60.0)
        stats = producer.stats()
    print(json.dumps({"events": first, "events_per_s": round(first / took), "lost": first - stats["applied"],
                      "blocked_s": stats["blocked_s"]}))  # fmt: skip


def register(made: Generated, state: str) -> None:
    """Make the games known."""
    found = Servers(state)
    directory = Directory(found.client_of(Keys(LEAGUE, 0).state), LEAGUE)
    for info in made.games:
        directory.register_game(info)
    found.close()


@contextmanager
def consumer(settings: FlowSettings, log: Path, number: int) -> Iterator[psutil.Process]:
    """A consumer process that folds."""
    environment = os.environ | {
        "FANTASY_REDIS_URL": settings.redis_url, "FANTASY_BUS_URL": settings.bus_url,
        "FANTASY_STREAM_PARTITIONS": str(PARTITIONS),
    }  # fmt: skip
    command = [sys.executable, "-m", "features.stream", "consumer", "--league", LEAGUE, "--name", f"fold-{number}"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def beside(settings: FlowSettings, rate: float, found: dict[str, Any]) -> Iterator[None]:
    """The bulk load while the block runs; its figures in `found` afterwards."""
    command = [
        sys.executable,
        __file__,
        "--role",
        "bulk",
        "--bulk",
        str(rate),
        "--urls",
        settings.bus_url,
        settings.redis_url,
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise NotStarted("the bulk producer ended before it began")
        yield
        output, _ = process.communicate(timeout=120)
        if process.returncode:
            raise NotStarted(f"the bulk producer ended with {process.returncode}")
        found.update(json.loads(output))
    finally:
        process.kill()
        process.wait()


def one(made: Generated, game: int, number: int, created_ns: int, base_ns: int) -> Rows:
    """A row of `game`, created at `created_ns`, which its `seq` says, too."""
    row = made.rows(number % 64 * GAMES + game, 1, created_ns)
    row["seq"] = (created_ns - base_ns) // TICK_NS
    return row


def send(
    producer: Producer, made: Generated, rate: float, seconds: float, base_ns: int, seed: int
) -> tuple[dict[str, int], list[float]]:
    """Critical events of random games, evenly for `seconds`; how many of each topic, and how late each left, ms."""
    draw, told, lags = random.Random(seed), dict.fromkeys(topics(made), 0), []
    began = time.time_ns() + 1_000_000
    for number in range(max(1, round(rate * seconds))):
        due = began + round(number * 1e9 / rate)
        time.sleep(max(0, due - time.time_ns()) / 1e9)
        game = draw.randrange(GAMES)
        lags.append((time.time_ns() - due) / 1e6)
        producer.send_critical(one(made, game, number, due, base_ns))
        told[topics(made)[game]] += 1
    return told, lags


def topics(made: Generated) -> list[str]:
    """Topic of each game."""
    return [f"game:{info.game_id}" for info in made.games]


def close(producer: Producer, made: Generated, base_ns: int) -> dict[str, int]:
    """One more event of every game, apart from the others."""
    for game in range(GAMES):
        producer.send_critical(one(made, game, 0, time.time_ns(), base_ns))
        time.sleep(0.02)
    return dict.fromkeys(topics(made), 1)


def measured(
    producer: Producer, made: Generated, load: Load, given: argparse.Namespace, base_ns: int
) -> dict[str, Any]:
    """Figures of one run; bulk runs beside it or does not."""
    subscribers = load.subscribers()
    send(producer, made, given.events, WARM_UP_S, base_ns, seed=3)
    close(producer, made, base_ns)
    load.settled(sys.maxsize, timeout_s=5.0)
    load.reset()
    told, lags = send(producer, made, given.events, given.seconds, base_ns, seed=4)
    last = close(producer, made, base_ns)
    expected = scenarios.delivered(told, subscribers) + scenarios.delivered(last, subscribers)
    report = load.settled(expected)
    found = scenarios.figures(report) | scenarios.counted(report, expected)
    # Two events of a game in one transaction are one delta; what is lost shows as a gap.
    found["merged"] = found.pop("dropped")
    found["dropped"] = found["gaps"] + found["errors"]
    return found | {
        "events_per_s": given.events, "seconds": given.seconds, "deliveries_per_s": round(expected / given.seconds),
        "producer_lag_p99_ms": round(float(np.quantile(lags, 0.99)), 3),
    }  # fmt: skip


def run(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """Everything on fresh servers: alone, then with bulk."""
    made, base_ns = Generated(GAMES, seed=BALL_SEED), time.time_ns()
    with ExitStack() as stack:
        settings, home = stack.enter_context(servers())
        register(made, settings.redis_url)
        target = stack.enter_context(our_hub(WORKERS, settings.redis_url, home))
        folds = [
            stack.enter_context(consumer(settings, home / "consumer.log", number))
            for number in range(given.consumers)
        ]
        producer = stack.enter_context(
            Producer(settings.bus_url, settings.redis_url, LEAGUE, PARTITIONS, source="ball")
        )
        close(producer, made, base_ns)
        producer.flush(STARTUP_S)  # the consumer compiles its fold first
        load = stack.enter_context(
            Load(
                target.port, given.clients, path=target.path, topics=topics(made), per=1, ack=True, base_ns=base_ns
            )
        )
        load.connect()
        for name, rate in (("alone", 0.0), ("with_bulk", given.bulk)):
            if name == "with_bulk" and not rate:
                continue
            figures: dict[str, Any] = {}
            with beside(settings, rate, figures) if rate else ExitStack():
                used = {each.pid: sum(each.cpu_times()[:2]) for each in folds}
                row = measured(producer, made, load, given, base_ns)
                used_s = sum(sum(each.cpu_times()[:2]) - used[each.pid] for each in folds)
                row["consumer_cpu_s"] = round(used_s, 2)
            report[name] = row | ({"bulk": figures} if rate else {})
            say(f"  {name}: p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms (read: {row['app_p99_ms']:.2f}), "
                f"dropped {row['dropped']}, merged {row['merged']}")  # fmt: skip


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, "ball-to-browser.json")
    made.add_argument("--clients", type=int, default=10_000)
    made.add_argument("--events", type=float, default=20.0, help="critical events a second")
    made.add_argument(
        "--bulk", type=float, default=1_000_000.0, help="bulk events a second beside them; 0 for none"
    )
    made.add_argument("--seconds", type=float, default=20.0)
    made.add_argument("--consumers", type=int, default=1)
    made.add_argument(
        "--quick", action="store_true", help="200 clients, 20,000 events/s: checks, measures nothing"
    )
    made.add_argument("--json", action="store_true", help="print the report on stdout")
    made.add_argument("--role", choices=("bulk",), help=argparse.SUPPRESS)
    made.add_argument("--urls", nargs=2, help=argparse.SUPPRESS)
    given = made.parse_args()
    if given.clients < 1 or given.events <= 0 or given.seconds <= 0 or given.bulk < 0 or given.consumers < 1:
        made.error("--clients, --events, --seconds and --consumers must be above 0, --bulk not below")
    if given.quick:
        given.clients, given.seconds = min(given.clients, 200), min(given.seconds, 3.0)
        given.bulk = min(given.bulk, 20_000.0)
    return given


def main() -> None:
    """Measure, write the report, print it with --json."""
    given = arguments()
    if given.role == "bulk":
        bulk(*given.urls, given.bulk)
        return
    open_files(given.clients)
    report = machine(("picows", "uvloop", "redis", "msgspec", "numba")) | {
        "clients": given.clients, "games": GAMES, "hub_workers": WORKERS, "consumers": given.consumers,
        "partitions": PARTITIONS, "quick": given.quick,
    }  # fmt: skip
    try:
        compiled("wsload")
        run(given, report)
    except (MissingTool, NotStarted, LoadFailed) as error:
        sys.exit(f"bench_ball_to_browser: {error}")
    head = report.get("with_bulk", report["alone"])
    report |= {name: head[name] for name in ("p50_ms", "p99_ms", "p999_ms", "app_p99_ms", "dropped", "duplicates")}
    write(report, given.out)
    if given.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
