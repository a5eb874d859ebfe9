"""Long work on a thread, told of line by line (NDJSON) while it runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Any, Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from features.errors import FantasyError
from serving.cancellation import Cancelled, Wish, stopping

#: How often a stage may speak; the browser draws no faster, and a slow client must not be flooded.
EVERY_S: Final = 0.1
#: Silence after which the last line is said again, so that nothing between client and server hangs up.
ALIVE_S: Final = 10.0
MEDIA_TYPE: Final = "application/x-ndjson"
Report = Callable[[str, int, int], None]
Work = Callable[[Report, Cancelled], dict[str, Any]]


class Telling(StreamingResponse):
    """`progress` lines while `work` runs on `executor`, then one `result` or `error` line.

    `work` is given a `Report(stage, done, total)` and a `Cancelled`, which turns true once the client hangs up.
    `ended` is called once the work has really ended, which may be later than this answer.
    """

    def __init__(self, executor: Executor, wish: Wish, route: str, work: Work, ended: Callable[[], None]) -> None:
        self._wish = wish
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._said: dict[str, float] = {}
        self._running = executor.submit(stopping, lambda cancelled: work(self._report, cancelled), wish, route)
        self._running.add_done_callback(lambda _: ended())
        self._running.add_done_callback(lambda _: self._put(None))
        super().__init__(self._lines(), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines; the work stops when this ends early."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._wish.drop()

    async def _lines(self) -> AsyncIterator[bytes]:
        last: dict[str, Any] = {"event": "progress", "stage": "start", "done": 0, "total": 1}
        yield _line(last)
        while True:
            try:
                line = await asyncio.wait_for(self._queue.get(), ALIVE_S)
            except TimeoutError:
                line = last
            if line is None:
                break
            last = line
            yield _line(line)
        error = self._running.exception()
        if error is None:
            yield _line({"event": "result", **self._running.result()})
            return
        yield _line(_error(error))
        if not isinstance(error, FantasyError):
            raise error

    def _report(self, stage: str, done: int, total: int) -> None:
        now = self._loop.time()
        if done < total and now - self._said.get(stage, -EVERY_S) < EVERY_S:
            return
        self._said[stage] = now
        self._put({"event": "progress", "stage": stage, "done": done, "total": total})

    def _put(self, line: dict[str, Any] | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line)


def _error(error: BaseException) -> dict[str, Any]:
    """What a `Problem` says; the status was sent long ago, so it can only be said in a line."""
    name, message = "InternalError", f"{type(error).__name__}; this is a defect: see the server's log"
    retryable, rules = False, []
    if isinstance(error, FantasyError):
        name, message, retryable = type(error).__name__, str(error), error.retryable
        rules = list(getattr(error, "rules", ()))
    body = {"event": "error", "error": name, "message": message, "retryable": retryable}
    return {**body, "rules": rules} if rules else body


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, allow_nan=False).encode() + b"\n"
