"""Work on a thread that stops when whoever asked for it hangs up, or when the server shuts down."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from fastapi import Request

from models.errors import Cancelled as Stopped
from serving import telemetry
from serving.errors import Busy, ClientGone

log = logging.getLogger(__name__)
T = TypeVar("T")
#: Asked by the work every few milliseconds; true means that nobody wants the answer any more.
Cancelled = Callable[[], bool]


class Wish:
    """Whether an answer is still wanted; `over` is what the work asks."""

    def __init__(self, closing: threading.Event) -> None:
        self._closing = closing
        self._gone = threading.Event()

    def drop(self) -> None:
        """Nobody wants the answer any more."""
        self._gone.set()

    def over(self) -> bool:
        """Whether the work may stop."""
        return self._gone.is_set() or self._closing.is_set()


async def until_gone(request: Request, executor: Executor, wish: Wish, work: Callable[[Cancelled], T]) -> T:
    """Return `work(wish.over)` from a thread of `executor`.

    Raises `ClientGone` once the client hangs up, and `Busy` when the process shuts down meanwhile.

    The request's body must have been read: what comes after it can only be the end of the connection.
    """
    route = getattr(request.scope.get("route"), "path", "unmatched")
    running = asyncio.get_running_loop().run_in_executor(executor, stopping, work, wish, route)
    gone: asyncio.Future[None] = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ClientGone(f"the client of {route} hung up; its work is being stopped")
        return running.result()
    except Stopped as error:
        raise Busy("this server is shutting down: ask again") from error
    finally:
        gone.cancel()
        wish.drop()
        # Nobody may be left to read the outcome, and an unread exception would be logged as a defect.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())


def stopping(work: Callable[[Cancelled], T], wish: Wish, route: str) -> T:
    """Return `work(wish.over)`; counts work that really stopped because nobody wanted it any more."""
    try:
        if wish.over():
            raise Stopped("nobody waits for the answer any more")
        return work(wish.over)
    except Stopped:
        telemetry.STOPPED.labels(route).inc()
        log.info("route=%s stopped: nobody waits for the answer", route)
        raise


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
