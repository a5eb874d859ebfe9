"""`python -m serving.live hub|worker|recompute`: the processes of live serving. Settings come from `FANTASY_*`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final, cast

import uvloop

from features.workspace import LEAGUES
from serving.live.asking import Answerer
from serving.live.limits import Limits
from serving.live.supervisor import Supervisor
from serving.live.worker import Worker
from serving.settings import ServingSettings

#: Of a worker: updates make few cycles, and a look at 10,000 connections takes milliseconds.
GC_THRESHOLDS: Final = (50_000, 20, 50)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the processes until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = ServingSettings()
    given = _parser(settings).parse_args(arguments)
    if given.what == "hub":
        passed = [f"--league={league}" for league in given.league or ()]
        passed += [f"--answers={given.answers}"] if given.answers else []
        passed += [f"--limits={given.limits}"] if given.limits else []
        Supervisor(given.host, given.port, given.workers, passed).run()
    elif given.what == "worker":
        _open_files()
        uvloop.run(_work(settings, given))
    else:
        recompute: Any = importlib.import_module("serving.live.recompute")
        recompute.run(settings, given.league)


def _parser(settings: ServingSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.live", description=__doc__)
    parts = parser.add_subparsers(dest="what", required=True)
    for name in ("hub", "worker"):
        part = parts.add_parser(name)
        part.add_argument("--host", default=settings.host)
        part.add_argument("--port", type=int, default=settings.live_port, help="0 takes a free one (hub only)")
        part.add_argument("--league", action="append", choices=LEAGUES, help="all of them if absent")
        part.add_argument("--answers", help="module:factory; factory(settings) returns what answers `ask`")
        part.add_argument("--limits", help='JSON of serving.live.limits.Limits, e.g. {"per_address": 20000}')
        if name == "hub":
            part.add_argument("--workers", type=int, default=settings.live_workers)
        else:
            part.add_argument("--index", type=int, default=0)
    part = parts.add_parser("recompute")
    part.add_argument("--league", choices=LEAGUES, required=True)
    return parser


async def _work(settings: ServingSettings, given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(
        settings,
        name=f"{given.port}-{given.index}",
        host=given.host,
        port=given.port,
        leagues=given.league or LEAGUES,
        limits=_limits(given.limits),
        answerer=_answerer(settings, given.answers),
    )
    starting = asyncio.ensure_future(worker.start())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        # What is there now stays: looking through it again and again would delay every client.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        logging.getLogger(__name__).info("worker %s listens", worker.state.worker)
        await stopping
    else:
        starting.cancel()
    await worker.drain()


def _limits(text: str | None) -> Limits:
    given: dict[str, Any] = json.loads(text) if text else {}
    if unknown := sorted(set(given) - {field.name for field in fields(Limits)}):
        sys.exit(f"--limits: {unknown[0]!r} is no limit; use {', '.join(f.name for f in fields(Limits))}")
    return replace(Limits(), **given)


def _answerer(settings: ServingSettings, name: str | None) -> Answerer | None:
    if name is None:
        return None
    module, _, factory = name.partition(":")
    return cast("Answerer", getattr(importlib.import_module(module), factory)(settings))


def _open_files() -> None:
    """Allow as many sockets as the system lets this process have; what a shell allows is often 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
