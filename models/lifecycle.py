"""A model's life: trained and registered as challenger, judged, promoted or held, watched, rolled back.

Each function does one step against the registry and is what a flow's task, a command or a test calls.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from features.errors import InvalidInput
from features.params import read_params
from features.play.plays import stored_plays
from features.stores.database import Database
from features.stores.offline import OfflineStore
from features.tables import Tables
from features.workspace import League, Workspace
from models.bundle import LoadedModel, load_bundle
from models.champion import model_name, remember_champion
from models.errors import BundleError, NoChampion
from models.families import FAMILIES, family_of, line_plays
from models.judgement import judge
from models.registry import CHAMPION, ModelVersion, Registry
from models.settings import ModelSettings
from models.tracking import DatasetReference
from models.training.config import TrainingChoices

log = logging.getLogger(__name__)
#: How far back the rows lie that the newest ones are compared with for drift.
REFERENCE_DAYS: Final = 365
CURRENT_DAYS: Final = 28
#: Features that grow with the calendar: they always differ from the past, which is no drift.
CALENDAR: Final = re.compile(r"games_(season|career)$|season_progress|days_since|dk_career|prior_season")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a model comes from: commit of the code, DVC's hash of the raw archive, hash of the parameters."""

    git_sha: str
    data_hash: str
    params_hash: str

    def as_json(self) -> dict[str, str]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Challenger:
    """A registered version; `reused` when one trained on exactly this data, code and parameters was there."""

    name: str
    version: str
    reused: bool
    metrics: dict[str, float]

    def summary(self) -> str:
        """One line."""
        how = "nothing changed since" if self.reused else "registered"
        return f"{how} {self.name} version {self.version}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@contextmanager
def open_registry(settings: ModelSettings) -> Iterator[Registry]:
    """The registry with its audit database brought up to date; its connections are closed at the end."""
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield Registry(settings, database)
    finally:
        database.close()


def known_tables(workspace: Workspace, as_of: datetime, excluded_seasons: Sequence[int] = ()) -> Tables:
    """Games and box lines known by `as_of`, without the quarantined seasons."""
    tables = OfflineStore(workspace).tables(known_by=as_of)
    kept = ~pl.col("season").is_in(list(excluded_seasons))
    return Tables(tables.games.filter(kept), tables.box.filter(kept))


def train_challenger(
    family: str,
    workspace: Workspace,
    settings: ModelSettings,
    *,
    lineage: Lineage,
    as_of: datetime,
    excluded_seasons: Sequence[int] = (),
    retrain: bool = False,
    on_progress: Progress | None = None,
    choices: TrainingChoices | None = None,
) -> Challenger:
    """Train and register one version, unless one from the same data, code and parameters is registered."""
    choices = choices or TrainingChoices()
    with open_registry(settings) as registry:
        name = model_name(workspace.league, family)
        excluded = ",".join(map(str, excluded_seasons))
        tags = {**lineage.as_json(), "as_of": as_of.isoformat(), "excluded_seasons": excluded, "family": family}
        tags["choices"] = choices.as_tag()
        if not retrain and (twin := _twin(registry.versions(name), tags)) is not None:
            return Challenger(name, twin.version, True, _metrics(twin))
        from models.training.fit import train  # Lightning: seconds to import, and only here

        store, params = OfflineStore(workspace), choices.applied(read_params(), family)
        out = workspace.bundles / f"{family}-{as_of:%Y%m%d}-{lineage.data_hash[:8]}"
        trained = train(
            family,
            known_tables(workspace, as_of, excluded_seasons),
            store.read_views(),
            params,
            as_of=as_of,
            out=out,
            league=workspace.league,
            references=tags,
            plays=line_plays(family, stored_plays(store, known_by=as_of, excluded_seasons=excluded_seasons)),
            device=settings.device,
            on_progress=on_progress,
            choices=choices,
        )
        dates = {
            "fit_through": trained.fit_through,
            "calibrated_through": trained.calibrated_through,
            "trained_through": trained.trained_through,
            "tested_from": trained.tested_from,
            "tested_through": trained.tested_through,
        }
        source = DatasetReference(f"{workspace.league}-raw", lineage.data_hash[:36], str(workspace.raw))
        version = registry.register(
            trained.bundle_path,
            name=name,
            metrics={**trained.metrics, "samples_per_s": trained.samples_per_s, **trained.machine},
            tags={**tags, **{key: value.isoformat() for key, value in dates.items()}, "device": trained.device},
            params={**params["train"], "precision": trained.precision, "rows": trained.rows},
            curves=_curves(trained.curve),
            datasets=[source],
        )
        registry.nominate(name, version.version)
        shutil.rmtree(out.with_name(f"{out.name}.checkpoints"), ignore_errors=True)
        return Challenger(name, version.version, False, trained.metrics)


def evaluate_challenger(
    family: str,
    workspace: Workspace,
    settings: ModelSettings,
    *,
    version: str,
    as_of: datetime,
    excluded_seasons: Sequence[int] = (),
) -> dict[str, Any]:
    """Judge a registered version against the champion, or the best baseline when there is none yet."""
    with open_registry(settings) as registry:
        name = model_name(workspace.league, family)
        challenger = _load(registry, workspace, _registered(registry, name, version))
        current = registry.alias(name, CHAMPION)
        if current is not None and current.version == version:
            reasons = [f"version {version} is the champion already"]
            return {
                "action": "hold",
                "reasons": reasons,
                "challenger": version,
                "champion": version,
                "evidence": None,
            }
        champion = None if current is None else _usable(registry, workspace, current)
        store = OfflineStore(workspace)
        verdict = judge(
            challenger,
            champion,
            known_tables(workspace, as_of, excluded_seasons),
            store.read_views(),
            read_params(),
            as_of=as_of,
            plays=line_plays(family, stored_plays(store, known_by=as_of, excluded_seasons=excluded_seasons)),
        )
        # Whoever holds the alias is who must still hold it when it moves, also when its bundle cannot be read.
        return {**verdict.as_json(), "champion": None if current is None else current.version}


