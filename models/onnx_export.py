"""A trained model as one ONNX file that needs neither torch nor this project: float32 features in, answers out.

Standardisation is part of the graph; a missing feature is NaN. The graph always answers the network's raw heads
(`raw_*`). Where the calibration is arithmetic on a row (temperatures, mean shifts, conformal offsets) it answers the
calibrated outputs too, under the names of `LoadedModel.outputs`, but only those that reproduce the family's own
answers on the bundle's golden batch; for the others the calibration numbers travel in the metadata. No file appears
unless it agrees with torch on the golden batch.

Shape suffixes: B rows, F features, T targets, K quantile levels.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor, nn

from models.announced import CASES
from models.bundle import GOLDEN, TOLERANCE, LoadedModel
from models.errors import BundleError
from models.families import family_of

INPUT: Final = "features"
#: Newest operator set that onnxruntime 1.32 and its browser build both run.
OPSET: Final = 18
#: Prefix of outputs that are not calibrated.
RAW: Final = "raw_"
#: Families whose calibration is arithmetic on a row. The others' goes by buckets of the clock or counts, P(plays) of
#: a projection by a scorecard, P(home win) by the margin's grid where there is one.
IN_GRAPH: Final = ("projection", "win_probability", "shot")


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """What was written: `outputs` by name, which of them are `calibrated`, and the worst difference from torch on
    the golden batch, relative to max(1, |value|)."""

    model: str
    version: str
    path: Path
    outputs: tuple[str, ...]
    calibrated: tuple[str, ...]
    worst_difference: float

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.model, "version": self.version, "path": str(self.path), "outputs": list(self.outputs),
            "calibrated": list(self.calibrated), "worst_difference": self.worst_difference,
            "bytes": self.path.stat().st_size,
        }  # fmt: skip


def export(model: LoadedModel, path: Path) -> OnnxModel:
    """Write `model` to the file `path`, whole or not at all.

    Raises `BundleError` when the bundle lacks its golden batch or the file would not agree with torch.
    """
    network = model.network.cpu().eval()
    inputs = _golden(model.bundle.path)
    graph = Graph(network, model.family, model.bundle.calibration).eval()
    expected = _expected(graph, model, inputs)
    _worst(model.name, expected, expected)  # a network that is not finite need not be traced to be refused
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft_name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".onnx", dir=path.parent)
    os.close(handle)
    draft = Path(draft_name)
    try:
        _write(graph, inputs, draft)
        _describe(draft, model, graph.kept)
        worst = _worst(model.name, run(open_session(draft), inputs), expected)
        draft.chmod(0o644)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
        model.network.to(model.device)
    return OnnxModel(model.name, model.version, path, tuple(expected), graph.kept, worst)


def open_session(path: Path, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU; `session.run(None, {INPUT: inputs})` takes float32 (B, F)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session: Any, inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Outputs by name of feature rows (B, F)."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {INPUT: inputs}), strict=True))


class Graph(nn.Module):
    """The network's raw heads, then those of its calibrated outputs that are `kept`."""

    def __init__(self, network: nn.Module, family: str, calibration: Mapping[str, Any]) -> None:
        super().__init__()
        self.network, self.family = network, family
        self.kept: tuple[str, ...] = ()
        config: Any = network.config
        announced = getattr(config, "announced", ())
        self.first = [config.features.index(name) for name in announced[0]] if announced else []
        if not any(case in calibration for case in CASES):
            calibration = dict.fromkeys(CASES, calibration)
        self.cases = [dict(calibration.get(case, {})) for case in CASES]
        self.sites = len(config.sites) if family == "projection" else 0

    def forward(self, x_BF: Tensor) -> tuple[Tensor, ...]:
        """The values of `answers`, in order."""
        return tuple(self.answers(x_BF).values())

    def answers(self, x_BF: Tensor) -> dict[str, Tensor]:
        """Outputs by name."""
        heads = self.heads(x_BF)
        found = {f"{RAW}{name}": value for name, value in heads.items()}
        if self.kept:
            calibrated = self.calibrated(x_BF, heads)
            found |= {name: calibrated[name] for name in self.kept}
        return found

    def heads(self, x_BF: Tensor) -> dict[str, Tensor]:
        """Uncalibrated outputs by name."""
        network: Any = self.network
        found = network(x_BF)
        if self.family == "win_probability":
            points = network.points(x_BF) if network.config.points else ()
            return dict(zip(("logit", "mean", "quantiles"), (found, *points), strict=False))
        if self.family == "live_win":
            return {**found._asdict(), "quantiles": network.quantiles(found)}
        if isinstance(found, Tensor):
            return {"logit": found}
        names = {"possession": ("points", "next", "seconds")}.get(self.family, ("mean", "quantiles"))
        return dict(zip(names, found, strict=True))

    def calibrated(self, x_BF: Tensor, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated outputs by name, as `LoadedModel.outputs` calls them; none for families whose calibration is
        not arithmetic on a row."""
        if self.family not in IN_GRAPH:
            return {}
        known_B = torch.isfinite(x_BF[:, self.first]).any(dim=1) if self.first else torch.ones_like(x_BF[:, 0]) > 0
        found: dict[str, Tensor] = {}
        if "logit" in raw:
            name = "make_probability" if self.family == "shot" else "home_win_probability"
            found[name] = torch.sigmoid(raw["logit"] / self._of_case("temperature", 1.0, known_B))
        if "mean" in raw:
            mean_BT = raw["mean"] + self._of_case("mean_shift", [0.0] * raw["mean"].shape[1], known_B)
            quantiles_BTK = self._moved(raw["quantiles"], known_B)
            if self.family == "win_probability":
                return {**found, "points_mean": mean_BT, "points_quantiles": quantiles_BTK}
            s = self.sites
            found |= {"mean": mean_BT[:, :s], "quantiles": quantiles_BTK[:, :s]}
            if mean_BT.shape[1] > s:
                found |= {"stat_mean": mean_BT[:, s:].clamp(min=0.0), "stat_quantiles": quantiles_BTK[:, s:]}
        return found

    def _of_case(self, key: str, without: Any, known_B: Tensor) -> Tensor:
        """The number (B,) or numbers (B, ...) of each row's case."""
        with_news, without_news = (torch.tensor(case.get(key, without)) for case in self.cases)
        mask = known_B.reshape(-1, *(1,) * with_news.ndim)
        return torch.where(mask, with_news, without_news)

    def _moved(self, quantiles_BTK: Tensor, known_B: Tensor) -> Tensor:
        offsets = self._of_case("offsets", torch.zeros(quantiles_BTK.shape[1:]).tolist(), known_B)
        numbers = next((case for case in self.cases if "offsets" in case), {"low": 0, "high": 0})
        spread = quantiles_BTK[..., numbers["high"], None] - quantiles_BTK[..., numbers["low"], None]
        return torch.sort(quantiles_BTK + spread * offsets, dim=-1).values


def _expected(graph: Graph, model: LoadedModel, inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """What the file must answer on the golden batch; keeps in `graph` the calibrated outputs that come out as the
    family's own."""
    own = family_of(model.family).outputs(graph.network, inputs, model.bundle.calibration)
    x_BF = torch.from_numpy(inputs)
    with torch.inference_mode():
        candidates = graph.calibrated(x_BF, graph.heads(x_BF))
        graph.kept = tuple(
            name
            for name, value in candidates.items()
            if name in own and _gap(value.numpy(), own[name]) <= TOLERANCE
        )
        raw = {name: value.double().numpy() for name, value in graph.answers(x_BF).items()}
    return {name: np.asarray(own[name] if name in graph.kept else value) for name, value in raw.items()}


def _golden(bundle: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(load_file(bundle / GOLDEN)["inputs"], dtype=np.float32)
    except (OSError, KeyError, SafetensorError) as error:
        raise BundleError(f"{bundle / GOLDEN} is unreadable: {error!r}; download the bundle again") from error


def _write(graph: Graph, inputs: NDArray[np.float32], path: Path) -> None:
    x_BF, rows = torch.from_numpy(inputs), torch.export.Dim("rows")
    with _quiet(), torch.no_grad():
        names = list(graph.answers(x_BF))
        torch.onnx.export(
            graph, (x_BF,), str(path), dynamo=True, dynamic_shapes=({0: rows},), input_names=[INPUT],
            output_names=names, opset_version=OPSET, external_data=False, verbose=False,
        )  # fmt: skip


def _describe(path: Path, model: LoadedModel, calibrated: tuple[str, ...]) -> None:
    """Add what a reader needs to feed the graph and to trust it; onnxruntime shows it as custom metadata."""
    import onnx

    bundle = model.bundle
    told = {
        "family": bundle.family, "name": bundle.name, "version": model.version, "label": bundle.label,
        "features": list(model.features), "view_versions": bundle.view_versions,
        "trained_through": bundle.trained_through.isoformat(), "calibrated": list(calibrated),
        "config": bundle.config, "calibration": bundle.calibration,
    }  # fmt: skip
    loaded = onnx.load(str(path))
    onnx.helper.set_model_props(
        loaded, {key: v if isinstance(v, str) else json.dumps(v) for key, v in told.items()}
    )
    onnx.checker.check_model(loaded)
    onnx.save(loaded, str(path))


def _worst(name: str, answers: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> float:
    """The worst difference of the file from torch. Raises `BundleError` above TOLERANCE."""
    gaps = {output: _gap(answers[output], wanted) for output, wanted in expected.items()}
    for output, gap in gaps.items():
        if not gap <= TOLERANCE:
            raise BundleError(
                f"{name}: ONNX output {output!r} differs from torch by {gap:.2g} (allowed {TOLERANCE:g}); keep "
                "serving the bundle and report this"
            )
    return max(gaps.values())


def _gap(answer: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Largest difference relative to max(1, |wanted|); infinite for other shapes or values that are not finite."""
    if answer.shape != wanted.shape or not (np.isfinite(answer).all() and np.isfinite(wanted).all()):
        return float("inf")
    return float(np.max(np.abs(answer - wanted) / np.maximum(1.0, np.abs(wanted)), initial=0.0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on operators of libraries that are not used here."""
    log, trace = logging.getLogger("torch.onnx"), logging.getLogger("torch.__trace")
    before, handlers = log.level, list(trace.handlers)
    log.setLevel(logging.ERROR)
    # With a handler, such as a test runner's, torch writes down every step of a trace, which takes seconds.
    trace.handlers.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(before)
        trace.handlers.extend(handlers)


def metadata(session: Any) -> dict[str, str]:
    """What `export` wrote beside the graph."""
    return cast(dict[str, str], dict(session.get_modelmeta().custom_metadata_map))
