"""The tiers of the HTTP process: over a mirror of the live topics, with slates, and publishing the champions' ONNX."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends, Request

from features.workspace import LEAGUES, League
from serving.context import Context
from serving.live.mirror import Mirror
from serving.settings import ServingSettings
from serving.snapshot import Snapshots
from serving.tiers.answerer import Answerer, answerer
from serving.tiers.publish import Publisher
from serving.tiers.slates import Slates


class Tiers:
    """Everything `POST /v1/ask` needs; `start` it with the process and `close` it before the context."""

    def __init__(self, settings: ServingSettings, context: Context) -> None:
        partitions = settings.stream_partitions
        self._mirrors: dict[League, Mirror] = {
            league: Mirror(settings.redis_url, league, partitions) for league in LEAGUES
        }
        self.answerer = answerer(settings, self._mirrors.__getitem__, database=context.database)
        self._publisher = Publisher(context.champions, settings.home)
        self.answerer.with_slates(
            Slates(
                context.slates, Snapshots(context.online), context.predictor, self.answerer.regional, time.monotonic,
                self._publisher.want,
            )
        )  # fmt: skip

    def start(self) -> None:
        """Begin to follow the topics, to answer and to publish."""
        for mirror in self._mirrors.values():
            mirror.start()
        self.answerer.start()
        self._publisher.start()

    async def close(self) -> None:
        """Answer what is queued and stop."""
        self._publisher.stop()
        await self.answerer.close()
        for mirror in self._mirrors.values():
            mirror.stop()


def get_answerer(request: Request) -> Answerer:
    """The process's tiers."""
    tiers: Tiers = request.app.state.tiers
    return tiers.answerer


AnswererDep = Annotated[Answerer, Depends(get_answerer)]
