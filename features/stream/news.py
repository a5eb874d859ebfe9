"""News: what changed outside the game that a projection depends on."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from features.errors import MalformedBatch

NewsKind = Literal["injury", "salary", "projection", "line", "starter"]


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of one subject changed from `old` to `new` (texts as the source writes them, None: absent).

    `id` is the source's own and the same whenever it sends the same news again; `at` is ISO 8601 in UTC. `subject` is
    `player:{id}`, `slate:{id}`, or `name:{text}` where the source knows only a name.
    """

    id: str
    at: str
    subject: str
    kind: NewsKind
    name: str | None = None
    team: str | None = None
    slate: str | None = None
    field: str
    old: str | None = None
    new: str | None = None


encode_json: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(News).decode


def decode_json(payload: bytes) -> News:
    """The news in a JSON object; raises `MalformedBatch` (reason "content") naming the wrong field."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBatch("content", f"news: {error}; see features.stream.news.News for its fields") from error
