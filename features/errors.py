"""Errors of the features layer.

FantasyError                    anything a user can act on
├── InvalidInput                the caller's data is wrong: field, value, fix
│   ├── SalaryFileError         a salary or entries file cannot be read as what it claims to be
│   ├── UnknownContest          no roster rules for this site x sport x mode
│   ├── SchemaError             a table lacks columns, or holds impossible values
│   ├── MalformedBatch          bytes on the event stream are no batch of events
│   ├── FutureVersion           a batch of events of a newer version of this software
│   └── KeyCollision            two games have the same 32-bit key
├── SourceUnavailable           a vendor or archive cannot be reached or read (retry may help)
├── ValidationFailed            a batch broke its expectations and was quarantined
├── NotMaterialized             nothing is known yet for what was asked: run the line first
├── StoreUnavailable            Redis or PostgreSQL does not answer (retry may help)
├── Backpressure                a producer's buffer is full: consumers do not keep up, or are away (retry may help)
└── NotApplied                  events were sent but not applied in time; they are still kept (retry may help)
"""

from __future__ import annotations

from typing import ClassVar


class FantasyError(Exception):
    """Base of every error shown to a user; the message names the field, the value and the fix."""

    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class InvalidInput(FantasyError):
    """The caller's data is wrong and asking again unchanged cannot help."""

    http_status = 422


class SalaryFileError(InvalidInput):
    """A salary, entries or projections file is unreadable, of another site, or holds bad rows."""


class UnknownContest(InvalidInput):
    """No roster rules are known for this site, sport and mode."""


class SchemaError(InvalidInput):
    """A table lacks columns or holds impossible values."""


class MalformedBatch(InvalidInput):
    """Bytes on the event stream that are no batch: `reason` is truncated, magic, checksum, count or content."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FutureVersion(InvalidInput):
    """A batch of events that a newer version of this software wrote."""


class KeyCollision(InvalidInput):
    """Two games that are live in one league have the same 32-bit key."""


class SourceUnavailable(FantasyError):
    """A vendor or an archive cannot be reached or read."""

    http_status = 503
    retryable = True


class ValidationFailed(FantasyError):
    """A batch broke its expectations; it is quarantined and nothing trains on it."""

    http_status = 409


class NotMaterialized(FantasyError):
    """Nothing is known yet for what was asked."""

    http_status = 404


class StoreUnavailable(FantasyError):
    """Redis or PostgreSQL does not answer, or the disk does not take what is written."""

    http_status = 503
    retryable = True


class Backpressure(FantasyError):
    """A producer keeps as many events as it may: none was taken, and none was dropped."""

    http_status = 503
    retryable = True


class NotApplied(FantasyError):
    """Events did not reach the state in the time given; the producer still keeps them."""

    http_status = 503
    retryable = True
