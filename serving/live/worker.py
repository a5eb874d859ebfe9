"""A hub worker: one event loop that reads every partition's deltas and writes them to its clients' sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from features.stream.connections import Servers
from serving import security
from serving.errors import Unauthorized
from serving.live import protocol
from serving.live.asking import Answerer
from serving.live.book import Book
from serving.live.connection import Connection
from serving.live.counts import STALE_S, STATES_KEY, WorkerState, decode_states, prometheus_text
from serving.live.fanout import Fanout
from serving.live.feed import TRANSIENT, Broken, PartitionFeed
from serving.live.limits import Limits, Tally
from serving.live.protocol import Ask, Close, Refused
from serving.live.wire import Wire
from serving.settings import ServingSettings

log = logging.getLogger(__name__)
BACKLOG: Final = 4096
RETRY_S: Final = 0.2
LONGEST_RETRY_S: Final = 2.0
SWEEP_S: Final = 1.0
#: Pings are spread over each second: thousands at once would delay updates by milliseconds.
TURNS_PER_S: Final = 10
POST_S: Final = 1.0
#: Who was drained comes back within this, spread evenly, and a second more per so many clients.
SPREAD_S: Final = 1.0
CLIENTS_PER_S: Final = 5_000
#: Bytes the kernel may hold for one socket: what a stuck client costs beyond our own buffer.
SEND_BUFFER: Final = 64 * 1024


class Worker:
    """Serves `port` until `drain`; `answerer` answers `ask`."""

    def __init__(
        self,
        settings: ServingSettings,
        *,
        name: str,
        host: str,
        port: int,
        leagues: Sequence[str],
        limits: Limits | None = None,
        answerer: Answerer | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.state = WorkerState(name, os.getpid(), port, time.time())
        self.fanout = Fanout(self.loop, self.limits, self.state)
        self.books = {league: Book(league) for league in leagues}
        self.stuck: dict[Connection, float] = {}
        self._key = security.secret(settings)
        self._servers = Servers(settings.redis_url)
        self._partitions = settings.stream_partitions
        self._address = (host, port)
        self._answerer = answerer
        if answerer is not None:
            answerer.over(self.books)
        self._slots: list[set[Connection]] = [set() for _ in range(self.limits.heartbeat_s * TURNS_PER_S)]
        self._expiring: dict[int, set[Connection]] = {}
        self._entered = 0
        self._subjects, self._addresses = Tally(), Tally()
        self._down: set[tuple[str, int]] = set()
        # A task nobody refers to may be collected in the middle of its work.
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Any = None
        self._posted: dict[bytes, bytes] = {}

    async def start(self) -> None:
        """Load every partition, then listen; waits for the state Redis as long as it takes."""
        loaded = []
        for league, book in self.books.items():
            for partition in range(self._partitions):
                first = asyncio.Event()
                loaded.append(first.wait())
                feed = PartitionFeed(self._servers, league, partition)
                self._run(self._follow(book, feed, first), f"follow {league}:{partition}")
        await asyncio.gather(*loaded)
        self._server = await ws_create_server(
            self._accept,
            sock=self._listening(),
            backlog=BACKLOG,
            websocket_handshake_timeout=self.limits.handshake_s,
            max_frame_size=self.limits.message_bytes,
            read_buffer_init_size=2048,
            # Not a plain logger: picows makes a child of that for every connection.
            logger_name=logging.LoggerAdapter(_quiet(), {}),
        )
        self._run(self._sweep(), "sweep")
        self._run(self._post(), "post")

    async def drain(self, *, longest_s: float = 5.0) -> None:
        """Stop listening, tell every client to come back elsewhere, and let go."""
        self.state.draining = True
        if self._server is not None:
            self._server.close()
        self.fanout.flush_all()
        clients = [client for slot in self._slots for client in slot]
        for client in clients:
            client.close(Close.draining, "draining")
        until_s = self.loop.time() + longest_s
        while any(not c.transport.is_disconnected for c in clients) and self.loop.time() < until_s:
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._answerer is not None:
            await self._answerer.close()
        await self._unpost()
        self._servers.close()

    def reconnect_s(self, code: int) -> float:
        """When a client that is closed with `code` should come back: spread, so that they do not all come at once."""
        spread_s = SPREAD_S + self.state.connections / CLIENTS_PER_S if code == Close.draining else SPREAD_S
        return round(random.uniform(0.0, spread_s), 3)  # noqa: S311 - no secret

    def enter(self, client: Connection) -> None:
        """A client's handshake is done."""
        state, limits = self.state, self.limits
        state.connections += 1
        state.accepted += 1
        self._entered += 1
        client.slot = self._entered % len(self._slots)
        self._slots[client.slot].add(client)
        self._expiring.setdefault(int(client.claims.expires_s) + 1, set()).add(client)
        same_subject, same_address = (
            self._subjects.enter(client.claims.subject),
            self._addresses.enter(client.address),
        )
        if same_subject > limits.per_subject or same_address > limits.per_address:
            client.close(Close.limits, "too many connections")
            return
        client.out(
            protocol.message(
                "welcome",
                session=f"{state.worker}-{self._entered}",
                heartbeat_s=limits.heartbeat_s,
                limits=limits.told(),
            )
        )

    def leave(self, client: Connection, code: int) -> None:
        """A client is closed, or its socket is gone."""
        state = self.state
        if client.transport is None:
            return
        state.connections -= 1
        name = str(int(code))
        state.closed[name] = state.closed.get(name, 0) + 1
        self.stuck.pop(client, None)
        self._slots[client.slot].discard(client)
        due = self._expiring.get(int(client.claims.expires_s) + 1)
        if due is not None:
            due.discard(client)
        self._subjects.leave(client.claims.subject)
        self._addresses.leave(client.address)

    def ask(self, client: Connection, asked: Ask) -> None:
        """Answer a client's question when it is ready."""
        if self._answerer is None:
            raise Refused(
                "no_tiers", "ask: this hub answers no questions; start it with --answers", request=asked.id
            )
        if client.asks >= self.limits.asks:
            raise Refused(
                "too_many_asks",
                f"ask: {client.asks} are under way; wait for an answer",
                status=429,
                request=asked.id,
            )
        client.asks += 1
        self.state.asked += 1
        self._answerer.ask(client, asked)

    async def _follow(self, book: Book, feed: PartitionFeed, first: asyncio.Event) -> None:
        place = (book.league, feed.partition)
        self._down.add(place)
        known, wait_s = False, RETRY_S
        while True:
            try:
                if known:
                    await feed.check()
                else:
                    self._loaded(book, feed.partition, await feed.load())
                    known = True
                first.set()
                self._down.discard(place)
                wait_s = RETRY_S
                while True:
                    self._read(book, feed, await feed.read())
            except Broken as why:
                log.warning("loading again: %s", why)
                known = False
            except TRANSIENT as error:
                self._down.add(place)
                log.warning("%s: %s: %s", feed.keys.deltas, type(error).__name__, error)
                feed.close()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)
            except msgspec.DecodeError as error:
                self._down.add(place)
                log.error("%s: %s", feed.keys.topics, error)
                known = False
                await asyncio.sleep(LONGEST_RETRY_S)

    def _loaded(self, book: Book, partition: int, loaded: Any) -> None:
        self.state.reloads += 1
        self.fanout.reset(book.load(partition, loaded))
        log.info(
            "%s:%d loaded topics=%d history=%d", book.league, partition, len(book.topics), len(loaded.history)
        )

    def _read(self, book: Book, feed: PartitionFeed, entries: Sequence[tuple[int, Any, int]]) -> None:
        touched: dict[Any, None] = {}
        for number, changes, size in entries:
            old, new = book.apply(feed.partition, feed.epoch, number, changes, size=size)
            touched.update(dict.fromkeys(old))
            if new:
                self.fanout.reset(new)
            self.state.updates += len(changes)
        if touched:
            self.fanout.announce(touched)
        if entries and entries[-1][1]:
            self.state.lag_ms = round((time.time_ns() - entries[-1][1][-1].at_ns) / 1e6, 3)

    async def _sweep(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(SWEEP_S / TURNS_PER_S)
            turn = (turn + 1) % len(self._slots)
            for client in list(self._slots[turn]):
                client.unheard += 1
                if client.unheard > 2:
                    client.close(Close.idle, "no answer to pings")
                elif client not in self.fanout.behind:
                    client.out(protocol.PING_FRAME)
            if turn % TURNS_PER_S == 0:
                self._let_go()

    def _let_go(self) -> None:
        """Close who was stuck for too long, and whose token expired."""
        now_s = self.loop.time()
        for client, since_s in list(self.stuck.items()):
            if now_s - since_s > self.limits.stuck_s:
                client.close(Close.slow, "slow consumer")
        for second in [s for s in self._expiring if s <= time.time()]:
            for client in list(self._expiring.pop(second)):
                client.close(Close.unauthorized, "token expired")

    async def _post(self) -> None:
        """Post this worker's state every second, and keep those of all for `/metrics`."""
        state = self.state
        wire: Wire | None = None
        while True:
            state.at_s, state.behind, state.feeds_down = time.time(), len(self.stuck), len(self._down)
            state.topics = sum(len(book.topics) for book in self.books.values())
            said = protocol.encode(state)
            try:
                wire = wire or await Wire.open(self._servers, STATES_KEY)
                *_, posted = await wire.call(
                    ("HSET", STATES_KEY, state.worker, said),
                    ("EXPIRE", STATES_KEY, int(STALE_S) * 6),
                    ("HGETALL", STATES_KEY),
                )
                self._posted = dict(zip(posted[::2], posted[1::2], strict=True))
            except TRANSIENT as error:
                log.warning("state not posted: %s: %s", type(error).__name__, error)
                self._posted = {state.worker.encode(): said}
                if wire is not None:
                    wire.close()
                    wire = None
            await asyncio.sleep(POST_S)

    async def _unpost(self) -> None:
        try:
            wire = await Wire.open(self._servers, STATES_KEY)
            await wire.call(("HDEL", STATES_KEY, self.state.worker))
            wire.close()
        except TRANSIENT as error:
            log.warning("state not taken back: %s", error)

    def _accept(self, request: WSUpgradeRequest) -> Any:
        """Whom a handshake comes from: picows asks this for each."""
        parts = urlsplit(request.path.decode("latin-1"))
        if parts.path == "/metrics":
            return _plain(HTTPStatus.OK, prometheus_text(decode_states(self._posted)))
        if parts.path == "/health":
            return _plain(HTTPStatus.OK, b"alive\n")
        if parts.path != protocol.PATH:
            return _plain(HTTPStatus.NOT_FOUND, b"connect to /v1/live\n")
        try:
            claims = security.verify(self._key, _token(request, parts.query))
            if claims.league not in self.books:
                raise Unauthorized(f"token: this hub does not serve league {claims.league!r}")
        except Unauthorized as error:
            self.state.refused += 1
            return _plain(HTTPStatus.UNAUTHORIZED, f"{error}\n".encode())
        return Connection(self, claims)

    def _listening(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # inherited by what it accepts
        listening.setblocking(False)
        listening.bind(self._address)
        return listening

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A worker that reads only some of its partitions is worse than none: the supervisor starts another.
            log.critical("task %s ended; this worker ends", task.get_name(), exc_info=error)
            self.loop.call_soon(os._exit, 70)


def _token(request: WSUpgradeRequest, query: str) -> str:
    given = request.headers.get("Authorization", "")
    if given.startswith("Bearer "):
        return str(given.removeprefix("Bearer ")).strip()
    token = parse_qs(query).get("token", [""])[0]
    if not token:
        raise Unauthorized("token: none given; add ?token=… from POST /v1/live/token")
    return token


def _plain(status: HTTPStatus, body: bytes) -> Any:
    if status is HTTPStatus.OK:
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body), None)
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body), None)


def _quiet() -> logging.Logger:
    """picows tells of every connection at INFO, and of every client's mistake as an error."""
    logger = logging.getLogger("picows.server")
    logger.setLevel(logging.CRITICAL)
    return logger
