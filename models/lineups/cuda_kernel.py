"""The CUDA kernel itself: a block per score vector, a thread per lane, barriers between the stages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from models.lineups.cuda_layout import SIMULATED, STAGE
from models.lineups.cuda_stages import DONE, begin, turn, work

# Its members differ between a GPU and the simulator, which finds it by its being a global.
cuda: Any = import_module("numba.cuda")
#: More registers than this would leave a multiprocessor too few blocks to hide its memory's latency; the simulator
#: knows no registers.
OPTIONS: dict[str, Any] = {} if SIMULATED else {"max_registers": 128}


@cuda.jit(**OPTIONS)  # type: ignore[untyped-decorator]
def solve_on_gpu(score: Any, slate: Any, scratch: Any) -> None:
    """Solve every score vector (B, N): lineups into scratch.seats[:, BEST_SEAT], proofs into scratch.state."""
    s, lane, lanes = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    if lane == 0:
        begin(s, lanes, slate, scratch)
    cuda.syncthreads()
    while scratch.state[s, STAGE] != DONE:
        stage = scratch.state[s, STAGE]
        work(stage, s, lane, lanes, score, slate, scratch)
        cuda.syncthreads()
        if lane == 0:
            turn(stage, s, lanes, score, slate, scratch)
        cuda.syncthreads()
