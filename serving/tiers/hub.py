"""The tiers of a hub worker: `python -m serving.live hub --answers serving.tiers.hub:answerer`.

Over the worker's own topics once `over` was called with its books; before that, and without it, over a mirror.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

from features.workspace import League
from serving.live.asking import Asker
from serving.live.book import Book
from serving.live.mirror import Mirror
from serving.live.protocol import Ask
from serving.settings import ServingSettings
from serving.tiers.answerer import Answerer
from serving.tiers.answerer import answerer as tiers_of
from serving.tiers.edge import Topics
from serving.tiers.turns import Turns

#: Longest time one thread keeps the interpreter to itself while another wants it.
SWITCH_S: Final = 0.0005


class BookTopics:
    """A worker's topics as the edge reads them."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def whole(self, topic: str) -> Mapping[str, Any] | None:
        """All fields of a topic, None when nobody has told of it."""
        found = self._book.topics.get(topic)
        return found.whole() if found is not None and found.known else None

    def at_ns(self, topic: str) -> int | None:
        """When its newest update was created (UNIX ns), None when none is remembered."""
        found = self._book.topics.get(topic)
        return found.ring[-1].at_ns or None if found is not None and found.ring else None


class HubAnswerer:
    """What `serving.live.worker.Worker` takes as `answerer`; it starts its threads with the first question."""

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._books: Mapping[str, Book] = {}
        self._mirrors: dict[League, Mirror] = {}
        self._tiers: Answerer = tiers_of(settings, self._topics)
        self._turns = Turns(self._tiers)
        self._started = False

    def over(self, books: Mapping[str, Book]) -> None:
        """Answer over these topics, by league."""
        self._books = books

    def ask(self, asker: Asker, asked: Ask) -> None:
        """Take a question; its answer or refusal goes to `asker`."""
        if not self._started:
            self._started = True
            # The inference thread must not keep the loop waiting for 5 ms of an edge answer's 10.
            sys.setswitchinterval(SWITCH_S)
            self._tiers.start()
        self._turns.put(asker, asked)

    async def close(self) -> None:
        """Refuse what waits for its turn, and stop."""
        self._turns.stop()
        if self._started:
            await self._tiers.close()
        for mirror in self._mirrors.values():
            mirror.stop()

    def _topics(self, league: League) -> Topics:
        if (book := self._books.get(league)) is not None:
            return BookTopics(book)
        if league not in self._mirrors:
            mirror = Mirror(self._settings.redis_url, league, self._settings.stream_partitions)
            self._mirrors[league] = mirror
            mirror.start()
        return self._mirrors[league]


def answerer(settings: ServingSettings) -> HubAnswerer:
    """The factory that `--answers` names."""
    return HubAnswerer(settings)
