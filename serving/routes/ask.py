"""Questions with a deadline, answered by whichever tier can; and the heavy ones, answered by id."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from features.stores.jobs import Job
from features.workspace import League
from serving.problem import READS, WRITES, Problem
from serving.routes.answers import ModelRef
from serving.tiers.answerer import MOST_DEADLINE_MS, job_fields
from serving.tiers.questions import Question
from serving.tiers.wired import AnswererDep

router = APIRouter(prefix="/v1", tags=["tiers"])
BUSY: dict[int | str, dict[str, Any]] = {
    429: {"model": Problem, "description": "the queue of the tier is full; see Retry-After"},
    202: {"description": "heavy work was accepted: `answer.result_url` will have its result"},
}
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
]


class AskBody(BaseModel):
    """A question, whose data it is about, and how long its answer may take."""

    model_config = ConfigDict(extra="forbid")

    league: League = "nba"
    question: Question
    deadline_ms: float | None = Field(
        default=None, gt=0, le=MOST_DEADLINE_MS, allow_inf_nan=False,
        description="from the request's arrival; 10, 100 or 500 by the tier that answers in full",
    )  # fmt: skip
    priority: Literal["urgent", "usual"] = Field(default="usual", description="of heavy work")


class AskAnswer(BaseModel):
    """`answer` depends on `kind`. `degraded`: a better answer could not be had in time; `fallback`: no model knew."""

    model_config = ConfigDict(protected_namespaces=())

    kind: str
    tier: Literal["edge", "regional", "cloud"]
    degraded: bool
    deadline_ms: float
    latency_ms: float
    model: ModelRef | None
    data_timestamp: datetime | None
    source: str
    fallback: bool
    warnings: list[str]
    answer: dict[str, Any]


class JobAnswer(BaseModel):
    """A job as it stands; `result` once it is done, `error` when it failed."""

    job_id: UUID
    kind: str
    league: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    priority: str
    topic: str
    result_url: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    result: dict[str, Any] | None
    error: str | None


@router.post("/ask", responses={**WRITES, **BUSY})
async def ask(tiers: AnswererDep, body: AskBody, response: Response, idempotency_key: Key = None) -> AskAnswer:
    """Answer within the deadline, at the cheapest tier that can: in full, else roughly (`degraded`), else 503 or 429
    with Retry-After. Heavy work is accepted (202) and answered by id; the same Idempotency-Key is the same job."""
    found = await tiers.answer(
        body.question.model_dump(mode="json"), body.deadline_ms, {"league": body.league}, arrived=time.monotonic(),
        priority=body.priority, idempotency_key=idempotency_key,
    )  # fmt: skip
    if found["tier"] == "cloud":
        response.status_code = 202
    return AskAnswer(**found)


@router.get("/jobs/{job_id}", responses=READS)
async def job(tiers: AnswererDep, job_id: UUID) -> JobAnswer:
    """How far heavy work is, and its result."""
    return _answer(await tiers.cloud.job(job_id))


@router.delete("/jobs/{job_id}", responses=READS)
async def cancel(tiers: AnswererDep, job_id: UUID) -> JobAnswer:
    """Stop heavy work nobody wants any more; one that has ended stays as it is."""
    return _answer(await tiers.cloud.cancel(job_id))


def _answer(job: Job) -> JobAnswer:
    return JobAnswer(
        **job_fields(job), kind=job.kind, league=job.league, asked_at=job.asked_at, started_at=job.started_at,
        ended_at=job.ended_at, result=job.result, error=job.error,
    )  # fmt: skip
