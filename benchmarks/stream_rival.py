"""One process of another way over Redis Streams: one entry an event, or batches as our rows or as Arrow IPC.

    python benchmarks/stream_rival.py source|sink --url URL --unit event|batch --encoding rows|arrow
        --rate R --seconds S

The least that is comparable: redis-py with hiredis, one consumer group, the same fold, and one transaction with the
state of the games that changed, the watermark and the acknowledgement. No lease, resending, dead letters or deltas.
The source sends every 2 ms, which is our linger. See stream_source.py for how the two are told when to begin.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import redis
from stream_source import paced

from features.stream.directory import LocalDirectory
from features.stream.events import EVENT, ROW_BYTES, Rows, blank, decode, encode
from features.stream.metrics import Latencies, quantiles_ms
from features.stream.simulated import Load
from features.stream.state import PartitionState, checksum_of, warm

STREAM, GROUP, STATE, MARK = "rival:events", "fold", "rival:state", "rival:mark"
TICK_S = 0.002
WARM_UP_S = 1.0
#: How long after the last event was due the sink waits for what is still on its way.
PATIENCE_S = 5.0
READ = {"event": 2000, "batch": 64}
#: Batches of 2 ms are too small to be worth Arrow's threads.
WRITING, READING = pa.ipc.IpcWriteOptions(use_threads=False), pa.ipc.IpcReadOptions(use_threads=False)
SCHEMA = pa.schema([(name, pa.from_numpy_dtype(EVENT[name])) for name in EVENT.names or ()])


def arrow_of(rows: Rows) -> bytes:
    """An Arrow IPC stream with one record batch."""
    columns = [pa.array(np.ascontiguousarray(rows[name])) for name in SCHEMA.names]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=WRITING) as writer:
        writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
    return bytes(sink.getvalue())


def from_arrow(payload: bytes) -> Rows:
    """Its rows, in the layout that the fold reads."""
    batch = pa.ipc.open_stream(payload, options=READING).read_next_batch()
    rows = np.empty(batch.num_rows, EVENT)
    for name, column in zip(SCHEMA.names, batch.columns, strict=True):
        rows[name] = column.to_numpy()
    return rows


def from_rows(payload: bytes) -> Rows:
    """Rows of our batch."""
    return decode(payload).rows


def source(args: argparse.Namespace, client: redis.Redis) -> dict[str, Any]:
    """Send at the rate, and say how much."""
    load, sent = Load(), 0
    start_ns = started()
    cpu = time.process_time()
    for rows in paced(load, args.rate, args.seconds, start_ns, TICK_S):
        if args.unit == "event":
            raw = rows.tobytes()
            with client.pipeline(transaction=False) as pipe:
                for at in range(0, len(raw), ROW_BYTES):
                    pipe.xadd(STREAM, {b"b": raw[at : at + ROW_BYTES]})
                pipe.execute()
        else:
            payload = arrow_of(rows) if args.encoding == "arrow" else encode(rows, source=1, epoch=1, first=sent)
            client.xadd(STREAM, {b"b": payload})
        sent += len(rows)
    return {"sent": sent, "cpu_s": time.process_time() - cpu, "sent_s": (time.time_ns() - start_ns) / 1e9}


def sink(args: argparse.Namespace, client: redis.Redis) -> dict[str, Any]:
    """Fold and commit until everything came, or nothing more does."""
    load = Load()
    state, latencies = PartitionState(LocalDirectory(load.games)), Latencies()
    warm()
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    decoded: Callable[[bytes], Rows] = from_arrow if args.encoding == "arrow" else from_rows
    start_ns = started()
    cpu, total, seen, applied_ns = time.process_time(), int(args.rate * args.seconds), 0, start_ns
    deadline = start_ns + int((args.seconds + PATIENCE_S) * 1e9)
    while seen < total and time.time_ns() < deadline:
        answer: Any = client.xreadgroup(GROUP, "one", {STREAM: ">"}, count=READ[args.unit], block=100)
        if not answer:
            continue
        entries = answer[0][1]
        if args.unit == "event":
            parts = [np.frombuffer(b"".join(fields[b"b"] for _, fields in entries), EVENT)]
        else:
            parts = [decoded(fields[b"b"]) for _, fields in entries]
        games: set[int] = set()
        for rows in parts:
            games.update(state.apply(rows, now_ns=time.time_ns()).games)
            seen += len(rows)
        ids = [entry_id for entry_id, _ in entries]
        with client.pipeline(transaction=True) as pipe:
            pipe.hset(STATE, mapping={str(game): state.pack(game) for game in games})
            pipe.set(MARK, seen)
            pipe.xack(STREAM, GROUP, *ids)
            pipe.xtrim(STREAM, minid=ids[-1], approximate=True)
            pipe.execute()
        applied_ns = time.time_ns()
        created = np.concatenate([rows["created_ns"] for rows in parts])
        latencies.record(created[created >= start_ns + int(WARM_UP_S * 1e9)], applied_ns)
    packed = {int(game): value for game, value in client.hgetall(STATE).items()}  # type: ignore[union-attr]
    return {
        "applied": seen, "cpu_s": time.process_time() - cpu, "applied_s": (applied_ns - start_ns) / 1e9,
        "checksum": checksum_of(packed), **quantiles_ms(latencies.counts),
    }  # fmt: skip


def started() -> int:
    """Say "ready" and wait for the beginning (UNIX ns)."""
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    return int(sys.stdin.readline())


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=("source", "sink"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--unit", choices=("event", "batch"), required=True)
    parser.add_argument("--encoding", choices=("rows", "arrow"), default="rows")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    return parser.parse_args()


def main() -> None:
    """Run the role and report."""
    args = options()
    from_arrow(arrow_of(blank(10)))  # pyarrow loads pandas at its first conversion
    with redis.Redis.from_url(args.url) as client:
        print(json.dumps(source(args, client) if args.role == "source" else sink(args, client)))


if __name__ == "__main__":
    main()
