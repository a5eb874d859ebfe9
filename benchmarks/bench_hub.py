"""Ten thousand real sockets: selective fan-out, full broadcast, memory, clients that never read, a reconnect storm.

    python benchmarks/bench_hub.py [--clients 10000] [--updates 500] [--seconds 20] [--out FILE] [--json] [--quick]
        [--only fan_out,broadcast,stuck,storm] [--rates 100,500] [--no-rivals]

The hub is the real one (`python -m serving.live hub`) behind a real Redis with AOF everysec; clients are a C program on
127.0.0.1 ... 127.0.0.8 on the same machine, subscribed to 5 of 300 topics each. Beside it, in the same run: a C loop of
send() (the floor), bare picows, uvicorn + Starlette and Node `ws`, which get their text through a pipe instead of
Redis. For full broadcast a server has the first core to itself and the clients the last one. A rival that cannot run is
left out, and why is written. `p50_ms`/`p99_ms` end at the kernel, `app_*` at the client's read; see hub/scenarios.py.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from hub import scenarios
from hub.build import MissingTool, compiled
from hub.load import Load, LoadFailed
from hub.targets import Hub, NotStarted, Target, our_hub, pin, rival, rss_kb, servers
from measure import machine, parser, write

RIVALS = ("C floor", "picows, bare", "uvicorn + Starlette", "Node ws")
FLOOR = "C floor"
TOPICS = tuple(f"player:{number}" for number in range(300))
PER_CLIENT = 5
#: Updates a second that every rival gets; these get the others, too, to show what the machine can do.
SHARED_RATE = 100
AT_ALL_RATES = (FLOOR, "picows, bare")
WORKERS = 2
PARTS = ("fan_out", "broadcast", "stuck", "storm")
#: Clients that never read: 10 % of few clients and large updates, so that each is offered megabytes.
STUCK_SHARE = 0.1
STUCK_TOPICS = TOPICS[:10]
STUCK_RATE = 200
STUCK_BYTES = 8192


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def cores() -> tuple[int | None, int | None]:
    """(server's core, clients' core) for full broadcast; none of them on a machine with one."""
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[-1]) if len(free) > 1 else (None, None)


def subscribed(target: Target, clients: int, topics: tuple[str, ...] = TOPICS, stuck: float = 0.0) -> Load:
    """A load client whose clients want 5 of `topics` each."""
    return Load(target.port, clients, path=target.path, topics=topics, per=PER_CLIENT, ack=target.ack, stuck=stuck)


def fan_outs(target: Target, given: argparse.Namespace, rates: list[int], report: dict[str, Any]) -> None:
    """Memory per connection and selective fan-out at each rate; for the hub the storm, too, on the same clients."""
    before = rss_kb(target)
    with subscribed(target, given.clients) as load:
        connected = load.connect()
        held = rss_kb(target)
        report["memory"][target.name] = {
            "kb_per_client": round((held - before) / given.clients, 2),
            "connect_s": connected["ready_s"] if target.ack else connected["open_s"],
        }
        scenarios.prime(target, load, TOPICS)
        if "fan_out" in given.only:
            found = report["fan_out"].setdefault(target.name, {})
            for rate in rates:
                found[str(rate)] = scenarios.fan_out(target, load, TOPICS, rate, given.seconds)
                row = found[str(rate)]
                say(f"  {target.name}, {rate} updates/s: p50 {row['p50_ms']:.2f} ms, p99 {row['p99_ms']:.2f} ms "
                    f"(read: {row['app_p99_ms']:.2f}), dropped {row['dropped']}")  # fmt: skip
            report["memory"][target.name]["kb_per_client_after"] = round(
                (rss_kb(target) - before) / given.clients, 2
            )
        if "storm" in given.only and isinstance(target, Hub):
            report["storm"] = row = scenarios.storm(target, load, TOPICS, SHARED_RATE)
            say(f"  storm: {given.clients} back in {row['seconds']:.2f} s, gaps {row['gaps']}, "
                f"duplicates {row['duplicates']}, dropped {row['dropped']}")  # fmt: skip


def broadcasts(target: Target, given: argparse.Namespace, report: dict[str, Any]) -> None:
    """One update to everybody, on cores of their own."""
    server, client = cores()
    one_process = not isinstance(target, Hub) or target.workers == 1
    pin(target, server if one_process else None)
    topics, per = ([target.everyone], 1) if target.ack else ([], 0)
    with Load(
        target.port, given.clients, path=target.path, topics=topics, per=per, ack=target.ack,
        core=client if one_process else None,
    ) as load:  # fmt: skip
        load.connect()
        row = scenarios.broadcast(target, load, given.rounds)
    if target.name in report["broadcast"]:
        row = scenarios.together(report["broadcast"][target.name], row)
    report["broadcast"][target.name] = row
    say(f"  {target.name}, full broadcast: p50 {row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms")


def stuck(target: Target, given: argparse.Namespace, report: dict[str, Any]) -> None:
    """Growth and latency with nobody stuck, then with 10 %, on the same server."""
    found: dict[str, Any] = {}
    if isinstance(target, Hub):
        # Somebody listens to each worker: frames are made, and remembered, only of what is sent.
        with Load(target.port, 16, path=target.path, topics=[" ".join(STUCK_TOPICS)], per=1, ack=True) as load:
            load.connect()
            target.remember(STUCK_TOPICS, STUCK_BYTES)
            load.settled(sys.maxsize, timeout_s=30.0)
    for name, share in (("none", 0.0), ("some", STUCK_SHARE)):
        with subscribed(target, given.stuck_clients, STUCK_TOPICS, share) as load:
            load.connect()
            found[name] = scenarios.with_stuck(
                target, load, STUCK_TOPICS, STUCK_RATE, given.stuck_seconds, STUCK_BYTES
            )
    report["stuck"][target.name] = found
    some = found["some"]
    say(f"  {target.name}, {some['stuck']} of {given.stuck_clients} stuck: +{some['growth_mb']:.1f} MB, "
        f"{some['stuck_closed']} closed, others' p99 {some['p99_ms']:.2f} ms")  # fmt: skip


def ours(given: argparse.Namespace, rates: list[int], report: dict[str, Any]) -> None:
    """All of the hub's own figures, each part on a fresh hub."""
    with servers() as (settings, home):
        url = settings.redis_url
        say("the hub")
        if {"fan_out", "storm"} & set(given.only):
            with our_hub(WORKERS, url, home) as target:
                fan_outs(target, given, rates, report)
        if "broadcast" in given.only:
            for workers in (1, WORKERS):
                with our_hub(workers, url, home) as target:
                    broadcasts(target, given, report)
                # The machine may have changed since the floor was measured: before, between and after ours.
                with rival(FLOOR) as floor:
                    broadcasts(floor, given, report)
        if "stuck" in given.only:
            with our_hub(WORKERS, url, home) as target:
                stuck(target, given, report)


