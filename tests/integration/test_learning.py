"""Continuous learning on real servers: a champion recalibrated and trained on, judged like any other challenger."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from features.params import DEFAULT, VARIABLE
from features.stores.offline import OfflineStore
from features.views import compute_views
from features.workspace import Workspace
from flows.cards import write_cards
from flows.learn import learn, learn_here
from flows.postgres import ensure_databases, sibling
from flows.settings import FlowSettings
from flows.spec import LineSpec
from flows.zombies import at_api
from models.bundle import LoadedModel, load_bundle
from models.families import family_of
from models.learning import KINDS, Lesson, learn_from_new_games
from models.lifecycle import Lineage, apply_verdict, evaluate_challenger, open_registry, train_challenger
from models.recalibrate import JUDGED_DATES
from models.tracking import mlflow_client
from tests.fixtures.invented import invented_league

FAMILY = "win_probability"
NAME = f"nba-{FAMILY}"
LINEAGE = Lineage("a" * 40, "d" * 32, "p")
#: Game dates that are played after the champion was trained.
LATER = 30


@dataclass(frozen=True)
class School:
    """A league whose champion was trained `LATER` game dates ago."""

    workspace: Workspace
    settings: FlowSettings
    then: datetime
    now: datetime

    def learn(self, as_of: datetime | None = None, **changed: Any) -> list[Lesson]:
        """Let the champion learn what is known by `as_of` (default: everything)."""
        wanted: dict[str, Any] = {"lineage": LINEAGE, "as_of": as_of or self.now, **changed}
        return learn_from_new_games(FAMILY, self.workspace, self.settings, **wanted)

    def model(self, version: str) -> LoadedModel:
        """A registered version."""
        with open_registry(self.settings) as registry:
            found = registry.version(NAME, version)
            return load_bundle(registry.download(found, self.workspace.bundles / "cache"), version=version)


@pytest.fixture
def school(flow_settings: FlowSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """A fresh workspace and audit; the registered model is deleted afterwards."""
    name = f"learning_{tmp_path.name[-12:].replace('-', '_')}"
    ensure_databases(flow_settings.database_url, (name,))
    url = sibling(flow_settings.database_url, name)
    settings = flow_settings.model_copy(update={"home": tmp_path, "database_url": url, "device": "cpu"})
    monkeypatch.setenv("FANTASY_DATABASE_URL", url)
    monkeypatch.setenv("FANTASY_HOME", str(tmp_path))
    plain = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    own = {"hidden": 4, "layers": 1, "batch_size": 64, "learning_rate": 0.01, "max_epochs": 6}
    plain["train"] |= {"holdout_days": JUDGED_DATES, "calibration_days": 15, FAMILY: own}
    plain["evaluate"]["bootstrap"] = 400
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "params.yaml"))
    workspace, tables = Workspace(tmp_path, "nba"), invented_league(dates=80)
    store = OfflineStore(workspace)
    for table, frame in (("games", tables.games), ("box", tables.box)):
        for season in frame["season"].unique().to_list():
            store.upsert(table, season, frame.filter(pl.col("season") == season))  # type: ignore[arg-type]
    for view, rows in compute_views(tables).items():
        store.write_view(view, rows)
    moments = tables.games["known_time"].unique().sort().to_list()
    day = timedelta(days=1)
    yield School(workspace, settings, moments[-1 - LATER] + day, moments[-1] + day)
    with mlflow_client(settings) as client:
        client.delete_registered_model(NAME)
    shutil.rmtree(workspace.root)


def promoted(school: School) -> LoadedModel:
    """Train on what was known then, and make it the champion."""
    made = train_challenger(FAMILY, school.workspace, school.settings, lineage=LINEAGE, as_of=school.then)
    verdict = {"action": "promote", "reasons": ["first"], "challenger": made.version, "champion": None}
    apply_verdict(FAMILY, school.workspace, school.settings, verdict, actor="test")
    return school.model(made.version)


def weights(model: LoadedModel) -> dict[str, Any]:
    return {name: value.numpy() for name, value in model.network.state_dict().items()}


def test_a_champion_learns_from_new_games(school: School, tmp_path: Path) -> None:
    champion = promoted(school)
    # The same evening there is nothing new to learn, and it says so.
    idle = school.learn(as_of=school.then)
    assert [lesson.version for lesson in idle] == [None, None]
    assert f"after {champion.bundle.calibrated_through}" in idle[0].reason
    assert f"0 game dates after {champion.bundle.fit_through}" in idle[1].reason

    recalibrated, fine_tuned = school.learn()
    assert [recalibrated.kind, fine_tuned.kind] == list(KINDS)
    assert (recalibrated.version, fine_tuned.version, recalibrated.parent) == ("2", "3", "1"), fine_tuned

    # Recalibrated: the weights bit for bit, other numbers around them, from games the weights had not seen.
    first, second = school.model("2"), school.model("3")
    for name, value in weights(champion).items():
        assert np.array_equal(value, weights(first)[name])
    assert first.bundle.calibration != champion.bundle.calibration
    assert first.bundle.fit_through == champion.bundle.fit_through < first.bundle.calibrated_through
    assert first.trained_through > champion.trained_through

    # Fine-tuned: near its parent, not at it, and nothing of the test slice in it.
    moved = np.concatenate([(weights(second)[name] - value).ravel() for name, value in weights(champion).items()])
    size = np.concatenate([value.ravel() for value in weights(champion).values()])
    assert 0 < np.linalg.norm(moved) < 0.3 * np.linalg.norm(size)
    assert champion.bundle.fit_through < second.bundle.fit_through < second.bundle.calibrated_through
    with open_registry(school.settings) as registry:
        tags = {version: registry.version(NAME, version).tags for version in ("2", "3")}
    assert {version: (each["kind"], each["parent"]) for version, each in tags.items()} == {
        "2": ("recalibrated", "1"), "3": ("fine_tuned", "1"),
    }  # fmt: skip
    assert all(date.fromisoformat(each["tested_from"]) > date.fromisoformat(each["trained_through"])
               for each in tags.values())  # fmt: skip
    assert second.bundle.references["optimisation"]["learning_rate"] == pytest.approx(0.001)
    assert second.bundle.references["optimisation"]["max_epochs"] == 3

    # Nothing changed since: the same versions again, unless the code has no name.
    assert [(each.version, each.reused) for each in school.learn()] == [("2", True), ("3", True)]
    dirty = Lineage("a" * 40 + "-dirty", "d" * 32, "p")
    (anew,) = school.learn(lineage=dirty, kinds=KINDS[:1])
    assert (anew.version, anew.reused) == ("4", False)

    # The same gate: only games that neither learned from, and its verdict is what moves the alias.
    verdict = evaluate_challenger(FAMILY, school.workspace, school.settings, version="2", as_of=school.now)
    assert verdict["champion"] == "1" and verdict["evidence"]["first_date"] > str(first.trained_through)
    outcome = apply_verdict(FAMILY, school.workspace, school.settings, verdict, actor="learn")
    assert outcome["champion"] == ("2" if verdict["action"] == "promote" else "1")

    cards_say_where_it_comes_from(school, tmp_path / "cards", outcome["champion"], verdict)


def cards_say_where_it_comes_from(school: School, out: Path, champion: str, verdict: dict[str, Any]) -> None:
    """The card is that of the champion, with its evidence and every logged figure."""
    (path,) = write_cards("nba", out=out)
    text = path.read_text(encoding="utf-8")
    assert path.name == f"{NAME}.md" and text.startswith(f"# {NAME}\n")
    assert f"**Version {champion}** (champion" in text and family_of(FAMILY).LABEL in text
    model = school.model(champion)
    assert f"| fit_through | {model.bundle.fit_through} |" in text and LINEAGE.data_hash in text
    assert f"{len(model.features)} features" in text
    if champion == "2":
        assert "recalibrated from version 1" in text and verdict["reasons"][0] in text
        assert f"| all | {verdict['evidence']['comparison']['estimate']:.4f} |" in text
        with open_registry(school.settings) as registry:
            logged = float(registry.version(NAME, "2").tags["metric.home_win_pregame_brier"])
        assert f"; brier {logged:.4f}" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| home_win | pregame | "))
    saved = row.split(" | ")[-1]
    assert re.search(r"elo -?\d\.\d{4} \[-?\d\.\d{4}, -?\d\.\d{4}\]", saved), saved
    assert write_cards("nba", out=out) == [path] and path.read_text(encoding="utf-8") == text


def test_without_a_champion_or_with_other_views_nothing_is_made(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {lesson.reason for lesson in school.learn()} == {"no champion yet: `fantasy run` trains one"}
    champion = promoted(school)
    (changed, _), *_ = champion.view_versions.items()
    monkeypatch.setitem(__import__("features.views", fromlist=["x"]).VIEW_VERSIONS, changed, "another")
    assert all(lesson.version is None and changed in lesson.reason for lesson in school.learn())
    assert torch.isfinite(next(champion.network.parameters())).all()


@pytest.mark.slow
def test_the_line_of_learning_runs_without_prefect(school: School, tmp_path: Path) -> None:
    promoted(school)  # of another league, so the simulated one has no champion
    nowhere = "http://127.0.0.1:9/api"
    spec = LineSpec(source="simulated", home=tmp_path, seasons=(2023,), through=date(2023, 11, 4))
    with at_api(nowhere):
        summary = learn_here(spec, KINDS[:1])
    assert summary["collected"]["new"] > 0 and summary["views"]["rows"]
    assert summary["outcomes"]["written"] == summary["outcomes"]["values"] > 0
    assert {family for family in summary["models"]} >= {"projection", "win_probability", "live_win"}
    for (entry,) in summary["models"].values():
        assert entry["lesson"]["version"] is None and "no champion yet" in entry["lesson"]["reason"]
        assert entry["verdict"] is None
    with at_api(school.settings.prefect_api_url):
        again = learn(spec, KINDS[:1])  # as a schedule does
    assert (again["collected"]["new"], again["outcomes"]["written"]) == (0, 0)
