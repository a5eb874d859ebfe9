"""Training runs in MLflow: parameters, curves, data references and the bundle itself, with its signature.

MLflow is imported inside functions only: it costs seconds, and its models' flavours would bring torch along.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from features.errors import InvalidInput
from models.errors import BundleError, RegistryUnavailable
from models.settings import ModelSettings

if TYPE_CHECKING:
    from ssl import SSLContext

    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

#: Folder of the bundle below a run's artifacts.
BUNDLE_FOLDER: Final = "bundle"
#: What MLflow's own pages read to show the signature; not part of the bundle.
MLMODEL: Final = "MLmodel"
INPUT_EXAMPLE: Final = "input_example.json"
#: A dead server must be noticed in seconds, not after MLflow's default of seven retries of 120 s.
CLIENT_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
#: Links a child run to its parent; MLflow's pages nest by it.
PARENT_TAG: Final = "mlflow.parentRunId"
_METRICS_PER_CALL: Final = 1000
_PARAMS_PER_CALL: Final = 100
_PARAM_LENGTH: Final = 6000


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """Data a model was fitted on: `digest` is its content hash, `source` where it lies."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What is known of one training: `curves` hold one value per epoch; `params` may be nested (names are joined
    with dots); `tags` e.g. git SHA, data hash, split dates.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[DatasetReference] = ()


def log_training_run(settings: ModelSettings, run: TrainingRun, bundle: Path) -> str:
    """Log `run` with its `bundle` folder in the experiment named `run.name`; return the run id.

    A run that cannot be logged whole is marked FAILED. Raises `RegistryUnavailable` when MLflow does not answer,
    `BundleError` when the folder is not a bundle.
    """
    model_card = bundle_signature(bundle)
    with mlflow_client(settings) as client:
        run_id = _begin(client, run)
        try:
            _log_values(client, run_id, run)
            _log_bundle(client, run_id, bundle, model_card)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return run_id


@contextmanager
def parent_run(settings: ModelSettings, run: TrainingRun) -> Iterator[str]:
    """Open a run that others belong to and yield its id; it is FINISHED at the end, FAILED after an error."""
    with mlflow_client(settings) as client:
        run_id = _begin(client, run)
        _log_values(client, run_id, run)
    status = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        with mlflow_client(settings) as client:
            client.set_terminated(run_id, status)


def log_child_run(settings: ModelSettings, run: TrainingRun, parent: str, *, ended: str = "FINISHED") -> str:
    """Log a whole run without a bundle, tagged with its `parent`; `ended` is FINISHED, KILLED or FAILED."""
    with mlflow_client(settings) as client:
        run_id = _begin(client, run, {PARENT_TAG: parent})
        _log_values(client, run_id, run)
        client.set_terminated(run_id, ended)
    return run_id


def log_outcome(settings: ModelSettings, run_id: str, run: TrainingRun) -> None:
    """Add parameters and metrics to a run that is open, such as what a sweep found."""
    with mlflow_client(settings) as client:
        _log_values(client, run_id, run)


def _begin(client: MlflowClient, run: TrainingRun, tags: Mapping[str, str] | None = None) -> str:
    named = {**run.tags, "mlflow.runName": run.tags.get("run_name", run.name), **(tags or {})}
    return str(client.create_run(_experiment(client, run.name), tags=named).info.run_id)


