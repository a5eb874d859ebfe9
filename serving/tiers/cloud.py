"""The cloud tier: heavy work is written down, handed to Prefect over its REST API, and answered by id later.

The job's row comes before the flow run, and the run's idempotency key is the job's id: whoever asks again with the
same key after a crash or an error gets the same job, done once. With its row a job is accepted. Prefect is awaited
while the deadline allows, so that whoever asks hears that it is not there; a slow one takes the job over afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx

from features.stores import jobs
from features.stores.database import Database
from features.stores.jobs import Job
from features.workspace import League
from serving.errors import CloudUnavailable, Late, NotDeployed, TooManyQuestions
from serving.tiers.lanes import Lane, Ticket

log = logging.getLogger(__name__)
#: The flow and deployment that carry jobs out (`flows.jobs`).
DEPLOYMENT: Final = "jobs/jobs"
#: Hand-overs side by side: Prefect's server is one process.
SERVERS: Final = 4
#: Jobs whose rows wait to be written, and jobs that Prefect has not taken yet.
MOST_WAITING: Final = 64
MOST_HANDING: Final = 64
TIMEOUT_S: Final = 5.0
#: Told so much before the deadline that a job is accepted.
TOLD_S: Final = 0.1
#: A job that nobody has handed over after so long never will be, unless somebody asks about it.
LOST: Final = timedelta(seconds=60)
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
        self._turns = asyncio.Semaphore(SERVERS)
        self._writing = asyncio.Semaphore(SERVERS)
        self._handing: dict[UUID, asyncio.Task[Job]] = {}
        self._threads = ThreadPoolExecutor(SERVERS, thread_name_prefix="jobs")

    async def close(self) -> None:
        """Hand over what was accepted, then close connections and threads."""
        if self._handing:
            await asyncio.wait(self._handing.values(), timeout=TIMEOUT_S)
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
        `TooManyQuestions` while Prefect has too many to take, `CloudUnavailable` when it says before the deadline that
        it does not take it, `StoreUnavailable` when the database does not answer, and `InvalidInput` as
        `features.stores.jobs.add_job`.
        """
        job = await self._written(question, league, ticket, priority, idempotency_key)
        if job.flow_run_id is not None:
            return job
        handing = self._hand_over(job)
        left_s = ticket.deadline_at - self.lane.clock() - TOLD_S
        await asyncio.wait({handing}, timeout=max(left_s, 0.0))
        return handing.result() if handing.done() else job

    async def _written(
        self, question: dict[str, Any], league: League, ticket: Ticket, priority: str, key: str | None
    ) -> Job:
        """The job's row, new or that of the same key. What the lane learns is what this takes."""
        begun = None
        try:
            if len(self._handing) >= MOST_HANDING:
                raise TooManyQuestions(
                    f"Prefect has {len(self._handing)} jobs to take over: ask again in {TIMEOUT_S:g} s", TIMEOUT_S
                )
            async with self._writing:
                if not self.lane.in_time(ticket):
                    raise Late(
                        f"a job of kind {ticket.kind!r} waited until its deadline could not be met: ask again"
                    )
                begun = self.lane.begin([ticket])
                return await self._off_loop(
                    lambda: jobs.add_job(
                        self._database, league=league, kind=str(question["kind"]), question=question,
                        asked_at=self._clock(), priority=priority, idempotency_key=key,
                    )
                )  # fmt: skip
        finally:
            if begun is None:
                self.lane.drop(ticket)
            else:
                self.lane.end(begun, ticket.kind, ticket.rows)

    def _hand_over(self, job: Job) -> asyncio.Task[Job]:
        """Have Prefect take the job; one task for each, which goes on whoever waits for it."""
        found = self._handing.get(job.job_id)
        if found is None:
            found = self._handing[job.job_id] = asyncio.get_running_loop().create_task(self._in_turn(job))
            found.add_done_callback(lambda task: self._handed(job, task))
        return found

    async def _in_turn(self, job: Job) -> Job:
        async with self._turns:
            return await self._handed_over(job)

    def _handed(self, job: Job, task: asyncio.Task[Job]) -> None:
        del self._handing[job.job_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("job %s was not handed over: %s", job.job_id, error)

    async def job(self, job_id: UUID) -> Job:
        """The job as it stands. Raises `NotMaterialized` when there is none.

        One whose run died without a word (its process was killed) is marked failed here; one that was accepted and
        never handed over, since its process was killed, is handed over.
        """
        job = await self._stored(job_id)
        if job.ended:
            return job
        if job.flow_run_id is None:
            if self._clock() - job.asked_at > LOST:
                self._hand_over(job)
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
