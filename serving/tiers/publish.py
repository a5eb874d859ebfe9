"""Publishes the champions as ONNX files, for the regional tier of every process and for the browser.

Export takes seconds of a core and holds the interpreter, so it runs in a process of its own:
`python -m serving.tiers.publish BUNDLE VERSION FOLDER`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from features.files import replace_file
from features.workspace import LEAGUES, League, Workspace
from models.bundle import LoadedModel
from serving.champion import Champions, FamilyName

log = logging.getLogger(__name__)
LOOK_S: Final = 2.0
#: Families that are published whether or not they were asked for: the browser asks for this one.
ALWAYS: Final[tuple[FamilyName, ...]] = ("live_win",)
LIMIT_S: Final = 300.0
STOP_S: Final = 5.0
#: Export is never urgent.
NICE: Final = 10


class Publisher:
    """Watches `champions` and keeps their ONNX files under `home`; several processes may do so side by side."""

    def __init__(self, champions: Champions, home: Path) -> None:
        self._champions = champions
        self._home = home
        self._wanted: set[tuple[League, FamilyName]] = {
            (league, family) for league in LEAGUES for family in ALWAYS
        }
        self._refused: set[tuple[League, str, str]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="publish", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and end an export under way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def want(self, league: League, family: FamilyName) -> None:
        """Publish this family of a league, too, from now on."""
        self._wanted.add((league, family))

    def publish_changed(self) -> None:
        """Publish every champion whose file is not there; one that fails is said, and not tried again."""
        for league, family in sorted(self._wanted):
            model = self._champions.get(league, family)
            folder = Workspace(self._home, league).onnx
            if model is None or published(folder, family) == model.version:
                continue
            key = (league, family, model.version)
            if key in self._refused or self._stop.is_set():
                continue
            self._export(model, folder)
            if published(folder, family) != model.version and not self._stop.is_set():
                self._refused.add(key)

    def _export(self, model: LoadedModel, folder: Path) -> None:
        """Export in a process of its own, which ends when this one stops."""
        command = [sys.executable, "-m", __name__, str(model.bundle.path), model.version, str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                said, _ = process.communicate(timeout=LOOK_S / 4)
                break
            except subprocess.TimeoutExpired:
                if self._stop.is_set() or time.monotonic() > deadline:
                    process.kill()
        if process.returncode != 0 and not self._stop.is_set():
            log.error("onnx of %s version %s failed: %s", model.name, model.version, said[-2000:])

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self.publish_changed()
            except (OSError, subprocess.SubprocessError) as error:
                log.warning("onnx files cannot be published, trying again in %.0f s: %s", LOOK_S, error)


def published(folder: Path, family: str) -> str | None:
    """The version whose file is published, None when there is none."""
    try:
        named = json.loads((folder / f"{family}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return str(named["version"]) if (folder / named["file"]).is_file() else None


def publish(bundle: Path, version: str, folder: Path) -> Path:
    """Export the bundle into `folder` and point to it; older files of its family go. Returns the file.

    Raises `BundleError` when the bundle is broken or the file would not agree with it.
    """
    from models.bundle import load_bundle
    from models.onnx_export import export

    model = load_bundle(bundle, version=version, device="cpu")
    path = folder / f"{model.family}-{version}.onnx"
    export(model, path)
    pointer = json.dumps({"name": model.name, "version": version, "file": path.name})
    replace_file(folder / f"{model.family}.json", lambda draft: draft.write_text(pointer, encoding="utf-8"))
    # The one before stays: somebody may be about to read it.
    for old in sorted(folder.glob(f"{model.family}-*.onnx"), key=lambda each: each.stat().st_mtime_ns)[:-2]:
        old.unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    os.nice(NICE)
    publish(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
