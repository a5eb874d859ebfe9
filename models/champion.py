"""Finds the champion of a family: in the registry, or in the copy kept beside the data.

`fantasy lineups` must answer in seconds and without servers, so every move of the alias leaves a pointer
`bundles/champion-{family}.json` and the bundle itself in the workspace. The registry wins when it answers.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features.workspace import League, Workspace
from models.bundle import LoadedModel, load_bundle
from models.errors import BundleError, RegistryUnavailable

if TYPE_CHECKING:
    from models.registry import Registry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Champion:
    """A loaded champion; `confirmed` tells whether the registry itself named it just now."""

    model: LoadedModel
    confirmed: bool


def model_name(league: League, family: str) -> str:
    """Return the registered model's name, e.g. `nba-projection`."""
    return f"{league}-{family}"


def find_champion(
    workspace: Workspace, family: str, registry: Registry | None, device: str = "cpu"
) -> Champion | None:
    """Return the champion of `family`, None when there has never been one.

    With `registry` None, or while it does not answer, the workspace's own copy is used (`confirmed` False).
    Raises `BundleError` when the bundle, or the pointer to the copy, is corrupt.
    """
    if registry is not None:
        try:
            version = registry.alias(model_name(workspace.league, family), "champion")
        except RegistryUnavailable as error:
            log.info("registry does not answer (%s); using the workspace's copy", error)
        else:
            if version is None:
                return None
            folder = registry.download(version, workspace.bundles / "cache")
            return Champion(load_bundle(folder, version=version.version, device=device), confirmed=True)
    pointer = _pointer(workspace, family)
    if not pointer.is_file():
        return None
    try:
        named = json.loads(pointer.read_text(encoding="utf-8"))
        folder, served = workspace.bundles / named["folder"], str(named["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{pointer} is unreadable: {error!r}; delete it and run `fantasy run` again") from error
    model = load_bundle(folder, version=served, device=device)
    return Champion(model, confirmed=False)


def remember_champion(workspace: Workspace, family: str, *, version: str, folder: Path) -> None:
    """Point the workspace at its champion's bundle (atomic); `folder` lies under `workspace.bundles`."""
    pointer = _pointer(workspace, family)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    relative = folder.resolve().relative_to(workspace.bundles.resolve())
    temporary = pointer.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"version": version, "folder": str(relative)}), encoding="utf-8")
    temporary.replace(pointer)


def _pointer(workspace: Workspace, family: str) -> Path:
    return workspace.bundles / f"champion-{family}.json"
