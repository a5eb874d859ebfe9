"""A sweep on a real MLflow: every trial a child of one parent run, nothing registered, the test slice unread."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from features.params import DEFAULT, VARIABLE
from features.stores.offline import OfflineStore
from features.views import compute_views
from features.workspace import Workspace
from flows.settings import FlowSettings
from models.lifecycle import Lineage
from models.sweeps import sweep_family
from models.tracking import PARENT_TAG, mlflow_client
from models.training.config import TrainingChoices
from tests.fixtures.invented import invented_league

FAMILY = "win_probability"
#: A name of its own: other tests register and delete models of the same family.
LINEAGE = Lineage("b" * 40, "e" * 32, "sweep")


def test_a_sweep_is_one_parent_with_its_trials(
    flow_settings: FlowSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = flow_settings.model_copy(update={"home": tmp_path, "device": "cpu"})
    workspace, tables = Workspace(tmp_path, "simulated"), invented_league()
    store = OfflineStore(workspace)
    for table, frame in (("games", tables.games), ("box", tables.box)):
        for season in frame["season"].unique().to_list():
            store.upsert(table, season, frame.filter(pl.col("season") == season))  # type: ignore[arg-type]
    for name, view in compute_views(tables).items():
        store.write_view(name, view)
    plain = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    own = {"hidden": 4, "layers": 1, "batch_size": 32, "learning_rate": 0.002, "max_epochs": 3}
    plain["train"] |= {"holdout_days": 40, "calibration_days": 15, FAMILY: own}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "params.yaml"))
    newest = tables.games["known_time"].max()
    assert isinstance(newest, datetime)

    told: list[tuple[int, int]] = []
    report = sweep_family(
        FAMILY, workspace, settings, lineage=LINEAGE, as_of=newest + timedelta(days=1), trials=3,
        choices=TrainingChoices(max_epochs=2), on_progress=lambda _what, done, total: told.append((done, total)),
    )  # fmt: skip

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [len(report["trials"]), report["trials"][0]["params"]["max_epochs"]] == [3, 2]
    with mlflow_client(settings) as client:
        parent = client.get_run(report["run"])
        query = f"tags.`{PARENT_TAG}` = '{report['run']}'"
        children = client.search_runs([parent.info.experiment_id], query)
        registered = client.search_model_versions("name = 'simulated-win_probability'")
    assert (parent.info.status, parent.data.tags["kind"]) == ("FINISHED", "sweep")
    assert parent.data.metrics["calibration_loss"] == pytest.approx(report["best"]["loss"])
    assert parent.data.params["best.learning_rate"] == str(report["best"]["params"]["learning_rate"])
    assert sorted(child.data.tags["trial"] for child in children) == ["0", "1", "2"]
    assert all(child.data.metrics["samples_per_s"] > 0 for child in children)
    # Other tests register versions on this server; none may come from a run of the sweep.
    assert not {version.run_id for version in registered} & {
        report["run"],
        *(child.info.run_id for child in children),
    }
    played = tables.games["game_date"].unique().sort()
    assert parent.data.tags["judged_through"] < str(played[-40]), "the test slice was read"
    assert not list(workspace.bundles.glob("*sweep*"))
