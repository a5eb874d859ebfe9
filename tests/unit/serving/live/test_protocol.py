"""Frames and messages."""

from __future__ import annotations

import json

import pytest

from serving.live import protocol
from serving.live.protocol import Ask, Ping, Position, Refused, Subscribe, Unsubscribe, decode


@pytest.mark.parametrize(("size", "header"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_frames_have_the_shortest_header(size: int, header: int) -> None:
    frame = protocol.text_frame(b"x" * size)
    assert len(frame) == header + size
    assert frame[0] == 0x81
    length = frame[1] if header == 2 else int.from_bytes(frame[2:header], "big")
    assert length == size


def test_requests_are_read() -> None:
    since = {"game:1": {"epoch": "0:a", "offset": "1-0"}}
    said = json.dumps({"op": "subscribe", "id": 7, "topics": ["game:1"], "since": since, "later": True})
    assert decode(said.encode()) == Subscribe(["game:1"], 7, {"game:1": Position("0:a", "1-0")})
    assert decode(b'{"op":"unsubscribe","topics":[]}') == Unsubscribe([])
    assert decode(b'{"op":"ping","id":"a"}') == Ping("a")
    assert decode(b'{"op":"ask","question":{"k":1},"deadline_ms":5}') == Ask({"k": 1}, None, 5.0)


def test_what_cannot_be_followed_keeps_its_id() -> None:
    with pytest.raises(Refused) as refused:
        decode(b'{"op":"subscribe","id":9,"topics":"game:1"}')
    assert (refused.value.code, refused.value.request) == ("invalid", 9)
    error = json.loads(protocol.error_frame(refused.value)[4:])
    assert error["id"] == 9
    assert "topics" in error["message"]
    refused.value.retry_after_s = 2.5
    assert json.loads(protocol.error_frame(refused.value)[4:])["retry_after_s"] == 2.5


@pytest.mark.parametrize(
    "topic", ["game:0022400001", "player:-3", "slate:dk.2024:main", "lineup:a_b-c", "model", "job:1"]
)
def test_topics(topic: str) -> None:
    assert protocol.TOPIC.match(topic)


@pytest.mark.parametrize("topic", ["", "game:", "game", "models", "game:a b", "game:1\n", "game:" + "x" * 81])
def test_no_topics(topic: str) -> None:
    assert not protocol.TOPIC.match(topic)
