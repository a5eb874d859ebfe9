"""A connection to one Redis server on the event loop: what a worker asks a thousand times a second must cost little.

Commands go out as one write and their replies resolve one future; `redis.asyncio` was dearer (docs/adr/0012).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import redis

from features.stream.connections import Command, Link, Servers, must

#: Longer than any command may wait at the server; who gets no answer for so long has lost the server.
ANSWER_S: Final = 10.0


class Wire:
    """One `Link`, for one task at a time. After any error it is of no use: close it and open another."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._replies: list[Any] = []
        self._wanted = 0
        self._answered: asyncio.Future[list[Any]] | None = None
        self._error: Exception | None = None
        self._loop.add_reader(link.fileno(), self._arrived)

    @classmethod
    async def open(cls, servers: Servers, key: str) -> Wire:
        """A new connection to the server that holds `key`; finding and reaching it is not done on the loop."""
        return cls(await asyncio.to_thread(servers.link, key))

    async def call(self, *commands: Command) -> list[Any]:
        """Replies of `commands`, in order; the first error reply is raised.

        Raises `redis.RedisError`, also when the connection is gone or nothing is answered for `ANSWER_S`.
        """
        if self._error is not None:
            raise self._error
        self._link.send(commands)
        self._wanted = len(commands)
        self._answered = self._loop.create_future()
        patience = self._loop.call_later(ANSWER_S, self._fail, redis.TimeoutError("no answer from the server"))
        try:
            replies = await self._answered
        finally:
            patience.cancel()
            self._answered = None
        return [must(reply) for reply in replies]

    def close(self) -> None:
        """Close the connection."""
        self._fail(redis.ConnectionError("closed"))
        self._link.close()

    def _arrived(self) -> None:
        try:
            self._replies += self._link.arrived()
        except redis.RedisError as error:
            self._fail(error)
            return
        if self._answered is not None and len(self._replies) >= self._wanted and not self._answered.done():
            replies, self._replies = self._replies, []
            self._answered.set_result(replies)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            # A closed socket is readable for ever.
            self._loop.remove_reader(self._link.fileno())
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)
