"""Keeps the champions of every league loaded: load, check, atomic swap, drain.

A request takes the model once and keeps it to its end, so a swap never changes an answer half-way; the old
model goes when its last request lets go of it. A bundle that is corrupt, fails its golden batch or was trained on
other features never replaces a champion.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from features.errors import FantasyError, InvalidInput
from features.play.player_rows import LIVE_FEATURES
from features.play.views import PLAY_VIEW_VERSIONS
from features.views import GAME_FEATURES, PLAYER_FEATURES, VIEW_VERSIONS
from features.workspace import LEAGUES, League, Workspace
from models.bundle import LoadedModel, load_bundle
from models.champion import model_name
from models.errors import BundleError
from models.live_win.rows import FEATURES as LIVE_WIN_FEATURES
from models.possession.config import FEATURES as POSSESSION_FEATURES
from models.registry import ModelVersion, Registry
from models.shot.config import FEATURES as SHOT_FEATURES
from serving import telemetry
from serving.settings import ServingSettings

log = logging.getLogger(__name__)
FamilyName = Literal["projection", "win_probability", "live_win", "live_line", "possession", "shot"]
FAMILIES: Final[tuple[FamilyName, ...]] = (
    "projection", "win_probability", "live_win", "live_line", "possession", "shot",
)  # fmt: skip
#: What the rows of this code offer each family.
OFFERED: Final[Mapping[FamilyName, tuple[str, ...]]] = {
    "projection": PLAYER_FEATURES,
    "win_probability": GAME_FEATURES,
    "live_win": LIVE_WIN_FEATURES,
    "live_line": LIVE_FEATURES,
    "possession": POSSESSION_FEATURES,
    "shot": SHOT_FEATURES,
}
_VERSIONS: Final = VIEW_VERSIONS | PLAY_VIEW_VERSIONS
STOP_S: Final = 5.0
Key = tuple[League, FamilyName]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one champion: the version served, and what went wrong last, if anything did."""

    name: str
    version: str | None
    loaded_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version that was not swapped in; it is tried again at `retry_at` (monotonic seconds)."""

    version: str
    reason: str
    retry_at: float


class Champions:
    """The champions being served, refreshed from the registry by `refresh` on a thread of its own."""

    def __init__(self, settings: ServingSettings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._models: dict[Key, tuple[LoadedModel, datetime]] = {}
        self._errors: dict[Key, str] = {}
        self._refused: dict[Key, Refusal] = {}
        self._settled: set[Key] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champions", daemon=True)

    def start(self) -> None:
        """Begin watching the aliases."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; models already handed out stay usable."""
        self._stop.set()
        self._thread.join(timeout=STOP_S)

    def problem(self) -> str | None:
        """Why the champions cannot be relied on, None once every alias was looked up and its model settled."""
        if not self._thread.is_alive():
            return "the champion watch is not running; restart the process"
        if len(self._settled) == len(LEAGUES) * len(FAMILIES):
            return None
        return "; ".join(sorted(set(self._errors.values()))) or "the registry has not been asked yet"

    def get(self, league: League, family: FamilyName) -> LoadedModel | None:
        """Return the champion now, None when the league has none."""
        found = self._models.get((league, family))
        return None if found is None else found[0]

    def status(self, league: League, family: FamilyName) -> Status:
        """What is served for one family of a league, and what went wrong last."""
        key = (league, family)
        model, loaded_at = self._models.get(key, (None, None))
        version = None if model is None else model.version
        return Status(model_name(league, family), version, loaded_at, self._error(key))

    def refresh(self) -> None:
        """Look at every alias once and swap in what moved; a failure is kept for `status`, never raised."""
        for league in LEAGUES:
            for family in FAMILIES:
                self._attempt((league, family))

    def _attempt(self, key: Key) -> None:
        name = model_name(*key)
        try:
            self._refresh_one(key, name)
        except (FantasyError, OSError, RuntimeError, ValueError) as error:
            # The watch must outlive a full disk, a lost connection or an exhausted GPU; the old champion serves.
            self._errors[key] = str(error)
            telemetry.REFRESH_FAILURES.labels(name).inc()
            log.warning("champion model=%s not refreshed: %s", name, error)
        else:
            self._errors.pop(key, None)
            self._settled.add(key)

    def _refresh_one(self, key: Key, name: str) -> None:
        version = self._registry.alias(name, "champion")
        current = self.get(*key)
        served = version is None or (current is not None and current.version == version.version)
        if version is None or served:
            self._refused.pop(key, None)
            telemetry.BEHIND.labels(name).set(0)
            return
        telemetry.BEHIND.labels(name).set(1)
        refusal = self._refused.get(key)
        if refusal and refusal.version == version.version and time.monotonic() < refusal.retry_at:
            return
        self._try_version(key, version)

    def _try_version(self, key: Key, version: ModelVersion) -> None:
        """Swap `version` in, or remember why it was refused."""
        store = Workspace(self._settings.home, key[0]).bundles / "serving"
        try:
            folder = self._registry.download(version, store)
            model = load_bundle(folder, version=version.version, device=self._settings.device)
            check_fits(model, *key)
        except (BundleError, InvalidInput) as error:
            # The copy goes too, so that a restored artifact is fetched again.
            shutil.rmtree(store / version.name / version.version, ignore_errors=True)
            retry_at = time.monotonic() + self._settings.refused_retry_s
            self._refused[key] = Refusal(version.version, str(error), retry_at)
            telemetry.REFUSED.labels(version.name).inc()
            log.error("champion model=%s version=%s refused: %s", version.name, version.version, error)
            return
        self._models[key] = (model, datetime.now(UTC))
        self._refused.pop(key, None)
        learned = datetime.combine(model.trained_through, datetime.min.time(), UTC)
        telemetry.CHAMPION_VERSION.labels(version.name).set(float(version.version))
        telemetry.TRAINED_THROUGH.labels(version.name).set(learned.timestamp())
        telemetry.BEHIND.labels(version.name).set(0)
        telemetry.SWAPS.labels(version.name).inc()
        log.info("champion model=%s version=%s now serving on %s", version.name, version.version, model.device)

    def _error(self, key: Key) -> str | None:
        refusal = self._refused.get(key)
        refused = None if refusal is None else f"version {refusal.version} was refused: {refusal.reason}"
        return self._errors.get(key) or refused

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._settings.champion_poll_s)


def check_fits(model: LoadedModel, league: League, family: FamilyName) -> None:
    """Return when `model` may answer for this family. Raises `BundleError` naming what does not fit."""
    wanted = (model_name(league, family), family)
    if (model.name, model.family) != wanted:
        raise BundleError(
            f"the bundle is of {model.name} ({model.family}), not {wanted[0]}: promote another version"
        )
    lacking = sorted(set(model.features) - set(OFFERED[family]))
    if lacking:
        raise BundleError(f"{model.name} wants features {lacking[:5]}, which no view offers: train it again")
    moved = {name: v for name, v in model.view_versions.items() if _VERSIONS.get(name) != v}
    if moved:
        raise BundleError(
            f"{model.name} learned from views {moved}, this code computes {_VERSIONS}: train it again"
        )
