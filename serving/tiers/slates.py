"""Slates at the regional tier: rows assembled on threads, all players answered in one batch of the ONNX champion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.sources.player_names import match_players
from features.stores.slates import StoredSlate
from features.workspace import League
from models.bundle import LoadedModel
from models.projection.availability import Availability
from models.projection.slate import SlateProjections, project_slate
from models.trunk import feature_matrix
from serving.champion import FamilyName
from serving.kept_slates import KeptSlates
from serving.predictor import SlatePredictor
from serving.snapshot import Snapshots
from serving.tiers.costs import Clock
from serving.tiers.lanes import Ticket
from serving.tiers.regional import Regional
from serving.tiers.sessions import Session

THREADS: Final = 2
#: Outputs that the graph must hold calibrated.
NEEDED: Final = ("mean", "quantiles")
WEIGHT: Final = 0.25
FIRST_S: Final = 0.03


@dataclass(slots=True)
class _Asked:
    """The champion as `project_slate` asks it, answering through the regional queue. Runs on a thread."""

    session: Session
    regional: Regional
    ticket: Ticket
    loop: asyncio.AbstractEventLoop
    asked: bool = False

    @property
    def name(self) -> str:
        return self.session.name

    @property
    def version(self) -> str:
        return self.session.version

    @property
    def config(self) -> Mapping[str, Any]:
        return self.session.config

    @property
    def bundle(self) -> Any:
        return SimpleNamespace(calibration=self.session.calibration)

    @property
    def trained_through(self) -> date:
        return date.fromisoformat(self.session.trained_through)

    def outputs(self, rows: pl.DataFrame) -> dict[str, NDArray[Any]]:
        """Calibrated outputs, as `LoadedModel.outputs` has them for a slate."""
        inputs = feature_matrix(rows, self.session.features)
        self.asked = True
        waiting = asyncio.run_coroutine_threadsafe(self.regional.ask(self.session, inputs, self.ticket), self.loop)
        found = {name: np.asarray(value, dtype=np.float64) for name, value in waiting.result().items()}
        found["p_play"] = np.ones(len(inputs))
        if known := self.session.calibration.get("availability"):
            found["p_play"] = Availability.from_json(known).probability(inputs, self.session.features)
        return found


class Slates:
    """Projects stored slates. `before_s` is what assembling rows has taken lately."""

    def __init__(
        self,
        slates: KeptSlates,
        snapshots: Snapshots,
        predictor: SlatePredictor,
        regional: Regional,
        clock: Clock,
        want: Callable[[League, FamilyName], None],
    ) -> None:
        self._slates = slates
        self._snapshots = snapshots
        self._predictor = predictor
        self._regional = regional
        self._clock = clock
        self._want = want
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="slates")
        self.before_s = FIRST_S

    def close(self) -> None:
        """Finish what is under way and stop the threads."""
        self._threads.shutdown(wait=True)

    async def find(self, slate_id: str) -> StoredSlate:
        """The slate. Raises `NotMaterialized` when it is unknown."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._slates.get, slate_id)

    async def project(self, stored: StoredSlate, session: Session | None, ticket: Ticket) -> SlateProjections:
        """Every player of the slate; `ticket` is of the regional lane. Raises `Late`, `NotMaterialized`.

        Without a session that can answer slates the torch champion does, and the session is asked for.
        """
        if session is None or not set(NEEDED) <= set(session.calibrated):
            return await self._by_predictor(stored, ticket)
        loop = asyncio.get_running_loop()
        asked = _Asked(session, self._regional, ticket, loop)
        began_at = self._clock()
        try:
            found = await loop.run_in_executor(self._threads, self._project, stored, asked)
        finally:
            if not asked.asked:
                self._regional.lane.drop(ticket)
        took = self._clock() - began_at
        self.before_s += WEIGHT * (took - self.before_s)
        return found

    async def _by_predictor(self, stored: StoredSlate, ticket: Ticket) -> SlateProjections:
        self._want(stored.league, "projection")
        number = self._regional.lane.begin([ticket])
        try:
            return (await self._predictor.project(stored)).projections
        finally:
            self._regional.lane.end(number, ticket.kind, ticket.rows)

    def _project(self, stored: StoredSlate, asked: _Asked) -> SlateProjections:
        snapshot = self._snapshots.get(stored.league)
        slate = stored.slate
        if slate.source != "simulated":
            slate = match_players(slate, snapshot.directory).slate
        # It has all that `project_slate` uses of a model.
        return project_slate(slate, cast(LoadedModel, asked), snapshot.views, snapshot.directory)
