"""The copy of the champion kept beside the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.workspace import Workspace
from models.champion import find_champion, model_name, remember_champion
from models.errors import BundleError


def test_nobody_was_ever_champion(tmp_path: Path) -> None:
    assert find_champion(Workspace(tmp_path, "nba"), "projection", None) is None
    assert model_name("simulated", "projection") == "simulated-projection"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "1"}', "not json"])
def test_a_damaged_pointer_is_named(tmp_path: Path, text: str) -> None:
    workspace = Workspace(tmp_path, "nba")
    workspace.bundles.mkdir(parents=True)
    (workspace.bundles / "champion-projection.json").write_text(text)
    with pytest.raises(BundleError, match=r"champion-projection\.json"):
        find_champion(workspace, "projection", None)


def test_a_pointer_is_replaced_whole_and_its_bundle_checked(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "nba")
    for version in ("1", "2"):
        folder = workspace.bundles / "cache" / "nba-projection" / version
        folder.mkdir(parents=True)
        remember_champion(workspace, "projection", version=version, folder=folder)
    pointer = workspace.bundles / "champion-projection.json"
    assert json.loads(pointer.read_text()) == {"version": "2", "folder": "cache/nba-projection/2"}
    assert [path.name for path in workspace.bundles.glob("*.tmp")] == []
    with pytest.raises(BundleError, match="manifest"):
        find_champion(workspace, "projection", None)
