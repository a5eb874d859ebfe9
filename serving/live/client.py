"""A typed client of the hub: connects, resumes after a break, notices gaps, and keeps the whole of every topic.

    async with LiveClient(url, token, ["game:0022400001"]) as live:
        async for change in live:
            print(change.topic, change.data, change.whole)

The iteration ends only with an error nobody can retry away. A reader that is slow slows the socket down: the hub then
merges updates, and never skips a critical one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, cast
from urllib.parse import quote

import msgspec
from picows import WSError, WSFrame, WSInvalidStatusError, WSListener, WSMsgType, WSTransport, ws_connect

from features.errors import FantasyError
from serving.errors import HubUnavailable, Unauthorized
from serving.live.protocol import Position, Refused, encode

log = logging.getLogger(__name__)
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
#: Topics per subscribe message: with their positions well under the hub's 64 KB.
CHUNK: Final = 200
#: Changes kept for the reader before the socket is no longer read.
WAITING: Final = 2_000
FRAME_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """What a topic turned into. `data`: all of it (snapshot) or what changed (delta; None removes a field).

    `at_ns`: when the newest cause of a delta was created; `received_ns`: when it was read (both UNIX ns).
    """

    topic: str
    kind: Literal["snapshot", "delta"]
    data: dict[str, Any]
    whole: dict[str, Any]
    epoch: str
    offset: str
    at_ns: int
    received_ns: int


@dataclass(slots=True)
class Stats:
    """Counts since the client was made. `gaps`: deltas that did not continue what was known."""

    connects: int = 0
    snapshots: int = 0
    deltas: int = 0
    resumed: int = 0
    gaps: int = 0


class _Said(msgspec.Struct):
    """Any message of the hub's."""

    op: str
    id: int | str | None = None
    topic: str = ""
    epoch: str = ""
    offset: str = ""
    prev: str = ""
    at: int = 0
    data: dict[str, Any] = {}
    topics: dict[str, str] | list[str] = {}
    code: int | str = ""
    status: int = 0
    message: str = ""
    reconnect_s: float = 0.0


_decode = msgspec.json.Decoder(_Said).decode
_answers = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class _Known:
    """A topic as the client knows it. `since` is None until its snapshot came."""

    since: Position | None = None
    whole: dict[str, Any] = field(default_factory=dict)


