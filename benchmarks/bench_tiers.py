"""Three tiers under load: a ladder of rates up to the peak, five times that, and the same without admission.

    python benchmarks/bench_tiers.py [--rate 3000] [--seconds 10] [--out FILE] [--json] [--quick] [--no-cloud]

The path is a user's: questions go as `{"op": "ask"}` over 1,000 and more WebSocket connections, from a C process of its
own (tiers/wsask.c), to a real hub worker (`python -m serving.live hub --answers serving.tiers.hub:answerer`) with an
evening's topics from Redis and an in-game winner as ONNX (50 what-ifs a question). Open loop, Poisson: latency counts
from the moment a question was meant to be sent until its answer is read. Goodput is answers in full within the deadline
per second. The mix is 80 % edge, 18 % regional, 2 % cloud, with deadlines of 10, 100 and 500 ms.

Heavy work is measured at `rate` in a rung of its own, with a real Prefect server on PostgreSQL and the worker that
`fantasy deploy` runs; both are niced. Its slate does not exist, so that a job ends as soon as its run has begun: what
is measured is acceptance, and how its end is told by id and on topic `job:`. The rival has no admission: first come,
first served. Beside it: a slate of 500 players by onnxruntime and by torch, and greedy batching against others.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import redis
from hub.targets import LEAGUE, PARTITIONS, Hub, our_hub
from measure import RESULTS, machine, write
from tiers import batching, inference
from tiers.load import Mix, ask
from tiers.world import published_model, topics

from features.stores.database import Database
from features.stores.jobs import get_job
from features.stream.deltas import DeltaWriter, Update
from features.stream.events import key_of
from flows.deployments import JOBS, WORK_POOL, register, worker_process
from flows.services import embedded_services, on_free_ports
from flows.settings import FlowSettings
from serving.live.client import LiveClient

#: Prefect's server and worker take a core where they are let; answers come first.
NICE = 15
LADDER = (1.0, 2.0, 2.5, 3.0)
OURS, RIVAL = "serving.tiers.hub:answerer", "tiers.rival:answerer"
SLATE = "bench-none"
#: Until a worker has fetched a run, started its process and imported the flow.
JOB_S = 180.0


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def services(home: Path, which: tuple[str, ...]) -> Iterator[FlowSettings]:
    """The embedded services of a fresh installation."""
    settings = on_free_ports(FlowSettings(home=home)).model_copy(update={"redis_appendonly": True})
    with embedded_services(settings, which=which):
        yield settings


@contextmanager
def answering(settings: FlowSettings, home: Path, answers: str) -> Iterator[Hub]:
    """A hub of one worker that knows the evening's topics."""
    folder = Path(__file__).resolve().parent
    environment = {
        "PYTHONPATH": os.pathsep.join((str(folder), str(folder.parent))),
        "FANTASY_DATABASE_URL": settings.database_url, "FANTASY_PREFECT_API_URL": settings.prefect_api_url,
    }  # fmt: skip
    with our_hub(1, settings.redis_url, home, answers=answers, environment=environment) as hub:
        writers = [DeltaWriter(LEAGUE, partition, "state") for partition in range(PARTITIONS)]
        with redis.Redis.from_url(settings.redis_url) as client:
            for name, data in topics().items():
                writers[key_of(name) % PARTITIONS].publish(client, [Update(name, data)], at_ns=time.time_ns())
        yield hub


def rung(hub: Hub, name: str, rate: float, seconds: float, mix: Mix) -> dict[str, Any]:
    """One load, told of."""
    found = ask(hub, mix, rate, seconds)
    say(f"{name}: {rate:,.0f} questions/s, {found['goodput_per_s']:,.0f} answered in full and in time")
    return found


def ladder(settings: FlowSettings, home: Path, given: Namespace) -> dict[str, Any]:
    """Rates up to the peak and beyond, five times the peak, and the rival, without heavy work."""
    mix, found = Mix(), {}
    with answering(settings, home, OURS) as hub:
        ask(hub, mix, given.rate, min(given.seconds, 3.0))  # the first questions load the models
        for factor in LADDER:
            name = "mix" if factor == 1.0 else f"{factor:g}x"
            found[name] = rung(hub, name, given.rate * factor, given.seconds, mix)
        peak = max(row["goodput_per_s"] for row in found.values())
        found["five_times_rate"] = rung(hub, "five times the rate", 5 * given.rate, given.seconds, mix)
        peak = max(peak, found["five_times_rate"]["goodput_per_s"])
        found["overload_5x"] = rung(hub, "five times the peak", 5 * peak, given.seconds, mix)
    with answering(settings, home, RIVAL) as hub:
        for name, rate in (("no_admission", given.rate), ("no_admission_5x", 5 * given.rate)):
            found[name] = rung(hub, name, rate, given.seconds, mix)
    for row in found.values():
        row["goodput_of_peak"] = round(row["goodput_per_s"] / peak, 4) if peak else None
        row["seconds"] = given.seconds
    return found


