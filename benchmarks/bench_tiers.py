"""Three tiers under load: 3,000 questions a second, five times that, and the same without admission.

    python benchmarks/bench_tiers.py [--rate 3000] [--seconds 20] [--out FILE] [--json] [--quick] [--no-cloud]

The real parts answer: `serving.tiers.answerer` over topics in memory, an in-game winner as ONNX on the one inference
thread (50 what-ifs a question), and a real Prefect server on PostgreSQL that heavy work is handed to. Questions come
open loop (Poisson) and latency counts from when they were meant to come, in the same process and event loop: there is
no socket in between, which bench_hub.py measures. The mix is 80 % edge, 18 % regional, 2 % cloud, with deadlines of 10,
100 and 500 ms. The rival has no admission: first come, first served. Beside it: a slate of 500 players by onnxruntime
and by torch, and greedy batching against none and against waiting 2 ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from measure import RESULTS, machine, write
from tiers import batching, inference
from tiers.load import run_mix
from tiers.world import World, published_model

from features.stores.database import Database
from flows.deployments import JOBS, register
from flows.services import embedded_services, on_free_ports
from flows.settings import FlowSettings

#: Prefect's server takes a core where it is let; answers come first.
NICE = 15


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def prefect(home: Path, wanted: bool) -> Iterator[FlowSettings | None]:
    """A Prefect server with the deployment that takes jobs, and no worker; None where it is not wanted."""
    if not wanted:
        yield None
        return
    settings = on_free_ports(FlowSettings(home=home))
    with embedded_services(settings, which=("postgres", "prefect")):
        Database(settings.database_url).migrate()
        register([JOBS], settings)
        for each in psutil.Process().children(recursive=True):
            each.nice(NICE)
        yield settings


async def measure_mixes(world: World, rate: float, seconds: float) -> dict[str, Any]:
    """The ladder with admission, then the rival at the rate."""
    found: dict[str, Any] = {}
    for name, factor in (("half", 0.5), ("mix", 1.0), ("overload_5x", 5.0)):
        say(f"{name}: {rate * factor:,.0f} questions/s for {seconds:.0f} s")
        found[name] = await run_mix(world, rate * factor, seconds, admission=True)
    say(f"rival without admission: {rate:,.0f} questions/s")
    found["no_admission"] = await run_mix(world, rate, seconds, admission=False)
    say(f"rival without admission: {5 * rate:,.0f} questions/s")
    found["no_admission_5x"] = await run_mix(world, 5 * rate, seconds, admission=False)
    peak = max(found[name]["goodput_per_s"] for name in ("half", "mix"))
    for name in ("overload_5x", "no_admission", "no_admission_5x"):
        found[name]["goodput_of_peak"] = round(found[name]["goodput_per_s"] / peak, 4) if peak else None
    return found


def main() -> None:
    """Measure and write."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=3000.0, help="questions a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of every rung")
    parser.add_argument("--out", type=Path, default=RESULTS / "tiers.json")
    parser.add_argument("--json", action="store_true", help="print the report")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it run?")
    parser.add_argument("--no-cloud", action="store_true", help="without Prefect: the mix has no heavy work")
    given = parser.parse_args()
    seconds = min(given.seconds, 2.0) if given.quick else given.seconds
    rate = min(given.rate, 300.0) if given.quick else given.rate
    report = machine(("onnxruntime", "torch", "prefect", "numpy"))
    report |= {"rate_per_s": rate, "seconds": seconds, "cloud": not given.no_cloud}
    # Not below a folder closed to others: PostgreSQL drops root.
    with tempfile.TemporaryDirectory(prefix="fantasy-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        published_model(home)
        say("inference: 500 players")
        report["inference_500"] = inference.measure(home, repeats=20 if given.quick else 200)
        say("batching")
        report["batching"] = batching.measure(home, quick=given.quick)
        with prefect(home, not given.no_cloud) as services:
            report["mixes"] = asyncio.run(_in_world(home, services, rate, seconds))
    write(report, given.out)
    if given.json:
        print(json.dumps(report))


async def _in_world(home: Path, services: FlowSettings | None, rate: float, seconds: float) -> dict[str, Any]:
    return await measure_mixes(World(home, services), rate, seconds)


if __name__ == "__main__":
    main()