class LiveClient:
    """`url` is `ws://host:port/v1/live`; `token` a token, or what fetches a new one for each connection."""

    def __init__(
        self,
        url: str,
        token: str | Callable[[], Awaitable[str]],
        topics: Iterable[str] = (),
        *,
        connect_s: float = 10.0,
        since: dict[str, Position] | None = None,
    ) -> None:
        self.stats = Stats()
        self._url = url
        self._token = token
        self._connect_s = connect_s
        given = since or {}
        self._known = {topic: _Known(given.get(topic)) for topic in dict.fromkeys(topics)}
        self._waiting: deque[Change] = deque()
        self._arrived = asyncio.Event()
        self._transport: Any = None
        self._reading_paused = False
        self._reconnect_s: float | None = None
        self._ended: FantasyError | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked: dict[int | str, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)

    async def __aenter__(self) -> LiveClient:
        """Connect. Raises `Unauthorized`, or `HubUnavailable` when nobody answers within `connect_s` seconds."""
        until_s = time.monotonic() + self._connect_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._connect()
                break
            except HubUnavailable:
                if time.monotonic() > until_s:
                    raise
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1.0)
        self._task = asyncio.get_running_loop().create_task(self._stay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.disconnect(graceful=False)

    def __aiter__(self) -> AsyncIterator[Change]:
        """Changes as they come."""
        return self

    async def __anext__(self) -> Change:
        """The next change, after however many connections it takes."""
        while not self._waiting:
            if self._ended is not None:
                raise self._ended
            self._arrived.clear()
            await self._arrived.wait()
        change = self._waiting.popleft()
        if self._reading_paused and len(self._waiting) < WAITING // 2:
            self._reading_paused = False
            if not self._transport.is_disconnected:
                self._transport.underlying_transport.resume_reading()
        return change

    def whole(self, topic: str) -> dict[str, Any]:
        """All fields of `topic` as now known; empty before its snapshot came."""
        known = self._known.get(topic)
        return {} if known is None else known.whole

    def position(self, topic: str) -> Position | None:
        """How far `topic` is known: give it as `since` to a later client to go on from there."""
        known = self._known.get(topic)
        return None if known is None else known.since

    def subscribe(self, topics: Iterable[str]) -> None:
        """Hear of `topics` too."""
        new = [topic for topic in dict.fromkeys(topics) if topic not in self._known]
        for topic in new:
            self._known[topic] = _Known()
        self._send_subscribe(new)

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """No longer hear of `topics`."""
        gone = [topic for topic in topics if self._known.pop(topic, None) is not None]
        self._send({"op": "unsubscribe", "id": next(self._ids), "topics": gone})

    async def ask(self, question: dict[str, Any], *, deadline_ms: float | None = None) -> dict[str, Any]:
        """The tiers' answer to `question`. Raises `Refused` with the hub's code, or `HubUnavailable`."""
        request = next(self._ids)
        answer = self._asked[request] = asyncio.get_running_loop().create_future()
        try:
            self._send({"op": "ask", "id": request, "question": question, "deadline_ms": deadline_ms})
            return cast("dict[str, Any]", await answer)
        finally:
            del self._asked[request]

    async def _connect(self) -> None:
        token = self._token if isinstance(self._token, str) else await self._token()
        try:
            transport, _ = await ws_connect(
                cast("Any", lambda: _Listener(self)),
                f"{self._url}?token={quote(token)}",
                max_frame_size=FRAME_BYTES,
                read_buffer_init_size=4096,
                logger_name=logging.LoggerAdapter(_quiet(), {}),
            )
        except WSInvalidStatusError as error:
            if error.response is not None and error.response.status in {401, 403}:
                raise Unauthorized(f"token: refused by {self._url}; get a new one") from error
            raise HubUnavailable(f"hub at {self._url}: {error}; try again") from error
        except (OSError, TimeoutError, WSError) as error:
            raise HubUnavailable(
                f"hub at {self._url} does not answer ({type(error).__name__}: {error}); "
                "start it with `python -m serving.live hub`"
            ) from error
        self._transport = transport
        self._reading_paused = False
        self.stats.connects += 1
        self._send_subscribe(list(self._known))

    async def _stay(self) -> None:
        """Wait for each connection's end, and open the next."""
        wait_s = FIRST_WAIT_S
        while True:
            await self._transport.wait_disconnected()
            self._fail_asked()
            while True:
                told, self._reconnect_s = self._reconnect_s, None
                # Spread: thousands lose their worker at the same moment.
                await asyncio.sleep(told if told is not None else random.uniform(0, wait_s))  # noqa: S311
                try:
                    await self._connect()
                except HubUnavailable as error:
                    log.debug("%s", error)
                    wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                except FantasyError as error:
                    self._ended = error
                    self._arrived.set()
                    return
                else:
                    wait_s = FIRST_WAIT_S
                    break

    def _fail_asked(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(HubUnavailable("ask: the connection was lost before the answer; ask again"))

    def _send_subscribe(self, topics: list[str]) -> None:
        for start in range(0, len(topics), CHUNK):
            chunk = topics[start : start + CHUNK]
            since = {topic: known.since for topic in chunk if (known := self._known[topic]).since is not None}
            self._send({"op": "subscribe", "id": next(self._ids), "topics": chunk, "since": since})

    def _send(self, request: dict[str, Any]) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, encode(request))

    def hear(self, payload: bytes) -> None:
        """Take in one message of the hub's."""
        said = _decode(payload)
        if said.op in {"snapshot", "delta"}:
            self._update(said)
        elif said.op == "subscribed":
            self.stats.resumed += sum(how == "resumed" for how in cast("dict[str, str]", said.topics).values())
        elif said.op == "bye":
            self._reconnect_s = said.reconnect_s
        elif said.op in {"answer", "error"} and said.id in self._asked:
            self._answered(self._asked[said.id], said, payload)
        elif said.op == "error":
            log.warning("hub: %s: %s", said.code, said.message)

    def _answered(self, answer: asyncio.Future[dict[str, Any]], said: _Said, payload: bytes) -> None:
        if answer.done():
            return
        if said.op == "error":
            answer.set_exception(Refused(str(said.code), said.message, status=said.status))
        else:
            answer.set_result({key: value for key, value in _answers(payload).items() if key not in {"op", "id"}})

    def _update(self, said: _Said) -> None:
        known = self._known.get(said.topic)
        if known is None:
            return
        kind: Literal["snapshot", "delta"] = "snapshot" if said.op == "snapshot" else "delta"
        if kind == "snapshot":
            self.stats.snapshots += 1
            known.whole = said.data
        elif known.since == Position(said.epoch, said.prev):
            self.stats.deltas += 1
            known.whole = merged(known.whole, said.data)
        else:
            if known.since is not None:
                self.stats.gaps += 1
                log.warning(
                    "gap in %s: have %s, next is after %s; asking for all of it",
                    said.topic,
                    known.since,
                    said.prev,
                )
                known.since = None
                self._send_subscribe([said.topic])
            return
        known.since = Position(said.epoch, said.offset)
        self._waiting.append(
            Change(said.topic, kind, said.data, known.whole, said.epoch, said.offset, said.at, time.time_ns())
        )
        self._arrived.set()
        if len(self._waiting) >= WAITING and not self._reading_paused:
            self._reading_paused = True
            self._transport.underlying_transport.pause_reading()


class _Listener(WSListener):
    """Passes frames on to the client."""

    def __init__(self, client: LiveClient) -> None:
        self._client = client

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Something arrived."""
        if frame.msg_type == WSMsgType.TEXT:
            self._client.hear(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect(graceful=False)


def merged(whole: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """`whole` after a delta, as a new dict; None removes a field."""
    after = {**whole, **data}
    for name, value in data.items():
        if value is None:
            del after[name]
    return after


def _quiet() -> logging.Logger:
    """picows tells of every connection at INFO."""
    logger = logging.getLogger("picows.client")
    logger.setLevel(logging.CRITICAL)
    return logger
