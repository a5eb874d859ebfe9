"""What one transaction does to a partition: state, watermark, plays, news, deltas, dead letters, acknowledgements."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.stream.connections import Command
from features.stream.events import ROW_BYTES, Flag, Rows
from features.stream.intake import Dead
from features.stream.keys import GROUP, Keys
from features.stream.marks import Mark
from features.stream.member import trim
from features.stream.news import News, encode_json
from features.stream.sending import OPAQUE

#: Dead letters that are surely kept per partition, and rows kept of one transaction's rejected ones.
DEAD_ENTRIES: Final = 10_000
DEAD_ROWS: Final = 1_000


@dataclass(slots=True)
class Transaction:
    """Commands on one partition's keys, in the order they will be executed; a `deltas.Pipe`."""

    keys: Keys
    commands: list[Command] = field(default_factory=list)
    #: Sequence numbers below which a lane's source has nothing to send any more, by place of their HGET.
    floors: dict[int, Mark] = field(default_factory=dict)

    def hset(self, name: str, *, mapping: Mapping[Any, Any]) -> None:
        """HSET; nothing without fields."""
        if mapping:
            self.commands.append((b"HSET", name, *(each for pair in mapping.items() for each in pair)))

    def xadd(self, name: str, fields: Mapping[Any, Any], *, maxlen: int, approximate: bool = True) -> None:
        """XADD with a length that is surely kept."""
        length = (b"MAXLEN", b"~" if approximate else b"=", maxlen)
        self.commands.append((b"XADD", name, *length, b"*", *(each for pair in fields.items() for each in pair)))

    def marks(self, marks: Mapping[Mark, int]) -> None:
        """Watermarks."""
        self.hset(self.keys.watermark, mapping={mark.field: value for mark, value in marks.items()})

    def plays(self, rows: Rows, applied: NDArray[np.bool_]) -> None:
        """Append those applied rows that are to be kept to their games' lists."""
        kept = (rows["flags"] & Flag.keep != 0) & applied
        if not kept.any():
            return
        chosen: Any = rows.view(OPAQUE)[kept]
        games = rows["game"][kept]
        for game in np.unique(games).tolist():
            body = chosen[games == game].tobytes()
            parts = (body[at : at + ROW_BYTES] for at in range(0, len(body), ROW_BYTES))
            self.commands.append((b"RPUSH", self.keys.plays(game), *parts))

    def news(self, news: Iterable[News]) -> None:
        """The newest of each subject and kind; the caller leaves older ones out."""
        self.hset(self.keys.news, mapping={news_field(each): encode_json(each) for each in news})

    def dead(self, letters: Sequence[Dead]) -> None:
        """Put aside, with the reason."""
        for letter in letters:
            fields = {b"reason": letter.reason, b"rows": letter.rows, b"data": letter.data, b"at": time.time_ns()}
            self.xadd(self.keys.dead, fields, maxlen=DEAD_ENTRIES)

    def asks(self, asks: Mapping[Mark, int]) -> None:
        """Ask sources to send again; and learn what they no longer can."""
        self.hset(self.keys.resend, mapping={mark.field: value for mark, value in asks.items()})
        for mark in asks:
            self.floors[len(self.commands)] = mark
            self.commands.append((b"HGET", self.keys.resend, mark.floor_field))

    def done(self, stream: str, ids: Sequence[bytes]) -> None:
        """Acknowledge entries of a stream on this same server."""
        if ids:
            self.commands += [(b"XACK", stream, GROUP, *ids), trim(stream, ids[-1])]


def news_field(news: News) -> str:
    """Field of the hash `Keys.news`."""
    return f"{news.subject}|{news.kind}"


def rejected(rows: Rows, at: NDArray[np.intp], reasons: Mapping[str, int]) -> Dead:
    """The dead letter of rows that cannot be true: all are counted, the first `DEAD_ROWS` are in it."""
    said = ", ".join(f"{name}={count}" for name, count in sorted(reasons.items()))
    opaque: Any = rows.view(OPAQUE)
    return Dead(f"rejected: {said}", len(at), opaque[at[:DEAD_ROWS]].tobytes())
