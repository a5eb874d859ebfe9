"""Open-loop load on a hub that answers: questions as a file for wsask.c, and what came of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from hub.build import compiled
from hub.targets import Hub, cpu_s

from tiers.world import GAMES, PLAYERS, WHAT_IFS

HERE = Path(__file__).resolve().parent
SHARES = {"edge": 0.80, "regional": 0.18, "cloud": 0.02}
DEADLINE_MS = {"edge": 10.0, "regional": 100.0, "cloud": 500.0}
#: Different questions of a tier; they repeat.
DISTINCT = 600
#: Answers of the first part are not counted: everything is warm, and service times are learned.
WARM_S = 2.0
#: After the last question, answers are awaited for so long.
DRAIN_S = 1.0
#: Connections, and more where each would ask more often than a hub lets one (20 messages a second).
CLIENTS, PER_CLIENT = 1000, 15.0
NICE = -10
#: Arguments of a question, by tier.
Question = dict[str, Any]


@dataclass(frozen=True)
class Mix:
    """What is asked: `slate_id` is what heavy work is about, None for no heavy work."""

    slate_id: str | None = None
    shares: tuple[str, ...] = ("edge", "regional", "cloud")

    def write(self, path: Path) -> None:
        """As wsask.c reads it."""
        tiers = [tier for tier in self.shares if tier != "cloud" or self.slate_id is not None]
        total = sum(SHARES[tier] for tier in tiers)
        with path.open("w") as out:
            for tier in tiers:
                for question in self._questions(tier):
                    asked = {"op": "ask", "id": "0" * 8, "question": question, "deadline_ms": DEADLINE_MS[tier]}
                    text = json.dumps(asked, separators=(",", ":"))
                    out.write(f"{tier}\t{SHARES[tier] / total}\t{DEADLINE_MS[tier]}\t{text}\n")

    def _questions(self, tier: str) -> Iterator[Question]:
        for number in range(DISTINCT):
            if tier == "cloud":
                yield {"kind": "portfolio", "slate_id": self.slate_id, "n": 150}
            elif tier == "regional":
                changes = [{"lead": float(n % 21 - 10), "left_s": float(30 + 20 * n)} for n in range(WHAT_IFS)]
                yield {"kind": "what_if", "game_id": str(number % GAMES), "changes": changes}
            elif number % 3 == 0:
                yield {"kind": "line", "player_id": 1 + number % PLAYERS, "stat": "draftkings", "line": 30.5}
            elif number % 3 == 1:
                yield {"kind": "players", "player_ids": [1 + (number + n) % PLAYERS for n in range(8)]}
            else:
                yield {"kind": "game", "game_id": str(number % GAMES)}


def ask(hub: Hub, mix: Mix, rate: float, seconds: float) -> dict[str, Any]:
    """The mix at `rate` questions a second for `seconds` after the warm-up, from a process of its own."""
    clients = max(CLIENTS, int(rate / PER_CLIENT))
    with tempfile.NamedTemporaryFile(suffix=".tsv") as file:
        mix.write(Path(file.name))
        options = {
            "--port": hub.port, "--path": hub.path, "--clients": clients, "--questions": file.name, "--rate": rate,
            "--warm": WARM_S, "--seconds": seconds, "--drain": DRAIN_S,
        }  # fmt: skip
        command = [str(compiled("wsask", HERE)), *(str(word) for pair in options.items() for word in pair)]
        before, machine_0 = cpu_s(hub), psutil.cpu_times()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            with contextlib.suppress(psutil.AccessDenied):
                # Real clients are elsewhere: that this one waits for a core is not the hub's doing.
                psutil.Process(process.pid).nice(NICE)
            told, errors = process.communicate(timeout=seconds + 60)
        if process.returncode:
            raise RuntimeError(f"the load client ended with {process.returncode}: {errors.strip()[-400:]}")
        used, machine_1 = cpu_s(hub) - before, psutil.cpu_times()
    found: dict[str, Any] = json.loads(told)
    for row in found["tiers"].values():
        row["admitted"] = row["in_full_in_time"] + row["degraded_in_time"] + row["late"]
        in_time = row["in_full_in_time"] + row["degraded_in_time"]
        row["share_in_time_of_admitted"] = round(in_time / row["admitted"], 5) if row["admitted"] else None
        row["goodput_per_s"] = round(row["in_full_in_time"] / seconds, 2)
    goodput = sum(row["goodput_per_s"] for row in found["tiers"].values())
    stolen_s = getattr(machine_1, "steal", 0.0) - getattr(machine_0, "steal", 0.0)
    return {
        "rate_per_s": rate, "clients": clients, **found, "goodput_per_s": round(goodput, 2),
        "hub_cores": round(used / (seconds + WARM_S), 3), "stolen_s": round(stolen_s, 2),
    }  # fmt: skip
