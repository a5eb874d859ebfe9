"""Lineups: build them for a slate, and download the file the site accepts."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from features.contests import load_contest
from features.slate import Slate
from features.sources.upload import write_upload
from features.stores.lineups import load_lineups, save_lineups
from features.stores.slates import load_slate
from models.lineups.draft import draft
from models.lineups.problem import LineupResult, LineupRules, lineup_from_json
from serving import telemetry
from serving.context import Context, ContextDep
from serving.predictor import Projected
from serving.routes.answers import Answer, source_fields

router = APIRouter(prefix="/v1", tags=["lineups"])


class LineupRequest(BaseModel):
    """The player's rules on top of the contest's. Ids are the site's (`id` in projections)."""

    slate_id: str
    n: int = Field(default=1, ge=1, le=150)
    locked: list[str] = []
    excluded: list[str] = []
    max_exposure: float = Field(default=1.0, gt=0, le=1)
    min_salary: int = Field(default=0, ge=0)
    min_unique: int = Field(default=1, ge=1)

    def rules(self) -> LineupRules:
        """Return the rules as the optimizer takes them."""
        return LineupRules(
            n=self.n,
            locked=frozenset(self.locked),
            excluded=frozenset(self.excluded),
            max_exposure=self.max_exposure,
            min_salary_usd=self.min_salary,
            min_unique=self.min_unique,
        )


class Lineups(Answer):
    """Lineups best first, each with a proven bound; `id` names them for download."""

    id: UUID
    slate_id: str
    lineups: list[dict[str, Any]]
    solve_ms: float


@router.post("/lineups")
async def build_lineups(context: ContextDep, wanted: LineupRequest) -> Lineups:
    """Build the best legal lineups of a slate; 422 names the rules that clash when there is none."""
    stored = await run_in_threadpool(load_slate, context.database, wanted.slate_id)
    projected = await context.predictor.project(stored)
    return await run_in_threadpool(_build, context, projected, wanted)


@router.get("/lineups/{request_id}/upload.csv", response_class=Response)
def download_lineups(context: ContextDep, request_id: UUID) -> Response:
    """Return the upload file of lineups built before."""
    slate_id, rows = load_lineups(context.database, request_id)
    slate = load_slate(context.database, slate_id).slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload.csv"
        write_upload(path, [lineup_from_json(row) for row in rows], slate, contest)
        content = path.read_bytes()
    name = f"{slate.site}-{slate.sport}-{len(rows)}-lineups.csv"
    return Response(
        content, media_type="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _build(context: Context, projected: Projected, wanted: LineupRequest) -> Lineups:
    slate: Slate = projected.stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    result = draft(slate, projected.projections, contest, wanted.rules())
    telemetry.LINEUPS.labels(slate.site).inc(len(result.lineups))
    telemetry.SOLVE.labels(slate.site).observe(result.solve_ms / 1000)
    request_id = _record(context, projected, wanted, result)
    fields = source_fields(projected)
    fields["warnings"] = [*fields["warnings"], *result.warnings]
    return Lineups(
        id=request_id,
        slate_id=slate.slate_id,
        lineups=[lineup.as_json() for lineup in result.lineups],
        solve_ms=round(result.solve_ms, 3),
        **fields,
    )


def _record(context: Context, projected: Projected, wanted: LineupRequest, result: LineupResult) -> UUID:
    request_id = uuid4()
    save_lineups(
        context.database,
        request_id,
        projected.stored.slate,
        [lineup.as_json() for lineup in result.lineups],
        model=(projected.projections.model_name, projected.projections.model_version),
        rules=wanted.model_dump(mode="json"),
        built_at=datetime.now(UTC),
    )
    return request_id
