"""What is said over a socket: JSON text frames, one message each (docs/live_protocol.md).

Positions: within a topic, `offset` names how far a client is; it means something only within `epoch`. Both are opaque
to clients, which give the newest pair back as `since`. Here an epoch is `{partition}:{name}` and an offset the id of
an entry of that partition's delta stream; a topic told of by several partitions joins theirs with `+`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, Final

import msgspec

from features.errors import InvalidInput

PATH: Final = "/v1/live"
#: Longest message read from a client, bytes; a longer one closes the connection with 1009.
MESSAGE_BYTES: Final = 64 * 1024
TEXT: Final = 0x1
PING: Final = 0x9
TOPIC: Final = re.compile(r"(?:(?:game|player|slate|lineup|job):[A-Za-z0-9_.:-]{1,80}|model)\Z")

RequestId = int | str | None


class Close(IntEnum):
    """Codes a connection is closed with, besides those of RFC 6455."""

    draining = 4000  # the worker stops: connect again and resume
    unauthorized = 4001  # the token expired: connect with a new one
    forbidden = 4003  # not a close code in practice: the status of a refused subscription
    slow = 4008  # nothing was read for too long: connect again and resume
    limits = 4009  # too many connections or messages
    idle = 4010  # two pings were not answered


class Position(msgspec.Struct, frozen=True):
    """How far a client is in a topic."""

    epoch: str
    offset: str


class Subscribe(msgspec.Struct, frozen=True, tag_field="op", tag="subscribe"):
    """Wish to be told of `topics`; of those in `since`, only what came after."""

    topics: list[str]
    id: RequestId = None
    since: dict[str, Position] = {}


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="op", tag="unsubscribe"):
    """No longer wish to be told of `topics`."""

    topics: list[str]
    id: RequestId = None


class Ping(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    """Ask whether the worker is there."""

    id: RequestId = None


class Ask(msgspec.Struct, frozen=True, tag_field="op", tag="ask"):
    """A question to the tiers (`serving.tiers`); without `deadline_ms` the tier's own deadline holds."""

    question: dict[str, Any]
    id: RequestId = None
    deadline_ms: float | None = None


Request = Subscribe | Unsubscribe | Ping | Ask


class Refused(InvalidInput):
    """A message that is not followed: `code` for programs, `status` of HTTP's or `Close`'s meaning, and the reason."""

    def __init__(self, code: str, message: str, *, status: int = 400, request: RequestId = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request = request
        self.retry_after_s: float | None = None


class _OnlyId(msgspec.Struct):
    id: RequestId = None


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_ids = msgspec.json.Decoder(_OnlyId)
encode = msgspec.json.Encoder().encode


def decode(payload: bytes) -> Request:
    """The request in `payload`; raises `Refused` when it is none."""
    try:
        return _requests.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        request: RequestId = None
        try:
            request = _ids.decode(payload).id
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None  # not even an id can be read: the error is told without one
        raise Refused(
            "invalid", f"message: {error}; send one JSON object as docs/live_protocol.md says", request=request
        ) from error


def text_frame(payload: bytes) -> bytes:
    """An unmasked WebSocket text frame with `payload`: written as it is to any number of sockets."""
    return frame(TEXT, payload)


def frame(opcode: int, payload: bytes) -> bytes:
    """An unmasked, unfragmented WebSocket frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


PING_FRAME: Final = frame(PING, b"")


def message(op: str, **fields: Any) -> bytes:
    """A text frame with `{"op": op, **fields}`."""
    return text_frame(encode({"op": op, **fields}))


def snapshot_frame(topic: str, epoch: str, offset: str, data: dict[str, Any]) -> bytes:
    """The whole of a topic."""
    return message("snapshot", topic=topic, epoch=epoch, offset=offset, data=data)


def delta_frame(topic: str, epoch: str, offset: str, prev: str, at_ns: int, data: dict[str, Any]) -> bytes:
    """What changed of a topic between `prev` and `offset`; `at`: when the newest cause was created, UNIX ns."""
    return message("delta", topic=topic, epoch=epoch, offset=offset, prev=prev, at=at_ns, data=data)


def error_frame(refused: Refused) -> bytes:
    """Why a request was not followed."""
    fields: dict[str, Any] = {} if refused.request is None else {"id": refused.request}
    if refused.retry_after_s is not None:
        fields["retry_after_s"] = refused.retry_after_s
    return message("error", **fields, code=refused.code, status=refused.status, message=str(refused))
