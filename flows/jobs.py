"""Heavy work that serving handed over: carried out once, its result kept and told on the live topic `job:{id}`."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prefect import flow

from features.errors import FantasyError, StoreUnavailable
from features.stores.database import Database
from features.stores.jobs import Job, begin_job, end_job, get_job
from features.stores.lineups import save_lineups
from features.stores.slates import load_slate
from features.stream.announce import announce
from flows.drafting import project
from flows.settings import FlowSettings
from models.errors import Cancelled
from models.lineups.jobs import parse_job, run_job

log = logging.getLogger(__name__)
#: The row is asked so often whether the job is still wanted.
LOOK_S: Final = 1.0


@flow(name="jobs")
def jobs(job_id: str) -> dict[str, Any]:
    """Carry a job out; one that was cancelled or has ended is left alone."""
    settings = FlowSettings()
    database = Database(settings.database_url)
    try:
        job = get_job(database, UUID(job_id))
        if not begin_job(database, job.job_id, datetime.now(UTC)):
            return {"job_id": job_id, "status": job.status}
        tell(settings, get_job(database, job.job_id))
        error = None
        try:
            carry_out(database, job)
        except Cancelled:
            pass  # the row says so already
        except FantasyError as failed:
            error = failed
            end_job(database, job.job_id, datetime.now(UTC), error=f"{type(failed).__name__}: {failed}")
        except BaseException:
            end_job(database, job.job_id, datetime.now(UTC), error="the work ended unexpectedly; see its flow run")
            raise
        ended = get_job(database, job.job_id)
        tell(settings, ended)
        if error is not None:
            raise error
        return {"job_id": job_id, "status": ended.status}
    finally:
        database.close()


def carry_out(database: Database, job: Job) -> None:
    """Do the work and keep its lineups and result."""
    asked = parse_job(job.question)
    stored = load_slate(database, asked.slate_id)
    projected = project(stored.slate, league=stored.league)
    lineups, result = run_job(
        asked, projected.slate, projected.projections, cancelled=StillWanted(database, job.job_id).over
    )
    now = datetime.now(UTC)
    documents = [lineup.as_json() for lineup in lineups]
    model = (projected.model["name"], projected.model["version"])
    if end_job(database, job.job_id, now, result=result):
        save_lineups(database, job.job_id, stored.slate, documents, model=model, rules=asked.rules, built_at=now)


def tell(settings: FlowSettings, job: Job) -> None:
    """Publish how far the job is."""
    fields = {"status": job.status, "kind": job.kind, "result_url": f"/v1/jobs/{job.job_id}", "error": job.error}
    try:
        announce(settings.redis_url, job.league, settings.stream_partitions, job.topic, fields, writer="cloud")
    except StoreUnavailable as error:
        log.warning(
            "job %s is not told of on the live hub, its result is kept all the same: %s", job.job_id, error
        )


class StillWanted:
    """Whether a job is still wanted, as its row says; asked at most every LOOK_S."""

    def __init__(self, database: Database, job_id: UUID) -> None:
        self._database = database
        self._job_id = job_id
        self._next = 0.0
        self._over = False

    def over(self) -> bool:
        """True once it was cancelled."""
        now = time.monotonic()
        if not self._over and now >= self._next:
            self._next = now + LOOK_S
            self._over = get_job(self._database, self._job_id).ended
        return self._over
