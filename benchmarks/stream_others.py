"""The others that bench_stream.py measures beside ours: other encodings, one entry an event, NATS JetStream."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROOT
from stream_rival import arrow_of, from_arrow, from_rows
from stream_servers import Crew, begin, free_port, python, ready, redis_servers, report

from features.stream.directory import LocalDirectory
from features.stream.events import encode
from features.stream.simulated import Load
from features.stream.state import PartitionState

NATS = ROOT / "benchmarks" / "peers" / "nats_stream.py"
VENV = ROOT / ".venv-bench" / "bin"
#: Events per second that are tried, in this order, until one is not kept up with.
EVENT_RATES = {"redis": (20_000, 50_000, 100_000), "nats": (5_000, 10_000, 20_000, 50_000)}
#: A run keeps up when the last event is applied this soon after it was due.
LATE_S = 1.0
LEAD_S = 0.5
ENCODED_ROWS, ENCODED_TIMES = 2000, 300
Say = Callable[[str], None]


def rivals(args: argparse.Namespace, say: Say) -> dict[str, Any]:
    """All that `args.rivals` names."""
    found: dict[str, Any] = {}
    if args.rivals in ("all", "redis"):
        found["encoding"] = encoding_costs()
        say(f"encoding, CPU ns per event of {ENCODED_ROWS}-row batches: {found['encoding']}")
        for encoding in ("rows", "arrow"):
            run = redis_run("batch", encoding, args.rate, args.rival_seconds)
            found[f"redis, minimal pipeline, batches as {encoding}"] = told(run, f"redis {encoding}", say)
        found["redis, one entry an event"] = [
            told(run, "redis one entry an event", say)
            for run in ladder("redis", lambda rate: redis_run("event", "rows", rate, args.rival_seconds))
        ]
    if args.rivals in ("all", "nats"):
        found |= nats_rivals(args, say)
    return found


def nats_rivals(args: argparse.Namespace, say: Say) -> dict[str, Any]:
    """JetStream with batches and with one message an event; a message why not, where it is not installed."""
    interpreter = args.nats_python or VENV / "python"
    server = interpreter.parent / "nats-server"
    if not interpreter.exists() or not server.exists():
        say(f"NATS: not run, {interpreter} or {server} is not there; `make bench-peers` installs them")
        return {"nats jetstream": {"status": f"not run: no {interpreter} or {server}"}}

    def one(unit: str, rate: float) -> dict[str, Any]:
        return nats_run(interpreter, server, unit, rate, args.rival_seconds)

    batches = told(one("batch", args.rate), "nats jetstream batches", say)
    events = [
        told(run, "nats jetstream one message an event", say) for run in ladder("nats", lambda r: one("event", r))
    ]
    return {"nats jetstream (memory), batches": batches, "nats jetstream (memory), one message an event": events}


def ladder(kind: str, run: Callable[[float], dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Rung by rung, up to and with the first that is not kept up with."""
    runs: list[dict[str, Any]] = []
    for rate in EVENT_RATES[kind]:
        runs.append(run(rate))
        if not runs[-1].get("keeps_up"):
            break
    return runs


def redis_run(unit: str, encoding: str, rate: float, seconds: float) -> dict[str, Any]:
    """One run of stream_rival.py on two fresh servers, of which it uses the one without a file."""
    with redis_servers() as servers, Crew() as crew:
        crew.watch({"redis": servers.pids["redis_bus"]})
        shared = ("--url", servers.bus_url, "--unit", unit, "--encoding", encoding)
        return pair(crew, lambda role: python("stream_rival.py", role, *shared), rate, seconds) | {
            "truth": truth(int(rate * seconds))
        }


def nats_run(interpreter: Path, server: Path, unit: str, rate: float, seconds: float) -> dict[str, Any]:
    """One run of peers/nats_stream.py on a fresh server."""
    with tempfile.TemporaryDirectory(prefix="fantasy-nats-") as folder, Crew() as crew:
        port = free_port()
        log = Path(folder) / "log"
        crew.start("nats", [server, "-js", "-a", "127.0.0.1", "-p", port, "-sd", folder, "-l", log])
        for _ in range(200):
            if log.exists() and "Server is ready" in log.read_text():
                break
            time.sleep(0.05)
        else:
            return {"status": f"not run: {server} did not start"}
        shared = ("--url", f"nats://127.0.0.1:{port}", "--unit", unit)
        return pair(crew, lambda role: [str(interpreter), str(NATS), role, *shared], rate, seconds)


