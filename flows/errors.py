"""Errors of the flows layer; all are `features.errors.FantasyError`s.

FantasyError
├── ServiceUnavailable     an embedded service cannot be started, or a configured one does not answer
│   └── PortTaken          something else already listens where the service should
├── BenchmarkUnavailable   a benchmark's script or a tool it needs is not on this machine
├── CannotKeepReport       the file a benchmark's report should go to cannot be written
└── BenchmarkFailed        a benchmark ended without a report
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


class BenchmarkUnavailable(FantasyError):
    """A benchmark's script, or a tool it cannot do without, is not on this machine."""

    http_status = 501


class CannotKeepReport(FantasyError):
    """The file a benchmark's report should go to cannot be written."""

    http_status = 422


class BenchmarkFailed(FantasyError):
    """A benchmark ended without a report."""
