"""Events per second, open screens, from the ball to the browser: the results page's sections on the live part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.results.cells import machine, table, verdict

#: Bars and stretch figures of TARGETS §4.
RATE_PER_S: Final = (1_000_000.0, 3_000_000.0)
SECONDS: Final = 60.0
PIPELINE_P99_MS: Final = 10.0
CLIENTS: Final = 10_000
UPDATES_PER_S: Final = 500
CRITICAL_P99_MS: Final = (10.0, 3.0)
CRITICAL_RUN: Final = "ours: bus and state apart"
HUB_P99_MS: Final = 10.0
HUB_P99_STRETCH_MS: Final = 5.0
OVER_FLOOR: Final = (1.3, 1.1)
KB_PER_CLIENT: Final = (32.0, 8.0)
STUCK_GROWTH_MB: Final = 5.0
BALL_P99_MS: Final = 10.0
#: A rate counts as held when no more than this share of it is missing.
HELD: Final = 0.99
FLOOR: Final = "C floor"
HEADER: Final = ("figure", "value", "bar", "stretch")

Rows = Iterator[tuple[str, ...]]


def stream_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_stream.py` measured."""
    cores = ", ".join(f"{role} {used['cores']:.2f}" for role, used in report["cpu"].items())
    lines = [
        "## Events into state\n",
        f"`python benchmarks/bench_stream.py`; {machine(report)}. {report['events']:,} events of 64 bytes through "
        "producer, Redis Streams, consumer and one transaction into Redis, every role a process of its own; "
        f"{report['duplicates_planted']:,} of them sent twice. Latency from the intended creation to the transaction's "
        f"reply: p50 {report['p50_ms']:g}, p99 {report['p99_ms']:g}, p99.9 {report['p999_ms']:g} ms. "
        f"{report['cpu_cores']:.2f} cores: {cores}.\n",
        *table(HEADER, list(stream_bars(report))),
        "",
        *_pipelines(report.get("rivals", {})),
    ]
    return "\n".join(lines)


def _pipelines(rivals: dict[str, Any]) -> list[str]:
    """Other ways and brokers; where rates were raised until one was too much, each of them."""
    rows: list[tuple[str, ...]] = []
    for name, found in rivals.items():
        if name == "encoding":
            continue
        for run in found if isinstance(found, list) else [found]:
            if "status" in run:
                rows.append((name, f"{run['rate']:,.0f}" if "rate" in run else "–", run["status"], "–", "–", "–"))
                continue
            kept = "yes" if run["keeps_up"] else "no"
            rows.append((name, f"{run['rate']:,.0f}", kept, *(f"{run[key]:g}" for key in (
                "p50_ms", "p99_ms", "p999_ms"))))  # fmt: skip
    if not rows:
        return []
    header = ("way", "events/s offered", "keeps up", "p50 ms", "p99 ms", "p99.9 ms")
    return ["### Other ways, same run\n", *table(header, rows), ""]


