"""Keeps the champions of every league loaded: load, golden check, atomic swap, drain.

A request takes the model once and keeps it to its end, so a swap never changes an answer half-way; the old
model goes when its last request lets go of it. A bundle that fails its golden check never replaces a champion.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from features.errors import FantasyError
from features.workspace import LEAGUES, League, Workspace
from models.bundle import LoadedModel, load_bundle
from models.champion import model_name
from models.errors import NoChampion
from models.registry import ModelVersion, Registry
from serving import telemetry
from serving.settings import ServingSettings

log = logging.getLogger(__name__)
FAMILIES: Final = ("projection", "win_probability")
Key = tuple[League, str]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one champion: the version served, and what went wrong last, if anything did."""

    name: str
    version: str | None
    loaded_at: float | None
    error: str | None


class Champions:
    """The champions being served, refreshed from the registry by `refresh` on a thread of its own."""

    def __init__(self, settings: ServingSettings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._models: dict[Key, LoadedModel] = {}
        self._loaded_at: dict[Key, float] = {}
        self._errors: dict[Key, str] = {}
        self._refused: dict[Key, str] = {}
        self._registry_seen = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champions", daemon=True)

    def start(self) -> None:
        """Begin watching the aliases."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; models already handed out stay usable."""
        self._stop.set()
        self._thread.join(timeout=30)

    @property
    def registry_seen(self) -> bool:
        """Whether the registry has answered at least once."""
        return self._registry_seen

    def get(self, league: League, family: str) -> LoadedModel | None:
        """Return the champion now, None when the league has none."""
        return self._models.get((league, family))

    def require(self, league: League, family: str) -> LoadedModel:
        """Return the champion now. Raises `NoChampion`."""
        model = self.get(league, family)
        if model is None:
            raise NoChampion(f"no champion for {model_name(league, family)} yet: run `fantasy run`")
        return model

    def status(self) -> list[Status]:
        """Every family of every league, served or not."""
        return [self._status((league, family)) for league in LEAGUES for family in FAMILIES]

    def refresh(self) -> None:
        """Look at every alias once and swap in what moved."""
        for league in LEAGUES:
            for family in FAMILIES:
                self._attempt((league, family), self._refresh_one)

    def _attempt(self, key: Key, action: Callable[[Key], None]) -> None:
        try:
            action(key)
        except FantasyError as error:
            # The old champion keeps serving; the reason is shown by /ready and /v1/models.
            self._errors[key] = str(error)
            telemetry.SWAP_FAILURES.labels(model_name(*key)).inc()
            log.warning("champion model=%s not refreshed: %s", model_name(*key), error)
        else:
            self._errors.pop(key, None)

    def _refresh_one(self, key: Key) -> None:
        version = self._registry.alias(model_name(*key), "champion")
        self._registry_seen = True
        current = self._models.get(key)
        if version is None or (current is not None and current.version == version.version):
            return
        if self._refused.get(key) == version.version:
            raise NoChampion(f"version {version.version} was refused: {self._errors.get(key, 'see the log')}")
        self._load(key, version)

    def _load(self, key: Key, version: ModelVersion) -> None:
        workspace = Workspace(self._settings.home, key[0])
        folder = self._registry.download(version, workspace.bundles / "serving")
        try:
            model = load_bundle(folder, version=version.version, device=self._settings.device)
        except FantasyError:
            self._refused[key] = version.version
            raise
        self._models[key] = model
        self._loaded_at[key] = time.time()
        self._refused.pop(key, None)
        telemetry.CHAMPION_VERSION.labels(model_name(*key)).set(float(version.version))
        telemetry.SWAPS.labels(model_name(*key)).inc()
        log.info("champion model=%s version=%s now serving", model_name(*key), version.version)

    def _status(self, key: Key) -> Status:
        model = self._models.get(key)
        version = None if model is None else model.version
        return Status(model_name(*key), version, self._loaded_at.get(key), self._errors.get(key))

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._settings.champion_poll_s)