def theirs(name: str, given: argparse.Namespace, rates: list[int], report: dict[str, Any]) -> None:
    """A rival's figures. What it cannot do is written into `skipped`."""
    say(name)
    try:
        if "fan_out" in given.only:
            with rival(name) as target:
                fan_outs(target, given, rates, report)
        if "broadcast" in given.only:
            with rival(name) as target:
                broadcasts(target, given, report)
        # Starlette waits for the slowest client, so its publisher would wait forever.
        if "stuck" in given.only and name == "Node ws":
            with rival(name) as target:
                stuck(target, given, report)
    except (MissingTool, NotStarted, LoadFailed, OSError) as error:
        report["skipped"][name] = str(error)
        say(f"  {name} is left out: {error}")


def compare(report: dict[str, Any]) -> None:
    """Ratios to the floor of this run, where it ran."""
    for rows, name in ((report["broadcast"], "p99_ms"), (report["broadcast"], "p50_ms")):
        if FLOOR in rows:
            for row in rows.values():
                row[f"{name.removesuffix('_ms')}_over_floor"] = round(row[name] / rows[FLOOR][name], 3)
    floor = report["fan_out"].get(FLOOR, {})
    for found in report["fan_out"].values():
        for rate, row in found.items():
            if rate in floor:
                row["p99_over_floor"] = round(row["p99_ms"] / floor[rate]["p99_ms"], 3)


