"""What a request may use: settings, champions, stores, predictor and solver, made once per process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Depends, Request

from features.errors import FantasyError
from features.stores.database import Database
from features.stores.online import OnlineStore
from features.stores.slates import newest_slates
from models.registry import Registry
from serving import telemetry
from serving.cancellation import Wish
from serving.champion import Champions
from serving.experiment import Arms
from serving.in_game import LivePredictor
from serving.kept_slates import KeptSlates
from serving.live_games import LiveGames
from serving.predictor import SlatePredictor
from serving.recorder import Recorder
from serving.settings import ServingSettings
from serving.snapshot import Snapshots

log = logging.getLogger(__name__)
DEPENDENCIES: Final = ("redis", "postgres", "mlflow")


@dataclass(frozen=True, slots=True)
class Context:
    """The process's long-lived parts. `solver` runs the optimizer, which holds no interpreter lock.

    `simulator` runs one contest simulation at a time, `simulating` is held while one runs. `closing` is set once
    the process shuts down.
    """

    settings: ServingSettings
    database: Database
    slates: KeptSlates
    online: OnlineStore
    champions: Champions
    arms: Arms
    predictor: SlatePredictor
    live: LivePredictor
    recorder: Recorder
    solver: ThreadPoolExecutor
    simulator: ThreadPoolExecutor
    simulating: threading.Lock
    closing: threading.Event

    @classmethod
    def open(cls, settings: ServingSettings) -> Context:
        """Wire the parts; nothing connects before it is used, so this succeeds while everything is down."""
        database = Database(settings.database_url)
        online = OnlineStore(settings.redis_url)
        registry, recorder = Registry(settings, database), Recorder(database)
        champions = Champions(settings, registry)
        arms = Arms(settings, champions, registry, recorder.exposure)
        snapshots = Snapshots(online)
        games = LiveGames(settings.home, snapshots, lambda: datetime.now(UTC))
        return cls(
            settings=settings,
            database=database,
            slates=KeptSlates(database),
            online=online,
            champions=champions,
            arms=arms,
            predictor=SlatePredictor(champions, online, snapshots, arms, torch_threads=settings.torch_threads),
            live=LivePredictor(champions, games, torch_threads=settings.torch_threads),
            recorder=recorder,
            solver=ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="solver"),
            simulator=ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulator"),
            simulating=threading.Lock(),
            closing=threading.Event(),
        )

    def wish(self) -> Wish:
        """A new wish for an answer, which ends with the process."""
        return Wish(self.closing)

    def start(self) -> None:
        """Begin watching for champions; compile the optimizer meanwhile, so that no request waits for that."""
        self.champions.start()
        self.arms.start()
        self.recorder.start()
        threading.Thread(target=_warm_optimizer, name="warm", daemon=True).start()

    def close(self) -> None:
        """Finish what is under way and let go of connections."""
        self.closing.set()
        self.champions.stop()
        self.arms.stop()
        self.predictor.close()
        self.live.close()
        self.solver.shutdown(wait=True)
        self.simulator.shutdown(wait=True)
        self.recorder.close()
        self.online.close()
        self.database.close()

    def problems(self) -> dict[str, str]:
        """Return what keeps this process from answering, by dependency; empty when it is ready."""
        found: dict[str, str] = {}
        checks: dict[str, Callable[[], object]] = {
            "redis": self.online.ping,
            "postgres": lambda: newest_slates(self.database, limit=0),
        }
        for name, check in checks.items():
            try:
                check()
            except FantasyError as error:
                found[name] = str(error)
        if (unsettled := self.champions.problem()) is not None:
            found["mlflow"] = unsettled
        for name in DEPENDENCIES:
            telemetry.READY.labels(name).set(float(name not in found))
        return found


def get_context(request: Request) -> Context:
    """Return the process's context."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


def _warm_optimizer() -> None:
    from models.lineups.optimize import warm  # compiles: seconds at the very first start

    warm()
    log.info("optimizer compiled")
