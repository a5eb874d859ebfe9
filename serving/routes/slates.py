"""Slates: what was collected or uploaded, and uploading a salary file."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from features.sources.salaries import date_from_name, read_salaries
from features.stores.slates import StoredSlate, newest_slates, save_slate
from serving.context import Context, ContextDep
from serving.problem import READS, WRITES

router = APIRouter(prefix="/v1", tags=["slates"])
LISTED: Final[dict[int | str, dict[str, Any]]] = {503: READS[503]}
STORED: Final[dict[int | str, dict[str, Any]]] = {code: WRITES[code] for code in (400, 413, 422, 503)}
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2099, 12, 31)


class SlateSummary(BaseModel):
    """One slate without its players."""

    id: str
    site: str
    sport: str
    mode: str
    lock: datetime | None
    games: int
    players: int
    source: str
    league: str


class SlateList(BaseModel):
    """Slates, newest first."""

    slates: list[SlateSummary]


@router.get("/slates", responses=LISTED)
def list_slates(context: ContextDep) -> SlateList:
    """List the newest slates, collected and uploaded."""
    return SlateList(slates=[_summary(stored) for stored in newest_slates(context.database)])


@router.post("/slates", status_code=201, responses=STORED)
async def upload_slate(
    context: ContextDep,
    file: Annotated[UploadFile, File(description="salary CSV as downloaded from the site")],
    day: Annotated[
        date | None, Form(ge=EARLIEST, le=LATEST, description="slate day when the file does not say")
    ] = None,
) -> SlateSummary:
    """Read a DraftKings, FanDuel or Yahoo salary file; 422 names the row, the field and the fix."""
    content = await file.read()
    return await run_in_threadpool(_store, context, content, file.filename or "upload.csv", day)


def _store(context: Context, content: bytes, name: str, day: date | None) -> SlateSummary:
    slate = read_salaries(content, slate_date=day or date_from_name(Path(name)))
    stored = StoredSlate(context.predictor.league_of(slate), slate)
    save_slate(context.database, slate, stored.league)
    return _summary(stored)


def _summary(stored: StoredSlate) -> SlateSummary:
    slate = stored.slate
    return SlateSummary(
        id=slate.slate_id,
        site=slate.site,
        sport=slate.sport,
        mode=slate.mode,
        lock=slate.lock,
        games=len(slate.games),
        players=len(slate.players),
        source=slate.source,
        league=stored.league,
    )