def headline(report: dict[str, Any], given: argparse.Namespace) -> None:
    """The figures of the highest rate and of memory, at the top of the report."""
    name = f"hub, {WORKERS} workers"
    row = report["fan_out"].get(name, {}).get(str(given.updates))
    if row is not None:
        names = ("p50_ms", "p99_ms", "p999_ms", "app_p50_ms", "app_p99_ms", "dropped", "gaps", "duplicates")
        report.update({each: row[each] for each in names})
    if name in report["memory"]:
        report["kb_per_client"] = report["memory"][name]["kb_per_client"]


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__, "hub.json")
    made.add_argument("--clients", type=int, default=10_000)
    made.add_argument("--updates", type=int, default=500, help="updates a second, the highest of the rates")
    made.add_argument("--seconds", type=float, default=20.0, help="of each fan-out")
    made.add_argument("--rounds", type=int, default=8, help="full broadcasts")
    made.add_argument("--stuck-clients", type=int, default=200)
    made.add_argument("--stuck-seconds", type=float, default=12.0)
    made.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    made.add_argument("--rates", help=f"updates a second, with commas; {SHARED_RATE} and --updates if absent")
    made.add_argument("--no-rivals", action="store_true", help="the hub, the C floor and bare picows only")
    made.add_argument(
        "--quick", action="store_true", help="200 clients and a few seconds: checks, measures nothing"
    )
    made.add_argument("--json", action="store_true", help="print the report on stdout")
    given = made.parse_args()
    given.only = given.only.split(",")
    if unknown := sorted(set(given.only) - set(PARTS)):
        made.error(f"--only: {unknown[0]!r} is no part; use {', '.join(PARTS)}")
    if given.clients < 1 or given.updates < 1 or given.seconds <= 0:
        made.error("--clients, --updates and --seconds must be above 0")
    asked = given.rates.split(",") if given.rates else [min(SHARED_RATE, given.updates), given.updates]
    try:
        given.rates = sorted({int(rate) for rate in asked})
    except ValueError:
        made.error(f"--rates: {given.rates!r} are no numbers; give e.g. 100,500")
    if given.rates[0] < 1:
        made.error("--rates must be above 0")
    given.updates = given.rates[-1]
    if given.quick:
        given.clients, given.seconds, given.rounds = min(given.clients, 200), min(given.seconds, 2.0), 2
        given.rates = sorted({min(rate, 200) for rate in given.rates})
        given.updates = given.rates[-1]
        given.stuck_clients, given.stuck_seconds = 50, 7.0
    return given


def open_files(clients: int) -> None:
    """Let servers started here open a file per client; ends the program where the system does not allow so many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and clients + 200 > most:
        sys.exit(f"--clients {clients}: one process may open {most} files here (ulimit -Hn); ask for {most - 200}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Measure, write the report, print it with --json."""
    given = arguments()
    open_files(given.clients)
    report = machine(("picows", "uvloop", "redis", "msgspec", "uvicorn", "starlette")) | {
        "clients": given.clients, "updates": given.updates, "topics": len(TOPICS), "topics_per_client": PER_CLIENT,
        "seconds": given.seconds, "quick": given.quick,
        "fan_out": {}, "broadcast": {}, "memory": {}, "stuck": {}, "skipped": {},
    }  # fmt: skip
    try:
        compiled("wsload")
        for name in AT_ALL_RATES if given.no_rivals else RIVALS:
            theirs(name, given, given.rates if name in AT_ALL_RATES else given.rates[:1], report)
        ours(given, given.rates, report)
    except (MissingTool, NotStarted, LoadFailed) as error:
        sys.exit(f"bench_hub: {error}")
    compare(report)
    headline(report, given)
    write(report, Path(given.out))
    if given.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
