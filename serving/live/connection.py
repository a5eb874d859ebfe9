"""One client's socket in a worker. There are thousands: what is kept for each is a few slots.

Everything is written at once until the socket's buffer is full. Then the client is `behind` (`fanout.Fanout`): nothing
more is written, and what is missing is made from the topics' rings once the buffer has drained: the newest of
everything, and each critical update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from serving.live import protocol
from serving.live.limits import Bucket
from serving.live.protocol import Ask, Close, Ping, Position, Refused, Request, Subscribe, Unsubscribe
from serving.live.topics import Topic
from serving.security import Claims

if TYPE_CHECKING:
    from serving.live.worker import Worker

#: How long a client that is told to go may take to close its side.
GOODBYE_S: Final = 1.0


class Connection(WSListener):
    """A client whose token was accepted."""

    __slots__ = (
        "address",
        "asks",
        "bucket",
        "claims",
        "closed",
        "out",
        "partial",
        "paused",
        "slot",
        "topics",
        "transport",
        "unheard",
        "worker",
    )  # fmt: skip

    def __init__(self, worker: Worker, claims: Claims) -> None:
        self.worker = worker
        self.claims = claims
        self.transport: Any = None
        self.address = ""
        self.out: Callable[[bytes], None] = _nowhere
        self.bucket: Bucket | None = None
        self.topics: list[Topic] = []
        self.partial: bytearray | None = None
        self.paused = False
        self.closed = False
        self.unheard = 0
        self.slot = 0
        self.asks = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self.transport = transport
        under = transport.underlying_transport
        under.set_write_buffer_limits(high=self.worker.limits.unsent_bytes)
        self.out = under.write
        peer = under.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        # Kept by picows for as long as the socket lives, and never looked at again.
        transport.request.headers.clear()
        transport.request.path = b""
        transport.response.headers.clear()
        self.worker.enter(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Something arrived."""
        self.unheard = 0
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._leave(_number(frame.get_close_code()) or 1000)
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if kind == WSMsgType.PONG or self.closed:
            return
        payload = self._whole(frame)
        if payload is not None:
            self.hear(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self._leave(_code_of(transport))

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.paused = True
        if self.closed:
            return
        self.worker.fanout.behind.setdefault(self, {})
        self.worker.stuck.setdefault(self, self.worker.loop.time())

    def resume_writing(self) -> None:
        """The socket's buffer has drained."""
        self.paused = False
        self.worker.stuck.pop(self, None)
        if not self.closed:
            self.catch_up()

    def hear(self, payload: bytes) -> None:
        """Follow one message."""
        worker = self.worker
        now_s = worker.loop.time()
        if self.bucket is None:
            self.bucket = Bucket(worker.limits, now_s)
        try:
            if not self.bucket.take(worker.limits, now_s):
                if self.bucket.flooded(worker.limits):
                    self.close(Close.limits, "too many messages")
                    return
                raise Refused(
                    "too_fast",
                    f"messages: more than {worker.limits.messages_per_s:g}/s; wait before sending more",
                    status=Close.limits,
                )
            self._follow(protocol.decode(payload))
        except Refused as refused:
            self.out(protocol.error_frame(refused))

    def answered(self, frame: bytes) -> None:
        """A question of this client has its answer, or will have none."""
        self.asks -= 1
        if frame:
            self.tell(frame)

    def tell(self, frames: bytes) -> None:
        """Write frames while there is somebody to read them."""
        if not self.closed and not self.transport.is_disconnected:
            self.out(frames)

    def listen(self, wanted: bool) -> None:
        """Read this client's socket, or leave what it sends in the kernel."""
        under = self.transport.underlying_transport
        if under.is_closing() or under.is_reading() == wanted:
            return
        if wanted:
            under.resume_reading()
        else:
            under.pause_reading()

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye and hang up; nothing is written afterwards."""
        if self.closed:
            return
        self._leave(code)
        if code >= Close.draining and code != Close.slow:
            # To a stuck client nothing can be said before it reads what it was sent.
            self.out(protocol.message("bye", code=code, reconnect_s=self.worker.reconnect_s(code)))
        self.transport.send_close(code, reason.encode())
        # Closed before the client closes too, unread input would make the kernel take back what was just said.
        self.worker.loop.call_later(GOODBYE_S, self.transport.underlying_transport.abort)

    def catch_up(self) -> None:
        """Write what is missing, until the buffer is full again."""
        fanout, state = self.worker.fanout, self.worker.state
        lacks = fanout.behind.get(self)
        while lacks and not self.paused:
            topic = next(iter(lacks))
            fanout.flush(topic)
            since = lacks.pop(topic)
            missed = None if since is None else topic.missing(Position(topic.epoch, since))
            if missed is None or since is None:
                self.out(topic.snapshot())
                state.snapshots += 1
                state.skipped_critical += since is not None
                continue
            frames = list(topic.frames(missed, since, merge=True))
            state.conflated += max(len(missed) - len(frames), 0)
            state.frames += len(frames)
            self.out(b"".join(frames))
        if not lacks and not self.paused:
            fanout.behind.pop(self, None)

    def _follow(self, request: Request) -> None:
        match request:
            case Subscribe():
                self._subscribe(request)
            case Unsubscribe():
                for name in request.topics:
                    self._drop(name)
                self.out(protocol.message("unsubscribed", id=request.id, topics=request.topics))
            case Ping():
                self.out(protocol.message("pong", id=request.id))
            case Ask():
                self.worker.ask(self, request)

    def _subscribe(self, request: Subscribe) -> None:
        names = list(dict.fromkeys(request.topics))
        self._must_be_allowed(request, names)
        book, state = self.worker.books[self.claims.league], self.worker.state
        frames: list[bytes] = []
        how: dict[str, str] = {}
        for name in names:
            topic = book.topic(name)
            self.worker.fanout.flush(topic)
            since = request.since.get(name)
            missed = None if since is None else topic.missing(since)
            if self not in topic.subscribers:
                topic.subscribers[self] = self.out
                self.topics.append(topic)
                state.subscriptions += 1
            if (lacks := self.worker.fanout.behind.get(self)) is not None:
                # What it has is only known after what waits is written: then it is told all.
                lacks[topic] = None
                how[name] = "snapshot"
            elif missed is None or since is None:
                how[name] = "snapshot"
                frames.append(topic.snapshot())
                state.snapshots += 1
            else:
                how[name] = "resumed"
                frames.extend(topic.frames(missed, since.offset, merge=False))
                state.resumed += 1
        said = protocol.message("subscribed", id=request.id, topics=how)
        self.transport.underlying_transport.writelines([said, *frames])

    def _must_be_allowed(self, request: Subscribe, names: list[str]) -> None:
        if wrong := [name for name in names if not protocol.TOPIC.match(name)]:
            raise Refused(
                "unknown_topic", f"topics: {wrong[0]!r} is no topic; see docs/live_protocol.md", status=404,
                request=request.id,
            )  # fmt: skip
        if barred := [name for name in names if not self.claims.allows(name)]:
            raise Refused(
                "forbidden", f"topics: the token does not cover {barred[0]!r}; ask POST /v1/live/token for one",
                status=Close.forbidden, request=request.id,
            )  # fmt: skip
        have = {topic.name for topic in self.topics}
        most = self.worker.limits.subscriptions
        if len(have.union(names)) > most:
            raise Refused(
                "too_many_topics", f"topics: {len(have.union(names))} would be more than {most}; unsubscribe some",
                status=Close.limits, request=request.id,
            )  # fmt: skip

    def _drop(self, name: str) -> None:
        for index, topic in enumerate(self.topics):
            if topic.name == name:
                del self.topics[index]
                self._forget(topic)
                return

    def _forget(self, topic: Topic) -> None:
        topic.subscribers.pop(self, None)
        if (lacks := self.worker.fanout.behind.get(self)) is not None:
            lacks.pop(topic, None)
        self.worker.state.subscriptions -= 1
        self.worker.books[self.claims.league].release(topic)

    def _leave(self, code: int) -> None:
        if self.closed:
            return
        self.closed = True
        for topic in self.topics:
            self._forget(topic)
        self.topics = []
        self.worker.fanout.behind.pop(self, None)
        self.worker.leave(self, code)

    def _whole(self, frame: WSFrame) -> bytes | None:
        """The message a frame completes, None when more is to come; fragments are bounded like whole messages."""
        if frame.fin and self.partial is None and frame.msg_type != WSMsgType.CONTINUATION:
            return bytes(frame.get_payload_as_bytes())
        if (self.partial is None) == (frame.msg_type == WSMsgType.CONTINUATION):
            self.close(1002, "fragments out of order")
            return None
        if self.partial is None:
            self.partial = bytearray()
        self.partial += frame.get_payload_as_memoryview()
        if len(self.partial) > self.worker.limits.message_bytes:
            self.close(1009, "message too long")
            return None
        if not frame.fin:
            return None
        payload, self.partial = bytes(self.partial), None
        return payload


def _code_of(transport: WSTransport) -> int:
    """What picows closed a socket with by itself (1009, 1002), else 1006: it just went."""
    handshake = transport.close_handshake
    return 1006 if handshake is None or handshake.sent is None else _number(handshake.sent.code)


def _number(code: Any) -> int:
    """A close code of picows', an IntEnum's member for those of RFC 6455 and a plain int for others."""
    return int(code)


def _nowhere(_data: bytes) -> None:
    """Where a client is written to before its handshake is done."""
    raise RuntimeError("written to before it was connected")
