"""The critical lane under load: from an event's intended creation to committed state, and to a subscriber.

    python benchmarks/bench_critical.py [--rate 1000000] [--critical-rate 500] [--seconds 30] [--partitions 2]
        [--json] [--out FILE]

Three runs, each with fresh servers and every role a process of its own: the critical lane alone; under the bulk load
with two Redis roles (bus without a file, state with an append-only file, fsync every second), which is ours; and the
rival, one Redis with the append-only file for both. Latencies are open loop and leave out the first second. `state`
is up to the reply of the transaction that made an event state; `subscriber` up to the moment a reader of the delta
stream, as the hub's workers are, has its delta in hand. Exits with 1 if a critical event was lost or counted twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bench_stream import LEAD_S, LEAGUE, after_warm_up, consumers, histogram, stored, wait_owned
from measure import machine, parser, write
from stream_critical import SEED
from stream_servers import WARM_UP_S, Crew, begin, end, python, ready, redis_servers, report

from features.stream.directory import LocalDirectory
from features.stream.metrics import quantiles_ms
from features.stream.simulated import Load
from features.stream.state import PartitionState


def run(args: argparse.Namespace, *, bulk: float, one: bool) -> dict[str, Any]:
    """One run; `bulk` events a second beside the critical ones, 0 for none."""
    with redis_servers(one=one) as servers, Crew() as crew:
        crew.watch(servers.pids)
        running = consumers(crew, servers, args.partitions, args.consumers)
        common = ["--bus", servers.bus_url, "--state", servers.state_url, "--league", LEAGUE]
        common += ["--partitions", args.partitions, "--seconds", args.seconds]
        lane = ["stream_critical.py", *common, "--rate", args.critical_rate]
        command = {
            "subscriber": python(str(lane[0]), "subscriber", *lane[1:]),
            "critical_producer": python(str(lane[0]), "source", *lane[1:]),
        }
        if bulk:
            command["producer"] = python("stream_source.py", *common, "--rate", bulk)
        processes = {role: crew.start(role, each) for role, each in command.items()}
        for process in processes.values():
            ready(process)
        wait_owned(servers, args.partitions)
        start_ns = time.time_ns() + int(LEAD_S * 1e9)
        crew.mark()
        for process in processes.values():
            begin(process, start_ns)
        before = after_warm_up(servers, args.partitions, start_ns, "critical_histogram")
        bulk_before = histogram(stored(servers, args.partitions)[1])
        said = {role: report(process, args.seconds + 90) for role, process in processes.items()}
        cpu = crew.cpu_s() | {role: round(one_said.get("cpu_s", 0.0), 3) for role, one_said in said.items()}
        for process in running:
            end(process)
        packed, metrics = stored(servers, args.partitions)
    if failed := {role: each["error"] for role, each in said.items() if "error" in each}:
        sys.exit(f"failed: {failed}")
    state, truth = critical_state(packed, said["critical_producer"]["sent"])
    result = {
        "critical_rate": args.critical_rate,
        "bulk_rate": bulk,
        "one_redis": one,
        "state": quantiles_ms(histogram(metrics, "critical_histogram") - before),
        "subscriber": {name: said["subscriber"][name] for name in ("p50_ms", "p99_ms", "p999_ms")},
        "sent": said["critical_producer"]["sent"],
        "told": said["subscriber"]["told"],
        "lost": sum(max(truth[game] - state.get(game, 0), 0) for game in truth),
        "duplicated": sum(max(state.get(game, 0) - truth[game], 0) for game in truth),
        "cpu": cpu,
        "warm_up_s": WARM_UP_S,
    }
    if bulk:
        result["bulk"] = quantiles_ms(histogram(metrics) - bulk_before) | {
            "sent": said["producer"]["sent"],
            "events_per_s": round(said["producer"]["sent"] / said["producer"]["applied_s"], 1),
        }
    return result


def critical_state(packed: dict[int, bytes], sent: int) -> tuple[dict[int, int], dict[int, int]]:
    """Events per critical game as stored and as one thread counts them; the packed bytes are compared too."""
    load = Load(seed=SEED)
    truth = PartitionState(LocalDirectory(load.games))
    truth.apply(load.rows(0, sent), now_ns=0)
    found = PartitionState(LocalDirectory(load.games))
    for game in truth.games:
        if game in packed:
            found.load(game, packed[game])
            if packed[game] != truth.pack(game):
                print(f"state of game {game} differs from the ground truth", file=sys.stderr)
    return (
        {game: found.state(game).events for game in found.games},
        {game: truth.state(game).events for game in truth.games},
    )


def options() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, "critical.json")
    made.add_argument("--rate", type=float, default=1e6, help="bulk events per second")
    made.add_argument("--critical-rate", type=float, default=500.0, help="critical events per second")
    made.add_argument("--seconds", type=float, default=30.0, help="of each run")
    made.add_argument("--partitions", type=int, default=2)
    made.add_argument("--consumers", type=int, default=1, help="consumer processes")
    made.add_argument("--json", action="store_true", help="print the report on standard output")
    return made.parse_args()


def main() -> None:
    """Measure, say it, write JSON."""
    args = options()
    if args.seconds <= 2 * WARM_UP_S:
        sys.exit(
            f"--seconds {args.seconds:g}: use more than {2 * WARM_UP_S:g}, the first {WARM_UP_S:g} is warm-up"
        )
    found = machine(("redis", "numpy", "numba")) | {"runs": {}}
    ways = {
        "critical lane alone": {"bulk": 0.0, "one": False},
        "ours: bus and state apart": {"bulk": args.rate, "one": False},
        "one redis for both": {"bulk": args.rate, "one": True},
    }
    wrong = 0
    for name, way in ways.items():
        result = run(args, **way)
        found["runs"][name] = result
        wrong += result["lost"] + result["duplicated"]
        print(
            f"{name}: state {result['state']}, subscriber {result['subscriber']}, lost {result['lost']}, "
            f"counted twice {result['duplicated']}, bulk {result.get('bulk')}",
            file=sys.stderr if args.json else sys.stdout,
            flush=True,
        )
    write(found, args.out)
    if args.json:
        print(json.dumps(found))
    if wrong:
        sys.exit("critical events were lost or counted twice")


if __name__ == "__main__":
    main()