def apply_verdict(
    family: str, workspace: Workspace, settings: ModelSettings, verdict: Mapping[str, Any], *, actor: str
) -> dict[str, Any]:
    """Move the alias when the verdict says promote, else note the decision; return who is champion now."""
    with open_registry(settings) as registry:
        name = model_name(workspace.league, family)
        version = str(verdict["challenger"])
        action: Literal["hold", "reject"] = "reject" if verdict["action"] == "reject" else "hold"
        if verdict["action"] == "promote":
            registry.promote(name, version, expected=verdict["champion"], evidence=verdict, actor=actor)
        elif verdict["champion"] != version:
            registry.note(name, version, action=action, evidence=verdict, actor=actor)
        return {"name": name, "action": verdict["action"], "champion": keep_champion(family, workspace, registry)}


def roll_back(
    family: str, workspace: Workspace, settings: ModelSettings, *, actor: str, reason: str = ""
) -> dict[str, Any]:
    """Give the alias back to the version before. Raises `NoChampion` when there is none."""
    with open_registry(settings) as registry:
        name = model_name(workspace.league, family)
        target = registry.rollback(name, actor, reason=reason)
        keep_champion(family, workspace, registry)
        return {"name": name, "champion": target.version}


def keep_champion(family: str, workspace: Workspace, registry: Registry) -> str | None:
    """Keep a copy of the champion beside the data, for commands that run without servers; return its version."""
    version = registry.alias(model_name(workspace.league, family), CHAMPION)
    if version is None:
        return None
    folder = registry.download(version, workspace.bundles / "cache")
    remember_champion(workspace, family, version=version.version, folder=folder)
    return version.version


def watch_champion(
    family: str, workspace: Workspace, settings: ModelSettings, *, as_of: datetime
) -> dict[str, Any]:
    """Compare the newest feature rows with those the champion learned from, and say how old it is."""
    from models.monitoring import drift_report, model_staleness

    with open_registry(settings) as registry:
        version = registry.alias(model_name(workspace.league, family), CHAMPION)
        if version is None:
            return {"level": "unknown", "reason": "no champion yet"}
        model = _load(registry, workspace, version)
        store = OfflineStore(workspace)
        plays = line_plays(family, stored_plays(store, known_by=as_of))
        rows = family_of(family).labelled_rows(known_tables(workspace, as_of), store.read_views(), plays=plays)
        learned = model.trained_through
        day = pl.col("game_date")
        report = drift_report(
            rows.filter(day.is_between(learned - timedelta(days=REFERENCE_DAYS), learned)),
            rows.filter(day > as_of.date() - timedelta(days=CURRENT_DAYS)),
            [name for name in model.features if not CALENDAR.search(name)],
            staleness=model_staleness(learned, as_of),
        )
        return report.as_json()


def list_versions(league: League, settings: ModelSettings) -> list[dict[str, Any]]:
    """Every version of a league's models, newest first, with its place and headline figures."""
    with open_registry(settings) as registry:
        found: list[dict[str, Any]] = []
        for family in FAMILIES:
            name = model_name(league, family)
            champion = registry.alias(name, CHAMPION)
            for version in registry.versions(name):
                is_champion = champion is not None and champion.version == version.version
                found.append({"name": name, "version": version.version, "champion": is_champion, **version.tags})
        if not found:
            raise NoChampion(f"no model of league {league!r} is registered yet: run `fantasy run`")
        return found


def _load(registry: Registry, workspace: Workspace, version: ModelVersion) -> LoadedModel:
    folder: Path = registry.download(version, workspace.bundles / "cache")
    return load_bundle(folder, version=version.version)


def _usable(registry: Registry, workspace: Workspace, version: ModelVersion) -> LoadedModel | None:
    """The model, or None when its bundle is damaged: a champion nobody can load must not stop its successor."""
    try:
        return _load(registry, workspace, version)
    except BundleError as error:
        log.warning("champion %s version %s cannot be loaded: %s", version.name, version.version, error)
        return None


def _registered(registry: Registry, name: str, version: str) -> ModelVersion:
    known = registry.versions(name)
    found = next((each for each in known if each.version == version), None)
    if found is None:
        numbers = ", ".join(each.version for each in known) or "none"
        raise InvalidInput(f"{name} has no version {version!r}; registered: {numbers}")
    return found


def _twin(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> ModelVersion | None:
    """The newest version with the same lineage; code with uncommitted changes has no twin."""
    if tags["git_sha"].endswith("-dirty"):
        return None
    return next((v for v in versions if all(v.tags.get(k, "") == value for k, value in tags.items())), None)


def _metrics(version: ModelVersion) -> dict[str, float]:
    prefix = "metric."
    return {key.removeprefix(prefix): float(v) for key, v in version.tags.items() if key.startswith(prefix)}


def _curves(curve: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    names = sorted({name for point in curve for name in point} - {"epoch"})
    return {name: [float(point[name]) for point in curve] for name in names}
