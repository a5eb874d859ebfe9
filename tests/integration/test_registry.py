"""The registry against a real MLflow server and a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from features.errors import InvalidInput
from features.stores.database import Database
from flows.settings import FlowSettings
from models.errors import BundleError, NoChampion, PromotionConflict, RegistryUnavailable
from models.registry import ModelVersion, Registry, folder_sha256
from models.settings import ModelSettings
from models.tracking import DatasetReference
from tests.fixtures.bundles import FEATURES

MakeBundle = Callable[[int], Path]


def register(registry: Registry, name: str, bundle: Path) -> ModelVersion:
    return registry.register(
        bundle,
        name=name,
        metrics={"crps": 4.125, "mae": 7.4},
        tags={"git_sha": "abc123", "data_hash": "d1f", "fit_through": "2024-12-01"},
        params={"train": {"seed": 7, "hidden": 96}},
        curves={"val_loss": [3.0, 2.0, 1.5]},
        datasets=[DatasetReference("box", "d1f", "tables/box")],
    )


def test_a_version_keeps_its_origin_metrics_and_exact_bundle(
    registry: Registry, model_name: str, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    bundle = make_bundle(1)
    made = register(registry, model_name, bundle)
    found = registry.version(model_name, made.version)
    assert made.version == "1"
    assert found.tags["git_sha"] == "abc123"
    assert float(found.tags["metric.crps"]) == 4.125
    folder = registry.download(found, tmp_path / "cache")
    assert folder == tmp_path / "cache" / model_name / "1"
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in bundle.iterdir())
    assert folder_sha256(folder) == folder_sha256(bundle)
    assert registry.download(found, tmp_path / "cache") == folder


def test_the_run_shows_parameters_curves_data_and_signature(
    registry: Registry, flow_settings: FlowSettings, model_name: str, make_bundle: MakeBundle
) -> None:
    from mlflow import MlflowClient

    made = register(registry, model_name, make_bundle(2))
    client = MlflowClient(flow_settings.mlflow_tracking_uri)
    run = client.get_run(made.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.seed": "7", "train.hidden": "96"}
    assert [m.value for m in client.get_metric_history(made.run_id, "val_loss")] == [3.0, 2.0, 1.5]
    assert [each.dataset.digest for each in run.inputs.dataset_inputs] == ["d1f"]
    reply = httpx.get(
        f"{flow_settings.mlflow_tracking_uri}/model-versions/get-artifact",
        params={"name": model_name, "version": made.version, "path": "MLmodel"},
    )
    assert reply.status_code == 200
    assert all(feature in reply.text for feature in FEATURES)
    example = httpx.get(
        f"{flow_settings.mlflow_tracking_uri}/model-versions/get-artifact",
        params={"name": model_name, "version": made.version, "path": "input_example.json"},
    ).json()
    assert example["columns"] == list(FEATURES)
    assert example["data"][0][1] is None


def test_promote_moves_the_alias_with_evidence_and_audit(
    registry: Registry, flow_settings: FlowSettings, model_name: str, make_bundle: MakeBundle
) -> None:
    from mlflow import MlflowClient

    assert registry.alias(model_name) is None
    one = register(registry, model_name, make_bundle(1))
    assert registry.alias(model_name) is None
    evidence = {"n": 900, "reasons": ["beats the baseline"], "interval": [0.1, 0.3]}
    registry.promote(model_name, one.version, expected=None, evidence=evidence, actor="test")
    champion = registry.alias(model_name)
    assert champion is not None
    assert champion.version == one.version
    assert champion.tags["evidence"] == "promote by test: beats the baseline"
    (row,) = registry.audit(model_name)
    assert (row.from_version, row.to_version, row.action, row.actor) == (None, "1", "promote", "test")
    assert row.evidence == evidence
    assert row.at.utcoffset() is not None
    client = MlflowClient(flow_settings.mlflow_tracking_uri)
    (artifact,) = client.list_artifacts(one.run_id, "evidence")
    stored = json.loads(Path(client.download_artifacts(one.run_id, artifact.path)).read_text())
    assert stored["evidence"] == evidence


def test_a_stale_expectation_is_a_conflict_and_changes_nothing(
    registry: Registry, model_name: str, make_bundle: MakeBundle
) -> None:
    one, two = (register(registry, model_name, make_bundle(seed)) for seed in (1, 2))
    registry.promote(model_name, one.version, expected=None, evidence={}, actor="test")
    for stale in (None, two.version):
        with pytest.raises(PromotionConflict, match="version 1"):
            registry.promote(model_name, two.version, expected=stale, evidence={}, actor="test")
    champion = registry.alias(model_name)
    assert champion is not None
    assert champion.version == one.version
    assert len(registry.audit(model_name)) == 1


def test_promoting_a_version_that_does_not_exist_leaves_no_trace(
    registry: Registry, model_name: str, make_bundle: MakeBundle
) -> None:
    register(registry, model_name, make_bundle(1))
    with pytest.raises(InvalidInput, match="refuses"):
        registry.promote(model_name, "99", expected=None, evidence={}, actor="test")
    assert registry.audit(model_name) == []
    assert registry.alias(model_name) is None


def test_rollback_walks_back_through_earlier_champions(
    registry: Registry, model_name: str, make_bundle: MakeBundle
) -> None:
    versions = [register(registry, model_name, make_bundle(seed)).version for seed in (1, 2, 3)]
    expected = None
    for version in versions:
        registry.promote(model_name, version, expected=expected, evidence={}, actor="test")
        expected = version
    registry.note(model_name, "1", action="hold", evidence={"reasons": ["undecided"]}, actor="test")
    assert registry.rollback(model_name, "test", reason="worse live").version == "2"
    assert registry.rollback(model_name, "test").version == "1"
    champion = registry.alias(model_name)
    assert champion is not None
    assert champion.version == "1"
    with pytest.raises(NoChampion, match="no earlier champion"):
        registry.rollback(model_name, "test")
    registry.promote(model_name, "3", expected="1", evidence={}, actor="test")
    assert registry.rollback(model_name, "test").version == "1"
    actions = [row.action for row in registry.audit(model_name)]
    assert actions == ["promote"] * 3 + ["hold", "rollback", "rollback", "promote", "rollback"]


def test_an_alias_moved_behind_our_back_is_reconciled_before_the_next_move(
    registry: Registry, flow_settings: FlowSettings, model_name: str, make_bundle: MakeBundle
) -> None:
    from mlflow import MlflowClient

    for seed in (1, 2, 3):
        register(registry, model_name, make_bundle(seed))
    registry.promote(model_name, "1", expected=None, evidence={}, actor="test")
    MlflowClient(flow_settings.mlflow_tracking_uri).set_registered_model_alias(model_name, "champion", "2")
    with pytest.raises(PromotionConflict, match="version 2"):
        registry.promote(model_name, "3", expected="1", evidence={}, actor="test")
    registry.promote(model_name, "3", expected="2", evidence={}, actor="test")
    trail = [(row.from_version, row.to_version, row.actor) for row in registry.audit(model_name)]
    assert trail == [(None, "1", "test"), ("1", "2", "reconciled"), ("2", "3", "test")]
    assert registry.rollback(model_name, "test").version == "2"


def test_parallel_registrations_get_distinct_versions(
    registry: Registry, model_name: str, make_bundle: MakeBundle
) -> None:
    bundles = [make_bundle(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda bundle: register(registry, model_name, bundle), bundles))
    assert sorted(each.version for each in made) == ["1", "2", "3", "4"]
    listed = registry.versions(model_name)
    assert [each.version for each in listed] == ["4", "3", "2", "1"]
    assert len({each.tags["bundle_sha256"] for each in listed}) == 4


def test_a_damaged_artifact_is_refused(
    registry: Registry, flow_settings: FlowSettings, model_name: str, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    made = register(registry, model_name, make_bundle(1))
    (stored,) = (flow_settings.home / "mlflow" / "artifacts").rglob(f"{made.run_id}/artifacts/bundle/weights.*")
    stored.write_bytes(stored.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError, match="checksum"):
        registry.download(made, tmp_path / "cache")
    assert not (tmp_path / "cache" / model_name / made.version).exists()


def test_what_is_not_a_bundle_is_not_registered(registry: Registry, model_name: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train it again"):
        register(registry, model_name, tmp_path)
    assert registry.versions(model_name) == []


@pytest.mark.timeout(60)  # MLflow's own defaults would retry for minutes
def test_a_dead_server_is_a_clear_error(postgres_url: str) -> None:
    registry = Registry(ModelSettings(mlflow_tracking_uri="http://127.0.0.1:1"), Database(postgres_url))
    with pytest.raises(RegistryUnavailable, match="FANTASY_MLFLOW_TRACKING_URI"):
        registry.ping()
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:1"):
        registry.alias("nba-projection")
