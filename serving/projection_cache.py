"""How a slate's projections lie in the cache: JSON, floats to the last bit."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl

from models.projection.slate import SCHEMA, SlateProjections


def encode(projections: SlateProjections, unmatched: tuple[str, ...]) -> bytes:
    """Return the bytes `decode` reads."""
    moment = projections.data_timestamp
    body = {
        "columns": projections.frame.to_dict(as_series=False),
        "model_name": projections.model_name,
        "model_version": projections.model_version,
        "fallback": projections.fallback,
        "data_timestamp": None if moment is None else moment.isoformat(),
        "warnings": projections.warnings,
        "unmatched": unmatched,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def decode(payload: bytes) -> tuple[SlateProjections, tuple[str, ...]]:
    """Return the projections and the names nobody could match."""
    body = json.loads(payload)
    moment = body["data_timestamp"]
    projections = SlateProjections(
        frame=pl.DataFrame(body["columns"], schema=SCHEMA),
        model_name=body["model_name"],
        model_version=body["model_version"],
        fallback=body["fallback"],
        data_timestamp=None if moment is None else datetime.fromisoformat(moment),
        warnings=tuple(body["warnings"]),
    )
    return projections, tuple(body["unmatched"])
