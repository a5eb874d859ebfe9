"""Lineups: build them for a slate, and download the file the site accepts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from features.contests import load_contest
from features.slate import Slate
from features.sources.upload import upload_text
from features.stores.lineups import load_lineups, save_lineups
from features.stores.slates import load_slate
from models.lineups.draft import draft
from models.lineups.problem import LineupResult, LineupRules, lineup_from_json
from serving import telemetry
from serving.context import Context, ContextDep
from serving.predictor import Projected
from serving.problem import READS, WRITES
from serving.routes.answers import SLATE_ID, Answer, source_fields
from serving.routes.projections import project

router = APIRouter(prefix="/v1", tags=["lineups"])
Ids = Annotated[list[str], Field(max_length=1000)]


class LineupRequest(BaseModel):
    """The player's rules on top of the contest's. Ids are the site's (`id` in projections)."""

    slate_id: str = Field(pattern=SLATE_ID, description="id from GET /v1/slates")
    n: int = Field(default=1, ge=1, le=150)
    locked: Ids = []
    excluded: Ids = []
    max_exposure: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    min_salary: int = Field(default=0, ge=0, le=1_000_000)
    min_unique: int = Field(default=1, ge=1, le=20, description="players in which any two lineups differ")


class RosterPlayer(BaseModel):
    """A player in his roster slot, with his projection and its 80 % interval."""

    id: str
    name: str
    slot: str
    team: str
    salary: int
    projection: float
    q10: float
    q90: float


class LineupAnswer(BaseModel):
    """A legal lineup. No lineup that was still allowed projects above `bound`; `gap` 0 means proven optimal."""

    players: list[RosterPlayer]
    salary: int
    projection: float
    bound: float
    gap: float


class Lineups(Answer):
    """Lineups best first; `id` names them for download."""

    id: UUID
    slate_id: str
    lineups: list[LineupAnswer]
    solve_ms: float


@router.post("/lineups", responses=WRITES)
async def build_lineups(context: ContextDep, wanted: LineupRequest) -> Lineups:
    """Build the best legal lineups of a slate; 422 names the rules that clash when there is none."""
    projected = await project(context, wanted.slate_id)
    slate = projected.stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    rules = _rules(wanted)
    loop = asyncio.get_running_loop()
    result = await loop.run_in_executor(context.solver, draft, slate, projected.projections, contest, rules)
    telemetry.LINEUPS.labels(slate.site).inc(len(result.lineups))
    telemetry.SOLVE.labels(slate.site).observe(result.solve_ms / 1000)
    request_id = await run_in_threadpool(_record, context, projected, wanted, result)
    fields = source_fields(projected)
    fields["warnings"] = [*fields["warnings"], *result.warnings]
    return Lineups(
        id=request_id,
        slate_id=slate.slate_id,
        lineups=_answers(result, projected),
        solve_ms=round(result.solve_ms, 3),
        **fields,
    )


@router.get(
    "/lineups/{request_id}/upload.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "the file the site's upload accepts"}, **READS},
)
def download_lineups(context: ContextDep, request_id: UUID) -> Response:
    """Return the upload file of lineups built before."""
    slate_id, rows = load_lineups(context.database, request_id)
    slate = load_slate(context.database, slate_id).slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    content = upload_text([lineup_from_json(row) for row in rows], slate, contest)
    name = f"{slate.site}-{slate.sport}-{len(rows)}-lineups.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content.encode(), media_type="text/csv", headers=headers)


def _rules(wanted: LineupRequest) -> LineupRules:
    return LineupRules(
        n=wanted.n,
        locked=frozenset(wanted.locked),
        excluded=frozenset(wanted.excluded),
        max_exposure=wanted.max_exposure,
        min_salary_usd=wanted.min_salary,
        min_unique=wanted.min_unique,
    )


def _answers(result: LineupResult, projected: Projected) -> list[LineupAnswer]:
    known = {row["site_id"]: row for row in projected.projections.frame.to_dicts()}
    found = []
    for lineup in result.lineups:
        body = lineup.as_json()
        for player in body["players"]:
            row = known[player["id"]]
            player |= {"q10": round(row["q10"], 4), "q90": round(row["q90"], 4)}
        found.append(LineupAnswer(**body))
    return found


def _record(context: Context, projected: Projected, wanted: LineupRequest, result: LineupResult) -> UUID:
    request_id = uuid4()
    slate: Slate = projected.stored.slate
    bodies: list[dict[str, Any]] = [lineup.as_json() for lineup in result.lineups]
    save_lineups(
        context.database,
        request_id,
        slate,
        bodies,
        model=(projected.projections.model_name, projected.projections.model_version),
        rules=wanted.model_dump(mode="json"),
        built_at=datetime.now(UTC),
    )
    return request_id
