"""Champion against challenger on real requests: who asks decides the arm, and every arm served is an exposure.

A caller that names itself (header `Fantasy-Unit`: an account's or browser's own id) takes part when its bucket lies
inside `settings.experiment_ramp`; half of those get the version with the challenger alias. Everybody else gets the
champion and is no part of it. The unit is hashed before it leaves this module.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from features.errors import FantasyError
from features.stores.exposures import Exposure
from features.workspace import LEAGUES, League, Workspace
from models.bundle import LoadedModel, load_bundle
from models.champion import model_name
from models.experiments.assignment import Experiment, unit_hash
from models.registry import CHALLENGER, Registry
from serving.champion import STOP_S, Champions, FamilyName, Key, check_fits
from serving.settings import ServingSettings

log = logging.getLogger(__name__)
#: Families whose challenger may be served: those asked before lock.
FAMILIES: Final[tuple[FamilyName, ...]] = ("projection", "win_probability")
HEADER: Final = "fantasy-unit"
LONGEST_UNIT: Final = 200
_UNIT: ContextVar[str | None] = ContextVar("unit", default=None)


class NameUnit:
    """Middleware: who asks, for as long as the request lasts. A name that is too long is nobody's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the unit of the request's header."""
        unit = Headers(scope=scope).get(HEADER, "").strip() if scope["type"] == "http" else ""
        token = _UNIT.set(unit if 0 < len(unit) <= LONGEST_UNIT else None)
        try:
            await self._app(scope, receive, send)
        finally:
            _UNIT.reset(token)


@dataclass(frozen=True, slots=True)
class Served:
    """The model that answers, and the exposure its answer will be; None outside the experiment."""

    model: LoadedModel | None
    exposure: Exposure | None = None


class Arms:
    """Which model answers whom. The challengers are refreshed on a thread of its own; one that cannot be loaded is no
    arm, and everybody gets the champion. `record` is given every exposure and must not wait."""

    def __init__(
        self,
        settings: ServingSettings,
        champions: Champions,
        registry: Registry,
        record: Callable[[Exposure], None],
    ) -> None:
        self._settings, self._champions = settings, champions
        self._registry, self._record = registry, record
        self._challengers: dict[Key, LoadedModel] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="challengers", daemon=True)

    def start(self) -> None:
        """Begin watching for challengers, if there is an experiment at all."""
        if self._settings.experiment_ramp > 0:
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_S)

    def choose(self, league: League, family: FamilyName) -> Served:
        """The model for who asks now; hand the result to `expose` once its answer was made."""
        champion, challenger = self._champions.get(league, family), self._challengers.get((league, family))
        unit = _UNIT.get()
        if unit is None or champion is None or challenger is None or challenger.version == champion.version:
            return Served(champion)
        versions = {"champion": champion.version, "challenger": challenger.version}
        name = f"{champion.name}/{champion.version}-{challenger.version}"
        experiment = Experiment(name, dict.fromkeys(versions, 0.5), self._settings.experiment_ramp)
        arm = experiment.arm(unit)
        if arm is None:
            return Served(champion)
        context = {"shares": dict(experiment.arms), "versions": versions}
        exposure = Exposure(
            name,
            experiment.bucket_version,
            unit_hash(unit),
            arm,
            experiment.bucket(unit),
            datetime.now(UTC),
            context,
        )
        return Served(challenger if arm == "challenger" else champion, exposure)

    def expose(self, served: Served) -> None:
        """Record that this arm was served, once per unit, arm and day."""
        if served.exposure is not None:
            self._record(served.exposure)

    def refresh(self) -> None:
        """Look at every challenger alias once; what fails is logged, and tried again at the next look."""
        for league in LEAGUES:
            for family in FAMILIES:
                try:
                    self._refresh_one(league, family)
                except (FantasyError, OSError, RuntimeError, ValueError) as error:
                    # The watch must outlive a full disk or a lost connection; the champion serves everybody.
                    self._challengers.pop((league, family), None)
                    log.warning("challenger model=%s is not served: %s", model_name(league, family), error)

    def _refresh_one(self, league: League, family: FamilyName) -> None:
        key: Key = (league, family)
        version = self._registry.alias(model_name(league, family), CHALLENGER)
        current = self._challengers.get(key)
        if version is None:
            self._challengers.pop(key, None)
        elif current is None or current.version != version.version:
            store = Workspace(self._settings.home, league).bundles / "serving"
            folder = self._registry.download(version, store)
            model = load_bundle(folder, version=version.version, device=self._settings.device)
            check_fits(model, league, family)
            self._challengers[key] = model
            log.info("challenger model=%s version=%s may now be served", version.name, version.version)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._settings.champion_poll_s)
