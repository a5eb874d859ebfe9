"""How a slate's projections lie in the cache: JSON, floats to the last bit."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl

from models.projection.slate import SCHEMA, SlateProjections

#: A slate's projections, the names nobody could match, and box lines where the model answers them.
Kept = tuple[SlateProjections, tuple[str, ...], pl.DataFrame | None]


def encode(projections: SlateProjections, unmatched: tuple[str, ...], lines: pl.DataFrame | None) -> bytes:
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
        "lines": None if lines is None else lines.to_dict(as_series=False),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def decode(payload: bytes) -> Kept:
    """Return what was encoded."""
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
    told = body.get("lines")
    lines = None if told is None else pl.DataFrame(told, schema_overrides={"player_id": pl.Int32})
    return projections, tuple(body["unmatched"]), lines