def heavy(home: Path, given: Namespace) -> dict[str, Any]:
    """The mix with heavy work in it, and one job followed to its end."""
    with services(home, ("redis", "bus", "postgres", "prefect")) as settings:
        Database(settings.database_url).migrate()
        register([JOBS], settings)
        with worker_process(settings, pool=WORK_POOL), answering(settings, home, OURS) as hub:
            for process in psutil.Process().children(recursive=True):
                if "serving.live" not in process.cmdline():
                    process.nice(NICE)
            say("cloud: one job to its end")
            followed = asyncio.run(follow(hub, Database(settings.database_url)))
            row = rung(hub, "mix with cloud", given.rate, given.seconds, Mix(SLATE))
            return {"cloud": {"seconds": given.seconds, "job": followed, "mix": row}}


async def follow(hub: Hub, database: Database) -> dict[str, Any]:
    """Seconds until a job was accepted, and until its end was told on its topic and stood under its id."""
    token = hub.path.partition("token=")[2]
    question = {"kind": "portfolio", "slate_id": SLATE, "n": 150}
    async with LiveClient(f"ws://127.0.0.1:{hub.port}/v1/live", token) as client:
        began = time.monotonic()
        said = await client.ask(question, deadline_ms=30_000)
        accepted_s, topic = time.monotonic() - began, said["answer"]["topic"]
        client.subscribe([topic])
        while client.whole(topic).get("status") not in ("done", "failed"):
            await asyncio.wait_for(anext(client), JOB_S)
        told_s = time.monotonic() - began
        job = await asyncio.to_thread(get_job, database, UUID(said["answer"]["job_id"]))
    return {
        "first_accepted_ms": round(1000 * accepted_s, 1), "told_on_topic_s": round(told_s, 2),
        "status_on_topic": client.whole(topic)["status"], "status_by_id": job.status, "error": job.error,
    }  # fmt: skip


def arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=3000.0, help="questions a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of every rung")
    parser.add_argument("--out", type=Path, default=RESULTS / "tiers.json")
    parser.add_argument("--json", action="store_true", help="print the report")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it run?")
    parser.add_argument("--no-cloud", action="store_true", help="without Prefect: the mix has no heavy work")
    parser.add_argument("--only", choices=("models", "mixes", "cloud"), help="the others stay as --out has them")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.rate = min(given.seconds, 2.0), min(given.rate, 300.0)
    return given


def in_home(work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Run it in a folder of its own with a published model."""
    # Not below a folder closed to others: PostgreSQL drops root.
    with tempfile.TemporaryDirectory(prefix="fantasy-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        published_model(home)
        return work(home)


def models(home: Path, given: Namespace) -> dict[str, Any]:
    """The inference thread by itself."""
    say("inference: 500 players")
    found = {"inference_500": inference.measure(home, repeats=20 if given.quick else 200)}
    say("batching")
    return found | {"batching": batching.measure(home, quick=given.quick)}


def mixes(home: Path, given: Namespace) -> dict[str, Any]:
    """All without heavy work."""
    with services(home, ("redis", "bus")) as settings:
        return {"mixes": ladder(settings, home, given)}


PARTS: dict[str, Callable[[Path, Namespace], dict[str, Any]]] = {"models": models, "mixes": mixes, "cloud": heavy}


def main() -> None:
    """Measure and write."""
    given = arguments()
    wanted = [given.only] if given.only else [part for part in PARTS if part != "cloud" or not given.no_cloud]
    kept = json.loads(given.out.read_text()) if given.only and given.out.is_file() else {}
    report = machine(("onnxruntime", "torch", "prefect", "numpy", "picows"))
    report |= {name: kept[name] for name in ("inference_500", "batching", "mixes", "cloud") if name in kept}
    report |= {"rate_per_s": given.rate}
    for part in wanted:
        report |= in_home(lambda home, part=part: PARTS[part](home, given))
    write(report, given.out)
    if given.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
