"""Questions over a socket: what a worker and whatever answers them (`serving.tiers.hub`) tell each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from features.errors import FantasyError
from serving.live import protocol
from serving.live.book import Book
from serving.live.protocol import Ask, Refused
from serving.security import Claims

log = logging.getLogger(__name__)


class Asker(Protocol):
    """Whoever asked: `serving.live.connection.Connection`."""

    claims: Claims
    closed: bool

    def answered(self, frame: bytes) -> None:
        """Take the frame that ends a question; called once for each. An empty one is told later, by `tell`."""
        ...

    def tell(self, frames: bytes) -> None:
        """Take frames that end nothing any more."""
        ...

    def listen(self, wanted: bool) -> None:
        """Read his socket, or leave what he sends in the kernel."""
        ...


class Answerer(Protocol):
    """Answers questions asked over a socket."""

    def over(self, books: Mapping[str, Book]) -> None:
        """Take the worker's topics by league, which change on its loop only; called once, before any question."""
        ...

    def ask(self, asker: Asker, asked: Ask) -> None:
        """Take a question and return at once; `asker.answered` is called when there is an answer or a refusal."""
        ...

    async def close(self) -> None:
        """Finish; no question comes any more."""
        ...


def answer_frame(asked: Ask, fields: Mapping[str, Any]) -> bytes:
    """The frame of an answer."""
    return protocol.message("answer", id=asked.id, **fields)


def refusal_frame(asked: Ask, error: Exception) -> bytes:
    """The frame of a question that was not answered; what is no `FantasyError` is logged and not told."""
    if isinstance(error, FantasyError):
        refused = Refused(type(error).__name__, str(error), status=error.http_status, request=asked.id)
        refused.retry_after_s = getattr(error, "retry_after_s", None)
        return protocol.error_frame(refused)
    log.error("a question could not be answered", exc_info=error)
    said = f"{type(error).__name__}; see the hub's log"
    return protocol.error_frame(Refused("internal", said, status=500, request=asked.id))
