"""Errors of the serving layer; both are `features.errors.FantasyError`s.

FantasyError
└── InvalidInput
    └── UploadTooLarge   the body is longer than this server reads
"""

from __future__ import annotations

from features.errors import InvalidInput


class UploadTooLarge(InvalidInput):
    """The request's body is longer than this server reads."""

    http_status = 413