def critical_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_critical.py` measured."""
    rows: list[tuple[str, ...]] = []
    for name, run in report["runs"].items():
        bulk = f"{run['bulk']['events_per_s']:,.0f}" if "bulk" in run else "0"
        state, told = (
            " / ".join(f"{run[side][key]:g}" for key in ("p50_ms", "p99_ms", "p999_ms"))
            for side in ("state", "subscriber")
        )
        rows.append((name, bulk, state, told, str(run["lost"]), str(run["duplicated"])))
    ours = report["runs"][CRITICAL_RUN]
    reached = [
        ("critical event into state", ours["state"]),
        ("critical event to a subscriber", ours["subscriber"]),
    ]
    bars = [
        (f"{words}, p99 ms", f"{one['p99_ms']:g}", *_both(one["p99_ms"], CRITICAL_P99_MS, "≤"))
        for words, one in reached
    ]
    lines = [
        "## The critical lane under load\n",
        f"`python benchmarks/bench_critical.py`; {machine(report)}. {ours['critical_rate']:g} critical events a "
        "second, append-only file synced every second; milliseconds from creation, p50 / p99 / p99.9.\n",
        *table(("servers", "bulk events/s", "into state", "to a subscriber", "lost", "counted twice"), rows),
        "",
        *table(HEADER, bars),
        "",
    ]
    return "\n".join(lines)


def stream_bars(report: dict[str, Any]) -> Rows:
    """The pipeline's bars."""
    rate = _held(report)
    yield "events a second", f"{rate:,.0f}", *_both(rate, RATE_PER_S, "≥")
    short = report["seconds"] < SECONDS
    bar = f"not judged: {report['seconds']:g} s" if short else _rated(report, RATE_PER_S[0])
    yield "p99, ms", f"{report['p99_ms']:g}", bar, _rated(report, RATE_PER_S[1])
    yield "events lost", f"{report['lost']:,}", verdict(report["lost"], 0, "≤"), "–"
    yield "events counted twice", f"{report['duplicated']:,}", verdict(report["duplicated"], 0, "≤"), "–"
    yield (
        "state equal to one thread's",
        str(report["state_equal"]),
        "met" if report["state_equal"] else "**missed**",
        "–",
    )


def _held(report: dict[str, Any]) -> float:
    """The rate that was offered when it was kept up, else the one that was."""
    kept: bool = report["events_per_s"] >= HELD * report["rate"]
    return float(report["rate"] if kept else report["events_per_s"])


def _rated(report: dict[str, Any], rate: float) -> str:
    """The latency bar, where at least `rate` was held."""
    if _held(report) < rate:
        return f"needs {rate:,.0f}/s"
    return verdict(report["p99_ms"], PIPELINE_P99_MS, "≤")


def hub_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_hub.py` measured."""
    lines = [
        "## The live hub\n",
        f"`python benchmarks/bench_hub.py`; {machine(report)}; servers, Redis and the clients share them. "
        f"{report['clients']:,} real sockets; milliseconds from the update's due time to the kernel of the client's "
        "socket (read: to the client's own reading of it). Ours goes through Redis, the others get the same text "
        "through a pipe. The floor is a loop of send() in C.\n",
        *table(HEADER, list(hub_bars(report))),
        "",
        f"### {report['topics_per_client']} of {report['topics']} topics per client\n",
        *table(("server", "updates/s", "deliveries/s", "p50", "p99", "p99.9", "read, p99", "dropped",
                "CPU µs a delivery"),
               list(_fan_outs(report))),
        "",
        *_broadcast(report),
        *_memory(report),
        *_stuck(report),
        *[f"* {name} is left out: {' '.join(why.split())}" for name, why in report["skipped"].items()],
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def hub_bars(report: dict[str, Any]) -> Rows:
    """The hub's bars."""
    few = f"not judged: {report['clients']:,} clients" if report["clients"] < CLIENTS else None
    if "p99_ms" in report:
        few_or_slow = few or (f"not judged: {report['updates']}/s" if report["updates"] < UPDATES_PER_S else None)
        name, read, landed = f"{report['updates']} updates a second", report["app_p99_ms"], report["p99_ms"]
        judged = [few_or_slow or verdict(one, HUB_P99_MS, "≤") for one in (read, landed)]
        stretch = few_or_slow or verdict(landed, HUB_P99_STRETCH_MS, "≤")
        yield f"{name}, read by the client, p99 ms", f"{read:.2f}", judged[0], "–"
        yield f"{name}, on its socket, p99 ms", f"{landed:.2f}", judged[1], stretch
        yield f"{name}, messages dropped", str(report["dropped"]), verdict(report["dropped"], 0, "≤"), "–"
    for name, row in report["broadcast"].items():
        if name.startswith("hub") and "p99_over_floor" in row:
            ratio = row["p99_over_floor"]
            both = (few, few) if few else _both(ratio, OVER_FLOOR, "≤")
            yield f"full broadcast, {name}: p99 over the floor's", f"{ratio:.2f}", both[0] or "–", both[1] or "–"
    if "kb_per_client" in report:
        yield "memory per connection, KB", f"{report['kb_per_client']:.1f}", *_both(
            report["kb_per_client"], KB_PER_CLIENT, "≤")  # fmt: skip
    for name, row in report["stuck"].items():
        if name.startswith("hub"):
            growth = row["some"]["growth_mb"]
            yield "10 % stuck clients: growth, MB", f"{growth:.1f}", verdict(growth, STUCK_GROWTH_MB, "≤"), "–"
    if storm := report.get("storm"):
        yield f"reconnect storm, {storm['clients']:,} clients: seconds", f"{storm['seconds']:.2f}", "–", "–"
        yield "reconnect storm: gaps and lost", str(storm["gaps"] + storm["dropped"]), verdict(
            storm["gaps"] + storm["dropped"], 0, "≤"), "–"  # fmt: skip
        yield "reconnect storm: duplicates", str(storm["duplicates"]), verdict(storm["duplicates"], 0, "≤"), "–"


