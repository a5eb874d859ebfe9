"""The lineup rooms' own error, beside the tree in `models.errors`."""

from __future__ import annotations

from features.errors import FantasyError


class SearchUnfinished(FantasyError):
    """HiGHS ran into its time limit before it found a lineup or proved that there is none."""

    http_status = 503
    retryable = True
