"""Errors of the serving layer; all are `features.errors.FantasyError`s.

FantasyError
├── InvalidInput
│   └── UploadTooLarge   the body is longer than this server reads
├── ClientGone           whoever asked hung up; the work was stopped
└── Busy                 this process does as many such things at once as it may (retry will help)
"""

from __future__ import annotations

from features.errors import FantasyError, InvalidInput


class UploadTooLarge(InvalidInput):
    """The request's body is longer than this server reads."""

    http_status = 413


class ClientGone(FantasyError):
    """The client closed the connection before its answer was ready; nobody reads this but the metrics."""

    http_status = 499


class Busy(FantasyError):
    """This process already does as many of these at once as it may."""

    http_status = 503
    retryable = True
