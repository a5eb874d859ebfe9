"""Bad batches set aside: the file as it stood, the rows that broke an expectation, and the reasons."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path

import polars as pl

from features.validation.results import SuiteResult
from features.validation.rules import Frames
from features.validation.suites import SUITES


def quarantine(
    folder: Path, result: SuiteResult, frames: Frames, batch: Path | None, *, as_of: datetime, page: str
) -> Path:
    """Copy a failed batch under `folder` and return its own folder.

    `batch` is the stored file (None when there is none). The folder's name ends in a hash of the file and the
    reasons, so validating the same bad batch again rewrites the same folder. It holds `batch.parquet`,
    `bad_rows_*` (rows of each frame that broke an expectation, where rows can be named), `reason.json` and
    `report.html`.
    """
    payload = reason(result, as_of)
    name = result.suite if result.season is None else f"{result.suite}-season={result.season}"
    target = folder / f"{name}-{_fingerprint(payload, batch)}"
    target.mkdir(parents=True, exist_ok=True)
    if batch is not None and batch.is_file():
        shutil.copyfile(batch, target / "batch.parquet")
    for frame_name, rows in bad_rows(result, frames).items():
        rows.write_parquet(target / f"bad_rows_{frame_name}.parquet")
    (target / "report.html").write_text(page, encoding="utf-8")
    (target / "reason.json").write_text(json.dumps(payload, indent=1, default=str), encoding="utf-8")
    return target


def reason(result: SuiteResult, as_of: datetime) -> dict[str, object]:
    """What failed and why, as JSON values."""
    return {
        "suite": result.suite,
        "season": result.season,
        "as_of": as_of.isoformat(),
        "reason": result.reason,
        "failed": [
            {"expectation": item.name, "frame": item.frame, "expected": item.bound, "observed": item.observed,
             "why": item.why, "bad_rows": len(item.keys)}
            for item in result.failures
        ],
        "fix": "correct the source, delete the season's file, collect it again; training leaves the season out "
               "until it passes",
    }  # fmt: skip


def bad_rows(result: SuiteResult, frames: Frames) -> dict[str, pl.DataFrame]:
    """Rows of each frame that broke an expectation, with the column `broken` naming the expectations."""
    found: dict[str, pl.DataFrame] = {}
    for name, keys in SUITES[result.suite].keys.items():
        frame = frames.get(name)
        if not isinstance(frame, pl.DataFrame):
            continue
        broken = [
            pl.DataFrame(item.keys, schema={key: frame.schema[key] for key in keys}, orient="row").with_columns(
                pl.lit(item.name).alias("broken")
            )
            for item in result.failures
            if item.frame == name and item.keys
        ]
        if broken:
            named = pl.concat(broken).unique().group_by(keys).agg(pl.col("broken").sort().str.join(", "))
            found[name] = frame.join(named, on=list(keys), how="inner", nulls_equal=True)
    return found


def _fingerprint(payload: dict[str, object], batch: Path | None) -> str:
    digest = hashlib.sha256(json.dumps({**payload, "as_of": None}, default=str, sort_keys=True).encode())
    if batch is not None and batch.is_file():
        with batch.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:12]
