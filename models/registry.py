"""The model registry: versions in MLflow, one champion each, every move of it compared, locked and audited.

MLflow's aliases are last-writer-wins, so an alias moves only inside one PostgreSQL transaction that holds the
model's advisory lock, re-reads the alias, and writes the audit row. The transaction commits after the alias
moved; should the process die in between, the next move finds the alias ahead of the audit and writes the missing
row first (`actor="reconciled"`), so audit and alias agree whenever a move is decided.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.errors import InvalidInput
from features.stores.database import Database
from features.stores.schema import Promotion
from models.errors import BundleError, NoChampion, PromotionConflict
from models.settings import ModelSettings
from models.tracking import (
    BUNDLE_FOLDER,
    INPUT_EXAMPLE,
    MLMODEL,
    DatasetReference,
    TrainingRun,
    check_answers,
    log_training_run,
    mlflow_client,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
#: Tag of a version that holds the summary of the newest evidence about it; the whole is an artifact of its run.
EVIDENCE_TAG: Final = "evidence"
SHA256_TAG: Final = "bundle_sha256"
RECONCILED: Final = "reconciled"
_TAG_LENGTH: Final = 4000


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version. `tags` are its own (git SHA, data hash, split dates, `metric.*`)."""

    name: str
    version: str
    tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str = ""
    created_at: datetime | None = None


