"""What a champion learns from new games between trainings: a fresh calibration, and a few steps from its own weights.

Both become registered challengers that name their parent, and pass the same gate as any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput
from features.params import read_params
from features.play.plays import stored_plays
from features.splits import holdout
from features.stores.offline import OfflineStore
from features.tables import EASTERN, Tables
from features.views import VIEW_VERSIONS, Views
from features.workspace import Workspace
from models.bundle import LoadedModel, load_bundle
from models.champion import model_name
from models.errors import BundleError, TrainingError
from models.evaluation import flat
from models.families import family_of, line_plays
from models.lifecycle import Lineage, Progress, known_tables, open_registry
from models.recalibrate import calibration_window, recalibrate
from models.registry import CHAMPION, ModelVersion, Registry
from models.report import slice_report
from models.settings import ModelSettings
from models.tracking import DatasetReference
from models.training.config import TrainingParams

Kind = Literal["recalibrated", "fine_tuned"]
KINDS: Final[tuple[Kind, ...]] = ("recalibrated", "fine_tuned")
#: Tags of a version that was made from another: how, and from which.
KIND_TAG: Final = "kind"
PARENT_TAG: Final = "parent"
#: Newer game dates that the weights must not have seen yet before they are trained on.
NEW_DATES: Final = 7


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of one kind of learning: a challenger's `version`, or None and the `reason` why there is none."""

    family: str
    kind: Kind
    parent: str | None
    version: str | None
    reason: str = ""
    reused: bool = False

    def summary(self) -> str:
        """One line."""
        if self.version is None:
            return f"skipped: {self.reason}"
        how = "nothing changed since" if self.reused else "registered"
        return f"{how} version {self.version}, {self.kind.replace('_', '-')} from version {self.parent}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _School:
    """All that both kinds need. `rows` are labelled and dated before the day of `as_of`."""

    registry: Registry
    workspace: Workspace
    settings: ModelSettings
    champion: LoadedModel
    rows: pl.DataFrame
    tables: Tables
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    as_of: datetime
    on_progress: Progress | None


def learn_from_new_games(
    family: str,
    workspace: Workspace,
    settings: ModelSettings,
    *,
    lineage: Lineage,
    as_of: datetime,
    kinds: Sequence[Kind] = KINDS,
    excluded_seasons: Sequence[int] = (),
    on_progress: Progress | None = None,
) -> list[Lesson]:
    """Make one challenger of each of `kinds` from the champion, unless the same was made from the same data and code.

    A family without a champion, or without enough new games, gives a lesson without a version and with the reason.
    """
    with open_registry(settings) as registry:
        held = registry.alias(model_name(workspace.league, family), CHAMPION)
        if held is None:
            return [
                Lesson(family, kind, None, None, "no champion yet: `fantasy run` trains one") for kind in kinds
            ]
        try:
            champion = load_bundle(registry.download(held, workspace.bundles / "cache"), version=held.version)
        except BundleError as error:
            return [Lesson(family, kind, held.version, None, str(error)) for kind in kinds]
        store = OfflineStore(workspace)
        views, tables = store.read_views(), known_tables(workspace, as_of, excluded_seasons)
        if changed := _changed_views(champion):
            why = f"views {changed} are computed otherwise than for the champion: train it anew"
            return [Lesson(family, kind, held.version, None, why) for kind in kinds]
        rows = _labelled(family, tables, views, store, as_of, excluded_seasons)
        excluded = ",".join(map(str, excluded_seasons))
        tags = {**lineage.as_json(), "as_of": as_of.isoformat(), "excluded_seasons": excluded, "family": family}
        school = _School(
            registry, workspace, settings, champion, rows, tables, read_params(), tags, as_of, on_progress
        )
        return [_lesson(school, kind) for kind in kinds]


def _labelled(
    family: str, tables: Tables, views: Views, store: OfflineStore, as_of: datetime, excluded: Sequence[int]
) -> pl.DataFrame:
    plays = line_plays(family, stored_plays(store, known_by=as_of, excluded_seasons=excluded))
    return family_of(family).labelled_rows(tables, views, plays=plays)


def _changed_views(champion: LoadedModel) -> list[str]:
    known = champion.view_versions
    return sorted(name for name, version in VIEW_VERSIONS.items() if known.get(name, version) != version)


