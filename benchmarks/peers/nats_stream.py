"""One process of the same load over NATS JetStream (memory storage), for benchmarks/bench_stream.py.

    python benchmarks/peers/nats_stream.py source|sink --url URL --unit event|batch --rate R --seconds S

A message holds one 64-byte event, or all that fell due within 2 ms. The source publishes without waiting and has at
most 4,000 acknowledgements outstanding; the sink pulls, adds up events per player with numpy, and acknowledges. It
writes no state anywhere, which is less work than ours does. Says "ready", reads the UNIX ns at which to begin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

import nats
import numpy as np
from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig

ROW = np.dtype([("created_ns", "<i8"), ("game", "<u4"), ("player", "<u4"), ("rest", "V48")])
SUBJECT, STREAM = "events", "EVENTS"
TICK_S, WARM_UP_S, PATIENCE_S = 0.002, 1.0, 5.0
OUTSTANDING = 4000
MOST_BYTES = 900_000
#: Latency buckets as in features/stream/metrics.py.
BUCKET_US, BUCKETS = 50, 200_000
PULL = {"event": 500, "batch": 16}


def started() -> int:
    """Say "ready" and wait for the beginning."""
    print("ready", flush=True)
    return int(sys.stdin.readline())


def player_pool(n: int) -> np.ndarray:
    """Rows of 390 players by Zipf's law."""
    rng = np.random.default_rng(0)
    rows = np.zeros(n, ROW)
    share = 1.0 / np.arange(1, 391) ** 1.3
    rows["player"] = rng.choice(390, n, p=share / share.sum())
    return rows


async def source(args: argparse.Namespace, js: Any) -> dict[str, Any]:
    """Publish at the rate."""
    pool, waiting = player_pool(1 << 16), asyncio.Semaphore(OUTSTANDING)
    tasks: set[asyncio.Task[Any]] = set()
    failed = 0

    def done(task: asyncio.Task[Any]) -> None:
        nonlocal failed
        tasks.discard(task)
        waiting.release()
        failed += task.exception() is not None

    async def publish(payload: bytes) -> None:
        await waiting.acquire()
        task = asyncio.create_task(js.publish(SUBJECT, payload, timeout=PATIENCE_S))
        tasks.add(task)
        task.add_done_callback(done)

    start_ns = started()
    cpu, sent, total = time.process_time(), 0, int(args.rate * args.seconds)
    while sent < total:
        due = min(total, int((time.time_ns() - start_ns) * args.rate / 1e9), sent + MOST_BYTES // ROW.itemsize)
        if due > sent:
            rows = pool[np.arange(sent, due) % len(pool)]
            rows["created_ns"] = start_ns + (np.arange(sent, due) * (1e9 / args.rate)).astype(np.int64)
            raw = rows.tobytes()
            step = ROW.itemsize if args.unit == "event" else len(raw)
            for at in range(0, len(raw), step):
                await publish(raw[at : at + step])
            sent = due
        await asyncio.sleep(TICK_S)
    sent_s = (time.time_ns() - start_ns) / 1e9
    while tasks:
        await asyncio.wait(set(tasks))
    return {"sent": sent, "failed": failed, "cpu_s": time.process_time() - cpu, "sent_s": sent_s}


async def sink(args: argparse.Namespace, js: Any) -> dict[str, Any]:
    """Pull, add up and acknowledge until everything came, or nothing more does."""
    await js.add_stream(
        StreamConfig(name=STREAM, subjects=[SUBJECT], storage=StorageType.MEMORY, max_bytes=1 << 30)
    )
    policy = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=20_000)
    pull = await js.pull_subscribe(SUBJECT, durable="fold", stream=STREAM, config=policy)
    counts, latencies = np.zeros(390, np.int64), np.zeros(BUCKETS, np.int64)
    start_ns = started()
    cpu, total, applied_ns = time.process_time(), int(args.rate * args.seconds), start_ns
    deadline = start_ns + int((args.seconds + PATIENCE_S) * 1e9)
    while counts.sum() < total and time.time_ns() < deadline:
        try:
            messages = await pull.fetch(PULL[args.unit], timeout=0.1)
        except TimeoutError:
            continue
        rows = np.frombuffer(b"".join(message.data for message in messages), ROW)
        counts += np.bincount(rows["player"], minlength=390)
        for message in messages:
            await message.ack()
        applied_ns = time.time_ns()
        created = rows["created_ns"]
        created = created[created >= start_ns + int(WARM_UP_S * 1e9)]
        steps = np.clip((applied_ns - created) // (BUCKET_US * 1000), 0, BUCKETS - 1)
        latencies += np.bincount(steps, minlength=BUCKETS)
    return {
        "applied": int(counts.sum()), "cpu_s": time.process_time() - cpu,
        "applied_s": (applied_ns - start_ns) / 1e9, **quantiles(latencies),
    }  # fmt: skip


def quantiles(counts: np.ndarray) -> dict[str, float | None]:
    """p50, p99 and p99.9 in ms."""
    total = counts.sum()
    if not total:
        return {"p50_ms": None, "p99_ms": None, "p999_ms": None}
    steps = np.searchsorted(np.cumsum(counts), [total * q for q in (0.5, 0.99, 0.999)]) + 1
    return dict(zip(("p50_ms", "p99_ms", "p999_ms"), (steps * BUCKET_US / 1000).tolist(), strict=True))


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """The role over one connection."""
    connection = await nats.connect(args.url)
    js = connection.jetstream()
    try:
        return await (source if args.role == "source" else sink)(args, js)
    finally:
        await connection.close()


def main() -> None:
    """Run the role and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=("source", "sink"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--unit", choices=("event", "batch"), required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
