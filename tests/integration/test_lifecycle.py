"""A model's whole life on a real MLflow and PostgreSQL: trained, judged, promoted, held, watched, rolled back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from features.errors import InvalidInput
from features.params import DEFAULT, VARIABLE
from features.stores.offline import OfflineStore
from features.views import compute_views
from features.workspace import Workspace
from flows.postgres import ensure_databases, sibling
from flows.settings import FlowSettings
from models.champion import find_champion
from models.errors import NoChampion, PromotionConflict
from models.lifecycle import (
    Challenger,
    Lineage,
    apply_verdict,
    evaluate_challenger,
    list_versions,
    open_registry,
    roll_back,
    train_challenger,
    watch_champion,
)
from models.tracking import mlflow_client
from tests.fixtures.invented import invented_league

FAMILY = "win_probability"
NAME = f"nba-{FAMILY}"
SKILLED = Lineage("a" * 40, "d" * 32, "skilled")


@dataclass(frozen=True)
class Line:
    """A workspace with two invented seasons in it, and the servers."""

    workspace: Workspace
    settings: FlowSettings
    as_of: datetime
    params: Path

    def train(self, lineage: Lineage = SKILLED, *, retrain: bool = False, **changed: Any) -> Challenger:
        """Train with the project's parameters, smaller, and `changed` in the family's section."""
        plain = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
        own = {"hidden": 4, "layers": 1, "batch_size": 64, "learning_rate": 0.01, "max_epochs": 12, **changed}
        plain["train"] |= {"holdout_days": 40, "calibration_days": 15, FAMILY: own}
        plain["evaluate"]["bootstrap"] = 400
        self.params.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return train_challenger(
            FAMILY, self.workspace, self.settings, lineage=lineage, as_of=self.as_of, retrain=retrain
        )

    def judged(self, version: str) -> dict[str, Any]:
        """The verdict on a version."""
        return evaluate_challenger(FAMILY, self.workspace, self.settings, version=version, as_of=self.as_of)

    def apply(self, verdict: dict[str, Any]) -> dict[str, Any]:
        """Do what the verdict says."""
        return apply_verdict(FAMILY, self.workspace, self.settings, verdict, actor="test")


@pytest.fixture
def line(flow_settings: FlowSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A fresh workspace and audit; the registered model is deleted afterwards."""
    database = f"lifecycle_{tmp_path.name[-12:].replace('-', '_')}"
    ensure_databases(flow_settings.database_url, (database,))
    url = sibling(flow_settings.database_url, database)
    settings = flow_settings.model_copy(update={"home": tmp_path, "database_url": url, "device": "cpu"})
    workspace = Workspace(tmp_path, "nba")
    tables, store = invented_league(), OfflineStore(workspace)
    for table, frame in (("games", tables.games), ("box", tables.box)):
        for season in frame["season"].unique().to_list():
            store.upsert(table, season, frame.filter(pl.col("season") == season))  # type: ignore[arg-type]
    for name, view in compute_views(tables).items():
        store.write_view(name, view)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "params.yaml"))
    newest = tables.games["known_time"].max()
    assert isinstance(newest, datetime)
    yield Line(workspace, settings, newest + timedelta(days=1), tmp_path / "params.yaml")
    with mlflow_client(settings) as client:
        client.delete_registered_model(NAME)
    shutil.rmtree(workspace.root)


def test_a_models_life(line: Line) -> None:
    # A network that was hardly trained does not get past the baselines, and nobody becomes champion.
    idle = line.train(replace(SKILLED, params_hash="idle"), learning_rate=1e-6, max_epochs=1)
    assert (idle.version, idle.reused) == ("1", False)
    verdict = line.judged("1")
    assert verdict["action"] == "reject" and verdict["evidence"]["opponent"] == "baseline elo", verdict["reasons"]
    assert line.apply(verdict)["champion"] is None
    with pytest.raises(NoChampion):
        roll_back(FAMILY, line.workspace, line.settings, actor="test")

    # Somebody insists; a trained challenger then beats it on games neither learned from.
    assert line.apply({**verdict, "action": "promote"})["champion"] == "1"
    skilled = line.train()
    assert (skilled.version, skilled.reused) == ("2", False)
    better = line.judged("2")
    assert better["action"] == "promote", better["reasons"]
    with open_registry(line.settings) as registry:
        learned = registry.version(NAME, "2").tags["trained_through"]
    assert better["evidence"]["first_date"] > learned
    assert line.apply(better) == {"name": NAME, "action": "promote", "champion": "2"}
    assert line.judged("2")["reasons"] == ["version 2 is the champion already"]

    # The same verdict again comes too late: the champion it was reached against is gone.
    with pytest.raises(PromotionConflict, match="version 2, not version 1"):
        line.apply(better)

    # Nothing changed: the twin is used again; retrained on demand, it is equal and held.
    twin = line.train()
    assert (twin.version, twin.reused) == ("2", True)
    assert twin.metrics["home_win_pregame_brier"] == pytest.approx(
        skilled.metrics["home_win_pregame_brier"], rel=1e-4
    )
    assert line.train(replace(SKILLED, git_sha="a" * 40 + "-dirty")).reused is False
    again = line.train(retrain=True)
    assert (again.version, again.reused) == ("4", False)
    equal = line.judged("4")
    assert equal["action"] == "hold" and equal["evidence"]["comparison"]["estimate"] == 0.0
    assert line.apply(equal)["champion"] == "2"

    # Swapped roles: the old champion is worse than the new.
    assert line.judged("1")["action"] == "reject"

    # Rolled back, the copy kept for commands without servers follows.
    assert roll_back(FAMILY, line.workspace, line.settings, actor="test", reason="drill")["champion"] == "1"
    kept = find_champion(line.workspace, FAMILY, None)
    assert kept is not None and kept.model.version == "1"
    with pytest.raises(NoChampion, match="no earlier champion"):
        roll_back(FAMILY, line.workspace, line.settings, actor="test")

    with open_registry(line.settings) as registry:
        decisions = [(row.action, row.from_version, row.to_version) for row in registry.audit(NAME)]
    assert decisions == [
        ("reject", None, "1"), ("promote", None, "1"), ("promote", "1", "2"), ("hold", "2", "4"),
        ("rollback", "2", "1"),
    ]  # fmt: skip
    listed = list_versions("nba", line.settings)
    assert [(row["version"], row["champion"]) for row in listed if row["name"] == NAME] == [
        ("4", False), ("3", False), ("2", False), ("1", True),
    ]  # fmt: skip


def test_a_champion_is_watched_and_unknown_versions_are_named(line: Line) -> None:
    made = line.train()
    with pytest.raises(InvalidInput, match="no version '9'; registered: 1"):
        line.judged("9")
    assert watch_champion(FAMILY, line.workspace, line.settings, as_of=line.as_of)["level"] == "unknown"
    line.apply({"action": "promote", "reasons": ["first"], "challenger": made.version, "champion": None})
    report = watch_champion(FAMILY, line.workspace, line.settings, as_of=line.as_of)
    assert report["current_rows"] > 0 and report["reference_rows"] > report["current_rows"]
    assert report["staleness"]["age_days"] >= 80
