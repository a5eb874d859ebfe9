"""One-row questions to one inference thread: greedy batching, none, and waiting 2 ms for company."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np

from serving.tiers.lanes import Lane
from serving.tiers.regional import Regional
from tiers.inference import networks, session_of

RATES = (1_000, 8_000, 16_000)
SECONDS = 5.0
WARM_S = 0.5
DRAIN_S = 3.0


class Model:
    """A session, and the sizes of the batches it was given."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.batches: list[int] = []

    def run(self, inputs: Any) -> dict[str, Any]:
        self.batches.append(len(inputs))
        return {"row": self._session.run(None, {"features": inputs})[0]}


class Waiting(Regional):
    """Always waits 2 ms before a batch, however many questions are there."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane, wait_s=0.002, company=1 << 30)


def measure(home: Path, *, quick: bool) -> dict[str, Any]:
    """p50 and p99 in ms from the intended moment, by way of batching and rate."""
    network, inputs = networks()["mlp_30_128_128_9"]
    session = session_of(network, inputs, home / "batching.onnx")
    row = inputs[:1].numpy()
    found: dict[str, Any] = {}
    for name, rows, kind in (("greedy", 2048, Regional), ("none", 1, Regional), ("wait_2_ms", 2048, Waiting)):
        for rate in (200,) if quick else RATES:
            model = Model(session)
            lane = Lane("regional", time.perf_counter, most=1 << 30, batch_rows=rows)
            told = asyncio.run(_run(kind(lane), model, row, rate, 1.0 if quick else SECONDS))
            found[f"{name}_{rate}"] = told | {"mean_batch": round(float(np.mean(model.batches)), 2)}
    return found


async def _run(tier: Regional, model: Model, row: Any, rate: int, seconds: float) -> dict[str, Any]:
    tier.start()
    took: list[float] = []
    moments = np.cumsum(np.random.default_rng(3).exponential(1 / rate, int(rate * (seconds + WARM_S))))
    start = time.perf_counter() + 0.05
    running: set[asyncio.Task[None]] = set()

    async def ask(moment: float) -> None:
        await tier.ask(model, row, tier.lane.admit("what_if", 1, start + moment + 3600))
        if moment >= WARM_S:
            took.append(1000 * (time.perf_counter() - start - moment))

    for number, moment in enumerate(moments.tolist()):
        wait = start + moment - time.perf_counter()
        if wait > 0 or number % 64 == 0:
            await asyncio.sleep(max(wait, 0.0))
        task = asyncio.create_task(ask(moment))
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running, timeout=DRAIN_S)
    left = len(running)
    for task in list(running):
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await asyncio.to_thread(tier.stop)
    p50, p99 = (float(np.quantile(took, level)) if took else float("nan") for level in (0.5, 0.99))
    return {"p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "answered": len(took), "unanswered": left}
