"""Grades built lineups with what really happened: points from the box scores, percentile in the real field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import InvalidInput, NotMaterialized
from features.slate import Slate
from features.sources.archive import ArchiveSource
from features.sources.standings import read_standings
from features.stores.offline import OfflineStore
from features.tables import EASTERN
from features.views.entities import SEASON_STARTS_MONTH
from features.workspace import LEAGUES, Workspace
from flows.settings import FlowSettings
from models.lineups.grading import grade
from models.lineups.problem import Lineup, lineup_from_json


@dataclass(frozen=True, slots=True)
class GradeReport:
    """One row per lineup (`lineups`), what was graded and against which field."""

    title: str
    lineups: pl.DataFrame
    summary: dict[str, Any]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy grade --json`."""
        return {**self.summary, "lineups": self.lineups.to_dicts(), "notes": list(self.notes)}


def grade_built(data: Path | None, *, lineups_file: Path | None, contest_file: Path | None) -> GradeReport:
    """Grade lineups written by `fantasy lineups`; the contest of that day is found in the data's manifest.

    Raises `InvalidInput` when there is no data folder or no date, `NotMaterialized` when nothing was built or the
    day's games are not in the data.
    """
    settings = FlowSettings()
    folder = data or settings.data
    if folder is None:
        raise InvalidInput("grading needs real box scores: pass --data DIR or set FANTASY_DATA")
    built, lineups, workspace = built_lineups(settings, lineups_file)
    slate = OfflineStore(workspace).read_slate(built["slate"]["id"])
    day = _day_of(slate)
    box = _box_on(folder, day)
    contest = contest_file or _contest_of(folder, slate, day)
    standings = read_standings(contest) if contest is not None else None
    graded = grade(lineups, box, slate, standings)
    projected = pl.Series("projection", [lineup.projection for lineup in lineups])
    frame = graded.frame.with_columns(projected)
    return GradeReport(
        title=f"{slate.site} {slate.sport} {slate.mode} · {day} · {len(lineups)} lineups",
        lineups=frame,
        summary=_summary(frame, slate, day, contest, built),
        notes=_notes(graded.unplayed, contest, day),
    )


def built_lineups(
    settings: FlowSettings, lineups_file: Path | None
) -> tuple[dict[str, Any], list[Lineup], Workspace]:
    """What `fantasy lineups --json` printed (the newest built where no file is named), its lineups, and whose they are.

    Raises `NotMaterialized` when nothing was built, `InvalidInput` for a file that is not that.
    """
    workspaces = [Workspace(settings.home, league) for league in LEAGUES]
    if lineups_file is None:
        newest = [w for w in workspaces if (w.lineups / "latest.json").is_file()]
        if not newest:
            raise NotMaterialized("no lineups were built here yet; run `fantasy lineups` first")
        workspace = max(newest, key=lambda w: (w.lineups / "latest.json").stat().st_mtime)
        lineups_file = workspace.lineups / "latest.json"
    try:
        built: dict[str, Any] = json.loads(lineups_file.read_text(encoding="utf-8"))
        lineups = [lineup_from_json(body) for body in built["lineups"]]
        league = next(name for name in LEAGUES if name == built["league"])
        str(built["slate"]["id"]), dict(built["model"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise InvalidInput(
            f"--lineups {lineups_file} is not what `fantasy lineups --json` prints ({error!r})"
        ) from error
    return built, lineups, Workspace(settings.home, league)


def _day_of(slate: Slate) -> date:
    if slate.lock is None:
        raise InvalidInput(f"slate {slate.slate_id} has no date; build its lineups with --date YYYY-MM-DD")
    return slate.lock.astimezone(ZoneInfo(EASTERN)).date()


def _box_on(data: Path, day: date) -> pl.DataFrame:
    season = day.year if day.month >= SEASON_STARTS_MONTH else day.year - 1
    everything = datetime.max.replace(tzinfo=UTC)
    for batch in ArchiveSource(data).batches(as_of=everything, seasons=[season], cursors={}):
        if batch.table == "box":
            rows = batch.frame.filter(pl.col("game_date") == day)
            if rows.height:
                return rows
            break
    raise NotMaterialized(f"{data} has no box scores of {day}; grade after those games are recorded")


def _contest_of(data: Path, slate: Slate, day: date) -> Path | None:
    manifest = data / "dfs" / "manifest.csv"
    if not manifest.is_file():
        return None
    rows = pl.read_csv(manifest, infer_schema=False)
    wanted = (
        (pl.col("kind") == "contest_final")
        & (pl.col("site") == slate.site)
        & (pl.col("sport") == slate.sport)
        & (pl.col("date") == day.isoformat())
    )
    found = rows.filter(wanted).sort(pl.col("entries").cast(pl.Int64, strict=False), descending=True)
    return data / "dfs" / found["file"][0] if found.height else None


def _summary(
    frame: pl.DataFrame, slate: Slate, day: date, contest: Path | None, built: dict[str, Any]
) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "slate": {"id": slate.slate_id, "site": slate.site, "sport": slate.sport, "date": day.isoformat()},
        "model": built["model"],
        "n": frame.height,
        "mean_points": float(frame["points"].mean() or 0.0),  # type: ignore[arg-type]
        "best_points": float(frame["points"].max() or 0.0),  # type: ignore[arg-type]
        "contest": None if contest is None else contest.name,
    }
    if "field_percentile" in frame.columns:
        summary["field_size"] = int(frame["field_size"][0])
        summary["mean_percentile"] = float(frame["field_percentile"].mean() or 0.0)  # type: ignore[arg-type]
        summary["best_percentile"] = float(frame["field_percentile"].max() or 0.0)  # type: ignore[arg-type]
    return summary


def _notes(unplayed: Sequence[Any], contest: Path | None, day: date) -> tuple[str, ...]:
    notes = [] if contest is not None else [f"no final contest file of {day}: points only"]
    if unplayed:
        notes.append(f"rostered but did not play: {', '.join(sorted(player.name for player in unplayed))}")
    return tuple(notes)