@contextmanager
def mlflow_client(settings: ModelSettings) -> Iterator[MlflowClient]:
    """Yield a client of the configured server; its failures leave as this project's errors.

    Raises `RegistryUnavailable` when the server does not answer, `InvalidInput` when it refuses the request.
    """
    uri = settings.mlflow_tracking_uri
    for name, value in CLIENT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    check_answers(uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        if int(error.get_http_status_code()) < 500:  # type: ignore[no-untyped-call]
            raise InvalidInput(f"MLflow at {uri} refuses: {error.message}") from error
        raise unavailable(uri, str(error.message)) from error


def check_answers(uri: str) -> None:
    """Return when MLflow is healthy at `uri`; raise `RegistryUnavailable` within seconds otherwise."""
    import httpx

    try:
        reply = httpx.get(f"{uri.rstrip('/')}/health", timeout=10.0, verify=_trusted())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(uri, str(error)) from error
    if reply.status_code != 200:
        raise unavailable(uri, f"/health says {reply.status_code}")


@cache
def _trusted() -> SSLContext:
    """The certificates trusted. Reading them holds the interpreter lock for some 50 ms: once, not at every look."""
    import httpx

    return httpx.create_ssl_context()


def unavailable(uri: str, reason: str) -> RegistryUnavailable:
    """The error of a server that does not answer, with its fix."""
    shown = uri.rsplit("@", maxsplit=1)[-1]
    return RegistryUnavailable(
        f"MLflow at {shown} does not answer ({reason.splitlines()[0] if reason else 'no reason given'}): "
        "start it (`fantasy serve` does) or correct FANTASY_MLFLOW_TRACKING_URI"
    )


@dataclass(frozen=True, slots=True)
class BundleSignature:
    """Columns of a bundle: `inputs` are float32 features (null allowed), `outputs` float64; one example row."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[float | None, ...]


def bundle_signature(bundle: Path) -> BundleSignature:
    """Read the signature from a bundle's card and golden batch. Raises `BundleError` when it is not a bundle."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        inputs = tuple(json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["config"]["features"])
        golden = load_file(bundle / "golden.safetensors")
        row = golden["inputs"][0].tolist()
    except (OSError, ValueError, KeyError, TypeError, IndexError, SafetensorError) as error:
        raise BundleError(f"{bundle} is not a bundle that can be registered: {error!r}; train it again") from error
    if len(row) != len(inputs):
        raise BundleError(
            f"{bundle}: golden batch has {len(row)} inputs, bundle.json names {len(inputs)} features"
        )
    outputs = tuple(sorted(key.removeprefix("output.") for key in golden if key.startswith("output.")))
    return BundleSignature(inputs, outputs, tuple(value if math.isfinite(value) else None for value in row))


def _experiment(client: MlflowClient, name: str) -> str:
    """Id of the experiment, created if missing; another process may create it at the same moment."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise error
    return str(found.experiment_id)


def _log_values(client: MlflowClient, run_id: str, run: TrainingRun) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param

    now_ms = int(time.time() * 1000)
    metrics = [Metric(name, float(value), now_ms, 0) for name, value in run.metrics.items()]
    for name, values in run.curves.items():
        metrics += [Metric(name, float(value), now_ms, epoch) for epoch, value in enumerate(values)]
    params = [Param(name, str(value)[:_PARAM_LENGTH]) for name, value in flat(run.params).items()]
    for i in range(0, len(metrics), _METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[i : i + _METRICS_PER_CALL])
    for i in range(0, len(params), _PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[i : i + _PARAMS_PER_CALL])
    if run.datasets:
        inputs = [
            DatasetInput(Dataset(each.name, each.digest, "local", json.dumps({"uri": each.source})))
            for each in run.datasets
        ]
        _log_inputs(client, run_id, inputs)


def _log_inputs(client: MlflowClient, run_id: str, inputs: list[DatasetInput]) -> None:
    """Retried: two runs that name the same new data set at once collide on MLflow's unique keys."""
    from mlflow.exceptions import MlflowException
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

    def collided(error: BaseException) -> bool:
        return isinstance(error, MlflowException) and "duplicate key" in str(error.message)

    for attempt in Retrying(
        retry=retry_if_exception(collided), stop=stop_after_attempt(8), wait=wait_random(0.05, 0.3), reraise=True
    ):
        with attempt:
            client.log_inputs(run_id, inputs)


def _log_bundle(client: MlflowClient, run_id: str, bundle: Path, signature: BundleSignature) -> None:
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    columns = Schema([ColSpec(DataType.float, name, required=False) for name in signature.inputs])
    answers = Schema([ColSpec(DataType.double, name) for name in signature.outputs])
    card = Model(
        artifact_path=BUNDLE_FOLDER,
        run_id=run_id,
        signature=ModelSignature(columns, answers),
        flavors={"fantasy_bundle": {"data": ".", "loader": "models.bundle.load_bundle"}},
        saved_input_example_info={"artifact_path": INPUT_EXAMPLE, "type": "dataframe", "pandas_orient": "split"},
    )
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder) / BUNDLE_FOLDER
        shutil.copytree(bundle, staged)
        (staged / MLMODEL).write_text(card.to_yaml(), encoding="utf-8")
        example = {"columns": list(signature.inputs), "data": [list(signature.example)]}
        (staged / INPUT_EXAMPLE).write_text(json.dumps(example), encoding="utf-8")
        client.log_artifacts(run_id, str(staged), BUNDLE_FOLDER)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out.update(flat(value, f"{prefix}{name}."))
        else:
            out[f"{prefix}{name}"] = value
    return out