def _fan_outs(report: dict[str, Any]) -> Rows:
    for name, rates in report["fan_out"].items():
        for rate, row in rates.items():
            yield (name, rate, f"{row['deliveries_per_s']:,}", *(f"{row[key]:.2f}" for key in (
                "p50_ms", "p99_ms", "p999_ms", "app_p99_ms")), str(row["dropped"]),
                f"{row['cpu_us_per_delivery']:.1f}")  # fmt: skip


def _broadcast(report: dict[str, Any]) -> list[str]:
    rows = [
        (name, f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", _ratio(row.get("p99_over_floor")),
         f"{row['cpu_us_per_delivery']:.1f}", str(row["dropped"]))
        for name, row in report["broadcast"].items()
    ]  # fmt: skip
    if not rows:
        return []
    rounds = next(iter(report["broadcast"].values()))["rounds"]
    told = (
        f"### One update to all {report['clients']:,}\n",
        f"Medians of {rounds} rounds. A server has one core to itself and the clients another; two workers share both "
        f"with the clients. One send() costs microseconds whoever calls it: less than {PIPELINE_P99_MS:g} ms for all "
        "would take about ten such cores, in C too.\n",
    )
    return [
        *told,
        *table(("server", "p50", "p99", "p99 over the floor's", "CPU µs a delivery", "dropped"), rows),
        "",
    ]


def _memory(report: dict[str, Any]) -> list[str]:
    rows = [
        (name, f"{row['kb_per_client']:.1f}",
         f"{row['kb_per_client_after']:.1f}" if "kb_per_client_after" in row else "–", f"{row['connect_s']:.2f}")
        for name, row in report["memory"].items()
    ]  # fmt: skip
    if not rows:
        return []
    header = ("server", "KB per connection, subscribed", "after the fan-out", "seconds until all are subscribed")
    return ["### Memory and connecting\n", *table(header, rows), ""]


def _stuck(report: dict[str, Any]) -> list[str]:
    rows = []
    for name, row in report["stuck"].items():
        none, some = row["none"], row["some"]
        rows.append(
            (name, f"{some['stuck']}", f"{some['offered_mb_per_stuck_client']:.1f}", f"{some['growth_mb']:.1f}",
             f"{none['growth_mb']:.1f}", f"{some['stuck_closed']}", f"{none['p99_ms']:.2f}", f"{some['p99_ms']:.2f}")
        )  # fmt: skip
    if not rows:
        return []
    header = (
        "server",
        "stuck",
        "MB offered to each",
        "growth, MB",
        "growth, none stuck",
        "closed",
        "p99, none stuck",
        "p99 of the others",
    )
    return ["### Clients that never read\n", *table(header, rows), ""]


def ball_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_ball_to_browser.py` measured."""
    rows, bars = [], []
    for key, words in (("alone", "alone"), ("with_bulk", "with bulk beside it")):
        if key not in report:
            continue
        row = report[key]
        bulk = f"{row['bulk']['events_per_s']:,}" if "bulk" in row else "0"
        rows.append((words, bulk, f"{row['deliveries_per_s']:,}", *(f"{row[name]:.2f}" for name in (
            "p50_ms", "p99_ms", "p999_ms", "app_p99_ms")), str(row["dropped"]), str(row["duplicates"])))  # fmt: skip
        few = f"not judged: {report['clients']:,} clients" if report["clients"] < CLIENTS else None
        bars.append(
            (f"{words}: p99 ms", f"{row['p99_ms']:.2f}", "–", few or verdict(row["p99_ms"], BALL_P99_MS, "≤"))
        )
    lines = [
        "## From the ball to the browser\n",
        f"`python benchmarks/bench_ball_to_browser.py`; {machine(report)}. Event created, Producer, critical lane with "
        f"AOF everysec, consumer, deltas, {report['hub_workers']} hub workers, and onto the sockets of the "
        f"{report['clients']:,} clients, each watching one of {report['games']} games; bulk goes "
        "through the same consumer.\n",
        *table(
            ("run", "bulk events/s", "deliveries/s", "p50", "p99", "p99.9", "read, p99", "dropped", "duplicates"),
            rows,
        ),
        "",
        *table(HEADER, bars),
        "",
    ]
    return "\n".join(lines)


def _both(value: float, bars: tuple[float, float], sense: str) -> tuple[str, str]:
    bar, stretch = (verdict(value, each, sense) for each in bars)
    return bar, stretch


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
