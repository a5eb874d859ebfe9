"""Which Redis URLs a stream takes."""

from __future__ import annotations

import pytest

from features.errors import InvalidInput
from features.stream.producer import Producer
from tests.fixtures.stream import LEAGUE


def test_a_url_without_a_scheme_is_refused() -> None:
    with pytest.raises(InvalidInput, match="begin it with"):
        Producer("localhost:6379", "redis://127.0.0.1:1", LEAGUE, 1, source="x")
