"""Words of the command line become seasons."""

from __future__ import annotations

import pytest

from flows.commands.options import parse_seasons


@pytest.mark.parametrize(
    ("text", "years"),
    [
        (None, None),
        ("2024", (2024,)),
        ("2024-25", (2024,)),
        ("2024-2025", (2024,)),
        ("1999-00", (1999,)),
        ("2022-2024", (2022, 2023, 2024)),
        ("2024, 2023,2024", (2023, 2024)),
        ("2015-2017,2024-25", (2015, 2016, 2017, 2024)),
    ],
)
def test_seasons(text: str | None, years: tuple[int, ...] | None) -> None:
    assert parse_seasons(text) == years