def pair(crew: Crew, command: Callable[[str], list[str]], rate: float, seconds: float) -> dict[str, Any]:
    """A sink and a source: what each of them says, and what the server used."""
    paced = ("--rate", str(rate), "--seconds", str(seconds))
    processes: list[subprocess.Popen[str]] = []
    for role in ("sink", "source"):
        processes.append(crew.start(role, [*command(role), *paced]))
        ready(processes[-1])
    start_ns = time.time_ns() + int(LEAD_S * 1e9)
    crew.mark()
    for process in processes:
        begin(process, start_ns)
    sent = report(processes[1], seconds + 60)
    got = report(processes[0], seconds + 60)
    if failed := [one["error"] for one in (sent, got) if "error" in one]:
        return {"rate": rate, "status": f"failed: {failed}", "keeps_up": False}
    server = {role: used for role, used in crew.cpu_s().items() if role not in ("sink", "source")}
    return {
        "rate": rate, "seconds": seconds, "sent": sent["sent"], "applied": got["applied"],
        "not_applied_in_time": sent["sent"] - got["applied"], "failed_sends": sent.get("failed", 0),
        "events_per_s": round(got["applied"] / got["applied_s"], 1),
        "keeps_up": got["applied"] == sent["sent"] and max(got["applied_s"], sent["sent_s"]) < seconds + LATE_S,
        "p50_ms": got["p50_ms"], "p99_ms": got["p99_ms"], "p999_ms": got["p999_ms"],
        "cpu_s": {"source": round(sent["cpu_s"], 3), "sink": round(got["cpu_s"], 3), **server},
        **({"checksum": got["checksum"]} if "checksum" in got else {}),
    }  # fmt: skip


def told(run: dict[str, Any], name: str, say: Say) -> dict[str, Any]:
    """Say a run, and judge its state where it has one."""
    if "status" in run:
        say(f"{name}: {run['status']}")
        return run
    expected = run.pop("truth", None)
    if expected is not None:
        run["state_equal"] = run.pop("checksum") == expected
    say(
        f"{name}: {run['rate']:,.0f}/s offered, {run['events_per_s']:,.0f}/s done, p50 {run['p50_ms']} p99 "
        f"{run['p99_ms']} ms, not applied in time {run['not_applied_in_time']}, keeps up: {run['keeps_up']}, "
        f"CPU s {run['cpu_s']}"
    )
    return run


def truth(events: int) -> str:
    """Checksum of the state after so many events of the default load."""
    load = Load()
    state = PartitionState(LocalDirectory(load.games))
    for first in range(0, events, 100_000):
        state.apply(load.rows(first, min(100_000, events - first)), now_ns=0)
    return state.checksum()


def encoding_costs() -> Mapping[str, Any]:
    """CPU ns per event and bytes per event of each encoding, there and back to rows that the fold reads."""
    rows = Load().rows(0, ENCODED_ROWS)
    ways: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Any]]] = {
        "rows": (lambda: encode(rows, source=1, epoch=1, first=0), from_rows),
        "arrow ipc": (lambda: arrow_of(rows), from_arrow),
    }
    found = {}
    for name, (write, read) in ways.items():
        payload = write()
        if read(payload).tobytes() != rows.tobytes():
            raise SystemExit(f"{name}: what was read is not what was written")
        there, back = cpu_ns(write), cpu_ns(lambda read=read, payload=payload: read(payload))
        found[name] = {"encode_ns": there, "decode_ns": back, "bytes": round(len(payload) / ENCODED_ROWS, 2)}
    return found


def cpu_ns(work: Callable[[], object]) -> float:
    """Median CPU time of one call per row, in ns."""
    took = []
    for _ in range(ENCODED_TIMES):
        began = time.thread_time_ns()
        work()
        took.append(time.thread_time_ns() - began)
    return round(float(np.median(took)) / ENCODED_ROWS, 3)
