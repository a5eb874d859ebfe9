"""Walks forward over recorded seasons and writes one row per prediction, the report and its page."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from features.errors import InvalidInput
from features.files import replace_file
from features.params import read_params
from features.play.plays import recorded_plays
from features.sources.archive import ArchiveSource
from features.tables import Tables
from flows.progress import step
from flows.settings import FlowSettings


@dataclass(frozen=True, slots=True)
class Files:
    """What a backtest writes besides its report on the screen: nothing where a path is None."""

    predictions: Path | None = None
    report: Path | None = None
    page: Path | None = None


def run_backtest(
    data: Path | None,
    *,
    seasons: Sequence[int] | None = None,
    families: Sequence[str] | None = None,
    files: Files = Files(),
) -> dict[str, Any]:
    """Backtest on the recorded seasons in `data` (default: the newest four); return the report.

    Predictions are Parquet with the columns of `models.backtesting.predictions.PREDICTION`, the report JSON, the page
    HTML. Raises `InvalidInput` without data or without anything to test.
    """
    folder = data_folder(data)
    with step("load Lightning"):
        from models.training.walk_forward import backtest
    with step("read recorded seasons") as shown:
        tables, plays = read_tables(folder), recorded_plays(folder)
        shown.summary = (
            f"{tables.games.height:,} games, {tables.box.height:,} player-games, play-by-play of "
            f"{len(plays.seasons)} seasons"
        )
    with step("walk forward") as shown:
        result = backtest(
            tables, params=read_params(), seasons=seasons, families=families, plays=plays,
            public=published(folder), on_progress=shown.update,
        )  # fmt: skip
        shown.summary = f"{result.predictions.height:,} predictions"
    report = {**result.report, "peak_memory_mb": peak_memory_mb()}
    if files.predictions is not None:
        files.predictions.parent.mkdir(parents=True, exist_ok=True)
        replace_file(files.predictions, result.predictions.write_parquet)
    if files.report is not None:
        write_text(files.report, json.dumps(report, indent=1, default=str) + "\n")
    if files.page is not None:
        from flows.results.backtest_page import backtest_page

        write_text(files.page, backtest_page(report))
    return report


def run_controls(data: Path | None, *, seasons: Sequence[int] | None = None) -> dict[str, Any]:
    """Run the leak controls on the newest of `seasons` (default: of all) and the season before it."""
    folder = data_folder(data)
    with step("load Lightning"):
        from models.training.controls import controls
    with step("read recorded seasons"):
        tables, plays = read_tables(folder), recorded_plays(folder)
    with step("controls") as shown:
        found = controls(tables, params=read_params(), seasons=seasons, plays=plays, on_progress=shown.update)
        shown.summary = f"{sum(each['passed'] for each in found['controls'])} of {len(found['controls'])} passed"
    return found


def data_folder(data: Path | None) -> Path:
    """`data`, or the folder of the settings. Raises `InvalidInput` without either."""
    folder = data or FlowSettings().data
    if folder is None:
        raise InvalidInput("a backtest needs recorded seasons: pass --data DIR or set FANTASY_DATA")
    return folder


def read_tables(data: Path) -> Tables:
    """Games and box lines of every recorded season in `data`, all of them known.

    Raises `InvalidInput` when there is no game or no box line at all.
    """
    everything = datetime.max.replace(tzinfo=UTC)
    frames: dict[str, list[pl.DataFrame]] = {"games": [], "box": []}
    source = ArchiveSource(data, tables=("games", "box"))
    for batch in source.batches(as_of=everything, seasons=None, cursors={}):
        if batch.table in frames:
            frames[batch.table].append(batch.frame)
    empty = [table for table, parts in frames.items() if not parts]
    if empty:
        raise InvalidInput(f"{data} has no {' and no '.join(empty)}; a backtest needs nba/games and nba/box")
    return Tables(games=pl.concat(frames["games"]), box=pl.concat(frames["box"]))


def published(data: Path) -> dict[str, pl.DataFrame]:
    """Answers of published in-game winner models among the recorded data, by file name."""
    from models.live_win.public import public_states

    return {
        path.stem: public_states(path) for path in sorted((data / "nba" / "winprob").glob("*_season=*.parquet"))
    }


def peak_memory_mb() -> int:
    """Most memory this process has held, in MB (Linux counts in KB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def write_text(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda draft: draft.write_text(text, encoding="utf-8"))
