"""How fast rows reach a network and train it: our loader against torch's, precisions, CPU and GPU; ONNX against torch.

    python benchmarks/bench_training.py [--out FILE] [--rows 200000] [--epochs 3]

Rows are normal noise in the shape of a projection's (its features, its labels, its network of params.yaml): speed
does not depend on what they mean. `loading` hands out whole epochs without a network; `training` is the real run,
fitting and its calibration pass left out, median of the epochs after the first. Both compare in one process, one after
the other, on one thread. GPU rows are measured when there is a CUDA device and say so when there is none.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import machine, parser, timed, write
from torch.utils.data import DataLoader, TensorDataset

from features.params import read_params
from models.device import one_thread
from models.families import family_of
from models.onnx_export import OPSET, Graph, open_session, run
from models.training.config import TrainingParams
from models.training.packed import PackedBatches, PackedRows
from models.training.run import fit_network

FAMILY = "projection"
SEED = 7
SLATE = 500
NO_GPU = "not run: no CUDA device"


def shaped(rows: int, config: Any, seed: int) -> tuple[Any, Any]:
    """Normal noise as wide as the family's inputs and labels, 3 % of the inputs missing."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, len(config.features))).astype(np.float32)
    inputs[rng.random(inputs.shape) < 0.03] = np.nan
    labels = rng.normal(20, 10, size=(rows, len(config.targets))).astype(np.float32)
    return inputs, labels


def rows_per_s(batches: Iterable[Any], epochs: int, wait: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Median over epochs of rows handed out per second of wall time."""
    found = []
    for _ in range(epochs):
        since, rows = time.perf_counter(), 0
        for inputs, _labels in batches:
            rows += len(inputs)
        wait()
        found.append(rows / (time.perf_counter() - since))
    return {"samples_per_s": round(float(np.median(found))), "epochs": epochs, "rows": rows}


def loading(data: tuple[Any, Any], batch_size: int, epochs: int) -> dict[str, Any]:
    """Epochs handed out, without a network."""
    packed = PackedRows.of(data)
    cpu, dataset = torch.device("cpu"), TensorDataset(packed.inputs, packed.labels)
    found: dict[str, Any] = {
        "packed": rows_per_s(PackedBatches(packed, batch_size, SEED, device=cpu), epochs),
        "dataloader": rows_per_s(DataLoader(dataset, batch_size, shuffle=True, drop_last=True), epochs),
        "dataloader_2_workers": rows_per_s(
            DataLoader(dataset, batch_size, shuffle=True, drop_last=True, num_workers=2), epochs
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        mapped = PackedBatches(packed.stored(Path(folder)), batch_size, SEED, device=cpu)
        found["packed_memory_mapped"] = rows_per_s(mapped, epochs)
    if torch.cuda.is_available():
        gpu = torch.device("cuda")
        found["packed_to_gpu"] = rows_per_s(
            PackedBatches(packed, batch_size, SEED, device=gpu), epochs, torch.cuda.synchronize
        )
        pinned = DataLoader(dataset, batch_size, shuffle=True, drop_last=True, num_workers=2, pin_memory=True)
        to_gpu = ((x.to(gpu, non_blocking=True), y.to(gpu, non_blocking=True)) for x, y in pinned)
        found["dataloader_2_workers_to_gpu"] = rows_per_s(to_gpu, 1, torch.cuda.synchronize)
    else:
        found |= {"packed_to_gpu": NO_GPU, "dataloader_2_workers_to_gpu": NO_GPU}
    ours, theirs = found["packed"]["samples_per_s"], found["dataloader"]["samples_per_s"]
    return found | {"packed_over_dataloader": round(ours / theirs, 1)}


def training(data: tuple[Any, Any], chosen: TrainingParams, epochs: int) -> dict[str, Any]:
    """The real run on every device and precision there is."""
    optimisation = replace(chosen.optimisation, max_epochs=epochs + 1, patience=epochs + 1)
    later = (data[0][:4096], data[1][:4096])
    found: dict[str, Any] = {}
    for device, precision in (("cpu", "32"), ("cpu", "bf16-mixed"), ("cuda", "32"), ("cuda", "auto")):
        name = f"{device}_{'fp32' if precision == '32' else 'mixed'}"
        if device == "cuda" and not torch.cuda.is_available():
            found[name] = NO_GPU
            continue
        kind = family_of(FAMILY)
        torch.manual_seed(SEED)
        network: Any = kind.build(kind.config(chosen.size).as_json())
        network.fit_scales(*data)
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit_network(
                network,
                data,
                later,
                optimisation,
                checkpoints=Path(folder) / "c",
                device=device,
                precision=precision,
            )
        speeds = [point["samples_per_s"] for point in fitted.curve[1:]]
        found[name] = {
            "samples_per_s": round(float(np.median(speeds))), "epochs": len(speeds), "precision": fitted.precision,
            **{key: round(value, 1) for key, value in fitted.machine.items()},
        }  # fmt: skip
    return found


def answering(data: tuple[Any, Any], chosen: TrainingParams, repeats: int = 200) -> dict[str, Any]:
    """A slate of SLATE rows in one batch on one thread: torch and onnxruntime, raw heads of the same network."""
    kind = family_of(FAMILY)
    torch.manual_seed(SEED)
    network: Any = kind.build(kind.config(chosen.size).as_json())
    network.fit_scales(*data)
    graph = Graph(network, FAMILY, {}).eval()
    inputs = np.ascontiguousarray(data[0][:SLATE])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        with torch.no_grad():
            names = list(graph.answers(torch.from_numpy(inputs)))
            torch.onnx.export(
                graph, (torch.from_numpy(inputs),), str(path), dynamo=True, opset_version=OPSET, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("rows")},), input_names=["features"], output_names=names,
                external_data=False,
            )  # fmt: skip
        session, size = open_session(path), path.stat().st_size

        def in_torch() -> Any:
            with torch.inference_mode():
                return graph.answers(torch.from_numpy(inputs))

        expected, answer = in_torch(), run(session, inputs)
        worst = max(float(np.abs(answer[name] - expected[name].numpy()).max()) for name in names)
        in_onnx = timed(lambda: run(session, inputs), repeats)
        return {
            "rows": SLATE, "torch": timed(in_torch, repeats), "onnxruntime": in_onnx, "worst_difference": worst,
            "file_bytes": size,
        }  # fmt: skip


def main() -> None:
    """Measure all and write the report."""
    asked = parser(__doc__, "training.json")
    asked.add_argument("--rows", type=int, default=200_000)
    asked.add_argument("--epochs", type=int, default=3)
    args = asked.parse_args()
    chosen = TrainingParams.read(read_params(), FAMILY)
    config = family_of(FAMILY).config(chosen.size)
    data = shaped(args.rows, config, SEED)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    report = machine(["torch", "lightning", "onnxruntime", "numpy"])
    report["hardware"]["gpu"] = gpu
    report |= {
        "seed": SEED, "family": FAMILY, "rows": args.rows, "features": len(config.features),
        "labels": len(config.targets), "batch_size": chosen.optimisation.batch_size, "size": chosen.size, "threads": 1,
    }  # fmt: skip
    with one_thread():
        for name, work in (
            ("loading", lambda: loading(data, chosen.optimisation.batch_size, args.epochs)),
            ("training", lambda: training(data, chosen, args.epochs)),
            ("answering", lambda: answering(data, chosen)),
        ):
            report[name] = work()
            print(name, report[name], flush=True)
    write(report, args.out)


if __name__ == "__main__":
    main()
