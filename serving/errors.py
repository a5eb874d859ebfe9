"""Errors of the serving layer; all are `features.errors.FantasyError`s.

FantasyError
├── InvalidInput
│   └── UploadTooLarge   the body is longer than this server reads
├── Unauthorized         no token, or one that is forged or expired
├── Forbidden            the token or key does not cover what was asked for
├── HubUnavailable       the live hub does not answer (retry may help)
├── ClientGone           whoever asked hung up; the work was stopped
├── Busy                 this process does as many such things at once as it may (retry will help)
├── Overloaded           no tier can answer before the deadline while it is this busy (retry will help)
│   ├── TooManyQuestions every place in the tier's queue is taken
│   └── Late             the deadline passed, or was about to, before the work began: it was dropped
├── DeadlineTooShort     no tier could answer so soon even with nothing else to do
└── CloudUnavailable     Prefect does not take heavy work over (retry may help)
    └── NotDeployed      Prefect runs, but nobody registered the work there
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


class Overloaded(FantasyError):
    """No tier can answer before the deadline while it is this busy; ask again in `retry_after_s`."""

    http_status = 503
    retryable = True

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyQuestions(Overloaded):
    """Every place in the tier's queue is taken."""

    http_status = 429


class Late(Overloaded):
    """The deadline passed, or was about to, before the work began: it was dropped."""


class DeadlineTooShort(InvalidInput):
    """No tier could answer so soon even with nothing else to do."""


class CloudUnavailable(FantasyError):
    """Prefect does not take heavy work over."""

    http_status = 503
    retryable = True


class NotDeployed(CloudUnavailable):
    """Prefect answers, but `fantasy deploy` never registered this work."""


class Unauthorized(FantasyError):
    """There is no token, or it is forged, expired or unreadable."""

    http_status = 401


class Forbidden(FantasyError):
    """The token or key given does not cover what was asked for."""

    http_status = 403


class HubUnavailable(FantasyError):
    """The live hub does not answer, or went away before it did."""

    http_status = 503
    retryable = True
