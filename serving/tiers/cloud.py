"""The cloud tier: heavy work is written down, handed to Prefect over its REST API, and answered by id later.

The job's row comes before the flow run, and the run's idempotency key is the job's id: whoever asks again with the
same key after a crash or an error gets the same job, done once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx

from features.stores import jobs
from features.stores.database import Database
from features.stores.jobs import Job
from features.workspace import League
from serving.errors import CloudUnavailable, Late, NotDeployed
from serving.tiers.lanes import Lane, Ticket

log = logging.getLogger(__name__)
#: The flow and deployment that carry jobs out (`flows.jobs`).
DEPLOYMENT: Final = "jobs/jobs"
#: Hand-overs side by side: Prefect's server is one process.
SERVERS: Final = 4
MOST_WAITING: Final = 64
TIMEOUT_S: Final = 5.0
#: States of a flow run after which nothing comes any more.
DEAD: Final = ("FAILED", "CRASHED", "CANCELLED")
T = TypeVar("T")


class Cloud:
    """Hands jobs over to the Prefect server at `api_url` (with /api). `clock` gives the aware time now."""

    def __init__(
        self,
        api_url: str,
        database: Database,
        lane: Lane,
        clock: Callable[[], datetime],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.lane = lane
        self._api_url = api_url.rstrip("/")
        self._database = database
        self._clock = clock
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._deployment: str | None = None
        self._turns: asyncio.Semaphore | None = None
        self._threads = ThreadPoolExecutor(SERVERS, thread_name_prefix="jobs")

    async def close(self) -> None:
        """Close connections and threads."""
        if self._client is not None:
            await self._client.aclose()
        self._threads.shutdown(wait=True)

    async def accept(
        self,
        question: dict[str, Any],
        league: League,
        ticket: Ticket,
        *,
        priority: str = "usual",
        idempotency_key: str | None = None,
    ) -> Job:
        """Write the job down and hand it over; the job of the same key where there is one.

        `ticket` is of `lane`. Raises `Late` when it would not be accepted before its deadline once its turn comes,
        `CloudUnavailable` when Prefect does not take it, `StoreUnavailable` when the database does not answer, and
        `InvalidInput` as `features.stores.jobs.add_job`.
        """
        if self._turns is None:
            self._turns = asyncio.Semaphore(SERVERS)
        begun = None
        try:
            async with self._turns:
                if not self.lane.in_time(ticket):
                    raise Late(
                        f"a job of kind {ticket.kind!r} waited until its deadline could not be met: ask again"
                    )
                begun = self.lane.begin([ticket])
                job = await self._off_loop(
                    lambda: jobs.add_job(
                        self._database, league=league, kind=str(question["kind"]), question=question,
                        asked_at=self._clock(), priority=priority, idempotency_key=idempotency_key,
                    )
                )  # fmt: skip
                return await self._handed_over(job)
        finally:
            if begun is None:
                self.lane.drop(ticket)
            else:
                self.lane.end(begun, ticket.kind, ticket.rows)

    async def job(self, job_id: UUID) -> Job:
        """The job as it stands. Raises `NotMaterialized` when there is none.

        One whose run died without a word (its process was killed) is marked failed here.
        """
        job = await self._stored(job_id)
        if job.ended or job.flow_run_id is None:
            return job
        try:
            run = await self._call("GET", f"/flow_runs/{job.flow_run_id}")
        except CloudUnavailable as error:
            log.info("how job %s goes on is not known: %s", job_id, error)
            return job
        state = (run.get("state") or {}).get("type")
        if state not in DEAD:
            return job
        said = f"its flow run {job.flow_run_id} ended as {state} without a result: ask for it again"
        await self._off_loop(lambda: jobs.end_job(self._database, job_id, self._clock(), error=said))
        return await self._stored(job_id)

    async def cancel(self, job_id: UUID) -> Job:
        """Stop a job that has not ended. Its flow looks at the row, so it stops even when Prefect does not answer."""
        job = await self._off_loop(lambda: jobs.cancel_job(self._database, job_id, self._clock()))
        if job.status == "cancelled" and job.flow_run_id is not None:
            state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            try:
                await self._call("POST", f"/flow_runs/{job.flow_run_id}/set_state", state)
            except CloudUnavailable as error:
                log.warning("flow run %s of cancelled job %s: %s", job.flow_run_id, job_id, error)
        return job

    async def _handed_over(self, job: Job) -> Job:
        if job.flow_run_id is not None:
            return job
        if job.status == "failed":
            await self._off_loop(lambda: jobs.reopen_job(self._database, job.job_id))
        elif job.ended:
            return job
        try:
            run = await self._new_run(job)
        except CloudUnavailable as error:
            said = str(error)
            await self._off_loop(lambda: jobs.end_job(self._database, job.job_id, self._clock(), error=said))
            raise
        await self._off_loop(lambda: jobs.handed_over(self._database, job.job_id, UUID(run["id"])))
        return await self._stored(job.job_id)

    async def _new_run(self, job: Job) -> Any:
        body = {
            "parameters": {"job_id": str(job.job_id)}, "idempotency_key": str(job.job_id),
            "work_queue_name": job.priority, "tags": ["job", job.kind], "state": {"type": "SCHEDULED"},
        }  # fmt: skip
        known = self._deployment is not None
        try:
            return await self._call("POST", f"/deployments/{await self._deployment_id()}/create_flow_run", body)
        except NotDeployed:
            if not known:
                raise
            # It was deployed anew since: its id is another.
            return await self._call("POST", f"/deployments/{await self._deployment_id()}/create_flow_run", body)

    async def _stored(self, job_id: UUID) -> Job:
        return await self._off_loop(lambda: jobs.get_job(self._database, job_id))

    async def _deployment_id(self) -> str:
        if self._deployment is None:
            found = await self._call("GET", f"/deployments/name/{DEPLOYMENT}")
            self._deployment = str(found["id"])
        return self._deployment

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, transport=self._transport)
        try:
            reply = await self._client.request(method, f"{self._api_url}{path}", json=body)
        except httpx.HTTPError as error:
            raise CloudUnavailable(
                f"Prefect at {self._api_url} does not answer ({error!r}): start it (`fantasy serve` does), or correct "
                "FANTASY_PREFECT_API_URL"
            ) from error
        if reply.status_code == httpx.codes.NOT_FOUND:
            self._deployment = None
            raise NotDeployed(
                f"Prefect at {self._api_url} knows no {DEPLOYMENT}: run `fantasy deploy`, which also does the work"
            )
        if reply.is_error:
            raise CloudUnavailable(
                f"Prefect at {self._api_url} refused {path}: {reply.status_code} {reply.text[:200]}"
            )
        return reply.json()

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