def _lesson(school: _School, kind: Kind) -> Lesson:
    family, parent = school.champion.family, school.champion.version
    own = {KIND_TAG: kind, PARENT_TAG: parent, "choices": f"{kind} from version {parent}"}
    wanted = {**school.tags, **own}
    twin = _twin(school.registry.versions(school.champion.name), wanted)
    if twin is not None:
        return Lesson(family, kind, parent, twin.version, reused=True)
    out = school.workspace.bundles / f"{family}-{kind}-{school.as_of:%Y%m%d}-{school.tags['data_hash'][:8]}"
    try:
        make = _recalibrated if kind == "recalibrated" else _fine_tuned
        tested, params, curve = make(school, out, wanted)
        version = _register(school, out, wanted, tested, params, curve)
    except TrainingError as error:
        return Lesson(family, kind, parent, None, str(error))
    finally:
        shutil.rmtree(out.with_name(f"{out.name}.checkpoints"), ignore_errors=True)
    return Lesson(family, kind, parent, version)


def _recalibrated(
    school: _School, out: Path, references: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, Any], dict[str, list[float]]]:
    champion = school.champion
    chosen = TrainingParams.read(school.params, champion.family)
    past = _before(school)
    window = calibration_window(past, champion.bundle.fit_through, chosen.calibration_days)
    newest = window["game_date"].max()
    if not isinstance(newest, date) or newest <= champion.bundle.calibrated_through:
        raise TrainingError(
            f"no game date after {champion.bundle.calibrated_through}, where the champion's calibration ends, leaves "
            "enough later ones to judge on"
        )
    recalibrate(champion, window, out=out, created_at=school.as_of, references=references)
    tested = past.filter(pl.col("game_date") > newest)
    return tested, {"rows": {"calibrate": window.height, "test": tested.height}}, {}


def _fine_tuned(
    school: _School, out: Path, references: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, Any], dict[str, list[float]]]:
    from models.training.fit import Identity, RunOptions  # Lightning: seconds to import, and only here
    from models.training.warm_start import fine_tune, shortened, with_replay

    champion, through = school.champion, school.champion.bundle.fit_through
    chosen = TrainingParams.read(school.params, champion.family)
    try:
        split = holdout(school.rows, school.as_of, chosen.holdout_days, chosen.calibration_days)
    except InvalidInput as error:
        raise TrainingError(str(error)) from error
    fresh = split.fit.filter(pl.col("game_date") > through)["game_date"].n_unique()
    if fresh < NEW_DATES:
        raise TrainingError(
            f"{fresh} game dates after {through}, through which the champion's weights were fitted; {NEW_DATES} are "
            "needed before those kept for calibration and test"
        )
    optimisation = shortened(chosen.optimisation)
    taught = with_replay(split.fit, optimisation.seed)
    identity = Identity(champion.name, school.workspace.league, school.as_of, dict(references))
    options = RunOptions(
        out.with_name(f"{out.name}.checkpoints"), school.settings.device, on_progress=school.on_progress
    )
    _, fitted = fine_tune(champion, taught, split.calibrate, optimisation, identity, options, out=out)
    rows = {"fit": taught.height, "calibrate": split.calibrate.height, "test": split.test.height}
    names = sorted({name for point in fitted.curve for name in point} - {"epoch"})
    curve = {name: [float(point[name]) for point in fitted.curve] for name in names}
    return (
        split.test,
        {"rows": rows, champion.family: optimisation.as_json(), "precision": fitted.precision},
        curve,
    )


def _before(school: _School) -> pl.DataFrame:
    """Rows of games before the day of `as_of`, by the same rule as `judge`."""
    return school.rows.filter(pl.col("game_date") < school.as_of.astimezone(ZoneInfo(EASTERN)).date())


def _register(
    school: _School, out: Path, tags: Mapping[str, str], tested: pl.DataFrame, params: Mapping[str, Any],
    curves: Mapping[str, Sequence[float]],
) -> str:  # fmt: skip
    model = load_bundle(out)
    bundle = model.bundle
    past = school.rows.filter(pl.col("game_date") <= model.trained_through)
    metrics = flat(slice_report(model, tested, past, school.tables, school.params))
    dates = {
        "fit_through": bundle.fit_through, "calibrated_through": bundle.calibrated_through,
        "trained_through": bundle.trained_through, "tested_from": tested["game_date"].min(),
        "tested_through": tested["game_date"].max(),
    }  # fmt: skip
    league = school.workspace.league
    source = DatasetReference(f"{league}-raw", tags["data_hash"][:36], str(school.workspace.raw))
    version = school.registry.register(
        out, name=model.name, metrics=metrics, tags={**tags, **{key: str(day) for key, day in dates.items()}},
        params=params, curves=curves, datasets=[source],
    )  # fmt: skip
    school.registry.nominate(model.name, version.version)
    return version.version


def _twin(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> ModelVersion | None:
    """The newest version made in the same way from the same; code with uncommitted changes has no twin."""
    if tags["git_sha"].endswith("-dirty"):
        return None
    return next((v for v in versions if all(v.tags.get(k, "") == value for k, value in tags.items())), None)
