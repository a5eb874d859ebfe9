"""Is the process alive, can it answer, and how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from serving.context import ContextDep
from serving.routes.models import every_status

router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process runs."""

    status: str


class Readiness(BaseModel):
    """Whether every dependency answers, and the reason for each that does not."""

    ready: bool
    problems: dict[str, str]
    champions: dict[str, str | None]


@router.get("/health")
async def health() -> Alive:
    """Say that the process runs; touches nothing else."""
    return Alive(status="alive")


@router.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
def ready(context: ContextDep) -> JSONResponse:
    """Say whether every dependency answers: 200, or 503 with the reason for each that does not."""
    problems = context.problems()
    champions = {status.name: status.version for _, _, status in every_status(context)}
    body = Readiness(ready=not problems, problems=problems, champions=champions)
    headers = {"Retry-After": "2"} if problems else None
    return JSONResponse(body.model_dump(), status_code=503 if problems else 200, headers=headers)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics() -> Response:
    """Return the process's metrics in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
