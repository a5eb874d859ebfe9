"""Open-loop load on the tiers: every question has a moment at which it was meant to come, and is late from there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from features.errors import FantasyError
from serving.tiers.answerer import Answerer
from tiers.world import GAMES, LEAGUE, PLAYERS, WHAT_IFS, World

SHARES = {"edge": 0.80, "regional": 0.18, "cloud": 0.02}
DEADLINE_MS = {"edge": 10.0, "regional": 100.0, "cloud": 500.0}
#: Answers of the first part are not counted: everything is warm, and service times are learned.
WARM_S = 1.0
#: After the last question, what is still under way is waited for so long, then given up (it was late anyway).
DRAIN_S = 5.0
CLAIMS = {"league": LEAGUE}


@dataclass
class Tally:
    """What became of one tier's questions; latency in ms from the moment each was meant to come."""

    asked: int = 0
    in_full: int = 0
    degraded: int = 0
    late: int = 0
    unanswered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)

    def as_json(self, seconds: float) -> dict[str, Any]:
        answered = np.array(self.latency_ms or [np.nan])
        counted = self.in_full + self.degraded + self.late + self.unanswered
        return {
            "asked": self.asked, "admitted": counted, "in_full_in_time": self.in_full,
            "degraded_in_time": self.degraded, "late": self.late + self.unanswered, "refused": dict(self.refused),
            "share_in_time_of_admitted": round((self.in_full + self.degraded) / counted, 5) if counted else None,
            "p50_ms": round(float(np.quantile(answered, 0.5)), 3),
            "p99_ms": round(float(np.quantile(answered, 0.99)), 3),
            "goodput_per_s": round(self.in_full / seconds, 2),
        }  # fmt: skip


async def run_mix(world: World, rate: float, seconds: float, *, admission: bool) -> dict[str, Any]:
    """The mix at `rate` questions a second for `seconds` after the warm-up."""
    tiers = world.tiers(admission=admission)
    tiers.start()
    tally = {tier: Tally() for tier in SHARES if tier != "cloud" or world.cloud}
    running: set[asyncio.Task[None]] = set()
    rng = np.random.default_rng(7)
    moments = np.cumsum(rng.exponential(1 / rate, int(rate * (seconds + WARM_S))))
    shares = np.array([SHARES[tier] for tier in tally])
    kinds = rng.choice(len(tally), size=moments.size, p=shares / shares.sum())
    names = list(tally)
    cpu_0, start = time.process_time(), time.perf_counter() + 0.05
    for number, (moment, kind) in enumerate(zip(moments.tolist(), kinds.tolist(), strict=True)):
        due = start + moment
        wait = due - time.perf_counter()
        if wait > 0 or number % 64 == 0:
            await asyncio.sleep(max(wait, 0.0))
        tier = names[kind]
        counted = tally[tier] if moment >= WARM_S else Tally()
        counted.asked += 1
        asking = _ask(tiers, tier, number, due, counted, admission)
        if tier == "edge":
            await asking  # nothing in it waits, so a task would only cost time
        else:
            task = asyncio.create_task(asking)
            running.add(task)
            task.add_done_callback(running.discard)
    behind_ms = 1000 * (time.perf_counter() - start - float(moments[-1]))
    if running:
        await asyncio.wait(running, timeout=DRAIN_S)
    for task in list(running):
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    cpu = (time.process_time() - cpu_0) / (seconds + WARM_S)
    await tiers.close()
    told = {tier: each.as_json(seconds) for tier, each in tally.items()}
    goodput = sum(each["goodput_per_s"] for each in told.values())
    return {
        "rate_per_s": rate, "admission": admission, "tiers": told, "goodput_per_s": round(goodput, 2),
        "process_cores": round(cpu, 3), "behind_at_end_ms": round(behind_ms, 2),
    }  # fmt: skip


async def _ask(tiers: Answerer, tier: str, number: int, due: float, tally: Tally, admission: bool) -> None:
    deadline_ms = DEADLINE_MS[tier]
    try:
        # To the rival a question comes whenever it is looked at: none is ever late.
        arrived = due if admission else time.perf_counter()
        said = await tiers.answer(_question(tier, number), deadline_ms, CLAIMS, arrived=arrived)
    except FantasyError as error:
        tally.refused[type(error).__name__] += 1
        return
    except asyncio.CancelledError:
        tally.unanswered += 1
        raise
    took_ms = 1000 * (time.perf_counter() - due)
    tally.latency_ms.append(took_ms)
    if took_ms > deadline_ms:
        tally.late += 1
    elif said["degraded"]:
        tally.degraded += 1
    else:
        tally.in_full += 1


def _question(tier: str, number: int) -> dict[str, Any]:
    if tier == "cloud":
        return {"kind": "portfolio", "slate_id": f"bench-{number}", "n": 150}
    if tier == "regional":
        changes = [{"lead": float(n % 21 - 10), "left_s": float(30 + 20 * n)} for n in range(WHAT_IFS)]
        return {"kind": "what_if", "game_id": str(number % GAMES), "changes": changes}
    if number % 3 == 0:
        return {"kind": "line", "player_id": 1 + number % PLAYERS, "stat": "draftkings", "line": 30.5}
    if number % 3 == 1:
        return {"kind": "players", "player_ids": [1 + (number + n) % PLAYERS for n in range(8)]}
    return {"kind": "game", "game_id": str(number % GAMES)}
