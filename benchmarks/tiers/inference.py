"""A slate of 500 players on one thread: onnxruntime against torch eager, the same networks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import timed
from torch import nn

PLAYERS = 500


class Gru(nn.Module):
    """10 games of 30 numbers each, 64 wide, 9 quantiles."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(30, 64, batch_first=True), nn.Linear(64, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(x)[0][:, -1])


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """Networks by name, each with a slate of inputs."""
    torch.manual_seed(0)
    mlp = nn.Sequential(
        nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 9)
    )  # fmt: skip
    return {
        "mlp_30_128_128_9": (mlp, torch.randn(PLAYERS, 30)),
        "gru_10x30_64": (Gru(), torch.randn(PLAYERS, 10, 30)),
    }


def session_of(network: nn.Module, inputs: torch.Tensor, path: Path) -> Any:
    """An onnxruntime session as the regional tier opens them."""
    import onnxruntime

    rows = torch.export.Dim("rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (inputs,), str(path), dynamo=True, dynamic_shapes=({0: rows},), input_names=["features"],
            output_names=["row"], external_data=False, verbose=False,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(home: Path, repeats: int) -> dict[str, Any]:
    """Milliseconds of 500 rows by both, and how far apart their answers are."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, (network, inputs) in networks().items():
        session = session_of(network, inputs, home / f"{name}.onnx")
        fed = {"features": inputs.numpy()}
        with torch.inference_mode():
            own = network(inputs).numpy()
            gap = float(np.abs(session.run(None, fed)[0] - own).max())
            found[name] = {
                "onnxruntime": timed(lambda session=session, fed=fed: session.run(None, fed), repeats),
                "torch_eager": timed(lambda network=network, inputs=inputs: network(inputs), repeats),
                "largest_difference": gap,
            }
    return found
