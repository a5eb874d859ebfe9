"""A hub's answerer without admission: first come, first served, whatever the deadline.

python -m serving.live hub --answers tiers.rival:answerer
"""

from __future__ import annotations

import asyncio

from serving.live.asking import Asker, answer_frame, refusal_frame
from serving.live.protocol import Ask
from serving.settings import ServingSettings
from serving.tiers.hub import HubAnswerer
from serving.tiers.lanes import Estimate, Lane

MINUTE_MS = 60_000.0


class Everything(Lane):
    """Everybody is let in, and nothing is ever too late."""

    def estimate(self, kind: str, rows: int) -> Estimate:
        return Estimate(0.0, 0.0, 0.0, False)

    def done_by(self, kind: str, rows: int, deadline_at: float) -> bool:
        return True


class FirstCome(HubAnswerer):
    """Every question is answered in its turn."""

    def __init__(self, settings: ServingSettings) -> None:
        super().__init__(settings)
        for lane in self._tiers.lanes.values():
            lane.__class__ = Everything
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, asker: Asker, asked: Ask) -> None:
        if not self._started:
            self._started = True
            self._tiers.start()
        task = asyncio.get_running_loop().create_task(self._answer(asker, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asker: Asker, asked: Ask) -> None:
        try:
            said = await self._tiers.answer(asked.question, MINUTE_MS, {"league": asker.claims.league})
        except Exception as error:
            asker.answered(refusal_frame(asked, error))
        else:
            asker.answered(answer_frame(asked, said))


def answerer(settings: ServingSettings) -> FirstCome:
    """The factory that `--answers` names."""
    return FirstCome(settings)
