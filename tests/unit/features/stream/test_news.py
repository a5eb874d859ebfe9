"""News as JSON."""

from __future__ import annotations

import pytest

from features.errors import MalformedBatch
from features.stream.news import News, decode_json, encode_json

NEWS = News(
    id="f:1:7", at="2026-02-28T18:00:00Z", subject="player:2544", kind="injury", name="LeBron James", team="LAL",
    slate="c1", field="status", old="Q", new="O",
)  # fmt: skip


def test_news_survive_the_journey() -> None:
    assert decode_json(encode_json(NEWS)) == NEWS
    gone = News(id="1", at="t", subject="name:J. Doe", kind="starter", field="starter", old="1")
    assert decode_json(encode_json(gone)) == gone
    assert b"null" not in encode_json(gone)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"id": "1"}', "at"),
        (b'{"id": 1, "at": "", "subject": "", "kind": "line", "field": ""}', "id"),
        (b'{"id": "1", "at": "", "subject": "", "kind": "rumour", "field": ""}', "kind"),
        (b"{", "news"),
        (b"\xff\xfe", "news"),
    ],
)
def test_what_is_no_news_is_refused(payload: bytes, message: str) -> None:
    with pytest.raises(MalformedBatch, match=message) as caught:
        decode_json(payload)
    assert caught.value.reason == "content"
