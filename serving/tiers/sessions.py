"""The champions as ONNX sessions, for a process that has neither torch nor the registry.

`serving.tiers.publish` writes `onnx/{family}.json` and the file it names whenever a champion changed; here they are
picked up. A session stays with whoever holds it, so a new champion never changes an answer half-way.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.workspace import LEAGUES, League, Workspace
from models import what_if
from models.live_win.rows import FEATURES

log = logging.getLogger(__name__)
Family = Literal["live_win", "projection"]
#: Families the tiers ask.
FAMILIES: Final[tuple[Family, ...]] = ("live_win", "projection")
LOOK_S: Final = 2.0
STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Session:
    """A champion ready to run. `calibrated` are the outputs that need no calibration any more; `path` is its file."""

    name: str
    version: str
    path: Path
    features: tuple[str, ...]
    config: Mapping[str, Any]
    calibration: Mapping[str, Any]
    calibrated: tuple[str, ...]
    trained_through: str
    names: tuple[str, ...]
    native: Any

    def run(self, inputs: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Outputs by name of feature rows (n, F)."""
        return dict(zip(self.names, self.native.run(None, {"features": inputs}), strict=True))


class Winners:
    """The in-game winner as the regional tier runs it: calibrated, too, once for all of a batch."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ref = {"name": session.name, "version": session.version}
        self._at = None if session.features == FEATURES else [FEATURES.index(name) for name in session.features]

    def rows(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (n, FEATURES) as this model takes them."""
        return inputs if self._at is None else inputs[:, self._at]

    def run(self, inputs: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """`numbers` (n, 5) of rows (n, F), as `what_if.numbers` has them."""
        session = self.session
        raw = session.run(inputs)
        levels = session.config["levels"]
        return {"numbers": what_if.numbers(raw, inputs, session.features, session.calibration, levels)}


def open_session(path: Path, provider: str = "auto") -> Session:
    """The session of a file that `models.onnx_export` wrote. `provider` is auto, cpu or cuda.

    Raises what onnxruntime raises for a file it cannot read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # A spinning thread takes the core from its neighbours: on two busy cores p99 rose from 4 to 400 ms.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    native = onnxruntime.InferenceSession(str(path), options, providers=providers(provider))
    told = native.get_modelmeta().custom_metadata_map
    config = json.loads(told["config"])
    return Session(
        told["name"], told["version"], path, tuple(json.loads(told["features"])), config,
        json.loads(told["calibration"]), tuple(json.loads(told["calibrated"])), told["trained_through"],
        tuple(output.name for output in native.get_outputs()), native,
    )  # fmt: skip


def providers(wanted: str) -> list[str]:
    """What onnxruntime runs on, the best first."""
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda and wanted != "cpu" else ["CPUExecutionProvider"]
    )


def on_gpu(wanted: str) -> bool:
    """Whether `providers` has a GPU."""
    return providers(wanted)[0].startswith("CUDA")


class Sessions:
    """The newest session of every league and family under `home`, looked for on a thread of its own."""

    def __init__(self, home: Path, provider: str = "auto") -> None:
        self._home = home
        self._provider = provider
        self._found: dict[tuple[League, str], Session] = {}
        self._seen: dict[tuple[League, str], tuple[int, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sessions", daemon=True)

    def start(self) -> None:
        """Load what is there, and begin watching."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; sessions already handed out stay usable."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def get(self, league: League, family: str) -> Session | None:
        """The newest session, None when no champion was published."""
        return self._found.get((league, family))

    def refresh(self) -> None:
        """Look once; a file that cannot be read is said and left, the session before it stays."""
        for league in LEAGUES:
            for family in FAMILIES:
                try:
                    self._look(league, family)
                except Exception as error:  # onnxruntime's errors have no common base
                    log.error("onnx of %s %s not loaded: %s", league, family, error)

    def _look(self, league: League, family: str) -> None:
        folder = Workspace(self._home, league).onnx
        pointer = folder / f"{family}.json"
        try:
            found = pointer.stat()
        except FileNotFoundError:
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if self._seen.get((league, family)) == stamp:
            return
        named = json.loads(pointer.read_text(encoding="utf-8"))
        session = open_session(folder / named["file"], self._provider)
        self._found[league, family] = session
        self._seen[league, family] = stamp
        log.info("onnx of %s version %s is answering", session.name, session.version)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.refresh()
