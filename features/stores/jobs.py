"""Jobs: heavy work that outlives the request which asked for it. Written by serving, carried out by a flow.

A job ends once: a result that comes after a cancellation is dropped, and a cancellation after the end changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from features.errors import InvalidInput, NotMaterialized
from features.stores.database import Database
from features.stores.schema import JobRow
from features.workspace import League

Status = Literal["queued", "running", "done", "failed", "cancelled"]
#: Work queues, the most urgent first, and their priority (1 is served first).
PRIORITIES: Final[dict[str, int]] = {"urgent": 1, "usual": 2}
OPEN: Final = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `flow_run_id` is None until Prefect has taken it; times are UTC."""

    job_id: UUID
    idempotency_key: str
    league: League
    kind: str
    question: dict[str, Any]
    priority: str
    status: Status
    flow_run_id: UUID | None
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    result: dict[str, Any] | None
    error: str | None

    @property
    def topic(self) -> str:
        """The live topic on which its end is told."""
        return f"job:{self.job_id}"

    @property
    def ended(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.status not in OPEN


def add_job(
    database: Database,
    *,
    league: League,
    kind: str,
    question: dict[str, Any],
    asked_at: datetime,
    priority: str = "usual",
    idempotency_key: str | None = None,
) -> Job:
    """Write the job down, or return the one that is there under the same key.

    Raises `InvalidInput` for an unknown priority, or when the key was used for another question.
    """
    if priority not in PRIORITIES:
        raise InvalidInput(f"priority {priority!r} is unknown; use one of {', '.join(PRIORITIES)}")
    job_id = uuid4()
    key = idempotency_key or str(job_id)
    values = {
        "job_id": job_id, "idempotency_key": key, "league": league, "kind": kind, "question": question,
        "priority": priority, "status": "queued", "asked_at": asked_at,
    }  # fmt: skip
    with database.session() as session:
        session.execute(insert(JobRow).values(values).on_conflict_do_nothing(index_elements=["idempotency_key"]))
        row = session.scalars(select(JobRow).where(JobRow.idempotency_key == key)).one()
        if (row.league, row.kind, row.question) != (league, kind, question):
            raise InvalidInput(
                f"idempotency_key {key!r} is that of another question (job {row.job_id}); use a new key"
            )
        return _job(row)


def get_job(database: Database, job_id: UUID) -> Job:
    """The job as it stands. Raises `NotMaterialized` when there is none."""
    with database.session() as session:
        row = session.get(JobRow, job_id)
        if row is None:
            raise NotMaterialized(f"job {job_id} is not known; POST /v1/ask makes one")
        return _job(row)


def handed_over(database: Database, job_id: UUID, flow_run_id: UUID) -> None:
    """Note the flow run that carries the job out."""
    with database.session() as session:
        session.execute(update(JobRow).where(JobRow.job_id == job_id).values(flow_run_id=flow_run_id))


def reopen_job(database: Database, job_id: UUID) -> bool:
    """Queue again a job that Prefect never took; False when it has taken it."""
    lost = update(JobRow).where(JobRow.job_id == job_id, JobRow.flow_run_id.is_(None), JobRow.status == "failed")
    return _changed(database, lost.values(status="queued", ended_at=None, error=None))


def begin_job(database: Database, job_id: UUID, at: datetime) -> bool:
    """Mark it running; False when it has ended, so that there is nothing to do. A run begun anew is the same job."""
    begun = update(JobRow).where(JobRow.job_id == job_id, JobRow.status.in_(OPEN))
    return _changed(database, begun.values(status="running", started_at=at))


def end_job(
    database: Database,
    job_id: UUID,
    at: datetime,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """Keep the result, or why there is none; False when it had ended before."""
    status = "done" if error is None else "failed"
    ended = update(JobRow).where(JobRow.job_id == job_id, JobRow.status.in_(OPEN))
    return _changed(database, ended.values(status=status, ended_at=at, result=result, error=error))


def cancel_job(database: Database, job_id: UUID, at: datetime) -> Job:
    """Say that nobody wants it any more; return it as it stands. Raises `NotMaterialized` when there is none."""
    wanted = update(JobRow).where(JobRow.job_id == job_id, JobRow.status.in_(OPEN))
    _changed(database, wanted.values(status="cancelled", ended_at=at))
    return get_job(database, job_id)


def _changed(database: Database, statement: Any) -> bool:
    with database.session() as session:
        return session.execute(statement.returning(JobRow.job_id)).first() is not None


def _job(row: JobRow) -> Job:
    league: League = "simulated" if row.league == "simulated" else "nba"
    return Job(
        row.job_id, row.idempotency_key, league, row.kind, row.question, row.priority, cast(Status, row.status),
        row.flow_run_id, row.asked_at, row.started_at, row.ended_at, row.result, row.error,
    )  # fmt: skip