class Registry:
    """Versions and aliases in MLflow at `settings.mlflow_tracking_uri`, audited in `database`.

    Every method raises `RegistryUnavailable` or `StoreUnavailable` when a server does not answer.
    """

    def __init__(self, settings: ModelSettings, database: Database) -> None:
        self._settings: Final = settings
        self._database: Final = database

    def ping(self) -> None:
        """Return when MLflow is healthy; takes milliseconds and does not import MLflow."""
        check_answers(self._settings.mlflow_tracking_uri)

    def register(
        self,
        bundle_path: Path,
        *,
        name: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        curves: Mapping[str, Sequence[float]] | None = None,
        datasets: Sequence[DatasetReference] = (),
    ) -> ModelVersion:
        """Log the bundle in a run of its own and register it as the next version of `name`.

        Raises `BundleError` when the folder is not a bundle.
        """
        digest = folder_sha256(bundle_path)
        run = TrainingRun(name, params, metrics, curves or {}, {**tags, SHA256_TAG: digest}, datasets)
        run_id = log_training_run(self._settings, run, bundle_path)
        own = {**run.tags, **{f"metric.{key}": f"{value:.6g}" for key, value in metrics.items()}}
        with mlflow_client(self._settings) as client:
            _ensure_model(client, name)
            artifacts = str(client.get_run(run_id).info.artifact_uri)
            created = client.create_model_version(
                name,
                source=f"{artifacts}/{BUNDLE_FOLDER}",
                run_id=run_id,
                tags=_as_tags(own),
                await_creation_for=0,
            )
            return _version(created)

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of `name`, newest first; empty when nothing was ever registered."""
        with mlflow_client(self._settings) as client:
            found: list[ModelVersion] = []
            token: str | None = None
            while True:
                page = client.search_model_versions(f"name = {_quoted(name)}", max_results=200, page_token=token)
                found += [_version(each) for each in page]
                token = page.token
                if not token:
                    return sorted(found, key=lambda each: -int(each.version))

    def version(self, name: str, version: str) -> ModelVersion:
        """One version. Raises `InvalidInput` when there is none such."""
        with mlflow_client(self._settings) as client:
            return _version(client.get_model_version(name, version))

    def alias(self, name: str, alias: str = CHAMPION) -> ModelVersion | None:
        """The version that carries `alias`, None when none does."""
        with mlflow_client(self._settings) as client:
            return _alias(client, name, alias)

    def download(self, version: ModelVersion, dest: Path) -> Path:
        """Folder of the version's bundle, `dest/name/version`, downloaded once and verified by its checksum.

        Raises `BundleError` when what arrives is not what was registered.
        """
        folder = dest / version.name / version.version
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
            with mlflow_client(self._settings) as client:
                arrived = Path(client.download_artifacts(version.run_id, BUNDLE_FOLDER, partial))
            for extra in (MLMODEL, INPUT_EXAMPLE):
                (arrived / extra).unlink(missing_ok=True)
            expected = version.tags.get(SHA256_TAG)
            if expected is not None and folder_sha256(arrived) != expected:
                raise BundleError(
                    f"bundle of {version.name} version {version.version} is not what was registered "
                    f"(checksum differs): restore the artifact store, or roll back to another version"
                )
            try:
                arrived.rename(folder)
            except OSError:
                # Another process was first; both copies passed the same check.
                if not folder.is_dir():
                    raise
        return folder

    def promote(
        self, name: str, version: str, *, expected: str | None, evidence: Mapping[str, Any], actor: str
    ) -> None:
        """Make `version` the champion if `expected` (None: nobody) still is; store the evidence and the audit row.

        Raises `PromotionConflict` when the alias is elsewhere, `InvalidInput` when there is no such version.
        """
        with self._moving(name) as (client, session):
            current = _alias(client, name, CHAMPION)
            found = current.version if current else None
            if found != expected:
                raise PromotionConflict(
                    f"champion of {name} is {_shown(found)}, not {_shown(expected)} as expected: "
                    "evaluate against the present champion, then promote again"
                )
            target = _version(client.get_model_version(name, version))
            _move(client, session, target, expected, "promote", evidence, actor)

    def rollback(self, name: str, actor: str, *, reason: str = "") -> ModelVersion:
        """Give the champion alias back to the version that held it before; repeated, it goes further back.

        Raises `NoChampion` when the audit knows no earlier champion.
        """
        with self._moving(name) as (client, session):
            trail = _champions(_moves(session, name))
            if len(trail) < 2:
                raise NoChampion(f"{name} has no earlier champion to roll back to: promote a version instead")
            target = _version(client.get_model_version(name, trail[-2]))
            _move(client, session, target, trail[-1], "rollback", {"reason": reason}, actor)
            return target

    def note(
        self,
        name: str,
        version: str,
        *,
        action: Literal["hold", "reject"],
        evidence: Mapping[str, Any],
        actor: str,
    ) -> None:
        """Audit the decision not to promote `version`, with the evidence stored on it."""
        with self._moving(name) as (client, session):
            target = _version(client.get_model_version(name, version))
            current = _alias(client, name, CHAMPION)
            _store_evidence(client, target, action, evidence, actor)
            from_version = current.version if current else None
            session.add(_row(target.name, from_version, version, action, evidence, actor))

    def nominate(self, name: str, version: str) -> None:
        """Give `version` the challenger alias."""
        with self._moving(name) as (client, _):
            client.set_registered_model_alias(name, CHALLENGER, version)

    def audit(self, name: str) -> list[Promotion]:
        """Every decision about `name`, oldest first."""
        with self._database.session() as session:
            query = select(Promotion).where(Promotion.model_name == name).order_by(Promotion.promotion_id)
            return list(session.scalars(query))

    @contextmanager
    def _moving(self, name: str) -> Iterator[tuple[MlflowClient, Session]]:
        """Alone among all processes for this model, with the audit level with the alias."""
        with (
            mlflow_client(self._settings) as client,
            self._database.session(lock=f"models.registry/{name}") as session,
        ):
            _reconcile(client, session, name)
            yield client, session


def folder_sha256(folder: Path) -> str:
    """Checksum over names and contents of every file below `folder`."""
    whole = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _move(
    client: MlflowClient,
    session: Session,
    target: ModelVersion,
    from_version: str | None,
    action: Literal["promote", "rollback"],
    evidence: Mapping[str, Any],
    actor: str,
) -> None:
    """Audit row and evidence first, so that nothing that can fail cheaply fails after the alias moved."""
    session.add(_row(target.name, from_version, target.version, action, evidence, actor))
    session.flush()
    _store_evidence(client, target, action, evidence, actor)
    client.set_registered_model_alias(target.name, CHAMPION, target.version)
    logger.info(
        "model=%s action=%s from=%s to=%s actor=%s", target.name, action, from_version, target.version, actor
    )


def _reconcile(client: MlflowClient, session: Session, name: str) -> None:
    """Write the audit row of a move whose process died before its commit, or that was made behind our back."""
    trail = _champions(_moves(session, name))
    audited = trail[-1] if trail else None
    current = _alias(client, name, CHAMPION)
    if current is None or current.version == audited:
        return
    evidence = {"note": "the alias was found here without an audit row", "tag": current.tags.get(EVIDENCE_TAG, "")}
    logger.warning("model=%s alias at %s but audit at %s: reconciled", name, current.version, audited)
    action = "rollback" if len(trail) > 1 and current.version == trail[-2] else "promote"
    session.add(_row(name, audited, current.version, action, evidence, RECONCILED))
    session.flush()


def _store_evidence(
    client: MlflowClient, target: ModelVersion, action: str, evidence: Mapping[str, Any], actor: str
) -> None:
    whole = {"action": action, "actor": actor, "at": datetime.now(UTC).isoformat(), "evidence": dict(evidence)}
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    client.log_dict(target.run_id, json.loads(json.dumps(whole, default=str)), f"evidence/{stamp}-{action}.json")
    reasons = "; ".join(str(each) for each in evidence.get("reasons", ())) or str(evidence.get("reason", ""))
    summary = f"{action} by {actor}: {reasons}".rstrip(": ")
    client.set_model_version_tag(target.name, target.version, EVIDENCE_TAG, summary[:_TAG_LENGTH])


def _row(
    name: str, from_version: str | None, to_version: str, action: str, evidence: Mapping[str, Any], actor: str
) -> Promotion:
    plain: dict[str, Any] = json.loads(json.dumps(dict(evidence), default=str))
    return Promotion(
        model_name=name,
        from_version=from_version,
        to_version=to_version,
        action=action,
        evidence=plain,
        actor=actor,
    )


def _moves(session: Session, name: str) -> Sequence[Promotion]:
    query = (
        select(Promotion)
        .where(Promotion.model_name == name, Promotion.action.in_(("promote", "rollback")))
        .order_by(Promotion.promotion_id)
    )
    return session.scalars(query).all()


def _champions(moves: Sequence[Promotion]) -> list[str]:
    """Champions that a rollback walks back through, the present one last."""
    trail: list[str] = []
    for move in moves:
        if move.action == "promote" and move.to_version is not None:
            trail.append(move.to_version)
        elif trail:
            trail.pop()
    return trail


def _alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    # Search results may omit aliases (MLflow issues 16734, 9952): this is the only reading of one.
    from mlflow.exceptions import MlflowException

    try:
        return _version(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return None
        raise


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(found: Any) -> ModelVersion:
    created = datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC)
    return ModelVersion(found.name, str(found.version), dict(found.tags or {}), found.run_id or "", created)


def _as_tags(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value)[:_TAG_LENGTH] for key, value in values.items()}


def _quoted(name: str) -> str:
    if "'" in name:
        raise InvalidInput(f"model name {name!r} must not contain a quote")
    return f"'{name}'"


def _shown(version: str | None) -> str:
    return "nobody" if version is None else f"version {version}"
