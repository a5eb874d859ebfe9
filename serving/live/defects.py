"""Errors that a defect, or data nobody foresaw, raises in one piece of work; the thread must live on for the others."""

from __future__ import annotations

from typing import Final

import msgspec
import polars as pl

DEFECTS: Final = (
    msgspec.MsgspecError, pl.exceptions.PolarsError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
)  # fmt: skip


class Complaints:
    """Says the same of the same thing once, until it is over: what is tried again often must not fill the log."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def fresh(self, about: str, said: str) -> bool:
        """Whether this was not what was said last."""
        if self._last.get(about) == said:
            return False
        self._last[about] = said
        return True

    def over(self, about: str) -> None:
        """It works again."""
        self._last.pop(about, None)
