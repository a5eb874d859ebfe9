"""Walks forward over recorded seasons and writes one row per prediction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from features.errors import InvalidInput
from features.files import replace_file
from features.params import read_params
from features.sources.archive import ArchiveSource
from features.tables import Tables
from flows.progress import step
from flows.settings import FlowSettings


def run_backtest(data: Path | None, *, seasons: Sequence[int] | None, out: Path | None) -> dict[str, Any]:
    """Backtest on the recorded seasons in `data` (default: the newest four); return the report.

    `out` gets the predictions (Parquet): model, version, target, game_id, player_id, asked_at, event_time, mean,
    probability, q10, q50, q90, label, baseline.
    """
    folder = data or FlowSettings().data
    if folder is None:
        raise InvalidInput("a backtest needs recorded seasons: pass --data DIR or set FANTASY_DATA")
    with step("load Lightning"):
        from models.training.walk_forward import backtest
    with step("read recorded seasons") as shown:
        tables = read_tables(folder)
        shown.summary = f"{tables.games.height:,} games, {tables.box.height:,} player-games"
    with step("walk forward") as shown:
        result = backtest(tables, seasons=seasons, params=read_params(), on_progress=shown.update)
        shown.summary = f"{result.predictions.height:,} predictions"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, result.predictions.write_parquet)
    return result.report


def read_tables(data: Path) -> Tables:
    """Games and box lines of every recorded season in `data`, all of them known."""
    everything = datetime.max.replace(tzinfo=UTC)
    frames: dict[str, list[pl.DataFrame]] = {"games": [], "box": []}
    source = ArchiveSource(data, tables=("games", "box"))
    for batch in source.batches(as_of=everything, seasons=None, cursors={}):
        if batch.table in frames:
            frames[batch.table].append(batch.frame)
    return Tables(games=pl.concat(frames["games"]), box=pl.concat(frames["box"]))
