"""Errors of the flows layer; all are `features.errors.FantasyError`s.

FantasyError
└── ServiceUnavailable     an embedded service cannot be started, or a configured one does not answer
    └── PortTaken          something else already listens where the service should
"""

from __future__ import annotations

from features.errors import FantasyError


class ServiceUnavailable(FantasyError):
    """Redis, PostgreSQL, MLflow or Prefect cannot be started or does not answer."""

    http_status = 503
    retryable = True


class PortTaken(ServiceUnavailable):
    """Something else already listens on the port of an embedded service."""

    retryable = False
