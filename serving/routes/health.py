"""Is the process alive, can it answer, and how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.context import ContextDep

router = APIRouter(tags=["operations"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Say that the process runs; touches nothing else."""
    return {"status": "alive"}


@router.get("/ready")
def ready(context: ContextDep) -> JSONResponse:
    """Say whether every dependency answers: 200, or 503 with the reason for each that does not."""
    problems = context.problems()
    champions = {status.name: status.version for status in context.champions.status()}
    body = {"ready": not problems, "problems": problems, "champions": champions}
    return JSONResponse(body, status_code=503 if problems else 200)


@router.get("/metrics")
def metrics() -> Response:
    """Return the process's metrics in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
