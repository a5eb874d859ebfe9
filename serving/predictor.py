"""Projects slates with the champion, on a thread of its own so that the event loop never waits for torch."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from features.sources.player_names import match_players
from features.stores.online import OnlineStore
from features.stores.slates import StoredSlate
from models.bundle import LoadedModel
from models.projection.slate import SlateProjections, project_slate
from serving import telemetry
from serving.champion import Champions


@dataclass(frozen=True, slots=True)
class Projected:
    """A slate's projections, the players nobody could match, and how long it took."""

    stored: StoredSlate
    projections: SlateProjections
    unmatched: tuple[str, ...]
    latency_ms: float


class SlatePredictor:
    """Answers projections from the online store and the champion now serving."""

    def __init__(self, champions: Champions, online: OnlineStore) -> None:
        self._champions = champions
        self._online = online
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")

    async def project(self, stored: StoredSlate) -> Projected:
        """Project a slate as of its lock. Raises `StoreUnavailable` when Redis does not answer."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.project_now, stored)

    def project_now(self, stored: StoredSlate) -> Projected:
        """Project on the calling thread; the model is taken once and kept to the end."""
        started = time.perf_counter()
        model = self._champions.get(stored.league, "projection")
        views = self._online.read_views(stored.league)
        directory = self._online.directory(stored.league)
        match = None if stored.slate.source == "simulated" else match_players(stored.slate, directory)
        slate = match.slate if match is not None else stored.slate
        projections = project_slate(slate, model, views, directory)
        unmatched = tuple(player.name for player in match.unmatched) if match is not None else ()
        self._count(projections.frame, model)
        latency_ms = 1000 * (time.perf_counter() - started)
        return Projected(StoredSlate(stored.league, slate), projections, unmatched, latency_ms)

    def close(self) -> None:
        """Finish what is under way and stop the thread."""
        self._thread.shutdown(wait=True)

    @staticmethod
    def _count(frame: pl.DataFrame, model: LoadedModel | None) -> None:
        name = "none" if model is None else model.name
        for basis, rows in frame.group_by("basis").len().iter_rows():
            telemetry.PROJECTED.labels(name, basis).inc(rows)
